//! Advisories about crates: the database as a signed file, and what it says of the crates of this program.
//!
//! The file is text: a signed note ([`crate::crypto::sign`]), an empty line, and one JSON object a line, an
//! [`Advisory`] each. The note's text has four lines: `sekisho-advisories 1`, `made` and a time in milliseconds since
//! 1970, `count` and how many there are, `sha256` and the digest of all that follows the empty line, in hexadecimal.
//!
//! **Invariant:** a key is never taken from the file. Whoever opens it says which keys count.

pub mod keep;
pub mod lock;
pub mod rustsec;

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::base::bound::scan as bound;
use crate::base::clock::Timestamp;
use crate::base::id::hex;
use crate::crypto::digest::sha256;
use crate::crypto::sign::{self, NoteError, SignError, SigningKey, VerifyingKey};

const FIRST_LINE: &str = "sekisho-advisories 1";

/// A crate in this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crate {
    pub name: String,
    pub version: Version,
}

/// What an advisory speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Vulnerability,
    Unsound,
    Unmaintained,
    Notice,
}

/// One advisory, as far as it is needed to tell who is affected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    pub id: String,
    pub package: String,
    /// Year, month and day.
    pub date: String,
    pub title: String,
    #[serde(default)]
    pub kind: Kind,
    /// Ranges of versions that are free of it.
    #[serde(default)]
    pub patched: Vec<String>,
    /// Ranges of versions that never had it.
    #[serde(default)]
    pub unaffected: Vec<String>,
    /// Operating systems that have it; all, where none is named.
    #[serde(default)]
    pub os: Vec<String>,
    /// Processors that have it; all, where none is named.
    #[serde(default)]
    pub arch: Vec<String>,
}

impl Advisory {
    /// Whether this crate has what the advisory warns of, on this kind of machine.
    pub fn affects(&self, own: &Crate) -> bool {
        let here = |names: &[String], name: &str| names.is_empty() || names.iter().any(|known| known == name);
        let in_one = |ranges: &[String]| ranges.iter().any(|range| contains(range, &own.version));
        self.package == own.name
            && here(&self.os, std::env::consts::OS)
            && here(&self.arch, std::env::consts::ARCH)
            && !in_one(&self.patched)
            && !in_one(&self.unaffected)
    }

    /// Every range can be read: one that cannot would make everybody affected.
    fn check(&self) -> Result<(), DatabaseError> {
        for range in self.patched.iter().chain(&self.unaffected) {
            VersionReq::parse(range).map_err(|error| DatabaseError::Range {
                id: self.id.clone(),
                range: range.clone(),
                error,
            })?;
        }
        Ok(())
    }
}

/// A version before a release is compared as the release: `RustSec`'s ranges speak of releases.
fn contains(range: &str, version: &Version) -> bool {
    let release = Version::new(version.major, version.minor, version.patch);
    VersionReq::parse(range).is_ok_and(|range| range.matches(version) || range.matches(&release))
}

/// A database that was opened: its signature, its digest and every line were good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    pub made: Timestamp,
    pub advisories: Vec<Advisory>,
    /// Names of the keys that signed it.
    pub signers: Vec<String>,
}

/// Why a database is not made, opened or taken.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database of advisories has more than {} bytes", bound::ADVISORIES_BYTES_MAX)]
    TooLarge,
    #[error("this is no database of advisories: {0}; `sekisho advisories make DIR FILE` makes one")]
    Form(&'static str),
    #[error(
        "no key is trusted to sign advisories: give one with --vkey, or set upkeep.advisories_vkey. It comes from whoever makes the database, by another way than the file"
    )]
    NoKey,
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error("the advisories are not those that were signed: expected SHA-256 {expected}, found {found}")]
    Digest { expected: String, found: String },
    #[error("expected {expected} advisories, found {found}")]
    Count { expected: usize, found: usize },
    #[error("line {line} of the advisories: {error}")]
    Line { line: usize, error: serde_json::Error },
    #[error("{id}: {range:?} is no range of versions: {error}")]
    Range { id: String, range: String, error: semver::Error },
    #[error("the database in use was made at {there}, this one at {offered}: an older one is not taken")]
    Older { there: String, offered: String },
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("{path}: {error}")]
    File { path: String, error: std::io::Error },
    #[error("{path}: expected an advisory of RustSec, found: {reason}")]
    Source { path: String, reason: String },
}

impl Database {
    /// Opens a file's text with `keys`, all of it or none.
    pub fn open(text: &str, keys: &[VerifyingKey]) -> Result<Self, DatabaseError> {
        if keys.is_empty() {
            return Err(DatabaseError::NoKey);
        }
        if text.len() as u64 > bound::ADVISORIES_BYTES_MAX {
            return Err(DatabaseError::TooLarge);
        }
        let (note, body) =
            parts(text).ok_or(DatabaseError::Form("expected a signed note, an empty line and advisories"))?;
        let opened = sign::open_note(note, keys)?;
        let head = Head::parse(opened.text).ok_or(DatabaseError::Form("its head is not one"))?;
        let found = hex(&sha256(&[body.as_bytes()]));
        if found != head.digest {
            return Err(DatabaseError::Digest { expected: head.digest, found });
        }
        let mut advisories = Vec::new();
        for (number, line) in body.lines().enumerate() {
            if advisories.len() >= bound::ADVISORIES_MAX {
                return Err(DatabaseError::TooLarge);
            }
            let advisory: Advisory =
                serde_json::from_str(line).map_err(|error| DatabaseError::Line { line: number + 1, error })?;
            advisory.check()?;
            advisories.push(advisory);
        }
        if advisories.len() != head.count {
            return Err(DatabaseError::Count { expected: head.count, found: advisories.len() });
        }
        let signers = opened.signers.iter().map(|signer| signer.name().to_owned()).collect();
        Ok(Self { made: head.made, advisories, signers })
    }

    /// The file's text.
    pub fn sign(made: Timestamp, advisories: &[Advisory], key: &SigningKey) -> Result<String, DatabaseError> {
        let mut body = String::new();
        for advisory in advisories {
            advisory.check()?;
            let line = serde_json::to_string(advisory).map_err(|error| DatabaseError::Line { line: 0, error })?;
            body.push_str(&line);
            body.push('\n');
        }
        let head = Head { made, count: advisories.len(), digest: hex(&sha256(&[body.as_bytes()])) };
        Ok(format!("{}\n{body}", key.sign_note(&head.to_text())?))
    }
}

/// The note with its final newline, and what follows the empty line behind it.
fn parts(text: &str) -> Option<(&str, &str)> {
    let signatures = text.find("\n\n")? + 2;
    let end = text.get(signatures..)?.find("\n\n")? + signatures + 1;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

struct Head {
    made: Timestamp,
    count: usize,
    digest: String,
}

impl Head {
    fn to_text(&self) -> String {
        format!("{FIRST_LINE}\nmade {}\ncount {}\nsha256 {}\n", self.made.0, self.count, self.digest)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let made = Timestamp(lines.next()?.strip_prefix("made ")?.parse().ok()?);
        let count = lines.next()?.strip_prefix("count ")?.parse().ok()?;
        let digest = lines.next()?.strip_prefix("sha256 ")?.to_owned();
        lines.next().is_none().then_some(Self { made, count, digest })
    }
}

#[cfg(test)]
mod tests;
