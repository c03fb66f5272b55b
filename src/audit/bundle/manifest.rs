//! manifest.json: which entries a bundle holds, and what leads from them to the signed root.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{CHECKPOINT, LEAVES, PERSONAL, README, Stop, entries_name};
use crate::audit::render::Format;
use crate::audit::render::text::excerpt;
use crate::base::bound;
use crate::crypto::digest::{Hash, Hex};
use crate::crypto::sign::VerifyingKey;

/// What `format` says.
const FORMAT: &str = "sekisho-audit-bundle";
/// What `version` says. Another README, another rendition of an entry or another member is another version.
const VERSION: u32 = 1;

/// JSON with an indent of two spaces, these fields in this order, and a newline at the end: for given contents there is
/// one manifest. It is small; its limit is [`bound::BUNDLE_MANIFEST_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: String,
    version: u32,
    /// The log's name, as in the checkpoint.
    pub(super) origin: String,
    /// Sequence of the first entry.
    pub(super) first: u64,
    /// How many entries there are, at least one.
    pub(super) count: u64,
    /// How many leaves the checkpoint covers.
    pub(super) size: u64,
    /// Roots of the perfect subtrees over the leaves before the first entry, largest first.
    pub(super) peaks: Vec<Hex>,
    /// RFC 9162, section 2.1.4.1, from `first + count` to `size`; empty when they are the same.
    pub(super) consistency: Vec<Hex>,
    /// Those that signed the checkpoint, one of them by the origin's name.
    pub(super) keys: Vec<String>,
    pub(super) entries: Rendition,
    /// The digests of all members but this one, in their order.
    pub(super) files: Vec<File>,
}

/// Of the readable file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rendition {
    #[serde(serialize_with = "format_name", deserialize_with = "format_of_name")]
    pub(super) format: Format,
    /// Of the program that its lines name; there only where the lines do, for nothing else could confirm it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) program_version: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) sha256: Hex,
}

/// What tells a manifest of another version apart from a damaged one.
#[derive(Deserialize)]
struct Kind {
    format: String,
    version: u32,
}

/// What a new manifest says; the rest follows from it.
pub(super) struct Claims<'a> {
    pub(super) origin: &'a str,
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) size: u64,
    pub(super) peaks: &'a [Hash],
    pub(super) consistency: &'a [Hash],
    pub(super) keys: &'a [VerifyingKey],
    pub(super) entries: Rendition,
    pub(super) digests: Digests,
}

/// The digests of a bundle's members.
pub(super) struct Digests {
    pub(super) readme: Hash,
    pub(super) checkpoint: Hash,
    pub(super) leaves: Hash,
    pub(super) entries: Hash,
    pub(super) personal: Option<Hash>,
}

impl Manifest {
    pub(super) fn of(claims: Claims<'_>) -> Self {
        let hashes = |hashes: &[Hash]| hashes.iter().map(|hash| Hex(*hash)).collect();
        let names = names(claims.entries.format, claims.digests.personal.is_some());
        let Digests { readme, checkpoint, leaves, entries, personal } = claims.digests;
        let digests = [readme, checkpoint, leaves, entries].into_iter().chain(personal);
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            origin: claims.origin.to_owned(),
            first: claims.first,
            count: claims.count,
            size: claims.size,
            peaks: hashes(claims.peaks),
            consistency: hashes(claims.consistency),
            keys: claims.keys.iter().map(ToString::to_string).collect(),
            entries: claims.entries,
            files: names.into_iter().zip(digests).map(|(name, hash)| File { name, sha256: Hex(hash) }).collect(),
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads what [`Self::to_bytes`] wrote. What it claims is not checked yet, but it claims nothing twice, nothing
    /// unknown and nothing that no check looks at.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Stop> {
        let tampered = |found: String| Stop::tampered(None, "a manifest as Sekisho writes it", excerpt(&found));
        let kind: Kind = serde_json::from_slice(bytes).map_err(|error| tampered(error.to_string()))?;
        if kind.format != FORMAT {
            return Err(Stop::incomplete(format!(
                "the manifest is of a {}, not of a {FORMAT}: this is another kind of file",
                excerpt(&kind.format)
            )));
        }
        if kind.version != VERSION {
            return Err(Stop::incomplete(format!(
                "the bundle has version {} of the format, this program knows version {VERSION}: use another one",
                kind.version
            )));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| tampered(error.to_string()))?;
        if manifest.to_bytes().ok().as_deref() != Some(bytes) {
            return Err(tampered("another spelling".to_owned()));
        }
        let names = names(manifest.entries.format, manifest.files.len() > NAMES_MIN);
        if !manifest.files.iter().map(|file| &file.name).eq(&names) {
            return Err(tampered("other files than a bundle has".to_owned()));
        }
        let version = manifest.entries.program_version.as_deref();
        if version.is_some() != manifest.entries.format.names_version() || !version.is_none_or(is_program_version) {
            return Err(tampered("a program_version that these lines do not name".to_owned()));
        }
        Ok(manifest)
    }

    /// The digest of a member, which is one of [`names`].
    pub(super) fn digest(&self, name: &str) -> Option<Hash> {
        self.files.iter().find(|file| file.name == name).map(|file| file.sha256.0)
    }

    pub(super) fn keys(&self) -> Result<Vec<VerifyingKey>, Stop> {
        if self.keys.len() > bound::NOTE_SIGNATURES_MAX {
            let expected = format!("at most {} keys in the manifest", bound::NOTE_SIGNATURES_MAX);
            return Err(Stop::tampered(None, expected, self.keys.len().to_string()));
        }
        let keys = self.keys.iter().map(|line| VerifyingKey::parse(line));
        keys.collect::<Result<_, _>>()
            .map_err(|error| Stop::tampered(None, "readable keys in the manifest", excerpt(&error.to_string())))
    }

    pub(super) fn has_personal(&self) -> bool {
        self.digest(PERSONAL).is_some()
    }
}

/// Members beside the manifest that each bundle has.
const NAMES_MIN: usize = 4;

/// The members beside the manifest, in their order.
fn names(format: Format, with_personal: bool) -> Vec<String> {
    let entries = entries_name(format.extension());
    let names = [README, CHECKPOINT, LEAVES, &entries].into_iter().chain(with_personal.then_some(PERSONAL));
    names.map(str::to_owned).collect()
}

fn is_program_version(text: &str) -> bool {
    (1..=bound::PROGRAM_VERSION_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'))
}

// Serde passes a reference to the field.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn format_name<S: Serializer>(format: &Format, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(format.as_str())
}

fn format_of_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}
