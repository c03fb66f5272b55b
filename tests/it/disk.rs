//! A disk in memory that loses power, fails, fills up and lies, for the store to lie on.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;
use sekisho::store::disk::Disk;

use crate::dice::Dice;

/// What a disk writes as one piece: whatever is larger can be torn at these boundaries.
const SECTOR_BYTES: usize = 512;

/// What becomes of a write that was not synced when the power went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tear {
    /// It is there or not, and in any order with the others.
    Whole,
    /// As before, but each of its sectors for itself.
    Torn,
}

/// What the disk says that is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// Syncs do nothing at all.
    NoDurability,
    /// Every fifth sync does nothing; which ones is up to the seed.
    EveryFifthSync,
}

/// Which operations fail, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The operation at which it begins; see [`SimulatedDisk::operations`].
    pub(crate) from: u64,
    pub(crate) kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// EIO, for this one operation.
    EioOnce,
    /// EIO, from then on.
    EioLasting,
    /// ENOSPC from then on, for whatever may need a block, until the ballast is given back.
    FullButForTheBallast,
    /// ENOSPC from then on, whatever is given back.
    FullLasting,
}

/// A disk with room for one database and the draft of one. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

/// The state in full would be megabytes in a failed assertion.
impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedDisk")
    }
}

#[derive(Default)]
struct State {
    database: Option<Image>,
    draft: Option<Image>,
    has_ballast: bool,
    operations: u64,
    changes: u64,
    syncs: u64,
    power_off_at: Option<u64>,
    is_off: bool,
    /// The power went while the draft was renamed.
    is_publishing: bool,
    lie: Option<Lie>,
    /// A beginning for the count of syncs that a lie goes by.
    lie_phase: u64,
    fault: Option<Fault>,
    ballast_was_released: bool,
}

/// A file: what is on the disk for good, what was done since, and what a reader sees.
#[derive(Clone, Default)]
struct Image {
    durable: Vec<u8>,
    pending: Vec<Change>,
    live: Vec<u8>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl SimulatedDisk {
    /// Without a database.
    pub(crate) fn empty() -> Self {
        Self { state: Arc::default() }
    }

    fn with(database: Option<Vec<u8>>, draft: Option<Vec<u8>>, has_ballast: bool) -> Self {
        let image = |bytes: Vec<u8>| Image { durable: bytes.clone(), pending: Vec::new(), live: bytes };
        let state = State { database: database.map(image), draft: draft.map(image), has_ballast, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Another disk with what a reader sees on this one.
    pub(crate) fn twin(&self) -> Self {
        let state = self.lock();
        let live = |image: &Option<Image>| image.as_ref().map(|image| image.live.clone());
        Self::with(live(&state.database), live(&state.draft), state.has_ballast)
    }

    /// Reads, writes, changes of length, syncs and renames so far.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Those of the operations that change something: a power loss between two of them is like one before the second.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// The power goes at this change, which is not done any more.
    pub(crate) fn power_off_at(&self, change: u64) {
        self.lock().power_off_at = Some(change);
    }

    /// The power goes now.
    pub(crate) fn power_off(&self) {
        self.lock().is_off = true;
    }

    pub(crate) fn lie(&self, lie: Lie, phase: u64) {
        let mut state = self.lock();
        (state.lie, state.lie_phase) = (Some(lie), phase);
    }

    pub(crate) fn break_with(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    /// The disk is well again, and has room.
    pub(crate) fn mend(&self) {
        self.lock().fault = None;
    }

    /// What is found when the power is back: everything that was synced, and some of what was not.
    pub(crate) fn after_power_loss(&self, dice: &mut Dice, tear: Tear) -> Self {
        let state = self.lock();
        let mut database = state.database.as_ref().map(|image| image.after_power_loss(dice, tear));
        let mut draft = state.draft.as_ref().map(|image| image.after_power_loss(dice, tear));
        if state.is_publishing && dice.below(2) == 0 {
            database = draft.take();
        }
        Self::with(database, draft, state.has_ballast)
    }

    /// What a reader of the database sees.
    pub(crate) fn content(&self) -> Vec<u8> {
        self.lock().database.as_ref().map(|image| image.live.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Image {
    fn after_power_loss(&self, dice: &mut Dice, tear: Tear) -> Vec<u8> {
        let mut found = self.durable.clone();
        let mut pending: Vec<&Change> = self.pending.iter().collect();
        // Fisher and Yates.
        for at in (1..pending.len()).rev() {
            pending.swap(at, dice.index(at + 1));
        }
        // From a cache that was nearly written out to one that was hardly begun.
        let kept_of_8 = dice.below(9);
        for change in pending {
            match change {
                Change::SetLen(len) => {
                    if dice.below(8) < kept_of_8 {
                        found.resize(*len, 0);
                    }
                }
                Change::Write { offset, bytes } if tear == Tear::Whole => {
                    if dice.below(8) < kept_of_8 {
                        write_within(&mut found, *offset, bytes);
                    }
                }
                Change::Write { offset, bytes } => {
                    let mut at = 0;
                    while at < bytes.len() {
                        // Sectors lie on the disk, not in the write.
                        let end = bytes.len().min(at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES);
                        if dice.below(8) < kept_of_8 {
                            write_within(&mut found, offset + at, &bytes[at..end]);
                        }
                        at = end;
                    }
                }
            }
        }
        found
    }
}

/// What lies behind the end of a file is not in it, even where its blocks were written.
fn write_within(file: &mut [u8], offset: usize, bytes: &[u8]) {
    let end = file.len().min(offset + bytes.len());
    if offset < end {
        file[offset..end].copy_from_slice(&bytes[..end - offset]);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Read,
    /// May need a block.
    Change,
}

impl State {
    /// Counts an operation, and fails it where that is due.
    fn step(&mut self, operation: Operation) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        if operation == Operation::Change {
            self.is_off |= self.power_off_at.is_some_and(|moment| self.changes >= moment);
            self.changes += 1;
        }
        if self.is_off {
            return Err(io::Error::other("the power is off"));
        }
        let Some(fault) = self.fault.filter(|fault| number >= fault.from) else { return Ok(()) };
        match fault.kind {
            FaultKind::EioOnce if number > fault.from => Ok(()),
            FaultKind::EioOnce | FaultKind::EioLasting => Err(io::Error::from_raw_os_error(libc_errno::EIO)),
            FaultKind::FullButForTheBallast if self.ballast_was_released => Ok(()),
            _ if operation == Operation::Read => Ok(()),
            _ => Err(io::Error::from_raw_os_error(libc_errno::ENOSPC)),
        }
    }

    fn is_full(&self) -> bool {
        let is_of_room = |kind| matches!(kind, FaultKind::FullButForTheBallast | FaultKind::FullLasting);
        self.fault.is_some_and(|fault| self.operations >= fault.from && is_of_room(fault.kind))
    }
}

/// Numbers of Linux, which `io::Error` has no names for.
mod libc_errno {
    pub(super) const EIO: i32 = 5;
    pub(super) const ENOSPC: i32 = 28;
}

impl Disk for SimulatedDisk {
    fn path(&self) -> &Path {
        Path::new("/simulated/sekisho.redb")
    }

    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let state = self.lock();
        if state.is_off {
            return Err(io::Error::other("the power is off"));
        }
        match state.database {
            Some(_) => Ok(Box::new(SimulatedFile { disk: self.clone(), is_draft: false })),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn draft(&self) -> io::Result<Box<dyn StorageBackend>> {
        let mut state = self.lock();
        state.step(Operation::Change)?;
        if state.database.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.draft = Some(Image::default());
        Ok(Box::new(SimulatedFile { disk: self.clone(), is_draft: true }))
    }

    fn publish(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.is_publishing = true;
        state.step(Operation::Change)?;
        state.is_publishing = false;
        if state.database.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.database = state.draft.take();
        Ok(())
    }

    fn copy_to(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.lock();
        state.step(Operation::Read)?;
        let image = state.database.as_ref().ok_or(io::ErrorKind::NotFound)?;
        std::fs::write(path, &image.live)?;
        Ok(image.live.len() as u64)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(if self.lock().is_full() { 0 } else { 1 << 40 })
    }

    fn has_ballast(&self) -> io::Result<bool> {
        Ok(self.lock().has_ballast)
    }

    fn make_ballast(&self) -> io::Result<()> {
        let mut state = self.lock();
        if state.is_full() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.has_ballast = true;
        state.ballast_was_released = false;
        Ok(())
    }

    fn release_ballast(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.ballast_was_released |= std::mem::take(&mut state.has_ballast);
        Ok(())
    }
}

/// A handle onto the database or the draft, as redb has one.
#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    is_draft: bool,
}

impl SimulatedFile {
    /// One operation on the file.
    fn operate<T>(&self, operation: Operation, work: impl FnOnce(&mut Image) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.lock();
        state.step(operation)?;
        let image = if self.is_draft { &mut state.draft } else { &mut state.database };
        work(image.as_mut().ok_or(io::ErrorKind::NotFound)?)
    }
}

impl StorageBackend for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        self.operate(Operation::Read, |image| Ok(image.live.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.operate(Operation::Read, |image| {
            let offset = usize::try_from(offset).unwrap();
            let bytes = image.live.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate(Operation::Change, |image| {
            let len = usize::try_from(len).unwrap();
            image.live.resize(len, 0);
            image.pending.push(Change::SetLen(len));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let is_lie = {
            let mut state = self.disk.lock();
            state.syncs += 1;
            match state.lie {
                Some(Lie::NoDurability) => true,
                Some(Lie::EveryFifthSync) => (state.syncs + state.lie_phase).is_multiple_of(5),
                Some(Lie::None) | None => false,
            }
        };
        self.operate(Operation::Change, |image| {
            if !is_lie {
                for change in image.pending.drain(..) {
                    match change {
                        Change::SetLen(len) => image.durable.resize(len, 0),
                        Change::Write { offset, bytes } => {
                            image.durable[offset..offset + bytes.len()].copy_from_slice(&bytes);
                        }
                    }
                }
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate(Operation::Change, |image| {
            let offset = usize::try_from(offset).unwrap();
            let end = offset + data.len();
            if image.live.len() < end {
                image.live.resize(end, 0);
                image.pending.push(Change::SetLen(end));
            }
            image.live[offset..end].copy_from_slice(data);
            image.pending.push(Change::Write { offset, bytes: data.to_vec() });
            Ok(())
        })
    }
}

#[test]
fn without_power_only_what_was_synced_is_sure() {
    let disk = SimulatedDisk::empty();
    let file = disk.draft().unwrap();
    file.set_len(2048).unwrap();
    file.write(0, &[1; 1024]).unwrap();
    file.sync_data().unwrap();
    file.write(0, &[2; 1024]).unwrap();
    let (mut old, mut new, mut torn) = (0, 0, 0);
    for seed in 0..60 {
        let draft = disk.after_power_loss(&mut Dice::of(seed), Tear::Torn).lock().draft.clone().unwrap().live;
        assert_eq!(draft.len(), 2048, "seed {seed}");
        assert_eq!(draft[1024..], [0; 1024], "seed {seed}");
        assert!(draft[..512].iter().all(|byte| *byte == draft[0]), "seed {seed}: a sector is torn");
        match (draft[0], draft[1023]) {
            (1, 1) => old += 1,
            (2, 2) => new += 1,
            _ => torn += 1,
        }
    }
    assert!(old > 0 && new > 0 && torn > 0, "{old} {new} {torn}");
}
