//! What rmcp keeps of a session of an older protocol, so that the session goes on after a restart.

use std::pin::Pin;
use std::sync::Arc;

use rmcp::transport::streamable_http_server::session::store::{SessionState, SessionStore, SessionStoreError};

use super::sessions::HttpSessions;

/// The client's `initialize`, kept beside the session in the store. Its row is written with the next ones, not at
/// once: a crash in these seconds costs the client a 404, and it begins anew as the protocol says.
pub(super) struct Remembered(pub(super) Arc<HttpSessions>);

type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

impl SessionStore for Remembered {
    fn load<'a, 'b, 'c>(&'a self, id: &'b str) -> Later<'c, Option<SessionState>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            let Some((initialize, _)) = self.0.remembered(id) else { return Ok(None) };
            Ok(Some(SessionState::new(serde_json::from_str(&initialize)?)))
        })
    }

    fn store<'a, 'b, 'c, 'd>(&'a self, id: &'b str, state: &'c SessionState) -> Later<'d, ()>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        Box::pin(async move {
            self.0.remember(id, serde_json::to_string(&state.initialize_params)?);
            Ok(())
        })
    }

    /// It goes with its session.
    fn delete<'a, 'b, 'c>(&'a self, _id: &'b str) -> Later<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async { Ok(()) })
    }
}
