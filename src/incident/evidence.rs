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
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};

use crate::audit::bundle::{self, Sound};
use crate::audit::entry::{Outcome, of_leaf};
use crate::audit::verify::Verdict;
use crate::base::bound;
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
    pub fn write(&self, bundle: &Path, out: impl Write) -> io::Result<()> {
        let mut archive = Builder::new(out);
        let members = FILES.iter().copied().zip(self.contents.iter().map(Vec::as_slice));
        for (name, content) in members.chain([(MANIFEST, self.manifest.as_slice())]) {
            archive.append(&header(name, content.len() as u64)?, content)?;
        }
        let file = File::open(bundle)?;
        archive.append(&header(BUNDLE, file.metadata()?.len())?, file)?;
        archive.into_inner()?.flush()
    }
}

fn header(name: &str, bytes: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(bytes);
    header.set_cksum();
    Ok(header)
}

/// Checks evidence: each file against the manifest, the log as a bundle, and that an entry of the log names the manifest.
/// `keys` are those whose signatures count; empty: those that the bundle names, which proves less. An error is one of
/// reading.
pub fn verify(path: &Path, keys: &[VerifyingKey]) -> io::Result<Verdict<Sound>> {
    let tampered =
        |expected: &str, found: String| Ok(Verdict::Tampered { sequence: None, expected: expected.to_owned(), found });
    let incomplete = |reason: &str| Ok(Verdict::Incomplete { reason: reason.to_owned() });
    let mut archive = Archive::new(BufReader::new(File::open(path)?));
    let Ok(mut members) = archive.entries() else { return incomplete("this is no evidence of an incident") };
    let mut contents = Vec::new();
    for name in FILES.iter().copied().chain([MANIFEST]) {
        let Some(Ok(member)) = members.next() else { return incomplete("the file ends before its members do") };
        let found = member.path_bytes().into_owned();
        if found != name.as_bytes() {
            let is_first = contents.is_empty();
            let found = String::from_utf8_lossy(&found).chars().filter(|char| !char.is_control()).take(100).collect();
            return if is_first { incomplete("this is no evidence of an incident") } else { tampered(name, found) };
        }
        let mut content = Vec::new();
        member.take(most::EVIDENCE_FILE_BYTES_MAX).read_to_end(&mut content)?;
        contents.push(content);
    }
    let manifest = contents.pop().unwrap_or_default();
    let expected = Files::digests(&contents);
    match serde_json::from_slice::<Manifest>(&manifest) {
        Ok(found) if found == expected => {}
        Ok(_) => return tampered("the digests of the manifest", "other files, or another manifest".into()),
        Err(error) => return tampered("a manifest", error.to_string()),
    }
    let Some(Ok(mut log)) = members.next() else { return incomplete("the evidence has no audit.bundle") };
    // Whatever it is: what is proved below must be what is looked through afterwards.
    if *log.path_bytes() != *BUNDLE.as_bytes() {
        return tampered(BUNDLE, "another member in its place".into());
    }
    let sound = match bundle::verify(&mut log, keys, &[])? {
        Verdict::Sound(sound) => sound,
        other => return Ok(other),
    };
    let reason = format!("{DIGEST}{}", hex(&sha256(&[&manifest])));
    if !names(path, &reason)? {
        return tampered("an entry of the log that names this manifest", "none".into());
    }
    Ok(Verdict::Sound(sound))
}

/// Whether an entry of the bundle in the file at `path`, which was found sound, has this reason. The leaves are those
/// bytes that the signed root covers.
fn names(path: &Path, reason: &str) -> io::Result<bool> {
    #[derive(Deserialize)]
    struct Line {
        leaf: String,
    }
    let mut archive = Archive::new(BufReader::new(File::open(path)?));
    for member in archive.entries()? {
        let member = member?;
        if *member.path_bytes() != *BUNDLE.as_bytes() {
            continue;
        }
        let mut log = Archive::new(member);
        for member in log.entries()? {
            let member = member?;
            if *member.path_bytes() != *b"leaves.jsonl" {
                continue;
            }
            let mut lines = BufReader::new(member);
            let mut line = Vec::new();
            loop {
                line.clear();
                // Bounded: a sound bundle has no longer line.
                let line_max = 2 * bound::RECORD_BYTES_MAX as u64;
                if lines.by_ref().take(line_max).read_until(b'\n', &mut line)? == 0 {
                    return Ok(false);
                }
                let leaf = serde_json::from_slice::<Line>(&line).ok().and_then(|line| STANDARD.decode(line.leaf).ok());
                let entry = leaf.and_then(|leaf| of_leaf(&leaf).ok()).map(|(entry, _)| entry);
                let is_it = |entry: &crate::audit::entry::Entry| {
                    entry.operation.as_deref() == Some(OPERATION)
                        && entry.outcome == Outcome::Done
                        && entry.reason.as_deref() == Some(reason)
                };
                if entry.as_ref().is_some_and(is_it) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}
