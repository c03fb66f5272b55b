//! What this process uses, as the kernel counts it (proc(5)).

use std::time::Duration;

use procfs::WithCurrentSystemInfo as _;
use procfs::process::Process;

/// What one look found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) resident_bytes: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
}

/// `None` where there is no `/proc`.
pub(super) fn look() -> Option<Usage> {
    let process = Process::myself().ok()?;
    let stat = process.stat().ok()?;
    #[allow(clippy::cast_precision_loss, reason = "ticks of years fit")]
    let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    Some(Usage {
        cpu: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
        resident_bytes: stat.rss_bytes().get(),
        descriptors: process.fd_count().unwrap_or_default() as u64,
        threads: u64::try_from(stat.num_threads).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let usage = look().unwrap();
        assert!(usage.resident_bytes > 100_000 && usage.descriptors >= 3 && usage.threads >= 1, "{usage:?}");
    }
}
