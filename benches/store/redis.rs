//! Redis as Debian has it, syncing every write, and as much of its protocol (RESP 2) as XADD needs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::common::Watch;

const PROGRAM: &str = "redis-server";
const KEY: &[u8] = b"records";
/// It starts in a hundredth of that.
const PATIENCE: Duration = Duration::from_secs(10);
/// Sync before each answer, no snapshots, no rewriting of the file while it is measured; reachable for nobody else.
const SETTINGS: [(&str, &str); 7] = [
    ("port", "0"),
    ("unixsocketperm", "700"),
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("save", ""),
    ("auto-aof-rewrite-percentage", "0"),
    ("daemonize", "no"),
];

/// A server that does not outlive this value.
pub(crate) struct Redis {
    child: Child,
    socket: PathBuf,
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Redis {
    /// Starts it with its files in a directory of its own below `directory`. `None`, and a word on how to get it, where
    /// it is not installed.
    pub(crate) async fn start(directory: &Path) -> anyhow::Result<Option<Self>> {
        let home = directory.join("redis");
        std::fs::create_dir(&home)?;
        let socket = home.join("socket");
        let mut command = Command::new(PROGRAM);
        command.arg("--dir").arg(&home).arg("--unixsocket").arg(&socket);
        for (name, value) in SETTINGS {
            command.arg(format!("--{name}")).arg(value);
        }
        let said = home.join("said");
        command.stdin(Stdio::null()).stdout(File::create(&said)?).stderr(File::create(home.join("complaints"))?);
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("SKIPPED: there is no {PROGRAM} (apt-get install redis-server); all else is measured.");
                return Ok(None);
            }
            Err(error) => return Err(error).context(PROGRAM),
        };
        let redis = Self { child, socket };
        let watch = Watch::start();
        while let Err(error) = UnixStream::connect(&redis.socket).await {
            if watch.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(said).unwrap_or_default();
                bail!("{PROGRAM} does not answer: {error}; it said:\n{said}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("{}", redis.version().await?);
        Ok(Some(redis))
    }

    async fn version(&self) -> anyhow::Result<String> {
        let answer = Connection::open(&self.socket, &[b"INFO", b"server"]).await?.ask().await?;
        let version = answer.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(format!("Redis {}", version.unwrap_or("of unknown version")))
    }

    /// Connections that each add `record` again and again.
    pub(crate) async fn connect(&self, connections: usize, record: &[u8]) -> anyhow::Result<Vec<Connection>> {
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            opened.push(Connection::open(&self.socket, &[b"XADD", KEY, b"*", b"entry", record]).await?);
        }
        Ok(opened)
    }

    /// Drops what was added, so that it does not fill the memory.
    pub(crate) async fn forget(&self) -> anyhow::Result<()> {
        Connection::open(&self.socket, &[b"UNLINK", KEY]).await?.ask().await.map(drop)
    }
}

/// A connection with the one command that it sends.
pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
    command: Vec<u8>,
    line: String,
}

impl Connection {
    async fn open(socket: &Path, words: &[&[u8]]) -> anyhow::Result<Self> {
        let mut command = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            command.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            command.extend_from_slice(word);
            command.extend_from_slice(b"\r\n");
        }
        let stream = BufReader::new(UnixStream::connect(socket).await?);
        Ok(Self { stream, command, line: String::new() })
    }

    /// Sends the command and waits for the answer, which the server gives after its sync.
    pub(crate) async fn add(&mut self) -> anyhow::Result<()> {
        self.ask().await.map(drop)
    }

    async fn ask(&mut self) -> anyhow::Result<String> {
        self.stream.get_mut().write_all(&self.command).await?;
        self.line.clear();
        self.stream.read_line(&mut self.line).await?;
        match self.line.trim_end().split_at_checked(1) {
            Some(("$", length)) => {
                let mut body = vec![0; length.parse::<usize>()? + 2];
                self.stream.read_exact(&mut body).await?;
                Ok(String::from_utf8(body)?)
            }
            Some((":" | "+", answer)) => Ok(answer.to_owned()),
            _ => bail!("Redis answered {:?}", self.line),
        }
    }
}
