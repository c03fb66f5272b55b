//! The certificate in use: looked at again while the server runs, replaced when the files hold a better one.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use crate::base::bound;
use crate::base::clock::{Clock, Timestamp};
use crate::config::Tls;
use crate::crypto::digest::Hash;
use crate::crypto::tls::certificate::{Certificate, Standing};
use crate::crypto::tls::{Material, Served, TlsError};

/// Writes into the audit log what became of the certificate; injected by `app`.
pub trait Witness: Send + Sync {
    /// From now on this one is served.
    fn serving(&self, what: String) -> BoxFuture<'_, ()>;
    /// The files changed and cannot be served; the one before stays.
    fn rejected(&self, what: String) -> BoxFuture<'_, ()>;
}

/// The files of TLS, and what was made of them.
pub struct Certificates {
    tls: Tls,
    clock: Arc<dyn Clock>,
    /// Held for a copy, never across an await.
    current: RwLock<Current>,
    /// What was read at the start.
    opened: Hash,
}

#[derive(Clone)]
struct Current {
    served: Served,
    /// Cancelled when something newer is served: who was let in by the older authorities is judged again.
    replaced: CancellationToken,
}

/// What the files held: a digest, or why they hold nothing usable. What was told of it once is not told again.
#[derive(PartialEq, Eq)]
enum Seen {
    Content(Hash),
    Unreadable(String),
}

/// What a new connection is served with.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) config: Arc<rustls::ServerConfig>,
    pub(super) replaced: CancellationToken,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Files that cannot be served are an error: at the start there is nothing else to serve. An expired certificate
    /// is served all the same, with a warning: clients refuse it by themselves, and an operator whose clock or renewal
    /// is wrong still has a server that says so.
    pub fn open(tls: &Tls, clock: Arc<dyn Clock>) -> Result<Arc<Self>, TlsError> {
        let material = Material::read(tls)?;
        let (served, opened) = (material.server()?, material.digest());
        let current = RwLock::new(Current { served, replaced: CancellationToken::new() });
        Ok(Arc::new(Self { tls: tls.clone(), clock, current, opened }))
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn offer(&self) -> Offer {
        let Current { served, replaced } = self.current();
        Offer { config: served.config, replaced }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What an operator should know of the certificate in use; `None` where all is well.
    pub fn warning(&self) -> Option<String> {
        warning(&self.current().served.certificate, self.clock.now())
    }

    /// Looks at the files every few seconds, and when `hangup` comes, until `stop`.
    pub async fn keep(self: Arc<Self>, witness: Arc<dyn Witness>, mut hangup: Signal, stop: CancellationToken) {
        witness.serving(self.current().served.certificate.described()).await;
        let mut seen = Some(Seen::Content(self.opened));
        let mut warned: Option<Duration> = None;
        let mut ticks = tokio::time::interval(Duration::from_secs(bound::TLS_LOOK_SECONDS));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
                _ = hangup.recv() => tracing::info!("SIGHUP: the files of TLS are looked at"),
            }
            let now = self.seen().await;
            if now.as_ref().is_some_and(|now| Some(now) != seen.as_ref()) {
                self.take(&*witness).await;
                warned = None;
                seen = now;
            }
            let at = self.clock.monotonic();
            let again = warned.is_none_or(|last| at.saturating_sub(last).as_secs() >= bound::TLS_WARNING_SECONDS);
            if again && let Some(warning) = self.warning() {
                tracing::warn!("{warning}");
                warned = Some(at);
            }
        }
    }

    /// `None` where even looking failed, which is no news of the files.
    async fn seen(&self) -> Option<Seen> {
        let tls = self.tls.clone();
        let look = tokio::task::spawn_blocking(move || match Material::read(&tls) {
            Ok(material) => Seen::Content(material.digest()),
            Err(error) => Seen::Unreadable(error.to_string()),
        });
        look.await.ok()
    }

    /// Reads once more, and serves it if it can be served: a half-written pair is taken when it is whole.
    async fn take(&self, witness: &dyn Witness) {
        let tls = self.tls.clone();
        let made = tokio::task::spawn_blocking(move || Material::read(&tls)?.server()).await;
        match made {
            Ok(Ok(served)) => {
                let described = served.certificate.described();
                let new = Current { served, replaced: CancellationToken::new() };
                let old = std::mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), new);
                old.replaced.cancel();
                tracing::info!(certificate = described, "new connections are served with the files as they are now");
                witness.serving(described).await;
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the files of TLS changed and cannot be served; what was served before stays");
                witness.rejected(error.to_string()).await;
            }
            Err(error) => tracing::error!(%error, "the files of TLS could not be read"),
        }
    }
}

/// What is wrong with the time of a certificate, and the way out.
pub fn warning(certificate: &Certificate, now: Timestamp) -> Option<String> {
    let (from, until) = (certificate.not_before.rfc3339(), certificate.not_after.rfc3339());
    let name = &certificate.subject;
    match certificate.standing(now) {
        Standing::Valid => None,
        Standing::NotYet => Some(format!("the certificate {name} begins at {from} only: clients refuse it until then")),
        Standing::Expiring(days) => Some(format!("the certificate {name} ends in {days} days, at {until}: renew it")),
        Standing::Expired => Some(format!("the certificate {name} ended at {until}: clients refuse it; renew it")),
    }
}
