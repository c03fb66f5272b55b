//! The control socket: the command line and stdio relays of this user reach a running server here.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use super::{Body, BoxError, admin, plain};
use crate::auth::Evidence;
use crate::base::bound;
use crate::mcp::{self, Mcp};
use crate::pipeline::request::Via;
use crate::web::{self, Web, rest};

/// The protocol that a stdio relay asks to be upgraded to.
pub const UPGRADE: &str = "sekisho-stdio";

/// A bound control socket; its file goes when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Whoever holds the data directory's lock may take the place of a socket that a dead owner left.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Serves until `stop`, then waits for what is under way, at most `patience`.
    pub async fn serve(self, mcp: Arc<Mcp>, web: Arc<Web>, stop: CancellationToken, patience: Duration) {
        let own = rustix::process::geteuid().as_raw();
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a control connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(bound::ACCEPT_PAUSE_MS)).await;
                    continue;
                }
            };
            let Some(peer) = peer_of(&stream).filter(|peer| peer.uid == own || peer.uid == 0) else {
                tracing::warn!("a control connection of another user was closed");
                continue;
            };
            let connection = Connection {
                peer,
                mcp: Arc::clone(&mcp),
                web: Arc::clone(&web),
                stop: stop.clone(),
                tasks: tasks.clone(),
            };
            tasks.spawn(connection.serve(stream));
        }
        tasks.close();
        if tokio::time::timeout(patience, tasks.wait()).await.is_err() {
            tracing::warn!("some control connections did not end in time and were closed");
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket's file was gone already");
        }
    }
}

/// The process at the other end, as the kernel says.
#[derive(Clone, Copy, Debug)]
struct Peer {
    uid: u32,
    process: Option<i32>,
}

fn peer_of(stream: &UnixStream) -> Option<Peer> {
    stream.peer_cred().ok().map(|credential| Peer { uid: credential.uid(), process: credential.pid() })
}

#[derive(Clone)]
struct Connection {
    peer: Peer,
    mcp: Arc<Mcp>,
    web: Arc<Web>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Connection {
    async fn serve(self, stream: UnixStream) {
        let stop = self.stop.clone();
        let service = service_fn(move |request| {
            let connection = self.clone();
            async move { connection.answer(request).await }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(10))
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a control connection ended badly");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let via = Via::Control { uid: self.peer.uid, process: self.peer.process };
        if request.uri().path() == "/stdio" {
            return Ok(self.upgrade(request).await);
        }
        let known = match self.web.pipeline.identify(&Evidence::Control { uid: self.peer.uid }, &via).await {
            Ok(known) => known,
            Err(refusal) => return Ok(plain(StatusCode::FORBIDDEN, &refusal.public)),
        };
        if rest::is_ours(request.uri().path()) {
            let answered = admin::of_control(&self.web, known, request).await;
            return Ok(answered.map(|body| body.map_err(|never| match never {}).boxed()));
        }
        let Ok(response) = warp::service(web::control(Arc::clone(&self.web))).call(request).await;
        Ok(response.map(|body| body.map_err(BoxError::from).boxed()))
    }

    /// A relay brings an agent: it is a stdio client of this user, whatever else this user may do.
    async fn upgrade(&self, mut request: Request<Incoming>) -> Response<Body> {
        let wanted = request.headers().get(header::UPGRADE).is_some_and(|wanted| wanted == UPGRADE);
        if !wanted {
            return plain(StatusCode::UPGRADE_REQUIRED, "This path is for stdio relays.");
        }
        let uid = self.peer.uid;
        let known = match self.web.pipeline.identify(&Evidence::Stdio { uid }, &Via::Stdio { uid }).await {
            Ok(known) => known,
            Err(refusal) => return plain(StatusCode::FORBIDDEN, &refusal.public),
        };
        let (mcp, stop) = (Arc::clone(&self.mcp), self.stop.clone());
        self.tasks.spawn(async move {
            match hyper::upgrade::on(&mut request).await {
                Ok(upgraded) => {
                    if let Err(error) = Box::pin(mcp::stdio::serve(mcp, known, TokioIo::new(upgraded), stop)).await {
                        tracing::error!(%error, "a stdio client could not be served");
                    }
                }
                Err(error) => tracing::debug!(%error, "a relay left before it was served"),
            }
        });
        let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(UPGRADE));
        response
    }
}
