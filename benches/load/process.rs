//! Server processes: started, waited for, looked at, and always ended.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::common::Watch;

/// What raises the limits that would otherwise be measured instead of the server.
pub(crate) const RAISED: [(&str, &str); 7] = [
    ("SEKISHO_RATE_PER_MINUTE", "100000000"),
    ("SEKISHO_RATE_BURST_LIMIT", "100000000"),
    ("SEKISHO_RATE_PER_SESSION", "100000000"),
    ("SEKISHO_RATE_PER_ADDRESS", "100000000"),
    ("SEKISHO_SESSION_MAX_CONCURRENT_SESSIONS", "0"),
    ("SEKISHO_LIMITS_IN_FLIGHT_PER_SESSION_MAX", "10000"),
    ("SEKISHO_LIMITS_IN_FLIGHT_MAX", "10000"),
];
/// Nothing that is waited for takes this long.
const PATIENCE: Duration = Duration::from_mins(10);

/// A process that does not outlive this value.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Process {
    pub(crate) fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (send, lines) = channel();
        let out = child.stdout.take().context("its standard output")?;
        // Read to the end, whoever listens: a closed pipe would be news to the server.
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).for_each(|it| drop(send.send(it)));
        });
        Ok(Self { child, lines })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn input(&mut self) -> Option<&mut ChildStdin> {
        self.child.stdin.as_mut()
    }

    /// The first line from now on in which `find` finds something.
    pub(crate) fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).context("the server did not say what was waited for")?;
            if let Some(found) = find(&line) {
                return Ok(found);
            }
        }
    }

    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.wait_for(|line| line.split_once("http://")?.1.strip_suffix("/mcp")?.parse().ok())
    }

    /// Waits until it has ended by itself, which must be with success.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let watch = Watch::start();
        while watch.elapsed() < PATIENCE {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("a child ended with {status}"),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        bail!("a child did not end within {PATIENCE:?}")
    }

    /// As an init system ends it.
    pub(crate) fn terminate(self) -> anyhow::Result<()> {
        let id = i32::try_from(self.id()).ok().and_then(rustix::process::Pid::from_raw).context("a process id")?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        self.finish()
    }

    /// Megabytes in memory: all, and those that belong to no file.
    pub(crate) fn memory_mb(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let mb = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kb = line.and_then(|rest| rest.split_whitespace().next()).and_then(|kb| kb.parse::<f64>().ok());
            kb.unwrap_or(f64::NAN) / 1024.0
        };
        (mb("VmRSS:"), mb("RssAnon:"))
    }
}

/// Processor time that a process has used.
pub(crate) fn processor_time(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name may hold spaces; the fields after it do not. utime and stime are in hundredths of a second.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ').skip(11).take(2);
    Duration::from_millis(10 * fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
}

/// The release binary on `data`, with no setting of the person who runs the bench.
pub(crate) fn sekisho(core: Option<usize>, data: &Path, arguments: &[&str]) -> Command {
    let mut command = on_core(core, Path::new(env!("CARGO_BIN_EXE_sekisho")));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"SEKISHO_")) {
        command.env_remove(name);
    }
    if let Ok(log) = File::options().append(true).create(true).open(log(data)) {
        command.stderr(log);
    }
    command.envs(RAISED).arg("--data-dir").arg(data).args(arguments);
    command
}

/// Where servers on `data` write what they have to say to a person.
pub(crate) fn log(data: &Path) -> PathBuf {
    data.with_extension("log")
}

/// A command that runs on one core only, where one is named.
pub(crate) fn on_core(core: Option<usize>, program: &Path) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// Servers on the first core and this process on the second, as the table of the field was made; `None` where that
/// is not possible.
pub(crate) fn part_cores() -> Option<usize> {
    let own = std::process::id().to_string();
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let parted = quiet(on_core(Some(0), Path::new("true")).args(["--help"])).is_ok_and(|it| it.success())
        && quiet(Command::new("taskset").args(["--all-tasks", "--cpu-list", "--pid", "1", &own]))
            .is_ok_and(|it| it.success());
    parted.then_some(0)
}

/// Whether `/health` answers.
pub(crate) fn health(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { bail!("expected 200 from /health, found {answer:?}") }
}
