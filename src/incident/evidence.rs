//! The evidence of an incident: one file, to be checked on another machine.
//!
//! A tar archive of these members, in this order: `README.txt`; `incident.json`, the record; `configuration.json`, the
//! settings in force, with secrets masked; `versions.json`; `manifest.json`, the SHA-256 of each of them; `audit.bundle`,
//! a bundle of the log ([`crate::audit::bundle`]).
//!
//! **What binds them.** The last entries of the log in the bundle hold one of the operation [`OPERATION`] that names the
//! digest of `manifest.json`. The bundle proves that entry under a signed root, the entry names the manifest, and the
//! manifest names the other files: whoever changes one of them is found.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::archive::{Archive, Fault, Writer};
use crate::audit::bundle::{self, Sound};
use crate::audit::entry::{Entry, Outcome};
use crate::audit::verify::Verdict;
use crate::base::bound::incident as most;
use crate::base::id::hex;
use crate::crypto::digest::sha256;
use crate::crypto::sign::VerifyingKey;

/// The operation of the entry that names the manifest.
pub const OPERATION: &str = "incident.evidence";
/// What stands before the digest in that entry's reason.
const DIGEST: &str = "manifest sha256 ";

const README: &str = "README.txt";
const MANIFEST: &str = "manifest.json";
const BUNDLE: &str = "audit.bundle";
/// The files that the manifest names, in their order.
const FILES: [&str; 4] = [README, "incident.json", "configuration.json", "versions.json"];
const README_TEXT: &str = include_str!("readme.txt");
const FORMAT: &str = "sekisho-incident-evidence";
const VERSION: u32 = 1;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    version: u32,
    files: Vec<Digest>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Digest {
    name: String,
    sha256: String,
}

/// What stands beside the log.
#[derive(Debug)]
pub struct Files {
    /// In the order of [`FILES`].
    contents: [Vec<u8>; FILES.len()],
    manifest: Vec<u8>,
}

impl Files {
    /// All three are JSON, without secrets.
    pub fn new(
        incident: &serde_json::Value,
        configuration: &serde_json::Value,
        versions: &serde_json::Value,
    ) -> io::Result<Self> {
        let json = |value: &serde_json::Value| -> io::Result<Vec<u8>> {
            let mut bytes = serde_json::to_vec_pretty(value)?;
            bytes.push(b'\n');
            Ok(bytes)
        };
        let contents = [README_TEXT.as_bytes().to_vec(), json(incident)?, json(configuration)?, json(versions)?];
        let manifest = json(&serde_json::to_value(Self::digests(&contents))?)?;
        Ok(Self { contents, manifest })
    }

    fn digests(contents: &[Vec<u8>]) -> Manifest {
        let digest =
            |(name, content): (&&str, &Vec<u8>)| Digest { name: (*name).to_owned(), sha256: hex(&sha256(&[content])) };
        Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            files: FILES.iter().zip(contents).map(digest).collect(),
        }
    }

    /// What the entry of [`OPERATION`] says, which must be in the bundle.
    pub fn reason(&self) -> String {
        format!("{DIGEST}{}", hex(&sha256(&[&self.manifest])))
    }

    /// Writes the archive, with the bundle of the log that was written into `bundle`.
    pub fn write(&self, bundle: &Path, mut out: impl Write) -> io::Result<()> {
        let mut archive = Writer::new(&mut out);
        let members = FILES.iter().copied().zip(self.contents.iter().map(Vec::as_slice));
        for (name, content) in members.chain([(MANIFEST, self.manifest.as_slice())]) {
            archive.member(name, content.len() as u64, content)?;
        }
        let file = File::open(bundle)?;
        archive.member(BUNDLE, file.metadata()?.len(), file)?;
        archive.end().map(drop)
    }
}

/// Checks evidence, from its first byte to its last: that the archive has its one form, each file against the manifest,
/// the log as a bundle, and that an entry of the log names the manifest. Whatever another program would unpack was
/// looked at: there is no member more, and none that is anything but a file.
///
/// `keys` are those whose signatures count; empty: those that the bundle names, which proves less. An error is one of
/// reading.
pub fn verify(path: &Path, keys: &[VerifyingKey]) -> io::Result<Verdict<Sound>> {
    match check(File::open(path)?, keys) {
        Ok(verdict) => Ok(verdict),
        Err(Fault::Read(error)) => Err(error),
        Err(Fault::Foreign) => Ok(incomplete("this is no evidence of an incident: it does not begin as that does")),
        Err(Fault::Missing(name)) => Ok(incomplete(&format!("the evidence has no {name} where it belongs"))),
        Err(fault @ Fault::Cut(_)) => Ok(incomplete(&fault.to_string())),
        Err(Fault::Changed { expected, found }) => Ok(tampered(&expected, &found)),
    }
}

fn check(evidence: impl Read, keys: &[VerifyingKey]) -> Result<Verdict<Sound>, Fault> {
    let names = FILES.into_iter().chain([MANIFEST, BUNDLE]).map(str::to_owned).collect();
    let mut archive = Archive::new(evidence, names);
    let mut contents = Vec::new();
    for name in FILES {
        contents.push(archive.member(name)?.whole(most::EVIDENCE_FILE_BYTES_MAX)?.0);
    }
    let (manifest, _) = archive.member(MANIFEST)?.whole(most::EVIDENCE_FILE_BYTES_MAX)?;
    match serde_json::from_slice::<Manifest>(&manifest) {
        Ok(found) if found == Files::digests(&contents) => {}
        Ok(_) => return Ok(tampered("the digests of the manifest", "other files, or another manifest")),
        Err(error) => return Ok(tampered("a manifest", &error.to_string())),
    }
    let reason = format!("{DIGEST}{}", hex(&sha256(&[&manifest])));
    let mut is_named = false;
    let mut log = archive.member(BUNDLE)?;
    let verdict = bundle::verify_each(&mut log.stream(), keys, &[], &mut |entry: &Entry| {
        is_named |= entry.operation.as_deref() == Some(OPERATION)
            && entry.outcome == Outcome::Done
            && entry.reason.as_deref() == Some(reason.as_str());
    });
    let sound = match verdict.map_err(Fault::Read)? {
        Verdict::Sound(sound) => sound,
        other => return Ok(other),
    };
    log.end()?;
    archive.end()?;
    if is_named {
        return Ok(Verdict::Sound(sound));
    }
    Ok(tampered("an entry of the log that names this manifest", "none"))
}

/// What is quoted of a file may be hostile to a terminal.
fn tampered(expected: &str, found: &str) -> Verdict<Sound> {
    let found = found.chars().filter(|char| !char.is_control()).take(most::EVIDENCE_EXCERPT_CHARS_MAX).collect();
    Verdict::Tampered { sequence: None, expected: expected.to_owned(), found }
}

fn incomplete(reason: &str) -> Verdict<Sound> {
    Verdict::Incomplete { reason: reason.to_owned() }
}
