//! What is written: batches of rows, removals and leaves, in one durable transaction.

use redb::Database;

use super::table::{self, Table};
use super::{Snapshot, StoreError};
use crate::base::bound;

/// One row to write, or to delete where `value` is `None`.
#[derive(Clone, Debug)]
pub struct Put {
    pub table: Table,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

impl Put {
    pub fn new(table: Table, key: impl Into<Vec<u8>>, value: Vec<u8>) -> Self {
        Self { table, key: key.into(), value: Some(value) }
    }

    pub fn delete(table: Table, key: impl Into<Vec<u8>>) -> Self {
        Self { table, key: key.into(), value: None }
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// Rows to delete without naming them: those of `from..to`, in key order, at most `rows_max` of them and never more
/// than [`bound::REMOVAL_ROWS_MAX`] in one commit. Whoever wants more repeats it until nothing was removed.
#[derive(Clone, Debug)]
pub struct Removal {
    pub table: Table,
    pub from: Vec<u8>,
    pub to: Vec<u8>,
    pub rows_max: usize,
}

/// What must become durable together: rows, and leaves for the audit log.
#[derive(Debug, Default)]
pub struct Batch {
    /// Happen before the `puts` of the same batch.
    pub removals: Vec<Removal>,
    pub puts: Vec<Put>,
    /// Canonical bytes of audit entries; the hook gives them their place in the log.
    pub leaves: Vec<Vec<u8>>,
    /// Also goes onto a disk that is full, from the room kept aside: for the alarm that says so, for what frees room, and
    /// for what somebody at this machine does about an incident. Nothing else may be urgent, or the room is gone when it is needed.
    pub urgent: bool,
}

impl Batch {
    pub fn puts(puts: Vec<Put>) -> Self {
        Self { puts, ..Self::default() }
    }

    pub fn leaf(leaf: Vec<u8>) -> Self {
        Self { leaves: vec![leaf], ..Self::default() }
    }

    pub fn removal(removal: Removal) -> Self {
        Self { removals: vec![removal], ..Self::default() }
    }

    /// The same batch, committed even while the store is [`Health::Full`](super::engine::Health).
    pub fn urgent(self) -> Self {
        Self { urgent: true, ..self }
    }

    /// What this batch weighs against [`bound::COMMIT_BYTES_MAX`].
    pub fn bytes(&self) -> usize {
        self.removals.iter().map(|removal| removal.from.len() + removal.to.len()).sum::<usize>()
            + self.puts.iter().map(Put::bytes).sum::<usize>()
            + self.leaves.iter().map(Vec::len).sum::<usize>()
    }
}

/// The batch is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The sequence of the batch's first leaf, if it had one.
    pub sequence: Option<u64>,
    /// Rows that its removals deleted.
    pub removed_rows: u64,
}

/// Joins every commit: turns leaves into rows and keeps what sums them up in the same transaction.
/// `audit::log` is the one implementation; the store does not know what a Merkle tree is.
pub trait CommitHook: Send + 'static {
    /// Rows for `leaves`, in order. Nothing may be remembered before [`CommitHook::committed`].
    fn seal(&mut self, leaves: Vec<Vec<u8>>) -> Sealed;
    /// The rows of the last `seal` are durable.
    fn committed(&mut self);
    /// The database was opened again after a failure: forget what was known of it and read it anew. A commit that
    /// was answered with an error may be in there all the same.
    fn reload(&mut self, snapshot: &Snapshot) -> Result<(), StoreError>;
}

/// What a hook adds to a commit.
#[derive(Debug, Default)]
pub struct Sealed {
    /// Sequence of the first of the leaves.
    pub first_sequence: u64,
    pub puts: Vec<Put>,
}

/// One change of a transaction, in the order in which the batches came.
enum Step<'a> {
    Put(&'a Put),
    Remove { removal: &'a Removal, batch: usize },
}

/// One transaction, two-phase and durable. Each table is opened once. Gives the rows removed for each batch.
pub(super) fn write<'a>(
    database: &Database,
    batches: impl ExactSizeIterator<Item = &'a Batch>,
    sealed: &'a [Put],
) -> Result<Vec<u64>, StoreError> {
    let mut removed_rows = vec![0; batches.len()];
    let mut of_table: [Vec<Step>; table::ALL.len()] = std::array::from_fn(|_| Vec::new());
    for (index, batch) in batches.enumerate() {
        for removal in &batch.removals {
            of_table[removal.table as usize].push(Step::Remove { removal, batch: index });
        }
        for put in &batch.puts {
            of_table[put.table as usize].push(Step::Put(put));
        }
    }
    for put in sealed {
        of_table[put.table as usize].push(Step::Put(put));
    }
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    for (table, steps) in table::ALL.into_iter().zip(&of_table) {
        if steps.is_empty() {
            continue;
        }
        let mut opened = transaction.open_table(table.definition())?;
        for step in steps {
            match step {
                Step::Put(Put { key, value: Some(value), .. }) => {
                    drop(opened.insert(key.as_slice(), value.as_slice())?);
                }
                Step::Put(Put { key, value: None, .. }) => drop(opened.remove(key.as_slice())?),
                Step::Remove { removal, batch } => removed_rows[*batch] += remove(&mut opened, removal)?,
            }
        }
    }
    transaction.commit()?;
    Ok(removed_rows)
}

fn remove(table: &mut redb::Table<&[u8], &[u8]>, removal: &Removal) -> Result<u64, StoreError> {
    // redb panics on a range that ends before it begins.
    if removal.from >= removal.to {
        return Ok(0);
    }
    let rows_max = removal.rows_max.min(bound::REMOVAL_ROWS_MAX);
    let mut removed_rows = 0;
    let mut extracted = table.extract_from_if(removal.from.as_slice()..removal.to.as_slice(), |_, _| true)?;
    // Only rows that are read are removed.
    for row in extracted.by_ref().take(rows_max) {
        row?;
        removed_rows += 1;
    }
    extracted.close()?;
    Ok(removed_rows)
}
