//! Writes a library into a bundle, and reads it back before it gets its name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::entry::Head;
use super::manifest::{self, Claims, Manifest, Rules};
use super::{BundleError, DOCUMENTS, MANIFEST, PROFILE, README, README_TEXT, SIGNATURE, read};
use crate::archive::Writer;
use crate::base::bound;
use crate::base::bound::bundle as limits;
use crate::base::id::{hex, random_bytes};
use crate::crypto::digest::{Hash, Hasher, Hex, sha256};
use crate::crypto::sign::{SigningKey, VerifyingKey};
use crate::library::record::{DocumentRecord, LibraryRecord, Source};
use crate::library::report::SyncProgress;
use crate::library::{Libraries, LibraryError};

/// A bundle that was written, and reads back.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    pub path: PathBuf,
    /// Of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub digest: Hash,
    pub manifest: Manifest,
    pub signer: VerifyingKey,
}

impl Libraries {
    /// Writes `name` as it is now into a new file at `path`, signed by `key`. No sync changes it meanwhile.
    pub async fn export(
        self: &Arc<Self>,
        name: &str,
        path: PathBuf,
        key: SigningKey,
        cancel: CancellationToken,
        progress: impl Fn(SyncProgress) + Send + Sync + 'static,
    ) -> Result<Exported, LibraryError> {
        let (this, name) = (Arc::clone(self), name.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let _busy = this.occupy(&name)?;
            let library = this.get(&name)?;
            Export { libraries: &this, library, cancel: &cancel, progress: &progress }.write(&path, &key)
        });
        work.await.map_err(|error| LibraryError::Worker(error.to_string()))?
    }
}

/// An export under way.
struct Export<'a> {
    libraries: &'a Libraries,
    library: LibraryRecord,
    cancel: &'a CancellationToken,
    progress: &'a (dyn Fn(SyncProgress) + Sync),
}

/// What the documents come to.
#[derive(Default)]
struct Measured {
    documents: u64,
    sections: u64,
    /// Of Markdown.
    markdown_bytes: u64,
    /// Of the member.
    bytes: u64,
    hasher: Hasher,
}

impl Export<'_> {
    fn write(&self, path: &Path, key: &SigningKey) -> Result<Exported, LibraryError> {
        if path.exists() {
            return Err(BundleError::Exists(path.display().to_string()).into());
        }
        let draft = Draft::beside(path)?;
        let at = || BundleError::file(path);
        let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&draft.0);
        let mut out = BufWriter::new(options.map_err(at())?);
        self.archive(&mut out, key)?;
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error).map_err(at())?;
        file.sync_all().map_err(at())?;
        // As the other end will read it: what cannot be imported is found where it can still be mended.
        let facts = read::through(&mut file, std::slice::from_ref(key.verifying_key()), &mut |_, _| self.go_on())?;
        fs::rename(&draft.0, path).map_err(at())?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(at())?;
        Ok(Exported {
            path: path.to_owned(),
            bytes: facts.file_bytes,
            digest: facts.digest,
            manifest: facts.manifest,
            signer: facts.signer,
        })
    }

    fn archive(&self, out: &mut impl Write, key: &SigningKey) -> Result<(), LibraryError> {
        let mut measured = Measured::default();
        self.each(&mut |path, line, markdown, sections| {
            measured.documents += 1;
            measured.sections += sections;
            measured.markdown_bytes += markdown.len() as u64;
            for piece in [line, markdown.as_bytes(), b"\n"] {
                measured.bytes += piece.len() as u64;
                measured.hasher.update(piece);
            }
            let (done, total) = (measured.documents, self.library.documents.max(measured.documents));
            let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            (self.progress)(SyncProgress { done: count(done), total: count(total), path: path.to_owned() });
            Ok(())
        })?;
        if measured.bytes > limits::LIBRARY_BUNDLE_BYTES_MAX {
            return Err(BundleError::TooLarge { found: measured.bytes }.into());
        }
        let profile = self.profile()?;
        let (rules, profile) = profile.map_or((None, None), |(rules, files)| (Some(rules), files));
        let file = |name: &str, bytes: &[u8]| manifest::File {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: Hex(sha256(&[bytes])),
        };
        let mut files = vec![file(README, README_TEXT.as_bytes())];
        files.extend(profile.as_deref().map(|profile| file(PROFILE, profile)));
        let digest = Hex(measured.hasher.finish());
        files.push(manifest::File { name: DOCUMENTS.to_owned(), bytes: measured.bytes, sha256: digest });
        let manifest = Manifest::of(Claims {
            library: &self.library.name,
            serial: self.library.generation,
            made: self.libraries.clock.now(),
            source: origin(&self.library),
            classification: self.library.classification,
            profile: rules,
            documents: measured.documents,
            sections: measured.sections,
            bytes: measured.markdown_bytes,
            files,
        });
        let failed = |error: io::Error| BundleError::File { path: "the bundle".to_owned(), error };
        let manifest = manifest.to_bytes().map_err(|error| failed(error.into()))?;
        let note = key.sign_note(&Manifest::signed_text(&manifest)).map_err(BundleError::from)?;
        let mut writer = Writer::new(out);
        for (name, text) in [(README, README_TEXT.as_bytes()), (MANIFEST, &manifest), (SIGNATURE, note.as_bytes())] {
            writer.member(name, text.len() as u64, text).map_err(failed)?;
        }
        if let Some(profile) = &profile {
            writer.member(PROFILE, profile.len() as u64, profile.as_slice()).map_err(failed)?;
        }
        writer.filled::<LibraryError>(DOCUMENTS, measured.bytes, |out| {
            self.each(&mut |_, line, markdown, _| {
                for piece in [line, markdown.as_bytes(), b"\n"] {
                    out.write_all(piece)?;
                }
                Ok(())
            })
        })?;
        writer.end().map_err(failed)?;
        Ok(())
    }

    /// Each document by its path: its line with a newline, its Markdown, and how many sections it has.
    fn each(&self, visit: &mut Visit<'_>) -> Result<(), LibraryError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.libraries.documents(&self.library.name, "", after.as_deref(), bound::SCAN_ROWS_MAX)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (path, record) in &page {
                self.go_on()?;
                let (_, markdown) = self.libraries.document(&self.library.name, path)?;
                visit(path, &line(path, record, &markdown)?, &markdown, record.sections.len() as u64)?;
            }
        }
    }

    /// The profile by which the library is read, and its files where no other Sekisho has them by itself.
    fn profile(&self) -> Result<Option<Carried>, LibraryError> {
        let shape = &self.libraries.shape;
        let Some(name) = &self.library.profile else { return Ok(None) };
        let Some(mark) = shape.mark(name) else { return Ok(None) };
        let rules = Rules { name: name.clone(), sha256: Hex(mark) };
        let Some(files) = shape.files(name) else { return Ok(Some((rules, None))) };
        let json = serde_json::to_vec(&files).map_err(|error| BundleError::Profile(error.to_string()))?;
        if json.len() > limits::LIBRARY_PROFILE_BYTES_MAX {
            let max = limits::LIBRARY_PROFILE_BYTES_MAX;
            return Err(BundleError::Profile(format!("its files have {} bytes, more than {max}", json.len())).into());
        }
        Ok(Some((rules, Some(json))))
    }

    fn go_on(&self) -> Result<(), LibraryError> {
        if self.cancel.is_cancelled() { Err(LibraryError::Cancelled) } else { Ok(()) }
    }
}

/// Where the documents come from in the first place.
fn origin(library: &LibraryRecord) -> String {
    let origin = match &library.source {
        Source::Bundle(origin) => origin.source.clone(),
        other => other.describe(),
    };
    let end = origin.floor_char_boundary(limits::LIBRARY_ORIGIN_BYTES_MAX);
    origin.get(..end).unwrap_or_default().to_owned()
}

fn line(path: &str, record: &DocumentRecord, markdown: &str) -> Result<Vec<u8>, BundleError> {
    let head = Head::of(path, record, markdown);
    let wrong = |reason: String| BundleError::Document { path: path.to_owned(), reason };
    let mut line = serde_json::to_vec(&head).map_err(|error| wrong(error.to_string()))?;
    if line.len() > limits::LIBRARY_HEAD_BYTES_MAX {
        return Err(wrong("what is said of it is too long".to_owned()));
    }
    line.push(b'\n');
    Ok(line)
}

/// A file that has its name only when it is whole; half a bundle is none.
struct Draft(PathBuf);

impl Draft {
    fn beside(path: &Path) -> Result<Self, LibraryError> {
        let random = random_bytes::<8>().map_err(|error| LibraryError::Worker(error.to_string()))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", hex(&random)));
        Ok(Self(path.with_file_name(name)))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It may have its name by now, or never have been made.
        fs::remove_file(&self.0).ok();
    }
}

/// Is told of a document: its path, its line with a newline, its Markdown, and how many sections it has.
type Visit<'a> = dyn FnMut(&str, &[u8], &str, u64) -> Result<(), LibraryError> + 'a;

/// A profile, and its files where they go along.
type Carried = (Rules, Option<Vec<u8>>);
