//! Checking a bundle, in the order in which it is read.

use std::collections::VecDeque;
use std::io::Read;

use super::manifest::Manifest;
use super::marks::{Difference, Marks};
use super::{CHECKPOINT, LEAVES, MANIFEST, PERSONAL, README, README_TEXT, Sound, Stop, entries_name, member_names};
use super::{leaf, personal};
use crate::archive::Archive;
use crate::audit::checkpoint::{Checkpoint, CheckpointError};
use crate::audit::entry::{Entry, of_leaf};
use crate::audit::proof::verify_consistency;
use crate::audit::render::text::{excerpt, visible};
use crate::audit::render::{Renderer, Shown, VERSION};
use crate::audit::tree::{Frontier, leaf_hash};
use crate::base::bound;
use crate::base::id::hex;
use crate::crypto::digest::{Hash, Hex, sha256};
use crate::crypto::sign::{NoteError, VerifyingKey, open_note};

pub(super) fn check(
    bundle: impl Read,
    keys: &[VerifyingKey],
    outside: &[String],
    seen: &mut dyn FnMut(&Entry),
) -> Result<Sound, Stop> {
    let mut archive = Archive::new(bundle, member_names());
    // A later version of the format has another text, so the manifest is asked first which version this is.
    let (readme, _) = archive.member(README)?.whole(bound::BUNDLE_README_BYTES_MAX)?;
    let (manifest, _) = archive.member(MANIFEST)?.whole(bound::BUNDLE_MANIFEST_BYTES_MAX)?;
    let manifest = Manifest::parse(&manifest)?;
    if readme != README_TEXT.as_bytes() {
        return Err(Stop::tampered(None, format!("the {README} of every bundle of this version"), "another text"));
    }
    same_digest(&manifest, README, sha256(&[&readme]))?;
    let (note, digest) = archive.member(CHECKPOINT)?.whole(bound::NOTE_BYTES_MAX)?;
    same_digest(&manifest, CHECKPOINT, digest)?;
    let named = manifest.keys()?;
    let checkpoint = signed(&manifest, &note, &named, keys)?;
    let trusted = if keys.is_empty() { &named } else { keys };
    let signed = outside_checkpoints(&checkpoint, trusted, outside)?;

    let mut bundle = Bundle::begin(manifest, checkpoint, signed)?;
    bundle.leaves(&mut archive, seen)?;
    bundle.entries(&mut archive)?;
    bundle.personal(&mut archive)?;
    archive.end()?;
    if let Some((sequence, reason)) = bundle.unreadable {
        let reason = excerpt(&reason);
        return Err(Stop::incomplete(format!(
            "entry {sequence} is as it was signed, but this program cannot read it, and compare the readable file: \
             {reason}; use the version that wrote it ({VERSION} does not)"
        )));
    }
    Ok(Sound {
        origin: visible(bundle.checkpoint.origin()).into_owned(),
        first: bundle.manifest.first,
        count: bundle.manifest.count,
        size: bundle.checkpoint.size(),
        root: *bundle.checkpoint.root(),
        pinned: !keys.is_empty(),
        compared: bundle.compared,
    })
}

fn same_digest(manifest: &Manifest, name: &str, found: Hash) -> Result<(), Stop> {
    let expected = manifest.digest(name).unwrap_or_default();
    if expected == found {
        return Ok(());
    }
    Err(Stop::tampered(None, format!("{name} with SHA-256 {}", hex(&expected)), hex(&found)))
}

/// The checkpoint: signed by each key that the manifest names, by a known one if some are known, and of this log.
fn signed(
    manifest: &Manifest,
    note: &[u8],
    named: &[VerifyingKey],
    pinned: &[VerifyingKey],
) -> Result<Checkpoint, Stop> {
    let tampered = |found: String| Stop::tampered(None, "a checkpoint signed by the log's keys", excerpt(&found));
    let note = str::from_utf8(note).map_err(|error| tampered(error.to_string()))?;
    // What the bundle says of itself comes first: if that does not hold, nobody's keys are missing.
    let checkpoint = Checkpoint::open(note, named).map_err(|error| tampered(error.to_string()))?;
    let signers = open_note(note, named).map_err(|error| tampered(error.to_string()))?.signers;
    if let Some(idle) = named.iter().find(|key| !signers.contains(key)) {
        return Err(tampered(format!("no signature by {idle}, which the manifest names")));
    }
    if signers.len() != named.len() {
        return Err(tampered("a manifest that names a key twice".to_owned()));
    }
    if !pinned.is_empty() {
        Checkpoint::open(note, pinned).map_err(|error| match error {
            CheckpointError::Note(NoteError::Forged { .. }) => tampered(error.to_string()),
            _ => Stop::incomplete(format!(
                "the checkpoint of {} is not signed by a key that was given, so nothing is known of who signed it",
                excerpt(checkpoint.origin())
            )),
        })?;
    }
    if checkpoint.origin() != manifest.origin || checkpoint.size() != manifest.size {
        let expected = format!("{} with {} entries, as signed", excerpt(checkpoint.origin()), checkpoint.size());
        return Err(Stop::tampered(None, expected, format!("{} with {}", excerpt(&manifest.origin), manifest.size)));
    }
    Ok(checkpoint)
}

/// The checkpoints from outside that are of this log, smallest first. Those by unknown keys are of other logs.
fn outside_checkpoints(
    own: &Checkpoint,
    keys: &[VerifyingKey],
    outside: &[String],
) -> Result<VecDeque<Checkpoint>, Stop> {
    let mut signed = Vec::new();
    for note in outside {
        match Checkpoint::open(note, keys) {
            Ok(checkpoint) if checkpoint.origin() != own.origin() => {}
            Ok(checkpoint) => signed.push(checkpoint),
            Err(CheckpointError::Note(NoteError::Unknown { .. }) | CheckpointError::Stranger { .. }) => {}
            Err(error @ CheckpointError::Note(NoteError::Forged { .. })) => {
                let expected = "a checkpoint from outside whose signature holds";
                return Err(Stop::tampered(None, expected, excerpt(&error.to_string())));
            }
            Err(error) => {
                let error = excerpt(&error.to_string());
                return Err(Stop::incomplete(format!("one of the checkpoints from outside cannot be read: {error}")));
            }
        }
    }
    if signed.is_empty() && !outside.is_empty() {
        return Err(Stop::incomplete("none of the checkpoints from outside is signed by a key of this log"));
    }
    signed.sort_by_key(Checkpoint::size);
    Ok(signed.into())
}

/// A bundle of which the small members were read.
struct Bundle {
    manifest: Manifest,
    checkpoint: Checkpoint,
    /// The sequence after the last entry.
    end: u64,
    tree: Frontier,
    /// Of sizes that can be compared, smallest first.
    outside: VecDeque<Checkpoint>,
    compared: usize,
    marks: Marks,
    /// What the tree said, where it said no: the readable file may tell where the change is.
    deviation: Option<Deviation>,
    /// The first leaf that does not decode.
    unreadable: Option<(u64, String)>,
}

/// A tree that is not the one that was signed.
struct Deviation {
    expected: String,
    found: String,
}

impl Bundle {
    fn begin(manifest: Manifest, checkpoint: Checkpoint, mut outside: VecDeque<Checkpoint>) -> Result<Self, Stop> {
        let Manifest { first, count, .. } = manifest;
        let end = first.checked_add(count).filter(|end| count > 0 && *end <= checkpoint.size());
        let end = end.ok_or_else(|| {
            let expected = format!("at least one entry, and none from {} on", checkpoint.size());
            Stop::tampered(None, expected, format!("{count} entries from {first} on"))
        })?;
        let peaks = manifest.peaks.iter().map(|Hex(hash)| *hash).collect();
        let tree = Frontier::of_peaks(first, peaks).ok_or_else(|| {
            let expected = format!("{} peaks before entry {first}", first.count_ones());
            Stop::tampered(None, expected, manifest.peaks.len().to_string())
        })?;
        let version = manifest.entries.program_version.as_deref().unwrap_or(VERSION);
        let renderer = Renderer::of_version(manifest.entries.format, version);
        let marks = Marks::new(renderer, first).map_err(Stop::Read)?;
        outside.retain(|other| (first..=end).contains(&other.size()) || other.size() == checkpoint.size());
        let (deviation, unreadable) = (None, None);
        Ok(Self { manifest, checkpoint, end, tree, outside, compared: 0, marks, deviation, unreadable })
    }

    /// Reads the leaves, grows the tree and makes the readable file; then asks whether the tree is the one that was
    /// signed.
    fn leaves(&mut self, archive: &mut Archive<impl Read>, seen: &mut dyn FnMut(&Entry)) -> Result<(), Stop> {
        let mut member = archive.member(LEAVES)?;
        let mut line = Vec::new();
        self.meet();
        for sequence in self.manifest.first..self.end {
            let expected = || format!("the leaf of entry {sequence}");
            if !member.line(&mut line, bound::BUNDLE_LEAF_LINE_BYTES_MAX)? {
                return Err(Stop::tampered(Some(sequence), expected(), "the end of the leaves"));
            }
            let bytes = leaf::read(sequence, &line)
                .ok_or_else(|| Stop::tampered(Some(sequence), expected(), excerpt(&String::from_utf8_lossy(&line))))?;
            self.tree.append(leaf_hash(&bytes));
            self.meet();
            match of_leaf(&bytes) {
                _ if self.unreadable.is_some() => {}
                Ok((entry, _)) => {
                    seen(&entry);
                    let shown = Shown { sequence, entry: &entry, personal: None };
                    self.marks.add(&shown).map_err(Stop::Read)?;
                }
                Err(error) => self.unreadable = Some((sequence, error.to_string())),
            }
        }
        if member.line(&mut line, bound::BUNDLE_LEAF_LINE_BYTES_MAX)? {
            let expected = format!("no more leaves after entry {}", self.end - 1);
            return Err(Stop::tampered(Some(self.end), expected, excerpt(&String::from_utf8_lossy(&line))));
        }
        let digest = member.end()?;
        self.prove();
        if self.deviation.is_none() {
            same_digest(&self.manifest, LEAVES, digest)?;
        }
        Ok(())
    }

    /// Compares with the checkpoints from outside of this size.
    fn meet(&mut self) {
        let size = self.tree.size();
        while let Some(other) = self.outside.pop_front_if(|next| next.size() == size) {
            self.compare(&other, self.tree.root());
        }
    }

    fn compare(&mut self, other: &Checkpoint, root: Hash) {
        self.compared += 1;
        if *other.root() != root && self.deviation.is_none() {
            self.deviation = Some(Deviation {
                expected: format!("root {} over {} entries, as signed elsewhere", hex(other.root()), other.size()),
                found: format!("root {}: two histories were signed, or the entries changed", hex(&root)),
            });
        }
    }

    /// Leads from the entries to the signed root.
    fn prove(&mut self) {
        while let Some(other) = self.outside.pop_front() {
            // Only those of the size of the bundle's own checkpoint are left.
            self.compare(&other, *self.checkpoint.root());
        }
        let proof: Vec<Hash> = self.manifest.consistency.iter().map(|Hex(hash)| *hash).collect();
        let root = self.tree.root();
        let (size, signed) = (self.checkpoint.size(), self.checkpoint.root());
        if let (Err(error), None) = (verify_consistency(self.end, size, &root, signed, &proof), &self.deviation) {
            let found = format!("root {} over the first {}: {error}", hex(&root), self.end);
            self.deviation =
                Some(Deviation { expected: format!("root {} over {size} entries, as signed", hex(signed)), found });
        }
    }

    /// Reads the readable file, and ends the check if it or the tree is wrong.
    fn entries(&mut self, archive: &mut Archive<impl Read>) -> Result<(), Stop> {
        let name = entries_name(self.manifest.entries.format.extension());
        let read = self.difference(archive, &name);
        if let Some(Deviation { expected, found }) = self.deviation.take() {
            // A readable file that cannot be read to its end takes nothing back.
            let difference = read.ok().and_then(|(difference, _)| difference?.sequence);
            let unreadable = self.unreadable.take().map(|(sequence, _)| sequence);
            return Err(Stop::tampered(difference.or(unreadable), expected, found));
        }
        let (difference, digest) = read?;
        if let Some(Difference { sequence, place }) = difference {
            let expected = format!("{name} as the leaves make it");
            return Err(Stop::tampered(sequence, expected, format!("another text {place}")));
        }
        same_digest(&self.manifest, &name, digest)
    }

    /// Where the readable file differs from the one that the leaves make, and its digest.
    fn difference(&mut self, archive: &mut Archive<impl Read>, name: &str) -> Result<(Option<Difference>, Hash), Stop> {
        let mut member = archive.member(name)?;
        let difference = match self.unreadable {
            // From there on nobody knows what the file should say.
            Some(_) => None,
            None => self.marks.compare(&mut member)?,
        };
        Ok((difference, member.end()?))
    }

    /// Reads what was disclosed: entries of this bundle, each once, in order. Whether it is true nothing here can tell.
    fn personal(&mut self, archive: &mut Archive<impl Read>) -> Result<(), Stop> {
        if !self.manifest.has_personal() {
            return Ok(());
        }
        let mut member = archive.member(PERSONAL)?;
        let mut line = Vec::new();
        let mut next = self.manifest.first;
        while member.line(&mut line, bound::BUNDLE_PERSONAL_LINE_BYTES_MAX)? {
            let (sequence, _) = personal::read(&line)?;
            if !(next..self.end).contains(&sequence) {
                let expected = format!("personal data of an entry from {next} to {}", self.end - 1);
                return Err(Stop::tampered(Some(sequence), expected, format!("entry {sequence}")));
            }
            next = sequence + 1;
        }
        same_digest(&self.manifest, PERSONAL, member.end()?)
    }
}
