//! A bundle: a library in one file, signed, for a site that no network leads to.
//!
//! A bundle is an archive ([`crate::archive`]) of these members, in this order, and nothing else:
//!
//! | member | what it holds |
//! |---|---|
//! | `README.txt` | what this is and how to import it |
//! | `manifest.json` | see `manifest::Manifest`: the library, its serial, the digests of all members but this and the next |
//! | `signature.txt` | a signed note: `sekisho-library-bundle 1`, a newline, the SHA-256 of `manifest.json` in hexadecimal |
//! | `profile.json` | optional: the files of the library's profile by path, where no Sekisho has it by itself |
//! | `documents.txt` | each document, by path: a line of JSON (`entry::Head`), its Markdown, a newline |
//!
//! **What is carried.** Not the sources: they may have changed since they were read, and reading them again would be
//! work on bytes from outside, done at the site that is to be shielded. What a sync made of them is carried: Markdown,
//! title, facets, and sections with their anchors, so that what an agent quotes at one site is found at the other. What
//! depends on a program's version is not: store format and index are made anew by the one that imports, and its own
//! profile derives facets anew. So both ends may be of different versions as long as they know the format's.
//!
//! **What is trusted.** The key that whoever imports names, and nothing in the file: it does not even hold a key. The
//! signature is looked at before anything else is read as more than bytes. All of the file is then checked before one
//! document is written, and checked again while it is, for a file can change in between; what is written becomes visible
//! in one commit, and what was visible before is kept for `Libraries::roll_back`.
//!
//! Rows of the table `meta`: see `keep`.

mod entry;
mod export;
mod import;
mod keep;
mod manifest;
mod read;
mod rollback;

#[cfg(test)]
mod tests;

use std::io;

pub use export::Exported;
pub use import::{Checked, How, Imported};
#[cfg(test)]
pub(super) use keep::before_row;
pub use keep::profiles;
pub(super) use keep::{forgotten, generation_before};

use super::LibraryError;
use crate::archive::Fault;
use crate::audit::render::text::excerpt;
use crate::base::bound;
use crate::base::refusal::Code;
use crate::crypto::sign::{KeyError, NoteError, SignError};

const README: &str = "README.txt";
const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "signature.txt";
const PROFILE: &str = "profile.json";
const DOCUMENTS: &str = "documents.txt";

/// The text of [`README`].
const README_TEXT: &str = include_str!("readme.txt");

/// The label under which the vault derives the key that signs bundles.
pub const KEY_LABEL: &str = "library bundles";

/// What members may be called.
fn member_names() -> Vec<String> {
    [README, MANIFEST, SIGNATURE, PROFILE, DOCUMENTS].map(str::to_owned).to_vec()
}

/// Why a bundle was not written, not taken, or not taken back. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{path}: {error}")]
    File { path: String, error: io::Error },
    #[error("{0} exists already; it was left as it is")]
    Exists(String),
    #[error("this is no library bundle: {0}")]
    Form(String),
    #[error("the bundle has version {found} of the format, this program knows version {known}: use a newer one")]
    Version { found: u32, known: u32 },
    #[error(
        "no key is trusted to sign bundles: name the key of whoever made it (--vkey), or put it into library.trusted_keys"
    )]
    NoKeys,
    #[error("{given:?} is no key of bundles: {error}")]
    Key { given: String, error: KeyError },
    #[error("at most {} keys can be trusted to sign bundles", bound::bundle::LIBRARY_KEYS_MAX)]
    TooManyKeys,
    #[error("the bundle is not signed by a key that you trust: {0}")]
    Untrusted(NoteError),
    #[error("the bundle is not what was signed: expected {expected}, found {found}; fetch it again")]
    Changed { expected: String, found: String },
    #[error(
        "the bundle has {found} bytes, more than {max}; cut the library into several",
        max = bound::bundle::LIBRARY_BUNDLE_BYTES_MAX
    )]
    TooLarge { found: u64 },
    #[error("the document {path:?} cannot be in a bundle: {reason}")]
    Document { path: String, reason: String },
    #[error("the profile of the bundle cannot be used: {0}; choose one that is here: --profile NAME")]
    Profile(String),
    #[error("the library {0:?} does not come from a bundle; import under another name: --name NAME")]
    NotFromBundle(String),
    #[error(
        "the library {name:?} comes from bundles of {has:?}, this is one of {found:?}; import under another name: --name NAME"
    )]
    OtherLibrary { name: String, has: String, found: String },
    #[error(
        "the library {name:?} has serial {has} and this bundle serial {found}, which is not newer; to take it all the same: --allow-older"
    )]
    NotNewer { name: String, has: u64, found: u64 },
    #[error("of the library {0:?} no earlier bundle is kept; only the one before the last import is")]
    NothingBefore(String),
    #[error(
        "the library {0:?} comes from a bundle and has nothing to read anew; import a newer one: sekisho library import FILE"
    )]
    NoSync(String),
    #[error(
        "the library {0:?} comes from a bundle; its profile is said when it is imported: sekisho library import FILE --allow-older --profile NAME"
    )]
    Profiled(String),
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl BundleError {
    /// What a caller is told it is.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::File { error, .. } if error.kind() == io::ErrorKind::NotFound => Code::NotFound,
            Self::File { .. } => Code::Unavailable,
            Self::Exists(_)
            | Self::NotFromBundle(_)
            | Self::OtherLibrary { .. }
            | Self::NotNewer { .. }
            | Self::NothingBefore(_) => Code::Conflict,
            _ => Code::Invalid,
        }
    }

    fn changed(expected: impl Into<String>, found: impl AsRef<str>) -> Self {
        Self::Changed { expected: expected.into(), found: excerpt(found.as_ref()) }
    }

    fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> LibraryError {
        let path = path.display().to_string();
        move |error| Self::File { path, error }.into()
    }
}

impl From<Fault> for BundleError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Read(error) => Self::File { path: "the bundle".to_owned(), error },
            Fault::Foreign => Self::Form(fault.to_string()),
            Fault::Missing(_) => Self::changed("a whole bundle", fault.to_string()),
            Fault::Cut(at) => Self::changed("a whole bundle", format!("one that was cut: it ends in {at}")),
            Fault::Changed { expected, found } => Self::changed(expected, found),
        }
    }
}

impl From<Fault> for LibraryError {
    fn from(fault: Fault) -> Self {
        Self::Bundle(fault.into())
    }
}
