//! What one call may use beside time, counted where it is used: bytes held, files read, requests to other machines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::bound;
use super::refusal::{Code, Refusal};

/// The most that one call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of documents, requests and answers, all together.
    pub bytes_held_max: u64,
    /// Documents and files that are opened.
    pub file_reads_max: u64,
    /// Requests that are sent to other machines, each retry included.
    pub network_requests_max: u64,
}

/// Counts what one call uses, and what its entry has to say of it.
#[derive(Debug, Default)]
pub struct Meter {
    /// `None` counts only.
    budget: Option<Budget>,
    bytes_held: AtomicU64,
    file_reads: AtomicU64,
    network_requests: AtomicU64,
    /// For the audit entry. Held for a push, never across an await.
    notes: Mutex<Vec<String>>,
}

impl Meter {
    pub fn new(budget: Option<Budget>) -> Self {
        Self { budget, ..Self::default() }
    }

    /// More bytes are held until the call ends.
    pub fn hold(&self, bytes: usize) -> Result<(), Refusal> {
        let most = self.budget.map(|budget| budget.bytes_held_max);
        let used = self.bytes_held.fetch_add(bytes as u64, Ordering::Relaxed).saturating_add(bytes as u64);
        within(used, most, "hold", "bytes", "tool_execution.max_memory_mb")
    }

    /// A document or file is about to be opened.
    pub fn read_file(&self) -> Result<(), Refusal> {
        let most = self.budget.map(|budget| budget.file_reads_max);
        let used = self.file_reads.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        within(used, most, "open", "documents", "tool_execution.max_file_reads")
    }

    /// A request is about to be sent to another machine.
    pub fn request(&self) -> Result<(), Refusal> {
        let most = self.budget.map(|budget| budget.network_requests_max);
        let used = self.network_requests.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        within(used, most, "send", "requests to other machines", "tool_execution.max_network_requests")
    }

    /// How many more requests may be sent to other machines.
    pub fn network_requests_left(&self) -> u64 {
        let most = self.budget.map_or(u64::MAX, |budget| budget.network_requests_max);
        most.saturating_sub(self.network_requests())
    }

    pub fn network_requests(&self) -> u64 {
        self.network_requests.load(Ordering::Relaxed)
    }

    /// Something that the call's audit entry says; never content, never a secret. At most
    /// [`bound::connector::CALL_NOTES_MAX`] are kept.
    pub fn note(&self, text: impl Into<String>) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < bound::connector::CALL_NOTES_MAX {
            notes.push(text.into());
        }
    }

    /// As [`Meter::note`], unless it was said before.
    pub fn note_once(&self, text: &str) {
        if !self.notes().iter().any(|note| note == text) {
            self.note(text);
        }
    }

    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn within(used: u64, most: Option<u64>, verb: &str, what: &str, setting: &str) -> Result<(), Refusal> {
    match most {
        Some(most) if used > most => {
            let public =
                format!("This call was stopped: it may {verb} {most} {what} ({setting}). Ask for less at a time.");
            Err(Refusal::new(Code::TooLarge, public).with_private(format!("over budget: {used} {what} of {most}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_a_budget_is_refused_and_says_which_one() {
        let meter = Meter::new(Some(Budget { bytes_held_max: 10, file_reads_max: 1, network_requests_max: 2 }));
        meter.hold(6).unwrap();
        meter.hold(4).unwrap();
        assert!(meter.hold(1).unwrap_err().public.contains("10 bytes (tool_execution.max_memory_mb)"));
        meter.read_file().unwrap();
        assert!(meter.read_file().unwrap_err().public.contains("tool_execution.max_file_reads"));
        assert_eq!(meter.network_requests_left(), 2);
        meter.request().unwrap();
        assert_eq!(meter.network_requests_left(), 1);
        meter.request().unwrap();
        let refusal = meter.request().unwrap_err();
        assert_eq!(meter.network_requests_left(), 0);
        assert_eq!((refusal.code, meter.network_requests()), (Code::TooLarge, 3));
        assert!(refusal.private.contains("over budget"), "{}", refusal.private);
    }

    #[test]
    fn without_a_budget_it_only_counts() {
        let meter = Meter::default();
        for _ in 0..1000 {
            meter.request().unwrap();
            meter.hold(usize::MAX / 4096).unwrap();
        }
        for n in 0..100 {
            meter.note(n.to_string());
        }
        assert_eq!(meter.notes().len(), bound::connector::CALL_NOTES_MAX);
        assert!(meter.network_requests_left() > 1 << 60);
    }
}
