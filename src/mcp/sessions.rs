//! rmcp's sessions for protocols before 2026-07-28: 256-bit ids, an owner each, ended when idle and unused, taken up
//! again after a restart.

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
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::auth::session::{Ending, Handle};
use crate::auth::standing::Standing;
use crate::base::bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::{NoEntropy, SessionId};
use crate::base::refusal::{Code, Refusal};
use crate::config;
use crate::pipeline::Pipeline;
use crate::pipeline::identify::Known;

/// The header that names a session.
pub(super) const HEADER: &str = "mcp-session-id";

tokio::task_local! {
    /// Who sent the message that is being handled. rmcp gives its session manager no context; this is the one way.
    pub(super) static CALLER: Caller;
}

/// Who sent a message, and by which handle they hold their session.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) known: Known,
    pub(super) handle: Handle,
}

/// Sessions over HTTP.
#[derive(Debug)]
pub struct HttpSessions {
    inner: LocalSessionManager,
    pipeline: Arc<Pipeline>,
    clock: Arc<dyn Clock>,
    times: config::Session,
    /// Once this is cancelled sessions close because the process ends, and go on in the next one.
    stop: CancellationToken,
    /// Held for a look-up, never across an await.
    owned: Mutex<HashMap<RmcpSessionId, Owned>>,
}

#[derive(Debug)]
struct Owned {
    /// Who used it last: one principal, perhaps with a newer credential than at its beginning.
    by: Known,
    standing: Standing,
    began: Timestamp,
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
    pub(super) fn new(
        pipeline: Arc<Pipeline>,
        clock: Arc<dyn Clock>,
        times: config::Session,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let mut inner = LocalSessionManager::default();
        // rmcp's own idle timeout ends calls in flight; `sweep` does not.
        inner.session_config.keep_alive = None;
        Arc::new(Self { inner, pipeline, clock, times, stop, owned: Mutex::default() })
    }

    /// Whether `known` may use this session now. One that does not exist is for rmcp to answer.
    pub(super) async fn check(&self, id: &str, handle: &Handle, known: &Known) -> Result<(), Refusal> {
        let (is_foreign, is_over) = {
            let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
            let session = owned.get(id);
            let foreign = session.is_some_and(|session| session.by.principal().id != known.principal().id);
            // Its id cannot change under way, so it ends with its time. What is under way in it comes to its end.
            let over = |session: &Owned| self.clock.now().since(session.began) > self.times.timeout;
            (foreign, session.is_some_and(over))
        };
        if is_foreign {
            return Err(self.pipeline.refuse_stranger(known, handle, None).await);
        }
        self.pipeline.check_owner(known, handle).await?;
        if is_over {
            let public = "This session has ended; begin a new one with initialize.";
            return Err(Refusal::new(Code::NotFound, public));
        }
        Ok(())
    }

    /// Closes sessions that were ended elsewhere, until `stop`.
    pub(super) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut endings = self.pipeline.sessions().endings();
        loop {
            let ending = tokio::select! {
                () = stop.cancelled() => return,
                ending = endings.recv() => ending,
            };
            let over: Vec<RmcpSessionId> = match ending {
                Ok(Ending { handle: Handle::Connection(id), .. }) => vec![id.as_str().into()],
                Ok(Ending { handle: Handle::Credential, .. }) => Vec::new(),
                // Too slow to hear everything: all are looked at.
                Err(RecvError::Lagged(_)) => self.those_that_ended(),
                Err(RecvError::Closed) => return,
            };
            for id in over {
                if let Err(error) = self.close_session(&id).await {
                    tracing::warn!(%error, "a session that was ended did not close");
                }
            }
        }
    }

    fn those_that_ended(&self) -> Vec<RmcpSessionId> {
        let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = owned.iter().filter(|(id, session)| {
            let handle = SessionId::parse(id).map(Handle::Connection);
            let credential = &session.by.principal().credential;
            handle.is_some_and(|handle| !self.pipeline.sessions().is_open(credential, &handle))
        });
        ended.map(|(id, _)| id.clone()).collect()
    }

    /// Ends sessions that were quiet for too long and have no stream open, whose time is over, or whose credential holds
    /// no more.
    pub async fn sweep(&self) {
        let now = self.clock.now();
        let over: Vec<RmcpSessionId> = {
            let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
            let over = |id: &RmcpSessionId, session: &mut Owned| {
                let has_streams = Arc::strong_count(&session.streams) > 1;
                let idle = now.since(session.seen) > self.times.idle_timeout && !has_streams;
                // A stream that only waits for news does not keep it; a call under way is given the idle time.
                let old = now.since(session.began) > self.times.timeout + self.times.idle_timeout;
                let is_shut_out = || {
                    let handle = SessionId::parse(id).map(Handle::Connection);
                    handle.is_some_and(|handle| self.pipeline.is_shut_out(&session.by, &handle))
                };
                idle || old || is_shut_out() || !self.pipeline.holds(&session.by, &mut session.standing)
            };
            owned.iter_mut().filter_map(|(id, session)| over(id, session).then(|| id.clone())).collect()
        };
        for id in over {
            if let Err(error) = self.close_session(&id).await {
                tracing::warn!(%error, "an idle session did not close");
            }
        }
    }

    /// Whether there is such a session, also from before a restart, of theirs.
    pub(super) fn is_there(&self, id: &str, known: &Known) -> bool {
        let has = self.owned.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id);
        let handle = SessionId::parse(id).map(Handle::Connection);
        let kept = |handle: &Handle| self.pipeline.sessions().remembered(known.principal(), handle).is_some();
        has || handle.as_ref().is_some_and(kept)
    }

    /// Where the first message of a session was refused, rmcp has made one all the same.
    pub(super) async fn close_unless_begun(&self, handle: &Handle, known: &Known) {
        let Handle::Connection(id) = handle else { return };
        if self.pipeline.sessions().is_open(&known.principal().credential, handle) {
            return;
        }
        if let Err(error) = self.close_session(&id.as_str().into()).await {
            tracing::warn!(%error, "a session that did not begin did not close");
        }
    }

    fn own(&self, id: &RmcpSessionId, began: Timestamp) -> Result<(), HttpSessionError> {
        let by = CALLER.try_with(|caller| caller.known.clone()).map_err(|_| HttpSessionError::NoCaller)?;
        let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        if owned.len() >= bound::HTTP_SESSIONS_MAX {
            return Err(HttpSessionError::TooMany);
        }
        let (seen, streams) = (self.clock.now(), Arc::default());
        owned.insert(id.clone(), Owned { by, standing: Standing::default(), began, seen, streams });
        Ok(())
    }

    /// What is known of a session that a client of an older protocol began before a restart.
    pub(super) fn remembered(&self, id: &str) -> Option<(String, Timestamp)> {
        let handle = Handle::Connection(SessionId::parse(id)?);
        let by = CALLER.try_with(|caller| caller.known.clone()).ok()?;
        let (initialize, began) = self.pipeline.sessions().remembered(by.principal(), &handle)?;
        (self.clock.now().since(began) <= self.times.timeout).then_some((initialize, began))
    }

    pub(super) fn remember(&self, id: &str, initialize: String) {
        let Some(handle) = SessionId::parse(id).map(Handle::Connection) else { return };
        // Always there: this is called while a message is handled.
        if let Ok(by) = CALLER.try_with(|caller| caller.known.clone()) {
            self.pipeline.sessions().remember(by.principal(), &handle, initialize);
        }
    }

    fn touch(&self, id: &RmcpSessionId) -> Arc<()> {
        let by = CALLER.try_with(|caller| caller.known.clone()).ok();
        let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        owned.get_mut(id).map_or_else(Arc::default, |session| {
            session.seen = self.clock.now();
            if let Some(by) = by.filter(|by| by.principal() != session.by.principal()) {
                (session.by, session.standing) = (by, Standing::default());
            }
            Arc::clone(&session.streams)
        })
    }
}

impl SessionManager for HttpSessions {
    type Error = HttpSessionError;
    type Transport = WorkerTransport<LocalSessionWorker>;

    async fn create_session(&self) -> Result<(RmcpSessionId, Self::Transport), HttpSessionError> {
        let given = CALLER.try_with(|caller| caller.handle.clone()).map_err(|_| HttpSessionError::NoCaller)?;
        let id: RmcpSessionId = match given {
            Handle::Connection(id) => id.as_str().into(),
            Handle::Credential => SessionId::random()?.as_str().into(),
        };
        self.own(&id, self.clock.now())?;
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

    /// A session from before a restart goes on; rmcp replays its beginning.
    async fn restore_session(&self, id: RmcpSessionId) -> Result<RestoreOutcome<Self::Transport>, HttpSessionError> {
        let Some((_, began)) = self.remembered(&id) else { return Ok(RestoreOutcome::NotSupported) };
        self.own(&id, began)?;
        Ok(self.inner.restore_session(id).await?)
    }

    async fn has_session(&self, id: &RmcpSessionId) -> Result<bool, HttpSessionError> {
        drop(self.touch(id));
        Ok(self.inner.has_session(id).await?)
    }

    async fn close_session(&self, id: &RmcpSessionId) -> Result<(), HttpSessionError> {
        let session = self.owned.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let (Some(session), Some(own)) = (session, SessionId::parse(id))
            && !self.stop.is_cancelled()
        {
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
