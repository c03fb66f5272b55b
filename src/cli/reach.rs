//! Reaches the one process that owns the data directory: a running server through its control socket, or
//! else this process becomes the owner for as long as the command takes. Both go through the same pipeline.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::exit::Failure;
use super::{Context, print, secret, unlock};
use crate::app::{App, AppError};
use crate::auth::Evidence;
use crate::base::bound;
use crate::base::clock::SystemClock;
use crate::config::file;
use crate::config::place::Places;
use crate::pipeline::request::Via;
use crate::store::lock::{DirectoryLock, LockError};
use crate::telemetry::log::{self, LogGuard};
use crate::web::api::{self, Line};

/// The way to the owner.
pub(super) enum Reach {
    Remote { socket: std::path::PathBuf },
    Here { app: Box<App>, _log: Option<LogGuard> },
}

/// What a command is told while it waits.
pub(super) enum Event {
    Progress { done: f64, total: f64, message: String },
    Entry(Value),
}

impl Reach {
    /// Becomes the owner, or finds it.
    pub(super) async fn find(context: &Context) -> Result<Self, Failure> {
        let places = context.places()?;
        if !places.database().exists() {
            return Err(AppError::Store(crate::store::StoreError::Missing(places.database())).into());
        }
        let deadline = tokio::time::Instant::now() + Duration::from_millis(bound::RELAY_RECONNECT_MS);
        loop {
            match DirectoryLock::acquire(&places.data) {
                Ok(lock) => return Self::own(context, &places, lock).await,
                Err(LockError::Held { .. } | LockError::Foreign { .. }) if is_answering(&places.control).await => {
                    return Ok(Self::Remote { socket: places.control });
                }
                // The owner is starting or stopping.
                Err(LockError::Held { .. }) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(bound::RELAY_RETRY_MS)).await;
                }
                Err(error) => return Err(AppError::Lock(error).into()),
            }
        }
    }

    async fn own(context: &Context, places: &Places, lock: DirectoryLock) -> Result<Self, Failure> {
        let config = file::load(&places.config, &context.environment)?;
        let log = log::start(&places.logs(), config.log, std::sync::Arc::new(SystemClock::default())).ok();
        let handle = log.as_ref().map(LogGuard::handle).unwrap_or_default();
        let secret = unlock::find(context, places, &config, false)?;
        let mut app =
            App::open_locked(lock, places, config, secret, handle, &|notice| print::error_line(notice)).await?;
        // While this command works, stdio clients and other commands get in through it.
        app.serve_control(places)?;
        Ok(Self::Here { app: Box::new(app), _log: log })
    }

    /// Runs an operation to its end. `hear` is told what happens meanwhile; an error from it ends the wait.
    pub(super) async fn call(
        &self,
        name: &str,
        arguments: Value,
        hear: &mut (dyn FnMut(Event) -> Result<(), Failure> + Send),
    ) -> Result<Value, Failure> {
        let mut lines = self.lines(name, arguments).await?;
        while let Some(line) = lines.next().await {
            let mut line = line?;
            if let Some(result) = line.get_mut("result") {
                return Ok(result.take());
            }
            if let Some(refusal) = line.get("refusal") {
                return Err(Failure::of_refusal(refusal));
            }
            if let Some(progress) = line.get("progress") {
                let number = |key: &str| progress[key].as_f64().unwrap_or_default();
                let message = progress["message"].as_str().unwrap_or_default().to_owned();
                hear(Event::Progress { done: number("done"), total: number("total"), message })?;
            } else if let Some(event) = line.get_mut("event") {
                hear(Event::Entry(event.take()))?;
            }
        }
        Err(Failure::unavailable("the server went away before it had answered"))
    }

    /// Runs an operation that says nothing meanwhile.
    pub(super) async fn ask(&self, name: &str, arguments: Value) -> Result<Value, Failure> {
        self.call(name, arguments, &mut |_| Ok(())).await
    }

    /// Sees to an open vault before a command that needs one: where this process owns it, and a person can be asked.
    pub(super) async fn open_vault(&self, context: &Context) -> Result<(), Failure> {
        if !matches!(self, Self::Here { .. }) {
            return Ok(());
        }
        let status = self.ask("vault.status", json!({})).await?;
        if status["standing"] != "sealed" || !io::stdin().is_terminal() || context.json {
            return Ok(());
        }
        let typed = secret::read("Passphrase of the vault: ")?;
        self.ask("vault.unseal", json!({"with": "passphrase", "value": secret::text(&typed)?})).await.map(drop)
    }

    /// Finishes what this process owns.
    pub(super) async fn close(self) {
        if let Self::Here { app, .. } = self {
            app.stop().await;
        }
    }

    async fn lines(
        &self,
        name: &str,
        arguments: Value,
    ) -> Result<Pin<Box<dyn Stream<Item = Result<Line, Failure>> + Send>>, Failure> {
        match self {
            Self::Here { app, .. } => {
                let uid = rustix::process::geteuid().as_raw();
                let via = Via::Command { uid };
                let known = app.pipeline.identify(&Evidence::Control { uid }, &via).await;
                let known = known.map_err(|refusal| {
                    Failure::of_refusal(&json!({"code": refusal.code.as_str(), "message": refusal.public}))
                })?;
                Ok(Box::pin(api::run(std::sync::Arc::clone(&app.pipeline), known, name.to_owned(), arguments).map(Ok)))
            }
            Self::Remote { socket } => {
                let path = format!("/admin/operations/{name}");
                let response = request(socket, Method::POST, &path, arguments.to_string()).await?;
                if response.status() != StatusCode::OK {
                    return Err(Failure::unavailable(format!("the server answered {}", response.status())));
                }
                Ok(Box::pin(json_lines(response)))
            }
        }
    }
}

/// The data directory's lock for a server. A stdio client's process that owns it is asked to give it up; a command
/// is waited for; another server keeps it.
pub(super) async fn take_directory(places: &Places) -> Result<DirectoryLock, Failure> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(bound::RELAY_RECONNECT_MS);
    loop {
        let held = match DirectoryLock::acquire(&places.data) {
            Ok(lock) => return Ok(lock),
            Err(error @ LockError::Held { .. }) => AppError::Lock(error),
            Err(error) => return Err(AppError::Lock(error).into()),
        };
        let owner = Reach::Remote { socket: places.control.clone() };
        let kept = owner.ask("server.yield", json!({})).await.err().is_some_and(|failure| failure.is_conflict());
        if kept || tokio::time::Instant::now() >= deadline {
            return Err(held.into());
        }
        tokio::time::sleep(Duration::from_millis(bound::RELAY_RETRY_MS)).await;
    }
}

/// Whether a server answers on the control socket.
pub(super) async fn is_answering(socket: &Path) -> bool {
    UnixStream::connect(socket).await.is_ok()
}

/// One request over the control socket.
pub(super) async fn request(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
) -> Result<Response<Incoming>, Failure> {
    let lost = |error: &dyn std::fmt::Display| {
        Failure::unavailable(format!("no server answers at {}: {error}", socket.display()))
    };
    let stream = UnixStream::connect(socket).await.map_err(|error| lost(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(&error))?;
    tokio::spawn(async move {
        // What goes wrong here, the reader of the response is told.
        connection.await.ok();
    });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(Failure::internal)?;
    sender.send_request(request).await.map_err(|error| lost(&error))
}

fn json_lines(response: Response<Incoming>) -> impl Stream<Item = Result<Line, Failure>> + Send {
    let state = (response.into_body(), Vec::<u8>::new());
    futures::stream::unfold(Some(state), |state| async move {
        let (mut body, mut buffer) = state?;
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let rest = buffer.split_off(end + 1);
                let line = serde_json::from_slice(&buffer)
                    .map_err(|error| Failure::internal(format!("the server's answer is no JSON: {error}")));
                return Some((line, Some((body, rest))));
            }
            if buffer.len() > bound::CONTROL_LINE_BYTES_MAX {
                return Some((Err(Failure::internal("the server's answer is too long")), None));
            }
            match body.frame().await {
                None => return None,
                Some(Err(error)) => {
                    return Some((Err(Failure::unavailable(format!("the server went away: {error}"))), None));
                }
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        buffer.extend_from_slice(data);
                    }
                }
            }
        }
    })
}
