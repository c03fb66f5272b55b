//! manifest.json: which library a bundle carries, of what serial, and the digests of what it holds.

use serde::{Deserialize, Serialize};

use super::{BundleError, DOCUMENTS, PROFILE, README};
use crate::audit::render::text::excerpt;
use crate::base::bound;
use crate::base::bound::bundle as limits;
use crate::base::classification::Classification;
use crate::base::clock::Timestamp;
use crate::crypto::digest::{Hash, Hex, sha256};
use crate::library::record::is_library_name;

/// What `format` says, and the first line that is signed.
const FORMAT: &str = "sekisho-library-bundle";
/// What `version` says. Another member or another meaning of a field is another version.
const VERSION: u32 = 1;

/// JSON with an indent of two spaces, these fields in this order, and a newline at the end: for given contents there is
/// one manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(super) format: String,
    pub(super) version: u32,
    /// What the library is called where it comes from.
    pub library: String,
    /// Its generation there: a bundle with a higher one is newer.
    pub serial: u64,
    /// When the bundle was made, in milliseconds since 1970, by the clock of whoever made it.
    pub made_ms: u64,
    /// Where the documents come from, for people.
    pub source: String,
    /// How confidential they are where they come from; here they are no less.
    pub classification: Classification,
    /// The profile by which they are read there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Rules>,
    pub documents: u64,
    pub sections: u64,
    /// Of Markdown.
    pub bytes: u64,
    /// All members but this one and the signature, in their order.
    pub(super) files: Vec<File>,
}

/// A profile, and what tells its rules for facets from others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub name: String,
    /// SHA-256 of its `profile.toml`.
    pub sha256: Hex,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: Hex,
}

/// What tells a manifest of another version apart from a damaged one.
#[derive(Deserialize)]
struct Kind {
    format: String,
    version: u32,
}

/// What a new manifest says of its library; the rest follows from it.
pub(super) struct Claims<'a> {
    pub(super) library: &'a str,
    pub(super) serial: u64,
    pub(super) made: Timestamp,
    pub(super) source: String,
    pub(super) classification: Classification,
    pub(super) profile: Option<Rules>,
    pub(super) documents: u64,
    pub(super) sections: u64,
    pub(super) bytes: u64,
    pub(super) files: Vec<File>,
}

impl Manifest {
    pub(super) fn of(claims: Claims<'_>) -> Self {
        let Claims { library, serial, made, source, classification, profile, documents, sections, bytes, files } =
            claims;
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            library: library.to_owned(),
            serial,
            made_ms: made.0,
            source,
            classification,
            profile,
            documents,
            sections,
            bytes,
            files,
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The text that is signed: it says what it is, so that no other note can be taken for it.
    pub(super) fn signed_text(bytes: &[u8]) -> String {
        format!("{FORMAT} {VERSION}\n{}\n", crate::base::id::hex(&sha256(&[bytes])))
    }

    /// Reads what [`Self::to_bytes`] wrote. The signature over it was checked before.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let wrong = |found: String| BundleError::changed("a manifest as Sekisho writes it", found);
        let kind: Kind = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if kind.format != FORMAT {
            return Err(BundleError::Form(format!("its manifest is of a {}", excerpt(&kind.format))));
        }
        if kind.version != VERSION {
            return Err(BundleError::Version { found: kind.version, known: VERSION });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if manifest.to_bytes().ok().as_deref() != Some(bytes) {
            return Err(wrong("another spelling".to_owned()));
        }
        if !is_library_name(&manifest.library) {
            return Err(wrong(format!("{:?} as the name of a library", manifest.library)));
        }
        if manifest.source.len() > limits::LIBRARY_ORIGIN_BYTES_MAX {
            return Err(wrong(format!("an origin of {} bytes", manifest.source.len())));
        }
        if manifest.documents > bound::LIBRARY_FILES_MAX as u64 {
            return Err(wrong(format!("{} documents", manifest.documents)));
        }
        if let Some(large) = manifest.files.iter().find(|file| file.bytes > limits::LIBRARY_BUNDLE_BYTES_MAX) {
            return Err(BundleError::TooLarge { found: large.bytes });
        }
        let names = names(manifest.file(PROFILE).is_some());
        if !manifest.files.iter().map(|file| file.name.as_str()).eq(names) {
            return Err(wrong("other files than a bundle has".to_owned()));
        }
        if manifest.file(PROFILE).is_some() && manifest.profile.is_none() {
            return Err(wrong("a profile that it does not name".to_owned()));
        }
        Ok(manifest)
    }

    /// The profile and its mark.
    pub fn rules(&self) -> Option<(&str, Hash)> {
        self.profile.as_ref().map(|rules| (rules.name.as_str(), rules.sha256.0))
    }

    pub(super) fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Whether a member is what was signed.
    pub(super) fn hold(&self, name: &str, bytes: u64, found: Hash) -> Result<(), BundleError> {
        let file = self.file(name).ok_or_else(|| BundleError::changed(format!("{name} in the manifest"), "none"))?;
        if file.bytes != bytes {
            return Err(BundleError::changed(format!("{name} of {} bytes", file.bytes), format!("{bytes}")));
        }
        if file.sha256.0 != found {
            let expected = format!("{name} with SHA-256 {}", crate::base::id::hex(&file.sha256.0));
            return Err(BundleError::changed(expected, crate::base::id::hex(&found)));
        }
        Ok(())
    }
}

/// The members beside manifest and signature, in their order.
pub(super) fn names(with_profile: bool) -> impl Iterator<Item = &'static str> {
    [README].into_iter().chain(with_profile.then_some(PROFILE)).chain([DOCUMENTS])
}
