//! Reads a bundle from its first byte to its last, and believes nothing that is not signed.

use std::fs::File;
use std::io::{self, Read, Seek as _};

use super::entry::{Entry, Head};
use super::manifest::Manifest;
use super::{BundleError, DOCUMENTS, MANIFEST, PROFILE, README, SIGNATURE, member_names};
use crate::archive::Archive;
use crate::base::bound;
use crate::base::bound::bundle as limits;
use crate::crypto::digest::{Hash, Hasher};
use crate::crypto::sign::{VerifyingKey, open_note};
use crate::library::LibraryError;

/// What a bundle says of itself, and who signed that.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    pub(super) manifest: Manifest,
    pub(super) signer: VerifyingKey,
    /// SHA-256 of the whole file.
    pub(super) digest: Hash,
    pub(super) file_bytes: u64,
    /// The profile's files as JSON.
    pub(super) profile: Option<Vec<u8>>,
}

/// Reads all of the file and checks all of it; `visit` is given each document in the order of their paths. What it was
/// given is only worth something once this returns.
pub(super) fn through(
    file: &mut File,
    trusted: &[VerifyingKey],
    visit: &mut dyn FnMut(&Manifest, Entry) -> Result<(), LibraryError>,
) -> Result<Facts, LibraryError> {
    let read = |error| BundleError::File { path: "the bundle".to_owned(), error };
    file.rewind().map_err(read)?;
    let found = file.metadata().map_err(read)?.len();
    if found > limits::LIBRARY_BUNDLE_BYTES_MAX {
        return Err(BundleError::TooLarge { found }.into());
    }
    let mut digesting = Digesting { inner: file, hasher: Hasher::default(), bytes: 0 };
    let mut archive = Archive::new(&mut digesting, member_names());
    let (readme, readme_digest) = archive.member(README)?.whole(bound::BUNDLE_README_BYTES_MAX)?;
    let (manifest, _) = archive.member(MANIFEST)?.whole(limits::LIBRARY_MANIFEST_BYTES_MAX)?;
    let (note, _) = archive.member(SIGNATURE)?.whole(bound::NOTE_BYTES_MAX)?;
    let signer = signer(&manifest, &note, trusted)?;
    let manifest = Manifest::parse(&manifest)?;
    manifest.hold(README, readme.len() as u64, readme_digest)?;
    let mut profile = None;
    if manifest.file(PROFILE).is_some() {
        let (content, digest) = archive.member(PROFILE)?.whole(limits::LIBRARY_PROFILE_BYTES_MAX)?;
        manifest.hold(PROFILE, content.len() as u64, digest)?;
        profile = Some(content);
    }
    documents(&mut archive, &manifest, visit)?;
    archive.end()?;
    let (digest, file_bytes) = (digesting.hasher.finish(), digesting.bytes);
    Ok(Facts { manifest, signer, digest, file_bytes, profile })
}

/// The trusted key that signed the manifest.
fn signer(manifest: &[u8], note: &[u8], trusted: &[VerifyingKey]) -> Result<VerifyingKey, BundleError> {
    let note = str::from_utf8(note).map_err(|_| BundleError::changed("a signed note", "bytes that are no text"))?;
    let opened = open_note(note, trusted).map_err(BundleError::Untrusted)?;
    let expected = Manifest::signed_text(manifest);
    if opened.text != expected {
        return Err(BundleError::changed(format!("a signature over {MANIFEST}"), "one over something else"));
    }
    opened.signers.into_iter().next().ok_or(BundleError::NoKeys)
}

fn documents(
    archive: &mut Archive<impl Read>,
    manifest: &Manifest,
    visit: &mut dyn FnMut(&Manifest, Entry) -> Result<(), LibraryError>,
) -> Result<(), LibraryError> {
    let mut member = archive.member(DOCUMENTS)?;
    let bytes = member.bytes();
    let mut line = Vec::new();
    let mut last: Option<String> = None;
    let (mut sections, mut markdown_bytes) = (0, 0_u64);
    for number in 1..=manifest.documents {
        if !member.line(&mut line, limits::LIBRARY_HEAD_BYTES_MAX)? {
            let found = format!("the end before document {number}");
            return Err(BundleError::changed(format!("{} documents", manifest.documents), found).into());
        }
        let head: Head = serde_json::from_slice(&line)
            .map_err(|error| BundleError::changed(format!("what document {number} is"), error.to_string()))?;
        // In one order only, so that none is there twice.
        if last.as_ref().is_some_and(|last| *last >= head.path) {
            let expected = format!("documents in the order of their paths, each once ({number})");
            return Err(BundleError::changed(expected, &head.path).into());
        }
        let most = usize::try_from(head.bytes).ok().filter(|bytes| *bytes <= bound::BODY_BYTES_MAX);
        let most = most.ok_or_else(|| BundleError::Document {
            path: head.path.clone(),
            reason: format!("its text has {} bytes, more than {}", head.bytes, bound::BODY_BYTES_MAX),
        })?;
        let markdown = member.exactly(most)?;
        if member.exactly(1)? != b"\n" {
            return Err(BundleError::changed("a newline after each document", &head.path).into());
        }
        last = Some(head.path.clone());
        sections += head.sections.len() as u64;
        markdown_bytes += head.bytes;
        visit(manifest, head.checked(markdown)?)?;
    }
    if member.line(&mut line, limits::LIBRARY_HEAD_BYTES_MAX)? {
        return Err(BundleError::changed(format!("{} documents", manifest.documents), "more").into());
    }
    manifest.hold(DOCUMENTS, bytes, member.end()?)?;
    if (sections, markdown_bytes) != (manifest.sections, manifest.bytes) {
        let expected = format!("{} sections in {} bytes", manifest.sections, manifest.bytes);
        return Err(BundleError::changed(expected, format!("{sections} in {markdown_bytes}")).into());
    }
    Ok(())
}

/// Hashes what passes.
struct Digesting<'a> {
    inner: &'a mut File,
    hasher: Hasher,
    bytes: u64,
}

impl Read for Digesting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..length).unwrap_or_default());
        self.bytes += length as u64;
        Ok(length)
    }
}
