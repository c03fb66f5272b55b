//! English words that say little about what is sought; they are weighed down, never removed.

/// Sorted, lower case, before stemming.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "being", "but",
    "by", "can", "can't", "could", "did", "do", "does", "doesn't", "don't", "for", "from", "get", "give", "had", "has",
    "have", "how", "i", "i'm", "if", "in", "into", "is", "isn't", "it", "it's", "its", "like", "may", "me", "might",
    "must", "my", "no", "not", "of", "on", "or", "our", "please", "s", "shall", "she", "should", "so", "some", "such",
    "t", "tell", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "us",
    "was", "we", "were", "what", "what's", "when", "where", "which", "while", "who", "whose", "why", "will", "with",
    "would", "you", "your",
];

pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_or_the_search_lies() {
        assert!(STOP_WORDS.is_sorted());
        assert!(is_stop_word("the") && is_stop_word("what") && !is_stop_word("camera"));
    }
}
