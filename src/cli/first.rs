//! The first process of a container: starts the server as its child, passes signals on, and reaps whom others orphaned.

use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Failure;

/// The kernel gives orphans to process 1 and expects it to reap them, and shields it from signals. A server should do
/// neither: it would take the exit codes of its own reading processes away from itself.
pub(super) fn is_first() -> bool {
    std::process::id() == 1
}

/// Runs this command line once more, and gives the code that it ends with.
pub(super) fn run() -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    runtime.block_on(stand_in_front())
}

async fn stand_in_front() -> Result<u8, Failure> {
    let heed = |kind| signal(kind).map_err(Failure::internal);
    let (mut terminate, mut interrupt) = (heed(SignalKind::terminate())?, heed(SignalKind::interrupt())?);
    let (mut hangup, mut children) = (heed(SignalKind::hangup())?, heed(SignalKind::child())?);
    let mut command = Command::new("/proc/self/exe");
    command.arg0("sekisho").args(std::env::args_os().skip(1));
    let server = command.spawn().map_err(Failure::internal)?;
    let server = Pid::from_child(&server);
    // What is typed at a terminal reaches both of us, and the second interrupt would mean: at once.
    let is_typed = std::io::stdin().is_terminal();
    loop {
        let passed_on = tokio::select! {
            _ = terminate.recv() => Some(Signal::TERM),
            _ = interrupt.recv() => (!is_typed).then_some(Signal::INT),
            _ = hangup.recv() => Some(Signal::HUP),
            _ = children.recv() => None,
        };
        if let Some(signal) = passed_on {
            // One that has just ended needs none: it is reaped below.
            rustix::process::kill_process(server, signal).ok();
        }
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((process, status))) if process == server => return Ok(code(status)),
                Ok(Some(_)) => {}
                Ok(None) | Err(Errno::CHILD) => break,
                Err(error) => return Err(Failure::internal(error)),
            }
        }
    }
}

/// As a shell tells it.
fn code(status: WaitStatus) -> u8 {
    let signalled = status.terminating_signal().map(|signal| 128 + signal);
    signalled.or(status.exit_status()).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
