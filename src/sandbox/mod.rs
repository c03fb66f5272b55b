//! Reads untrusted bytes in a process of its own, which can neither open, connect nor run anything.
//!
//! The process is this very binary with a hidden command. Before it reads the first byte it gives up all that it could
//! do (`confine.rs`): then a hostile document that takes a parser over has a heap and two pipes, and a watch that kills it.
//! One process serves one sync, so that what a hostile document could do to its successors stays in its own library.

pub mod child;
mod confine;
mod frame;

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::base::bound::sandbox as bound;
pub use confine::Layers;
use frame::{Frame, Tag};

/// The hidden command that [`child::serve`] stands behind.
pub const COMMAND: &str = "parse-child";

/// What can be asked of a reading process.
pub trait Worker: Send {
    /// Answers a question. `question` is JSON; `body` are the untrusted bytes. The error is told to the operator.
    fn work(&mut self, job: &str, question: &[u8], body: Vec<u8>) -> Result<Reply, String>;
}

/// An answer: JSON, and the bytes that go with it.
#[derive(Debug, Default)]
pub struct Reply {
    pub answer: Vec<u8>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// The reader looked at the bytes and says why it does not take them.
    #[error("{0}")]
    Refused(String),
    /// The process was ended, or ended itself, over these bytes.
    #[error("the process that read it was stopped: {0}")]
    Stopped(String),
    /// There is no process.
    #[error(
        "no process to read it in: {0}; mend that, or read in the server itself with tool_execution.sandboxing_enabled = false"
    )]
    Unavailable(String),
}

/// What is started to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    pub program: PathBuf,
    pub arguments: Vec<String>,
}

impl Launch {
    /// This binary. The kernel's own link to it still leads to the same file when an upgrade has put another one under
    /// its name: a server never talks to a reader of another version.
    pub fn own() -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), arguments: vec![COMMAND.into()] }
    }
}

/// Makes a worker where there is no process: sandboxing is off.
pub type Make = fn() -> Box<dyn Worker>;

enum How {
    Process(Launch),
    Here(Make),
}

/// Where untrusted bytes are read.
pub struct Sandbox {
    how: How,
    /// How long one question may take.
    patience: Duration,
    places: Arc<Semaphore>,
    /// What the first process said that it is confined by; told once.
    layers: OnceLock<Layers>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("layers", &self.layers).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// In processes.
    pub fn new(launch: Launch) -> Self {
        Self::with(How::Process(launch))
    }

    /// In this process: an operator wants it so.
    pub fn off(make: Make) -> Self {
        Self::with(How::Here(make))
    }

    /// With less patience than [`bound::SANDBOX_QUESTION_MS`].
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    fn with(how: How) -> Self {
        Self {
            how,
            patience: Duration::from_millis(bound::SANDBOX_QUESTION_MS),
            places: Arc::new(Semaphore::new(bound::SANDBOX_PROCESSES_MAX)),
            layers: OnceLock::new(),
        }
    }

    /// Questions that belong together. A process is started with the first one.
    pub fn session(self: &Arc<Self>) -> Session {
        let here = match &self.how {
            How::Process(_) => None,
            How::Here(make) => Some(Arc::new(Mutex::new(make()))),
        };
        Session { sandbox: Arc::clone(self), here, process: None }
    }

    /// What holds a reading process; none where sandboxing is off.
    pub async fn look(self: &Arc<Self>) -> Result<Option<Layers>, SandboxError> {
        let How::Process(launch) = &self.how else { return Ok(None) };
        let process = self.start(launch).await?;
        let layers = process.layers.clone();
        Ok(Some(layers))
    }

    async fn start(self: &Arc<Self>, launch: &Launch) -> Result<Process, SandboxError> {
        let failed = |error: std::io::Error| SandboxError::Unavailable(error.to_string());
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|error| SandboxError::Unavailable(error.to_string()))?;
        let mut command = Command::new(&launch.program);
        // A group of its own: an interrupt at the terminal is for the parent to answer.
        command.args(&launch.arguments).arg0("sekisho").env_clear().current_dir("/").process_group(0);
        // Otherwise the allocator would reserve a GiB of addresses at once, which is all that there is.
        command.env("MIMALLOC_ARENA_RESERVE", bound::SANDBOX_ARENA_RESERVE);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(SandboxError::Unavailable("it has no pipes".into()));
        };
        let mut process = Process {
            child,
            questions,
            answers,
            layers: Layers::default(),
            asked: 0,
            spent: Duration::ZERO,
            _place: place,
        };
        let patience = Duration::from_millis(bound::SANDBOX_START_MS);
        let hello = tokio::time::timeout(patience, Frame::receive(&mut process.answers)).await;
        let hello = match hello {
            Ok(Ok(hello)) => hello,
            Ok(Err(_)) => return Err(SandboxError::Unavailable(format!("it {}", process.end().await))),
            Err(_) => return Err(SandboxError::Unavailable(format!("it was not ready within {patience:?}"))),
        };
        if hello.tag == Tag::Refused {
            return Err(SandboxError::Unavailable(told(&hello.head)));
        }
        let layers: Layers = serde_json::from_slice(&hello.head)
            .map_err(|error| SandboxError::Unavailable(format!("it does not say how it is confined: {error}")))?;
        if layers.version != env!("CARGO_PKG_VERSION") {
            return Err(SandboxError::Unavailable(format!(
                "it is version {}, and this is {}",
                layers.version,
                env!("CARGO_PKG_VERSION")
            )));
        }
        if self.layers.set(layers.clone()).is_ok() {
            if let Some(lacking) = layers.lacking() {
                tracing::warn!(%lacking, "documents are read in a process with fewer bars");
            } else {
                tracing::info!("documents are read in a process that seccomp and Landlock confine");
            }
        }
        process.layers = layers;
        Ok(process)
    }
}

/// Questions that belong together, to one process as long as it lives.
pub struct Session {
    sandbox: Arc<Sandbox>,
    here: Option<Arc<Mutex<Box<dyn Worker>>>>,
    process: Option<Process>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("lives", &self.process.is_some()).finish_non_exhaustive()
    }
}

impl Session {
    /// Asks, in a fresh process once more if one that had answered others before died over it: it may have been worn out.
    /// The bytes are lost to no one else: the next question gets a fresh process.
    pub async fn ask(&mut self, job: &str, question: &impl Serialize, body: &[u8]) -> Result<Reply, SandboxError> {
        let is_used = self.process.as_ref().is_some_and(|process| process.asked > 0);
        match self.ask_once(job, question, body).await {
            Err(SandboxError::Stopped(_)) if is_used => self.ask_once(job, question, body).await,
            answered => answered,
        }
    }

    /// As [`Session::ask`], for questions that count on what was asked of the same process before.
    pub async fn ask_once(&mut self, job: &str, question: &impl Serialize, body: &[u8]) -> Result<Reply, SandboxError> {
        let question =
            serde_json::to_vec(question).map_err(|error| SandboxError::Refused(format!("no question: {error}")))?;
        if body.len() > bound::SANDBOX_BODY_BYTES_MAX {
            return Err(SandboxError::Refused(format!("it has more than {} bytes", bound::SANDBOX_BODY_BYTES_MAX)));
        }
        if let Some(worker) = &self.here {
            let (worker, job, body) = (Arc::clone(worker), job.to_owned(), body.to_vec());
            let work = move || worker.lock().unwrap_or_else(PoisonError::into_inner).work(&job, &question, body);
            let worked = tokio::task::spawn_blocking(work).await;
            return match worked {
                Ok(answered) => answered.map_err(SandboxError::Refused),
                Err(error) => Err(SandboxError::Stopped(error.to_string())),
            };
        }
        let mut process = if let Some(process) = self.process.take().filter(|process| !process.is_worn_out()) {
            process
        } else {
            let How::Process(launch) = &self.sandbox.how else {
                return Err(SandboxError::Unavailable("there is nothing to start".into()));
            };
            self.sandbox.start(launch).await?
        };
        let began = Instant::now();
        let patience = self.sandbox.patience;
        let answered = tokio::time::timeout(patience, process.exchange(job, &question, body)).await;
        process.asked += 1;
        process.spent += began.elapsed();
        match answered {
            Ok(Ok(answer)) => {
                self.process = Some(process);
                match answer.tag {
                    Tag::Answer => Ok(Reply { answer: answer.head, body: answer.body }),
                    _ => Err(SandboxError::Refused(told(&answer.head))),
                }
            }
            Ok(Err(_)) => Err(SandboxError::Stopped(format!("it {}", process.end().await))),
            // Dropped, it is killed.
            Err(_) => Err(SandboxError::Stopped(format!("it took longer than {patience:?}"))),
        }
    }

    /// Whether what was told to the process before is still known to it.
    pub fn remembers(&self) -> bool {
        self.here.is_some() || self.process.as_ref().is_some_and(|process| !process.is_worn_out())
    }
}

/// A process that reads, and is killed when this is dropped.
struct Process {
    child: tokio::process::Child,
    questions: ChildStdin,
    answers: ChildStdout,
    layers: Layers,
    asked: u32,
    spent: Duration,
    _place: OwnedSemaphorePermit,
}

impl Process {
    fn is_worn_out(&self) -> bool {
        self.asked >= bound::SANDBOX_QUESTIONS_MAX || self.spent >= Duration::from_millis(bound::SANDBOX_SPENT_MS_MAX)
    }

    async fn exchange(&mut self, job: &str, question: &[u8], body: &[u8]) -> std::io::Result<Frame> {
        frame::send_question(&mut self.questions, job, question, body).await?;
        Frame::receive(&mut self.answers).await
    }

    /// How it ended, after its pipes were of no use any more.
    async fn end(mut self) -> String {
        drop(self.questions);
        let patience = Duration::from_millis(bound::SANDBOX_START_MS);
        match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(Ok(status)) => describe(status),
            Ok(Err(error)) => format!("ended, and how is not known: {error}"),
            Err(_) => "answered what is no answer".to_owned(),
        }
    }
}

/// A status of wait(2), in words of the limits that lead to it.
fn describe(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return match status.code() {
            Some(0) => "ended before it answered".to_owned(),
            code => format!("ended with code {}", code.unwrap_or_default()),
        };
    };
    let is = |known: Signal| known.as_raw() == signal;
    if is(Signal::SYS) {
        "tried something that reading needs not: seccomp killed it".to_owned()
    } else if is(Signal::XCPU) {
        format!("used more than {} seconds of processor time", bound::SANDBOX_CPU_SECONDS_MAX)
    } else if is(Signal::ABORT) || is(Signal::SEGV) || is(Signal::BUS) {
        let mib = bound::SANDBOX_MEMORY_BYTES_MAX >> 20;
        format!("needed more than its {mib} MiB of memory or its stack (signal {signal})")
    } else {
        format!("was killed by signal {signal}")
    }
}

/// A reason that came from where hostile bytes are read: short, and without control characters.
fn told(reason: &[u8]) -> String {
    let text = String::from_utf8_lossy(reason);
    text.chars().filter(|char| !char.is_control()).take(bound::SANDBOX_REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Worker for Echo {
        fn work(&mut self, job: &str, question: &[u8], body: Vec<u8>) -> Result<Reply, String> {
            match job {
                "echo" => Ok(Reply { answer: question.to_vec(), body }),
                _ => Err(format!("no job {job}")),
            }
        }
    }

    #[tokio::test]
    async fn switched_off_it_reads_in_this_process() {
        let sandbox = Arc::new(Sandbox::off(|| Box::new(Echo)));
        let mut session = sandbox.session();
        let reply = session.ask("echo", &1, b"two").await.unwrap();
        assert_eq!((reply.answer.as_slice(), reply.body.as_slice()), (&b"1"[..], &b"two"[..]));
        assert_eq!(session.ask("dance", &1, b"").await.unwrap_err(), SandboxError::Refused("no job dance".into()));
        assert!(session.remembers());
        assert_eq!(sandbox.look().await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_cannot_be_started_says_so_and_how_to_go_on() {
        let launch = Launch { program: "/no/such/program".into(), arguments: Vec::new() };
        let error = Arc::new(Sandbox::new(launch)).session().ask("echo", &1, b"").await.unwrap_err();
        assert!(matches!(error, SandboxError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("sandboxing_enabled"), "{error}");
        let launch = Launch { program: "/bin/true".into(), arguments: Vec::new() };
        let error = Arc::new(Sandbox::new(launch)).session().ask("echo", &1, b"").await.unwrap_err();
        assert!(error.to_string().contains("ended before it answered"), "{error}");
    }

    #[test]
    fn reasons_from_a_process_are_short_and_plain() {
        assert_eq!(told(b"a\x1b[31mb\nc\xff"), "a[31mbc\u{fffd}");
        assert_eq!(told(&[b'x'; 10_000]).len(), bound::SANDBOX_REASON_CHARS_MAX);
    }
}
