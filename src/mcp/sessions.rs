//! rmcp's sessions for protocols before 2026-07-28: 256-bit ids, an owner each, ended when idle and unused.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::WorkerTransport;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, LocalSessionWorker,
};
use rmcp::transport::streamable_http_server::session::{
    RestoreOutcome, ServerSseMessage, SessionId as RmcpSessionId, SessionManager,
};

use crate::auth::session::Handle;
use crate::base::bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::{NoEntropy, SessionId};
use crate::pipeline::Pipeline;
use crate::pipeline::identify::Known;

/// The header that names a session.
pub(super) const HEADER: &str = "mcp-session-id";

tokio::task_local! {
    /// Who sent the message that is being handled. rmcp gives its session manager no context; this is the one way.
    pub(super) static CALLER: Known;
}

/// Sessions over HTTP.
#[derive(Debug)]
pub struct HttpSessions {
    inner: LocalSessionManager,
    pipeline: Arc<Pipeline>,
    clock: Arc<dyn Clock>,
    idle: std::time::Duration,
    /// Held for a look-up, never across an await.
    owned: Mutex<HashMap<RmcpSessionId, Owned>>,
}

#[derive(Debug)]
struct Owned {
    by: Known,
    seen: Timestamp,
    /// Streams that are open on it, counted by the references to this.
    streams: Arc<()>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum HttpSessionError {
    #[error("there are {} sessions, which is the most there may be; come back later", bound::HTTP_SESSIONS_MAX)]
    TooMany,
    #[error("a session came without its caller")]
    NoCaller,
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    #[error("a new session's id was taken")]
    Taken,
    #[error(transparent)]
    Local(#[from] LocalSessionManagerError),
}

impl HttpSessions {
    pub(super) fn new(pipeline: Arc<Pipeline>, clock: Arc<dyn Clock>, idle: std::time::Duration) -> Arc<Self> {
        let mut inner = LocalSessionManager::default();
        // rmcp's own idle timeout ends calls in flight; `sweep` does not.
        inner.session_config.keep_alive = None;
        Arc::new(Self { inner, pipeline, clock, idle, owned: Mutex::default() })
    }

    /// Whether `known` may use this session. One that does not exist is for rmcp to answer.
    pub(super) fn is_for(&self, id: &str, known: &Known) -> bool {
        let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        owned.get(id).is_none_or(|session| session.by.principal() == known.principal())
    }

    /// Ends sessions that were quiet for too long and have no stream open.
    pub async fn sweep(&self) {
        let now = self.clock.now();
        let over: Vec<RmcpSessionId> = {
            let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
            let quiet =
                |session: &Owned| now.since(session.seen) > self.idle && Arc::strong_count(&session.streams) == 1;
            owned.iter().filter(|(_, session)| quiet(session)).map(|(id, _)| id.clone()).collect()
        };
        for id in over {
            if let Err(error) = self.close_session(&id).await {
                tracing::warn!(%error, "an idle session did not close");
            }
        }
    }

    fn touch(&self, id: &RmcpSessionId) -> Arc<()> {
        let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        owned.get_mut(id).map_or_else(Arc::default, |session| {
            session.seen = self.clock.now();
            Arc::clone(&session.streams)
        })
    }
}

impl SessionManager for HttpSessions {
    type Error = HttpSessionError;
    type Transport = WorkerTransport<LocalSessionWorker>;

    async fn create_session(&self) -> Result<(RmcpSessionId, Self::Transport), HttpSessionError> {
        let by = CALLER.try_with(Clone::clone).map_err(|_| HttpSessionError::NoCaller)?;
        let id: RmcpSessionId = SessionId::random()?.as_str().into();
        {
            let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
            if owned.len() >= bound::HTTP_SESSIONS_MAX {
                return Err(HttpSessionError::TooMany);
            }
            owned.insert(id.clone(), Owned { by, seen: self.clock.now(), streams: Arc::default() });
        }
        // The public way to a session with an id of our own.
        match self.inner.restore_session(id.clone()).await? {
            RestoreOutcome::Restored(transport) => Ok((id, transport)),
            _ => Err(HttpSessionError::Taken),
        }
    }

    async fn initialize_session(
        &self,
        id: &RmcpSessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, HttpSessionError> {
        Ok(self.inner.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &RmcpSessionId) -> Result<bool, HttpSessionError> {
        drop(self.touch(id));
        Ok(self.inner.has_session(id).await?)
    }

    async fn close_session(&self, id: &RmcpSessionId) -> Result<(), HttpSessionError> {
        let session = self.owned.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let (Some(session), Some(own)) = (session, SessionId::parse(id)) {
            self.pipeline.leave(session.by.principal(), &Handle::Connection(own), session.by.via()).await;
        }
        Ok(self.inner.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &RmcpSessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, HttpSessionError> {
        let open = self.touch(id);
        Ok(Counted { inner: Box::pin(self.inner.create_stream(id, message).await?), _open: open })
    }

    async fn accept_message(&self, id: &RmcpSessionId, message: ClientJsonRpcMessage) -> Result<(), HttpSessionError> {
        Ok(self.inner.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &RmcpSessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, HttpSessionError> {
        let open = self.touch(id);
        Ok(Counted { inner: Box::pin(self.inner.create_standalone_stream(id).await?), _open: open })
    }

    async fn resume(
        &self,
        id: &RmcpSessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, HttpSessionError> {
        let open = self.touch(id);
        Ok(Counted { inner: Box::pin(self.inner.resume(id, last_event_id).await?), _open: open })
    }
}

/// A stream that counts as open until it is dropped.
struct Counted<S> {
    inner: Pin<Box<S>>,
    _open: Arc<()>,
}

impl<S: Stream> Stream for Counted<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.inner.as_mut().poll_next(cx)
    }
}
