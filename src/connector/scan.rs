//! Files are shown to a scanner before they leave: clamd, asked over a socket by its command INSTREAM (clamd(8)).
//!
//! What it flags is not sent, and neither is what it could not be asked about: a scanner that is down must not open the
//! way that it guards.

use std::io;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::record::ConnectorRecord;
use super::scanner::Scanner;
use crate::base::bound::connector as bound;

/// A connection to a scanner.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// Opens connections to scanners. `app` injects the real one.
pub trait Dial: Send + Sync {
    fn dial<'a>(
        &'a self,
        connector: &'a ConnectorRecord,
        to: &'a Scanner,
    ) -> BoxFuture<'a, Result<Box<dyn Line>, Unscanned>>;
}

/// What a scanner says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Clean,
    /// The name of what it found.
    Found(String),
}

/// Why a file was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum Unscanned {
    #[error("no connection to the scanner: {0}")]
    Unreached(String),
    #[error("the connection to the scanner broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the scanner gave no verdict within {0} ms")]
    Timeout(u64),
    #[error("the scanner could not look at it: {0:?}")]
    Refused(String),
}

/// Shows a file to a scanner.
pub async fn scan(
    dial: &dyn Dial,
    connector: &ConnectorRecord,
    scanner: &Scanner,
    content: &[u8],
    time: Duration,
) -> Result<Verdict, Unscanned> {
    let limit = time.min(Duration::from_millis(bound::SCAN_MS_MAX));
    let work = async {
        let mut line = dial.dial(connector, scanner).await?;
        ask(&mut line, content).await
    };
    let timeout = || Unscanned::Timeout(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(timeout()))
}

async fn ask(line: &mut Box<dyn Line>, content: &[u8]) -> Result<Verdict, Unscanned> {
    // A scanner that has heard enough (its size limit) says so and closes: its answer counts, not our broken pipe.
    let sent = send(line, content).await;
    let mut answer = Vec::new();
    let mut limited = line.take(bound::SCAN_ANSWER_BYTES_MAX as u64);
    let mut buffer = [0; 512];
    while !answer.contains(&0) {
        match limited.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(_) if !answer.is_empty() => break,
            Err(error) => return Err(sent.err().unwrap_or(error).into()),
        }
    }
    if answer.is_empty() {
        let closed = || io::Error::new(io::ErrorKind::UnexpectedEof, "it closed without a verdict");
        return Err(sent.err().unwrap_or_else(closed).into());
    }
    verdict(&answer)
}

async fn send(line: &mut Box<dyn Line>, content: &[u8]) -> io::Result<()> {
    line.write_all(b"zINSTREAM\0").await?;
    for chunk in content.chunks(bound::SCAN_CHUNK_BYTES) {
        let length = u32::try_from(chunk.len()).map_err(io::Error::other)?;
        line.write_all(&length.to_be_bytes()).await?;
        line.write_all(chunk).await?;
    }
    line.write_all(&[0; 4]).await?;
    line.flush().await
}

/// `stream: OK`, `stream: NAME FOUND`, or why there is neither.
fn verdict(answer: &[u8]) -> Result<Verdict, Unscanned> {
    let line = answer.split(|byte| *byte == 0).next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let harmless = |text: &str| -> String {
        let chars = text.chars().map(|char| if char.is_ascii_graphic() || char == ' ' { char } else { '?' });
        chars.take(bound::SCAN_NAME_CHARS_MAX).collect()
    };
    match line.trim_end().strip_prefix("stream: ") {
        Some("OK") => Ok(Verdict::Clean),
        Some(found) if found.ends_with(" FOUND") => {
            Ok(Verdict::Found(harmless(found.strip_suffix(" FOUND").unwrap_or(found))))
        }
        _ => Err(Unscanned::Refused(harmless(&line))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verdict_is_one() {
        assert_eq!(verdict(b"stream: OK\0").unwrap(), Verdict::Clean);
        assert_eq!(verdict(b"stream: OK").unwrap(), Verdict::Clean);
        assert_eq!(
            verdict(b"stream: Eicar-Test.UNOFFICIAL FOUND\0").unwrap(),
            Verdict::Found("Eicar-Test.UNOFFICIAL".into())
        );
        assert_eq!(verdict(b"stream: a\x1b[0m\xff FOUND\0").unwrap(), Verdict::Found("a?[0m?".into()));
        for answer in [
            &b"INSTREAM size limit exceeded. ERROR\0"[..],
            b"UNKNOWN COMMAND\0",
            b"stream: OKAY\0",
            b"stream: Can't allocate memory ERROR\0",
            b"OK\0",
            b"\0stream: OK\0",
            b"",
        ] {
            assert!(matches!(verdict(answer), Err(Unscanned::Refused(_))), "{answer:?}");
        }
    }
}
