//! What is written in the crash tests, what was said about it, and the check of what is found afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc as blocking;

use futures::future::join_all;
use sekisho::audit::log::LogHook;
use sekisho::audit::verify::{Against, Sound, Verdict, verify};
use sekisho::base::clock::ManualClock;
use sekisho::store::disk::Disk;
use sekisho::store::table::Table;
use sekisho::store::{
    Acknowledgement, Batch, CommitHook, Opened, Put, Removal, Sealed, Snapshot, Store, StoreError, after_prefix,
};
use tokio::sync::mpsc;

use crate::dice::Dice;
use crate::disk::SimulatedDisk;

/// Tasks that commit at the same time.
const PRODUCERS: usize = 8;
const PREFIX: &[u8] = b"entry/";
const PASSING: &[u8] = b"passing/";
const OPENER: &str = "opener";

/// A new database on a simulated disk.
pub(crate) fn formatted() -> SimulatedDisk {
    let disk = SimulatedDisk::empty();
    Store::create_on(&disk, &[]).unwrap();
    disk
}

/// What was committed, by name, and what the store said about it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    attempted: BTreeMap<String, Vec<u8>>,
    /// With its sequence, where that was said too.
    pub(crate) acknowledged: BTreeMap<String, Option<u64>>,
}

/// When a commit counts as acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    /// When the store says so.
    WhenDurable,
    /// The mutant: as soon as it is submitted.
    Early,
}

/// A running store whose groups are the same in every run: in each round one commit goes alone, and while the hook
/// holds the writer in it, all producers queue theirs.
pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) told: Told,
    acknowledge: Acknowledge,
    entered: mpsc::UnboundedReceiver<()>,
    go: blocking::Sender<()>,
}

/// Holds the writer's thread in the middle of an opener's group.
struct GatedHook {
    inner: LogHook,
    entered: mpsc::UnboundedSender<()>,
    go: blocking::Receiver<()>,
}

impl CommitHook for GatedHook {
    fn seal(&mut self, leaves: Vec<Vec<u8>>) -> Sealed {
        if leaves.iter().any(|leaf| leaf.starts_with(OPENER.as_bytes())) {
            // Errors mean that the test is over.
            self.entered.send(()).ok();
            self.go.recv().ok();
        }
        self.inner.seal(leaves)
    }

    fn committed(&mut self) {
        self.inner.committed();
    }

    fn reload(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.inner.reload(snapshot)
    }
}

impl Rig {
    pub(crate) fn start(opened: Opened, acknowledge: Acknowledge) -> Result<Self, StoreError> {
        let (entered, has_entered) = mpsc::unbounded_channel();
        let (go, may_go) = blocking::channel();
        let hook = GatedHook { inner: LogHook::of(&opened)?, entered, go: may_go };
        let clock = Arc::new(ManualClock::default());
        let store = opened.start_with_clock(Box::new(hook), Arc::clone(&clock) as _)?;
        Ok(Self { store, clock, told: Told::default(), acknowledge, entered: has_entered, go })
    }

    /// One commit alone, then one of all producers together. `false` if some of it failed.
    pub(crate) async fn round(&mut self, number: usize, dice: &mut Dice) -> bool {
        let names: Vec<String> =
            (0..PRODUCERS).map(|producer| format!("producer-{producer}-of-round-{number}")).collect();
        let opener = format!("{OPENER}-of-round-{number}");
        let store = self.store.clone();
        let mut opening = Box::pin(store.commit(self.told.attempt(&opener, dice)));
        // It may be refused without reaching the hook.
        let refused = tokio::select! {
            biased;
            _ = self.entered.recv() => None,
            told = &mut opening => Some(told),
        };
        let batches: Vec<Batch> = names.iter().map(|name| self.told.attempt(name, dice)).collect();
        let mut producers = Box::pin(join_all(batches.into_iter().map(|batch| store.commit(batch))));
        let early = futures::poll!(&mut producers);
        if self.acknowledge == Acknowledge::Early {
            // Commits wait in the queue, and this mutant has said that they are done.
            self.told.acknowledged.extend(names.iter().map(|name| (name.clone(), None)));
        }
        let opened = if let Some(told) = refused {
            told
        } else {
            self.go.send(()).unwrap();
            opening.await
        };
        let answers = match early {
            std::task::Poll::Ready(answers) => answers,
            std::task::Poll::Pending => producers.await,
        };
        let mut all_well = self.told.note(opener, opened);
        for (name, answer) in names.into_iter().zip(answers) {
            all_well &= self.told.note(name, answer);
        }
        all_well
    }

    /// A single ordinary commit.
    pub(crate) async fn commit(&mut self, name: &str, dice: &mut Dice) -> Result<Acknowledgement, StoreError> {
        let batch = self.told.attempt(name, dice);
        self.commit_batch(name, batch).await
    }

    pub(crate) async fn commit_urgent(&mut self, name: &str, dice: &mut Dice) -> Result<Acknowledgement, StoreError> {
        let batch = self.told.attempt(name, dice).urgent();
        self.commit_batch(name, batch).await
    }

    async fn commit_batch(&mut self, name: &str, batch: Batch) -> Result<Acknowledgement, StoreError> {
        let answer = self.store.commit(batch).await;
        if let Ok(acknowledgement) = &answer {
            self.told.acknowledged.insert(name.to_owned(), acknowledgement.sequence);
        }
        answer
    }
}

impl Told {
    /// A leaf and a row with the same content, some rows that pass, and the removal of those that passed before.
    pub(crate) fn attempt(&mut self, name: &str, dice: &mut Dice) -> Batch {
        let mut content = name.as_bytes().to_vec();
        content.push(b'=');
        let filler = u8::try_from(dice.below(256)).unwrap();
        // Now and then one that makes the file grow.
        let bytes = if dice.below(12) == 0 { 90_000 } else { 16 + dice.index(3000) };
        content.resize(content.len() + bytes, filler);
        self.attempted.insert(name.to_owned(), content.clone());
        let passing = |number: u64| Put::new(Table::Bodies, [PASSING, &number.to_be_bytes()].concat(), vec![7; 600]);
        let mut puts = vec![Put::new(Table::Documents, [PREFIX, name.as_bytes()].concat(), content.clone())];
        puts.extend((0..dice.below(4)).map(|_| passing(dice.next())));
        let removal = Removal { table: Table::Bodies, from: PASSING.to_vec(), to: after_prefix(PASSING), rows_max: 2 };
        Batch { removals: vec![removal], puts, leaves: vec![content], urgent: false }
    }

    fn note(&mut self, name: String, answer: Result<Acknowledgement, StoreError>) -> bool {
        let is_well = answer.is_ok();
        if let Ok(acknowledgement) = answer {
            self.acknowledged.insert(name, acknowledgement.sequence);
        }
        is_well
    }

    /// Opens what is on the disk, and says what is wrong with it. Everything acknowledged must be there, at its
    /// sequence; whatever is there must have been attempted, and be there as a whole; and it must go on.
    pub(crate) fn check(&self, disk: Arc<dyn Disk>) -> Result<(), String> {
        let opened = Store::open_on(disk).map_err(|error| format!("it does not open: {error}"))?;
        self.check_opened(opened)
    }

    pub(crate) fn check_opened(&self, opened: Opened) -> Result<(), String> {
        let hook = LogHook::of(&opened).map_err(|error| format!("it has no frontier: {error}"))?;
        let store = opened.start(Box::new(hook)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let checked = self.check_content(&store).and_then(|size| {
            let leaf = b"one more".to_vec();
            let acknowledged = runtime.block_on(store.commit(Batch::leaf(leaf)));
            match acknowledged {
                Ok(Acknowledgement { sequence: Some(sequence), .. }) if sequence == size => is_sound(&store).map(drop),
                other => Err(format!("the next entry is not {size} but {other:?}")),
            }
        });
        runtime.block_on(store.close());
        checked
    }

    /// As [`Told::check`], of a store that runs. Gives the number of entries.
    pub(crate) fn check_content(&self, store: &Store) -> Result<u64, String> {
        let size = is_sound(store)?;
        let all = |table, from: &[u8], to: &[u8]| {
            store
                .read(|snapshot| snapshot.scan(table, from, to, usize::MAX))
                .map_err(|error: StoreError| error.to_string())
        };
        let rows: BTreeMap<Vec<u8>, Vec<u8>> =
            all(Table::Documents, PREFIX, &after_prefix(PREFIX))?.into_iter().collect();
        let leaves = all(Table::AuditEntries, &[], &[u8::MAX; 9])?;
        let mut names_in_log = BTreeSet::new();
        for (_, leaf) in &leaves {
            let end = leaf.iter().position(|byte| *byte == b'=').ok_or("a leaf without a name")?;
            let name = String::from_utf8_lossy(&leaf[..end]).into_owned();
            if self.attempted.get(&name) != Some(leaf) {
                return Err(format!("the leaf of {name} is not what was attempted"));
            }
            if rows.get(&[PREFIX, name.as_bytes()].concat()) != Some(leaf) {
                return Err(format!("{name} has a leaf and not its row"));
            }
            names_in_log.insert(name);
        }
        if rows.len() != names_in_log.len() || leaves.len() != names_in_log.len() {
            return Err(format!("{} leaves of {} names and {} rows", leaves.len(), names_in_log.len(), rows.len()));
        }
        for (name, sequence) in &self.acknowledged {
            let found = match sequence {
                Some(sequence) => leaves.get(usize::try_from(*sequence).unwrap()).map(|(_, leaf)| leaf),
                None => rows.get(&[PREFIX, name.as_bytes()].concat()),
            };
            if found != self.attempted.get(name) {
                return Err(format!("{name} was acknowledged as {sequence:?} and is not there"));
            }
        }
        Ok(size)
    }
}

/// The number of entries, if the log is sound.
fn is_sound(store: &Store) -> Result<u64, String> {
    match verify(store, &Against::default()) {
        Ok(Verdict::Sound(Sound { size, .. })) => Ok(size),
        Ok(tampered) => Err(format!("the log does not verify: {tampered:?}")),
        Err(error) => Err(format!("the log cannot be read: {error}")),
    }
}
