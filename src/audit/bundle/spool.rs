//! Writing a bundle: the leaves go through temporary files, for the archive begins with what is known at its end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::manifest::{Claims, Digests, Manifest, Rendition};
use super::{
    BundleError, CHECKPOINT, Contents, LEAVES, MANIFEST, PERSONAL, README, README_TEXT, Written, entries_name,
};
use super::{leaf, personal};
use crate::archive::Writer;
use crate::audit::checkpoint::{Checkpoint, CheckpointError};
use crate::audit::entry::{Personal, of_leaf};
use crate::audit::proof::verify_consistency;
use crate::audit::render::{Renderer, Shown, VERSION};
use crate::audit::tree::leaf_hash;
use crate::base::bound;
use crate::base::id::{hex, random_bytes};
use crate::crypto::digest::{Hash, Hasher, sha256};
use crate::crypto::sign::{VerifyingKey, open_note};

pub(super) fn write<E>(
    mut contents: Contents<'_, E>,
    leaves: impl Iterator<Item = Result<(u64, Vec<u8>), E>>,
    out: &mut impl Write,
) -> Result<Written, BundleError<E>> {
    let checkpoint = Checkpoint::open(contents.checkpoint, contents.keys)?;
    let keys = open_note(contents.checkpoint, contents.keys).map_err(CheckpointError::Note)?.signers;
    let mut spools = Spools::new(&contents)?;
    let first = contents.before.size();
    let mut tree = contents.before.clone();
    for item in leaves {
        let (sequence, bytes) = item.map_err(BundleError::Source)?;
        if sequence != tree.size() {
            return Err(BundleError::Sequence { expected: tree.size(), found: sequence });
        }
        if sequence >= checkpoint.size() {
            return Err(BundleError::Beyond { end: sequence.saturating_add(1), size: checkpoint.size() });
        }
        spools.add(&mut contents, sequence, &bytes)?;
        tree.append(leaf_hash(&bytes));
    }
    if tree.size() == first {
        return Err(BundleError::Empty);
    }
    verify_consistency(tree.size(), checkpoint.size(), &tree.root(), checkpoint.root(), contents.consistency)?;
    let count = tree.size() - first;
    let disclosed = spools.disclosed;
    let bytes = spools.archive(&contents, &checkpoint, &keys, count, out)?;
    Ok(Written { first, count, size: checkpoint.size(), root: *checkpoint.root(), disclosed, bytes })
}

/// The members that grow with the entries.
struct Spools {
    renderer: Renderer,
    leaves: Spool,
    entries: Spool,
    personal: Option<Spool>,
    disclosed: u64,
    directory: String,
}

impl Spools {
    fn new<E>(contents: &Contents<'_, E>) -> Result<Self, BundleError<E>> {
        let new = || Spool::new(contents.scratch);
        let mut spools = Self {
            renderer: Renderer::new(contents.format),
            leaves: new()?,
            entries: new()?,
            personal: contents.disclose.is_some().then(new).transpose()?,
            disclosed: 0,
            directory: contents.scratch.display().to_string(),
        };
        match spools.renderer.heading(&mut spools.entries) {
            Ok(()) => Ok(spools),
            Err(error) => Err(spools.failed(error)),
        }
    }

    fn failed<E>(&self, error: io::Error) -> BundleError<E> {
        BundleError::Scratch { directory: self.directory.clone(), error }
    }

    fn add<E>(&mut self, contents: &mut Contents<'_, E>, sequence: u64, bytes: &[u8]) -> Result<(), BundleError<E>> {
        if bytes.len() > bound::RECORD_BYTES_MAX {
            return Err(BundleError::TooLong { sequence, found: bytes.len() });
        }
        let (entry, clear) = of_leaf(bytes).map_err(|error| BundleError::Leaf { sequence, error })?;
        let shown = Shown { sequence, entry: &entry, personal: None };
        let written = leaf::write(sequence, bytes, &mut self.leaves)
            .and_then(|()| self.renderer.entry(&shown, &mut self.entries));
        written.map_err(|error| self.failed(error))?;
        let (Some(spool), Some(disclose)) = (&mut self.personal, &mut contents.disclose) else { return Ok(()) };
        let disclosed = match clear {
            // It was never sealed.
            Some(personal) => Some(personal),
            None => disclose(sequence, &entry).map_err(BundleError::Source)?,
        };
        let Some(personal) = disclosed.filter(|personal| *personal != Personal::default()) else { return Ok(()) };
        self.disclosed += 1;
        personal::write(sequence, personal, spool).map_err(|error| self.failed(error))
    }

    /// Writes all members; gives the archive's length in bytes.
    fn archive<E>(
        self,
        contents: &Contents<'_, E>,
        checkpoint: &Checkpoint,
        keys: &[VerifyingKey],
        count: u64,
        out: &mut impl Write,
    ) -> Result<u64, BundleError<E>> {
        let Self { leaves, entries, personal, directory, .. } = self;
        let failed = |error| BundleError::Scratch { directory: directory.clone(), error };
        let leaves = leaves.finish().map_err(failed)?;
        let entries = entries.finish().map_err(failed)?;
        let personal = personal.map(Spool::finish).transpose().map_err(failed)?;
        let format = contents.format;
        let manifest = Manifest::of(Claims {
            origin: checkpoint.origin(),
            first: contents.before.size(),
            count,
            size: checkpoint.size(),
            peaks: contents.before.peaks(),
            consistency: contents.consistency,
            keys,
            entries: Rendition { format, program_version: format.names_version().then(|| VERSION.to_owned()) },
            digests: Digests {
                readme: sha256(&[README_TEXT.as_bytes()]),
                checkpoint: sha256(&[contents.checkpoint.as_bytes()]),
                leaves: leaves.hash,
                entries: entries.hash,
                personal: personal.as_ref().map(|personal| personal.hash),
            },
        });
        let manifest = manifest.to_bytes().map_err(|error| BundleError::Write(error.into()))?;
        if manifest.len() > bound::BUNDLE_MANIFEST_BYTES_MAX {
            return Err(BundleError::Manifest { found: manifest.len() });
        }
        let entries_name = entries_name(format.extension());
        let mut writer = Writer::new(out);
        let write = || {
            for (name, text) in
                [(README, README_TEXT.as_bytes()), (MANIFEST, &manifest), (CHECKPOINT, contents.checkpoint.as_bytes())]
            {
                writer.member(name, text.len() as u64, text)?;
            }
            writer.member(LEAVES, leaves.bytes, leaves.file)?;
            writer.member(&entries_name, entries.bytes, entries.file)?;
            if let Some(personal) = personal {
                writer.member(PERSONAL, personal.bytes, personal.file)?;
            }
            writer.end()
        };
        write().map_err(BundleError::Write)
    }
}

/// A temporary file that has no name: nobody else finds it, and nothing is left of it after a crash.
struct Spool {
    file: BufWriter<File>,
    hasher: Hasher,
    bytes: u64,
}

/// A spool from its beginning.
struct Spooled {
    file: BufReader<File>,
    hash: Hash,
    bytes: u64,
}

impl Spool {
    fn new<E>(directory: &Path) -> Result<Self, BundleError<E>> {
        let path = directory.join(format!("sekisho-bundle-{}", hex(&random_bytes::<16>()?)));
        let failed = |error| BundleError::Scratch { directory: directory.display().to_string(), error };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        fs::remove_file(&path).map_err(failed)?;
        let file = BufWriter::with_capacity(bound::BUNDLE_CHUNK_BYTES, file);
        Ok(Self { file, hasher: Hasher::default(), bytes: 0 })
    }

    fn finish(self) -> io::Result<Spooled> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        let file = BufReader::with_capacity(bound::BUNDLE_CHUNK_BYTES, file);
        Ok(Spooled { file, hash: self.hasher.finish(), bytes: self.bytes })
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
