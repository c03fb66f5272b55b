//! `stdio`: one desktop client. The first one on a data directory owns it, the others are relayed to the
//! owner, and when the owner goes, one of them takes over; their clients notice nothing.

use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::Empty;
use hyper::{Method, Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::sync::CancellationToken;

use super::exit::Failure;
use super::{Context, print, setup, unlock};
use crate::app::{App, AppError};
use crate::auth::Evidence;
use crate::base::bound;
use crate::config::file;
use crate::config::place::Places;
use crate::http::control::UPGRADE;
use crate::mcp;
use crate::mcp::relay::Memory;
use crate::pipeline::request::Via;
use crate::store::lock::{DirectoryLock, LockError};
use crate::telemetry::log::{self, LogGuard};

/// A stream to some server, here or elsewhere.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How a round with one server ended.
enum End {
    ClientLeft,
    ServerLost,
    /// This process owned the directory, and a server wants it.
    ServerStarts,
}

pub(super) async fn stdio(context: &Context) -> Result<u8, Failure> {
    let places = context.places()?;
    // A desktop client starts us on a machine where nobody may have run anything yet.
    if !places.database().exists() {
        let config = file::load(&places.config, &context.environment)?;
        match setup::make(context, &places, &config, None) {
            Ok(made) if made.recovery.is_some() => {
                // Standard output is the client's, and nobody may read the rest.
                print::error_line("A vault was made. Get a recovery key for it: sekisho key recovery");
            }
            Ok(_) | Err(AppError::Lock(LockError::Held { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let listen = |kind| signal(kind).map_err(Failure::internal);
    let mut signals = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut lines = read_lines();
    let mut memory = Memory::default();
    let mut owned: Option<Owned> = None;
    let mut first = true;
    let mut yielded = false;
    let ended = loop {
        let stream = match connect(context, &places, &mut owned, yielded).await {
            Ok(stream) => stream,
            Err(failure) => break Err(failure),
        };
        let replay = if first { Vec::new() } else { memory.replay() };
        first = false;
        let wanted = owned.as_ref().map(|owned| owned.app.give_up_when_asked()).unwrap_or_default();
        match relay(stream, &mut lines, &mut memory, replay, &wanted, &mut signals).await {
            End::ClientLeft => break Ok(0),
            End::ServerLost if owned.is_some() => break Err(Failure::internal("the server in this process ended")),
            End::ServerLost => yielded = false,
            End::ServerStarts => {
                yielded = true;
                if let Some(owned) = owned.take() {
                    owned.stop().await;
                }
            }
        }
    };
    if let Some(owned) = owned {
        owned.stop().await;
    }
    ended
}

/// The server that this process became.
struct Owned {
    app: App,
    serving: JoinHandle<()>,
    _log: Option<LogGuard>,
}

impl Owned {
    async fn stop(self) {
        self.app.stop().await;
        // Its panic, if it had one, is in the log.
        self.serving.await.unwrap_or_default();
    }
}

/// Finds the owner of the data directory, or becomes it. Whoever has just `yielded` it to a server waits for that
/// one before it takes it back.
async fn connect(
    context: &Context,
    places: &Places,
    owned: &mut Option<Owned>,
    yielded: bool,
) -> Result<Box<dyn Stream>, Failure> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(bound::RELAY_RECONNECT_MS);
    let patience = tokio::time::Instant::now() + Duration::from_millis(bound::YIELD_PATIENCE_MS);
    while yielded && tokio::time::Instant::now() < patience {
        if let Some(stream) = upgraded(places).await {
            return Ok(stream);
        }
        tokio::time::sleep(Duration::from_millis(bound::RELAY_RETRY_MS)).await;
    }
    loop {
        match DirectoryLock::acquire(&places.data) {
            Ok(lock) => {
                let (own, stream) = become_owner(context, places, lock).await?;
                *owned = Some(own);
                return Ok(stream);
            }
            Err(LockError::Held { .. }) => {
                if let Some(stream) = upgraded(places).await {
                    return Ok(stream);
                }
                if tokio::time::Instant::now() >= deadline {
                    let socket = places.control.display();
                    return Err(Failure::unavailable(format!(
                        "another Sekisho owns {}, and does not answer at {socket}",
                        places.data.display()
                    )));
                }
                tokio::time::sleep(Duration::from_millis(bound::RELAY_RETRY_MS)).await;
            }
            Err(error) => return Err(AppError::Lock(error).into()),
        }
    }
}

async fn become_owner(
    context: &Context,
    places: &Places,
    lock: DirectoryLock,
) -> Result<(Owned, Box<dyn Stream>), Failure> {
    let config = file::load(&places.config, &context.environment)?;
    let log = log::start(&places.logs(), config.log).ok();
    let secret = unlock::find(context, places, &config, false)?;
    let mut app = App::open_locked(lock, places, config, secret, &|notice| print::error_line(notice)).await?;
    app.serve_control(places)?;
    let uid = rustix::process::geteuid().as_raw();
    let known =
        app.pipeline.identify(&Evidence::Stdio { uid }, &Via::Stdio { uid }).await.map_err(Failure::internal)?;
    let (ours, theirs) = tokio::io::duplex(bound::RELAY_BUFFER_BYTES);
    let (mcp, stop) = (std::sync::Arc::clone(&app.mcp), app.stopping());
    let serving = tokio::spawn(async move {
        // Boxed: it is large, and lives as long as the client.
        if let Err(error) = Box::pin(mcp::stdio::serve(mcp, known, theirs, stop)).await {
            tracing::error!(%error, "the client could not be served");
        }
    });
    Ok((Owned { app, serving, _log: log }, Box::new(ours)))
}

/// A stream to the owner, through its control socket.
async fn upgraded(places: &Places) -> Option<Box<dyn Stream>> {
    let stream = UnixStream::connect(&places.control).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(async move {
        // Whoever reads from the upgraded stream is told when it ends.
        connection.with_upgrades().await.ok();
    });
    let request = Request::builder()
        .method(Method::POST)
        .uri("/stdio")
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, UPGRADE)
        .body(Empty::<bytes::Bytes>::new())
        .ok()?;
    let response = sender.send_request(request).await.ok()?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let upgraded = hyper::upgrade::on(response).await.ok()?;
    Some(Box::new(TokioIo::new(upgraded)))
}

/// Standard input, line by line. A blocking thread reads it, so nothing else waits for it.
fn read_lines() -> mpsc::Receiver<Result<String, LinesCodecError>> {
    let (send, lines) = mpsc::channel(bound::RELAY_LINES_MAX);
    tokio::spawn(async move {
        let mut input = FramedRead::new(tokio::io::stdin(), LinesCodec::new_with_max_length(bound::LINE_BYTES_MAX));
        while let Some(line) = input.next().await {
            let failed = matches!(line, Err(LinesCodecError::Io(_)));
            if send.send(line).await.is_err() || failed {
                return;
            }
        }
    });
    lines
}

/// Carries lines both ways until one side ends.
async fn relay(
    stream: Box<dyn Stream>,
    lines: &mut mpsc::Receiver<Result<String, LinesCodecError>>,
    memory: &mut Memory,
    replay: Vec<String>,
    wanted: &CancellationToken,
    signals: &mut (Signal, Signal),
) -> End {
    let (read, mut write) = tokio::io::split(stream);
    // A server's line is as long as its largest result.
    let mut answers = FramedRead::new(read, LinesCodec::new_with_max_length(bound::CONTROL_LINE_BYTES_MAX));
    for line in replay {
        if send(&mut write, &line).await.is_err() {
            return End::ServerLost;
        }
    }
    let mut client_left = false;
    loop {
        tokio::select! {
            // A desktop client that ends us this way is gone as well.
            () = told_to_stop(signals) => return End::ClientLeft,
            () = wanted.cancelled() => return End::ServerStarts,
            line = lines.recv(), if !client_left => match line {
                Some(Ok(line)) => {
                    if line.trim().is_empty() {
                        continue;
                    }
                    if memory.from_client(&line).is_err() {
                        tell_client(&refusal(&line)).await;
                        continue;
                    }
                    if send(&mut write, &line).await.is_err() {
                        return End::ServerLost;
                    }
                }
                Some(Err(LinesCodecError::MaxLineLengthExceeded)) => drop(tell_client(&too_long()).await),
                Some(Err(LinesCodecError::Io(_))) | None => {
                    client_left = true;
                    if memory.is_quiet() {
                        return End::ClientLeft;
                    }
                }
            },
            answer = answers.next() => match answer {
                Some(Ok(line)) => {
                    if memory.from_server(&line) && !tell_client(&line).await {
                        return End::ClientLeft;
                    }
                    if client_left && memory.is_quiet() {
                        return End::ClientLeft;
                    }
                }
                Some(Err(_)) | None => return End::ServerLost,
            },
        }
    }
}

async fn told_to_stop((terminate, interrupt): &mut (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn send(write: &mut (impl AsyncWrite + Unpin), line: &str) -> std::io::Result<()> {
    write.write_all(line.as_bytes()).await?;
    write.write_all(b"\n").await?;
    write.flush().await
}

/// False when the client no longer reads.
async fn tell_client(line: &str) -> bool {
    let mut out = tokio::io::stdout();
    send(&mut out, line).await.is_ok()
}

fn refusal(line: &str) -> String {
    let id = serde_json::from_str::<serde_json::Value>(line).map(|message| message["id"].clone()).unwrap_or_default();
    let message = format!("More than {} requests wait for an answer; wait for some.", bound::RELAY_PENDING_MAX);
    serde_json::json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32029, "message": message}}).to_string()
}

fn too_long() -> String {
    let message = format!("A message may have {} bytes; this one has more.", bound::LINE_BYTES_MAX);
    serde_json::json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": message}}).to_string()
}
