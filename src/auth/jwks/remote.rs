//! Public keys of an authorization server from its URL: fetched through the egress, kept, and fetched again when a token
//! names a key that is not among them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey};

use super::{JwksError, Key, choose, parse};
use crate::base::bound;
use crate::base::bound::egress::{JWKS_FETCH_BETWEEN_MS, JWKS_FETCH_MS, JWKS_FRESH_MS, JWKS_KEPT_MS};
use crate::base::clock::Clock;
use crate::config::target::Url;
use crate::egress::error::EgressError;
use crate::egress::exchange::{Exchange, Limits};
use crate::egress::route::Route;
use crate::egress::{Egress, Purpose};

/// The keys of one URL.
pub(in crate::auth) struct RemoteJwks {
    egress: Arc<Egress>,
    exchange: Exchange,
    clock: Arc<dyn Clock>,
    /// Held for a look, never across an await.
    kept: Arc<Mutex<Kept>>,
    /// Held while they are fetched: many tokens that wait for one key make one request.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for RemoteJwks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteJwks").field("url", &self.exchange.url).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Kept {
    keys: Vec<Key>,
    /// Of the last fetch that gave keys.
    fetched: Option<Duration>,
    /// Of the last fetch.
    tried: Option<Duration>,
}

impl RemoteJwks {
    /// Fetches nothing yet.
    pub(in crate::auth) fn new(egress: Arc<Egress>, url: &Url, clock: Arc<dyn Clock>) -> Self {
        let scheme = if url.is_tls { "https" } else { "http" };
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"));
        let exchange = Exchange {
            purpose: Purpose::Keys,
            route: Arc::new(Route::of_setting("auth.jwks_url", url)),
            method: Method::GET,
            url: format!("{scheme}://{}{}", url.host_header(), url.path),
            headers,
            credential: None,
            body: Bytes::new(),
            limits: Limits {
                total: Duration::from_millis(JWKS_FETCH_MS),
                response_bytes_max: usize::try_from(bound::JWKS_BYTES_MAX).unwrap_or(usize::MAX),
                // Whoever is asked is whom an operator named.
                redirects_max: 0,
            },
        };
        Self { egress, exchange, clock, kept: Arc::default(), fetching: Arc::default() }
    }

    /// The key of this id and algorithm. Fetches where it is unknown or the keys are old, at most once in
    /// [`JWKS_FETCH_BETWEEN_MS`]; a fetch that fails leaves the keys that there are, for [`JWKS_KEPT_MS`].
    pub(in crate::auth) async fn find(&self, kid: &str, algorithm: Algorithm) -> Option<DecodingKey> {
        let (key, is_fresh) = self.look(kid, algorithm);
        if key.is_some() && is_fresh {
            return key;
        }
        let fetching = match Arc::clone(&self.fetching).try_lock_owned() {
            Ok(fetching) => fetching,
            // Somebody is at it; meanwhile an old key does.
            Err(_) if key.is_some() => return key,
            Err(_) => Arc::clone(&self.fetching).lock_owned().await,
        };
        let (key, is_fresh) = self.look(kid, algorithm);
        if (key.is_some() && is_fresh) || !self.begin() {
            return key;
        }
        let (egress, exchange, clock) = (Arc::clone(&self.egress), self.exchange.clone(), Arc::clone(&self.clock));
        let kept = Arc::clone(&self.kept);
        // In a task of its own: a stranger who shows a token and hangs up must not use up the one fetch of this while.
        let fetch = tokio::spawn(async move {
            let _fetching = fetching;
            match fetch(&egress, &exchange).await {
                Ok(keys) => {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.keys = keys;
                    kept.fetched = Some(clock.monotonic());
                }
                Err(error) => {
                    tracing::error!(%error, "auth.jwks_url gives no keys; those that it gave before are used");
                }
            }
        });
        if let Err(error) = fetch.await {
            tracing::error!(%error, "the task that fetches auth.jwks_url ended");
        }
        self.look(kid, algorithm).0
    }

    /// A key, and whether what is kept is so new that it need not be fetched again.
    fn look(&self, kid: &str, algorithm: Algorithm) -> (Option<DecodingKey>, bool) {
        let now = self.clock.monotonic();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let age = kept.fetched.map(|fetched| now.saturating_sub(fetched));
        let within = |limit: u64| age.is_some_and(|age| age < Duration::from_millis(limit));
        let key = within(JWKS_KEPT_MS).then(|| choose(&kept.keys, kid, algorithm)).flatten();
        (key, within(JWKS_FRESH_MS))
    }

    /// Whether a fetch may begin now; if so, it has.
    fn begin(&self) -> bool {
        let now = self.clock.monotonic();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let between = Duration::from_millis(JWKS_FETCH_BETWEEN_MS);
        let is_due = kept.tried.is_none_or(|tried| now.saturating_sub(tried) >= between);
        if is_due {
            kept.tried = Some(now);
        }
        is_due
    }
}

async fn fetch(egress: &Egress, exchange: &Exchange) -> Result<Vec<Key>, FetchError> {
    let answer = egress.exchange(exchange).await?;
    if answer.status != StatusCode::OK {
        return Err(FetchError::Status(answer.status));
    }
    Ok(parse(&answer.body)?)
}

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("expected the status 200, found {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Keys(#[from] JwksError),
}

#[cfg(test)]
#[path = "tests_remote.rs"]
mod tests;
