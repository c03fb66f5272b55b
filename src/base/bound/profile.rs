//! Limits of profiles: their files, and what their tools give.

/// One file of a profile: the schema of a configuration file is the largest, with some ten thousand bytes.
pub const PROFILE_FILE_BYTES_MAX: usize = 1 << 20;
/// Files of a profile: a dozen are shipped.
pub const PROFILE_FILES_MAX: usize = 100;
/// Profiles of an installation: each adds tools to a list that a model reads.
pub const PROFILES_MAX: usize = 32;
/// Bytes of a profile's name: it stands before each of its tools' names.
pub const PROFILE_NAME_BYTES_MAX: usize = 32;
/// What a pattern of a profile may take when compiled: profiles from disk are an operator's, and slips happen.
pub const PROFILE_PATTERN_BYTES_MAX: usize = 1 << 20;
/// Words that synonyms may add to a query, so that the query's own words keep their weight.
pub const SYNONYM_BYTES_MAX: usize = 400;
/// Passages that are ranked before versions of a page are folded into one.
pub const PROFILE_HITS_MAX: usize = 80;
/// Pages in an answer of a profile's search.
pub const PROFILE_PAGES_MAX: usize = 10;
/// Characters of the text for which pages are recommended.
pub const CONTEXT_CHARS_MAX: usize = 1000;
/// Links of a page that are looked at to recommend where it leads.
pub const PAGE_LINKS_MAX: usize = 1_000;
/// Recommended pages.
pub const RECOMMENDATIONS_MAX: usize = 10;
/// Characters of a pattern by which code is looked for.
pub const CODE_PATTERN_CHARS_MAX: usize = 100;
/// Code blocks of one page that are looked at: the longest known page has two hundred.
pub const CODE_BLOCKS_MAX: usize = 2_000;
/// Code blocks in an answer.
pub const EXAMPLES_MAX: usize = 8;
/// Bytes of one code block in an answer; a longer one is for reading its page.
pub const EXAMPLE_BYTES_MAX: usize = 8 << 10;
/// Documents whose code is looked through for one answer.
pub const EXAMPLE_DOCUMENTS_MAX: usize = 12;
/// Bytes of a link that carries code: browsers and servers take 8,000.
pub const PLAYGROUND_URL_BYTES_MAX: usize = 7_000;
/// Characters of an error message.
pub const ERROR_MESSAGE_CHARS_MAX: usize = 2000;
/// Causes in a diagnosis.
pub const CAUSES_MAX: usize = 5;
/// Bytes of arguments that hold an error message: 2,000 characters of Japanese are 6,000 bytes.
pub const MESSAGE_ARGUMENT_BYTES_MAX: usize = 16 << 10;
/// Characters of a configuration file that is checked.
pub const CONFIGURATION_CHARS_MAX: usize = 64 << 10;
/// Bytes of arguments that hold a configuration file, escaped in JSON.
pub const CONFIGURATION_ARGUMENT_BYTES_MAX: usize = 256 << 10;
/// Mismatches that a check of a configuration file lists.
pub const MISMATCHES_MAX: usize = 20;
/// Documents that are looked through for a module.
pub const MODULE_DOCUMENTS_MAX: usize = 2_000;
/// Permissions of a module: a page that names more is about something else.
pub const MODULE_PERMISSIONS_MAX: usize = 100;
/// Code blocks of a module's page in an answer.
pub const MODULE_EXAMPLES_MAX: usize = 4;
/// Sections of a page that its table of contents lists; a longer one is no help.
pub const CONTENTS_MAX: usize = 200;
/// Bytes of an address or path that is asked for.
pub const ADDRESS_CHARS_MAX: usize = 1024;
