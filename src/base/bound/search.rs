//! Bounds of spelling, versions, languages and synonyms in a search.

/// Letters of the shortest word of the dictionary: shorter ones are parts of nothing and completed by everything.
pub const WORD_CHARS_MIN: usize = 3;
/// Letters of the longest word of the dictionary: longer runs are data, and each misspelling is looked for in all.
pub const WORD_CHARS_MAX: usize = 40;
/// Words that stand in for one misspelt one: a short word has dozens of neighbours, of which the first few count.
pub const TYPO_CANDIDATES_MAX: usize = 8;
/// Dictionary entries that a misspelt word is compared with, after the automaton chose them.
pub const TYPO_SCAN_MAX: usize = 2000;
/// Words of one query that are looked for as what they may stand for: each costs a walk through the dictionary, a
/// millisecond or two, and a pasted stack trace has dozens that no document knows.
pub const QUERY_GUESSES_MAX: usize = 8;
/// Fewer hits than this are few: a page of them is not full, and the query is widened.
pub const HITS_FEW: u64 = 10;
/// Groups of synonyms for one library: a glossary has hundreds.
pub const SYNONYM_GROUPS_MAX: usize = 2000;
/// Words and phrases of one group.
pub const SYNONYMS_MAX: usize = 16;
/// Words of one phrase of a group.
pub const SYNONYM_WORDS_MAX: usize = 5;
/// Synonyms that one query takes in, so that a generous table cannot make it slow.
pub const QUERY_SYNONYMS_MAX: usize = 24;
/// Parts of a score that an explanation lists for one hit.
pub const EXPLANATION_SHARES_MAX: usize = 64;
