//! Takes a bundle in: all of it is checked, then written as a generation of its library, which becomes visible at once.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::BundleError;
use super::entry::Entry;
use super::keep;
use super::manifest::Manifest;
use super::read::{self, Facts};
use crate::base::bound;
use crate::base::bound::bundle as limits;
use crate::base::classification::Classification;
use crate::base::clock::Timestamp;
use crate::crypto::digest::Hash;
use crate::crypto::sign::VerifyingKey;
use crate::library::change::{Also, Change, Rows};
use crate::library::record::{LibraryRecord, Origin, Source, is_library_name};
use crate::library::report::{Failure, SyncProgress, SyncReport};
use crate::library::{Libraries, LibraryError, ask, page};
use crate::store::codec;

/// A bundle of which every byte was checked.
pub struct Checked {
    file: File,
    facts: Facts,
    /// What it will be called here.
    name: String,
    trusted: Vec<VerifyingKey>,
}

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checked").field("facts", &self.facts).field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a bundle is to be taken.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// A bundle that is not newer is taken too.
    pub allow_older: bool,
    /// At least this confidential; the bundle says its own.
    pub classification: Option<Classification>,
    /// Read by this profile in the place of the bundle's own.
    pub profile: Option<String>,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub report: SyncReport,
    pub manifest: Manifest,
    pub signer: VerifyingKey,
    /// SHA-256 of the file.
    pub digest: Hash,
    /// The serial before, where there was one.
    pub before: Option<u64>,
}

impl Checked {
    /// What the library will be called.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn manifest(&self) -> &Manifest {
        &self.facts.manifest
    }

    pub fn signer(&self) -> &VerifyingKey {
        &self.facts.signer
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> &Hash {
        &self.facts.digest
    }
}

impl Libraries {
    /// Checks all of a bundle and changes nothing. `trusted` are the keys that may have signed it.
    pub async fn check_bundle(
        self: &Arc<Self>,
        path: &Path,
        name: Option<String>,
        trusted: Vec<VerifyingKey>,
        cancel: CancellationToken,
    ) -> Result<Checked, LibraryError> {
        if trusted.is_empty() {
            return Err(BundleError::NoKeys.into());
        }
        if trusted.len() > limits::LIBRARY_KEYS_MAX {
            return Err(BundleError::TooManyKeys.into());
        }
        let path = path.to_owned();
        let work = tokio::task::spawn_blocking(move || {
            // A pipe has no end to wait for, and the metadata say what it is.
            let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            let opened = File::options().read(true).custom_flags(flags).open(&path);
            let mut file = opened.map_err(BundleError::file(&path))?;
            if !file.metadata().map_err(BundleError::file(&path))?.is_file() {
                return Err(BundleError::Form("it is no plain file".to_owned()).into());
            }
            let facts = read::through(&mut file, &trusted, &mut |_, entry| {
                if cancel.is_cancelled() {
                    return Err(LibraryError::Cancelled);
                }
                fits(&entry)
            })?;
            let name = name.unwrap_or_else(|| facts.manifest.library.clone());
            if !is_library_name(&name) {
                return Err(LibraryError::Name(name));
            }
            Ok(Checked { file, facts, name, trusted })
        });
        work.await.map_err(|error| LibraryError::Worker(error.to_string()))?
    }

    /// Takes a bundle in that was checked. A library of its name must have come from an earlier bundle of the same one.
    pub async fn import(
        self: &Arc<Self>,
        checked: Checked,
        how: How,
        cancel: CancellationToken,
        progress: impl Fn(SyncProgress) + Send + Sync + 'static,
    ) -> Result<Imported, LibraryError> {
        let this = Arc::clone(self);
        let runtime = tokio::runtime::Handle::current();
        let work = tokio::task::spawn_blocking(move || {
            let _busy = this.occupy(&checked.name)?;
            let _writer = runtime.block_on(this.index_writer.lock());
            let mut import = Import::begin(&this, &runtime, checked, &how)?;
            import.documents(&cancel, &progress)?;
            import.remove_unseen()?;
            import.finish()
        });
        work.await.map_err(|error| LibraryError::Worker(error.to_string()))?
    }
}

/// Whether the document's record can be kept.
fn fits(entry: &Entry) -> Result<(), LibraryError> {
    let wrong = |error: crate::store::StoreError| BundleError::Document {
        path: entry.found.path.clone(),
        reason: error.to_string(),
    };
    codec::encode(&entry.record()).map_err(wrong)?;
    Ok(())
}

/// An import under way.
struct Import<'a> {
    change: Change<'a>,
    checked: Checked,
    /// As it was; none for a new one.
    before: Option<LibraryRecord>,
    /// The facets are those of the bundle: its profile's rules are those that are followed here.
    carried: bool,
    /// The profile to be kept with the library.
    brought: Option<Vec<u8>>,
    /// Documents of the bundle.
    seen: HashSet<String>,
}

impl<'a> Import<'a> {
    fn begin(
        libraries: &'a Libraries,
        runtime: &'a tokio::runtime::Handle,
        checked: Checked,
        how: &How,
    ) -> Result<Self, LibraryError> {
        let before = existing(libraries, &checked, how.allow_older)?;
        let Checked { facts: Facts { manifest, signer, digest, .. }, name, .. } = &checked;
        let chosen = choose(libraries, &checked, how.profile.as_deref())?;
        let carried = manifest.classification;
        let asked = how.classification.map_or(carried, |asked| asked.max(carried));
        let origin = Origin {
            library: manifest.library.clone(),
            source: manifest.source.clone(),
            serial: manifest.serial,
            made: Timestamp(manifest.made_ms),
            digest: *digest,
            signer: signer.to_string(),
        };
        let library = LibraryRecord {
            name: name.clone(),
            source: Source::Bundle(Box::new(origin)),
            added: before.as_ref().map_or_else(|| libraries.clock.now(), |before| before.added),
            generation: before.as_ref().map_or(0, |before| before.generation),
            synced: before.as_ref().and_then(|before| before.synced),
            documents: 0,
            sections: 0,
            bytes: 0,
            // What was said here stays, unless the documents became more confidential where they come from.
            classification: before.as_ref().map_or(asked, |before| before.classification.max(asked)),
            profile: chosen.profile,
            shaped: chosen.mark,
        };
        let mut change = Change::new(libraries, runtime, library);
        if let Some(warning) = chosen.warning {
            change.report.warned.push(Failure { path: name.clone(), reason: warning });
        }
        let earlier = libraries.store.read(|snapshot| keep::before(snapshot, &change.library.name))?;
        let shown = before.iter().map(|before| before.generation);
        let keep: Vec<u64> = shown.chain(earlier.map(|earlier| earlier.library.generation)).collect();
        // First the index: rows that go tell it what it lacks.
        change.mend_index()?;
        // What an import that did not end has left.
        change.sweep(&keep)?;
        let (carried, brought) = (chosen.carried, chosen.brought);
        Ok(Self { change, checked, before, carried, brought, seen: HashSet::new() })
    }

    /// Reads the bundle once more, and writes what is new in it.
    fn documents(&mut self, cancel: &CancellationToken, progress: &dyn Fn(SyncProgress)) -> Result<(), LibraryError> {
        let Self { change, checked, before, carried, seen, .. } = self;
        let total = usize::try_from(checked.facts.manifest.documents).unwrap_or(usize::MAX);
        let facts = read::through(&mut checked.file, &checked.trusted, &mut |_, entry| {
            if cancel.is_cancelled() {
                return Err(LibraryError::Cancelled);
            }
            let path = entry.found.path.clone();
            take(change, before.as_ref(), *carried, entry)?;
            seen.insert(path.clone());
            progress(SyncProgress { done: seen.len(), total, path });
            Ok(())
        })?;
        if facts != checked.facts {
            let expected = "the file that was checked";
            return Err(BundleError::changed(expected, "another one: it changed while it was read").into());
        }
        Ok(())
    }

    /// Documents that were in the bundle before, and are in this one no more.
    fn remove_unseen(&mut self) -> Result<(), LibraryError> {
        let Some(before) = &self.before else { return Ok(()) };
        let mut rows = Rows::new(&before.name);
        while let Some((path, generations)) = rows.next(self.change.libraries)? {
            let shown = generations.iter().rev().find(|(generation, _)| *generation <= before.generation);
            if shown.is_some_and(|(_, removed)| !removed) && !self.seen.contains(&path) {
                self.change.bury(&path)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Imported, LibraryError> {
        let Self { mut change, checked, before, brought, .. } = self;
        let libraries = change.libraries;
        let mut also = Also { puts: Vec::new(), always: true };
        let mut keep = vec![change.generation];
        if let Some(before) = &before {
            let profile = libraries.store.read(|snapshot| keep::profile(snapshot, &before.name))?;
            also.puts.push(keep::before_row(before, profile)?);
            keep.push(before.generation);
        }
        also.puts.push(keep::profile_row(&change.library.name, brought.clone()));
        // Nothing is lost if the sweep does not come to its end: the next import sweeps again.
        change.show(also, &keep)?;
        if let Some(profile) = brought {
            libraries.shape.install(&keep::files(&profile)?);
        }
        libraries.changes.libraries();
        let Facts { manifest, signer, digest, .. } = checked.facts;
        let before = before.and_then(|before| match before.source {
            Source::Bundle(origin) => Some(origin.serial),
            _ => None,
        });
        Ok(Imported { report: change.report, manifest, signer, digest, before })
    }
}

/// The library that the bundle brings up to date; none if it makes a new one.
fn existing(
    libraries: &Libraries,
    checked: &Checked,
    allow_older: bool,
) -> Result<Option<LibraryRecord>, LibraryError> {
    let name = &checked.name;
    let manifest = &checked.facts.manifest;
    let known = libraries.list()?;
    let Some(library) = known.iter().find(|library| library.name == *name) else {
        return if known.len() >= bound::LIBRARIES_MAX { Err(LibraryError::TooMany) } else { Ok(None) };
    };
    let Source::Bundle(origin) = &library.source else {
        return Err(BundleError::NotFromBundle(name.clone()).into());
    };
    if origin.library != manifest.library {
        let (has, found) = (origin.library.clone(), manifest.library.clone());
        return Err(BundleError::OtherLibrary { name: name.clone(), has, found }.into());
    }
    if manifest.serial <= origin.serial && !allow_older {
        let (has, found) = (origin.serial, manifest.serial);
        return Err(BundleError::NotNewer { name: name.clone(), has, found }.into());
    }
    Ok(Some(library.clone()))
}

/// By what the library will be read.
#[derive(Default)]
struct Chosen {
    profile: Option<String>,
    mark: Option<Hash>,
    carried: bool,
    brought: Option<Vec<u8>>,
    warning: Option<String>,
}

/// A profile that somebody of this site chose or put here goes before one that a bundle brings.
fn choose(libraries: &Libraries, checked: &Checked, asked: Option<&str>) -> Result<Chosen, LibraryError> {
    let shape = &libraries.shape;
    let rules = checked.facts.manifest.rules();
    let of_bundle = rules.map(|(_, mark)| mark);
    let here = |name: &str, mark: Hash| Chosen {
        profile: Some(name.to_owned()),
        mark: Some(mark),
        carried: of_bundle == Some(mark),
        ..Chosen::default()
    };
    if let Some(asked) = asked {
        let mark = shape.mark(asked).ok_or_else(|| LibraryError::NoProfile(asked.to_owned()))?;
        return Ok(here(asked, mark));
    }
    let Some((name, mark)) = rules else { return Ok(Chosen::default()) };
    if let Some(own) = shape.mark(name).filter(|_| shape.is_own(name)) {
        return Ok(here(name, own));
    }
    let Some(json) = &checked.facts.profile else {
        let warning =
            format!("its profile {name:?} is not here; give it one with: sekisho library import ... --profile");
        return Ok(Chosen { warning: Some(warning), ..Chosen::default() });
    };
    let weighed = shape.weigh(&keep::files(json)?).map_err(|mistakes| BundleError::Profile(mistakes.join("; ")))?;
    if (weighed.name.as_str(), weighed.mark) != (name, mark) {
        return Err(BundleError::Profile("it is not the one that the manifest names".to_owned()).into());
    }
    for (other, _) in keep::profiles(libraries)? {
        let theirs = libraries.store.read(|snapshot| keep::profile(snapshot, &other.name))?;
        if other.name != checked.name && other.profile.as_deref() == Some(name) && theirs.as_ref() != Some(json) {
            let reason = format!("the library {:?} came with another profile {name:?}", other.name);
            return Err(BundleError::Profile(reason).into());
        }
    }
    Ok(Chosen { brought: Some(json.clone()), ..here(name, mark) })
}

/// Writes a document, unless it is there already.
fn take(
    change: &mut Change<'_>,
    before: Option<&LibraryRecord>,
    carried: bool,
    entry: Entry,
) -> Result<(), LibraryError> {
    let path = &entry.found.path;
    let mut document = entry.record();
    if !carried {
        change.shape(&mut document, path, &entry.parsed.facets);
    }
    let known = match before {
        None => None,
        Some(before) => change.libraries.store.read(|snapshot| {
            let known = ask::document(snapshot, before, path)?;
            let body = |(key, record): (Vec<u8>, _)| {
                let markdown = page::body(snapshot, &key, document.body_bytes);
                (record, markdown)
            };
            Ok::<_, LibraryError>(known.map(body))
        })?,
    };
    if let Some((record, markdown)) = &known
        && *record == document
        && markdown.as_ref() == Some(&entry.parsed.markdown)
    {
        change.keep(document.body_bytes, document.sections.len() as u64);
        return Ok(());
    }
    let value = codec::encode(&document)?;
    change.put(path, &document, value, &entry.parsed.markdown, known.is_some())
}
