//! The check of the whole log: every leaf against its tile, the tree against its frontier, and against every signed
//! checkpoint. It needs no key of the vault.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::checkpoint::{Checkpoint, CheckpointError};
use super::log::{self, AFTER_ALL, Look, Tip};
use super::tile::TileId;
use super::tree::{Frontier, leaf_hash};
use crate::base::bound;
use crate::base::id::hex;
use crate::crypto::digest::Hash;
use crate::crypto::sign::{NoteError, VerifyingKey};
use crate::store::StoreError;
use crate::store::table::Table;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<S = Sound> {
    Sound(S),
    /// Something is not what was signed, or not what it says it is.
    Tampered {
        /// The entry, or the first of the range, in which the change lies, where that can be told.
        sequence: Option<u64>,
        expected: String,
        found: String,
    },
    /// Part of what is needed for the check is not there.
    Incomplete {
        reason: String,
    },
}

/// What a sound log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    pub size: u64,
    pub root: Hash,
    /// Entries below this were pruned; the tree still covers them.
    pub first: u64,
    /// Checkpoints that agree with it and whose signatures hold.
    pub checkpoints: usize,
    /// The newest of them: entries from here on no signature covers.
    pub signed_size: u64,
}

impl<S> Verdict<S> {
    pub fn is_sound(&self) -> bool {
        matches!(self, Self::Sound(_))
    }

    pub fn map<T>(self, sound: impl FnOnce(S) -> T) -> Verdict<T> {
        match self {
            Self::Sound(found) => Verdict::Sound(sound(found)),
            Self::Tampered { sequence, expected, found } => Verdict::Tampered { sequence, expected, found },
            Self::Incomplete { reason } => Verdict::Incomplete { reason },
        }
    }
}

impl Verdict {
    pub fn to_json(&self) -> Value {
        match self {
            Self::Sound(sound) => json!({
                "verdict": "sound",
                "sound": true,
                "entries": sound.size,
                "first": sound.first,
                "root": hex(&sound.root),
                "checkpoints": sound.checkpoints,
                "signed_entries": sound.signed_size,
            }),
            Self::Tampered { sequence, expected, found } => json!({
                "verdict": "tampered", "sound": false, "sequence": sequence, "expected": expected, "found": found,
            }),
            Self::Incomplete { reason } => json!({"verdict": "incomplete", "sound": false, "reason": reason}),
        }
    }
}

/// What the log is held against, beside itself.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// Keys whose signatures count. Empty: those that the file names itself, which proves less.
    pub keys: Vec<VerifyingKey>,
    /// Signed checkpoints from outside of the file, where whoever changed the file could not change them.
    pub checkpoints: Vec<String>,
}

/// Reads every leaf that was there at the beginning, in order, and compares the tree that it makes with all that says
/// what it should be. Entries that come meanwhile are for the next check. Short looks, so that no pages are pinned.
pub fn verify(source: &impl Look, against: &Against) -> Result<Verdict, StoreError> {
    match Check::begin(source, against).and_then(Check::run) {
        Ok(sound) => Ok(Verdict::Sound(sound)),
        Err(Stop::Verdict(verdict)) => Ok(verdict),
        Err(Stop::Store(error)) => Err(error),
    }
}

/// Why a check ends early.
enum Stop {
    Verdict(Verdict),
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn tampered(sequence: Option<u64>, expected: impl Into<String>, found: impl Into<String>) -> Stop {
    Stop::Verdict(Verdict::Tampered { sequence, expected: expected.into(), found: found.into() })
}

/// What is there and cannot be read was changed; what could not be read at all says nothing of the log.
fn malformed(sequence: Option<u64>, expected: &'static str) -> impl FnOnce(StoreError) -> Stop {
    move |error| match error {
        StoreError::Record { .. } => tampered(sequence, expected, error.to_string()),
        other => Stop::Store(other),
    }
}

fn incomplete(reason: impl Into<String>) -> Stop {
    Stop::Verdict(Verdict::Incomplete { reason: reason.into() })
}

/// A check under way: the tree made so far, and the checkpoints that it has yet to meet.
struct Check<'a, L> {
    source: &'a L,
    stored: Frontier,
    first: u64,
    made: Tip,
    /// By size, smallest first.
    signed: VecDeque<Checkpoint>,
    agreed: usize,
    signed_size: u64,
}

impl<'a, L: Look> Check<'a, L> {
    fn begin(source: &'a L, against: &Against) -> Result<Self, Stop> {
        let stored = source.look(log::frontier).map_err(malformed(None, "a frontier"))?;
        let pruned = source.look(log::pruned).map_err(malformed(None, "a mark of what was pruned"))?;
        let first = pruned.size();
        if first > stored.size() {
            let expected = format!("at most {} entries pruned", stored.size());
            return Err(tampered(None, expected, first.to_string()));
        }
        let signed = checkpoints(source, against, first, stored.size())?;
        let made = source
            .look(|snapshot| log::tip(snapshot, pruned))
            .map_err(malformed(Some(first), "the tiles of what was pruned"))?;
        Ok(Self { source, stored, first, made, signed, agreed: 0, signed_size: 0 })
    }

    fn run(mut self) -> Result<Sound, Stop> {
        self.meet()?;
        while self.made.frontier.size() < self.stored.size() {
            self.tile()?;
        }
        if self.made.frontier != self.stored {
            let size = self.stored.size();
            let expected = format!("root {} over {size} entries", hex(&self.stored.root()));
            let found = format!(
                "root {}; the change lies in entries {} to {}",
                hex(&self.made.frontier.root()),
                self.signed_size,
                size - 1
            );
            return Err(tampered(None, expected, found));
        }
        self.beyond()?;
        Ok(Sound {
            size: self.stored.size(),
            root: self.stored.root(),
            first: self.first,
            checkpoints: self.agreed,
            signed_size: self.signed_size,
        })
    }

    /// Adds the leaves of one tile, or of what there is of it.
    fn tile(&mut self) -> Result<(), Stop> {
        let from = self.made.frontier.size();
        let width = bound::TILE_HASHES as u64;
        let index = from / width;
        let to = self.stored.size().min((index + 1) * width);
        let (rows, hashes) = self.source.look(|snapshot| {
            let rows =
                snapshot.scan(Table::AuditEntries, &from.to_be_bytes(), &to.to_be_bytes(), bound::TILE_HASHES)?;
            Ok((rows, log::tile(snapshot, TileId { level: 0, index })?))
        })?;
        let is_full = to == (index + 1) * width;
        if is_full && hashes.is_none() {
            return Err(tampered(Some(from), format!("the tile of entries {from} to {}", to - 1), "none"));
        }
        let mut rows = rows.into_iter();
        for sequence in from..to {
            let Some((key, leaf)) = rows.next() else {
                return Err(tampered(Some(sequence), format!("entry {sequence}"), "none"));
            };
            if key != sequence.to_be_bytes() {
                return Err(tampered(Some(sequence), format!("entry {sequence}"), name_of(&key)));
            }
            let hash = leaf_hash(&leaf);
            let at = usize::try_from(sequence % width).unwrap_or_default() * hash.len();
            if let Some(expected) = hashes.as_deref().and_then(|tile| tile.get(at..at + hash.len()))
                && expected != hash
            {
                let expected = format!("leaf hash {}", hex(expected));
                return Err(tampered(Some(sequence), expected, format!("leaf hash {}", hex(&hash))));
            }
            self.add(hash)?;
        }
        Ok(())
    }

    fn add(&mut self, hash: Hash) -> Result<(), Stop> {
        self.made.frontier.append(hash);
        for (id, bytes) in self.made.edge.append(hash) {
            let stored = self.source.look(|snapshot| log::tile(snapshot, id))?;
            // An incomplete tile of a higher level is longer by now.
            if stored.as_deref().and_then(|tile| tile.get(..bytes.len())) != Some(bytes.as_slice()) {
                let expected = format!("tile {} of level {} as its entries make it", id.index, id.level);
                let found = if stored.is_some() { "another one" } else { "none" };
                return Err(tampered(Some(self.made.frontier.size() - 1), expected, found));
            }
        }
        self.meet()
    }

    /// Compares with the checkpoints of this size.
    fn meet(&mut self) -> Result<(), Stop> {
        let size = self.made.frontier.size();
        while let Some(checkpoint) = self.signed.pop_front_if(|next| next.size() == size) {
            let root = self.made.frontier.root();
            if *checkpoint.root() != root {
                let expected = format!("root {} over {size} entries, as signed", hex(checkpoint.root()));
                let range = format!("the change lies in entries {} to {}", self.signed_size, size.saturating_sub(1));
                return Err(tampered(None, expected, format!("root {}; {range}", hex(&root))));
            }
            self.agreed += 1;
            self.signed_size = size;
        }
        Ok(())
    }

    /// Entries that the frontier knows nothing of.
    fn beyond(&self) -> Result<(), Stop> {
        let added = self.source.look(|snapshot| {
            let size = log::frontier(snapshot)?.size();
            Ok((size, snapshot.scan(Table::AuditEntries, &size.to_be_bytes(), &AFTER_ALL, 1)?))
        })?;
        match added {
            (size, rows) if !rows.is_empty() => Err(tampered(Some(size), "no more entries", name_of(&rows[0].0))),
            _ => Ok(()),
        }
    }
}

/// The checkpoints that a log of `first..=size` has to agree with, by size.
fn checkpoints(source: &impl Look, against: &Against, first: u64, size: u64) -> Result<VecDeque<Checkpoint>, Stop> {
    let pinned = !against.keys.is_empty();
    let keys = if pinned { against.keys.clone() } else { keys_in(source)? };
    let inside = source.look(|snapshot| {
        snapshot.scan(
            Table::Checkpoints,
            &first.to_be_bytes(),
            &AFTER_ALL,
            bound::CHECKPOINTS_KEPT_MAX + bound::SCAN_ROWS_MAX,
        )
    })?;
    let mut signed = Vec::new();
    for (_, note) in inside {
        let note = String::from_utf8_lossy(&note);
        match Checkpoint::open(&note, &keys) {
            Ok(checkpoint) => signed.push(checkpoint),
            // Signed before or after the keys that were given.
            Err(CheckpointError::Note(NoteError::Unknown { .. })) if pinned => {}
            Err(error) => return Err(tampered(None, "a checkpoint whose signature holds", error.to_string())),
        }
    }
    let mut outside = 0;
    for note in &against.checkpoints {
        match Checkpoint::open(note, &keys) {
            Ok(checkpoint) => {
                outside += 1;
                signed.push(checkpoint);
            }
            Err(CheckpointError::Note(NoteError::Unknown { .. })) => {}
            Err(error) => {
                return Err(tampered(None, "an exported checkpoint whose signature holds", error.to_string()));
            }
        }
    }
    if !against.checkpoints.is_empty() && outside == 0 {
        return Err(incomplete("none of the exported checkpoints is signed by a key of this log"));
    }
    if pinned && signed.is_empty() && size > 0 {
        return Err(incomplete("the log has no checkpoint by the key that was given"));
    }
    signed.retain(|checkpoint| checkpoint.size() >= first);
    signed.sort_by_key(Checkpoint::size);
    // In the file and outside of it: one witness, not two.
    signed.dedup_by(|one, other| one.size() == other.size() && one.root() == other.root());
    if let Some(last) = signed.last().filter(|last| last.size() > size) {
        let expected = format!("at least {} entries, as signed", last.size());
        return Err(tampered(
            Some(size),
            expected,
            format!("{size}: the file is older than the checkpoint, or was cut"),
        ));
    }
    Ok(signed.into())
}

/// The verifying keys that the file itself names.
fn keys_in(source: &impl Look) -> Result<Vec<VerifyingKey>, Stop> {
    let text = source.look(log::keys).map_err(malformed(None, "readable verifying keys"))?;
    text.lines()
        .map(|line| {
            VerifyingKey::parse(line).map_err(|error| tampered(None, "a readable verifying key", error.to_string()))
        })
        .collect()
}

fn name_of(key: &[u8]) -> String {
    key.try_into().map_or_else(|_| "a malformed key".into(), |key| format!("entry {}", u64::from_be_bytes(key)))
}
