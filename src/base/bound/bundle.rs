//! Limits of bundles of libraries.

/// A bundle: half a million documents of a few kilobytes fit, and a file that is no bundle is not read for hours.
pub const LIBRARY_BUNDLE_BYTES_MAX: u64 = 8 << 30;
/// The manifest: some names, figures and digests, and where the documents came from.
pub const LIBRARY_MANIFEST_BYTES_MAX: usize = 32 << 10;
/// What a manifest says of where the documents came from: an address or a path.
pub const LIBRARY_ORIGIN_BYTES_MAX: usize = 4 << 10;
/// What is said of a document in one line: the largest record, should each of its bytes need six in JSON.
pub const LIBRARY_HEAD_BYTES_MAX: usize = 6 * super::RECORD_BYTES_MAX;
/// A profile as JSON. Beside the one of the generation before it must fit into one commit.
pub const LIBRARY_PROFILE_BYTES_MAX: usize = 320 << 10;
/// Keys that are trusted to sign bundles: a site has a few sources of them.
pub const LIBRARY_KEYS_MAX: usize = 32;
