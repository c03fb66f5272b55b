//! Who asks: schemes in order. One decides, and a failed attempt never falls through to the next.

pub mod ban;
pub mod gate;
pub mod policy;
pub mod quota;
pub mod session;
pub mod token;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::principal::Principal;
use crate::base::secret::Secret;
use crate::config::raw::Authentication;
use crate::crypto::digest::Hash;
use crate::store::{Store, StoreError};

/// What a caller shows of itself.
#[derive(Debug)]
pub enum Evidence {
    /// Through the control socket, or the command line itself, with this uid.
    Control { uid: u32 },
    /// An agent over stdio, started by this uid.
    Stdio { uid: u32 },
    /// Over HTTP, from `peer`.
    Http {
        peer: SocketAddr,
        /// Whether nobody between the client and us can read along.
        is_private: bool,
        /// The header's value.
        authorization: Option<Secret>,
        /// The client's certificate, whose chain the listener has checked.
        certificate: Option<Arc<ClientCertificate>>,
    },
}

/// A client certificate that an authority of ours vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Subject alternative names: `dns:`, `email:`, `uri:` or `ip:` and the name.
    pub names: Vec<String>,
    /// SHA-256 of the certificate in DER.
    pub fingerprint: Hash,
}

/// One scheme's answer. "Not attempted" and "failed" are different things.
#[derive(Debug)]
pub enum Attempt {
    NotAttempted,
    Authenticated(Principal),
    /// With the reason, for the audit entry only.
    Failed(&'static str),
}

/// Recognises callers.
#[derive(Clone, Debug)]
pub struct Authenticator {
    store: Store,
    authentication: Authentication,
}

impl Authenticator {
    pub fn new(store: Store, authentication: Authentication) -> Self {
        Self { store, authentication }
    }

    #[allow(clippy::unused_async, reason = "some schemes wait for a hash")]
    pub async fn identify(&self, evidence: &Evidence) -> Result<Attempt, StoreError> {
        for scheme in [local, Self::bearer, Self::anonymous] {
            match scheme(self, evidence)? {
                Attempt::NotAttempted => {}
                decided => return Ok(decided),
            }
        }
        Ok(Attempt::NotAttempted)
    }

    fn bearer(&self, evidence: &Evidence) -> Result<Attempt, StoreError> {
        let Evidence::Http { authorization: Some(header), .. } = evidence else { return Ok(Attempt::NotAttempted) };
        let Some(shown) = token::of_header(header) else {
            return Ok(Attempt::Failed("the Authorization header holds no bearer token"));
        };
        let found = token::find(&self.store, &shown)?;
        Ok(found.map_or(Attempt::Failed("no such token"), |token| {
            Attempt::Authenticated(Principal::token(&token.name, token.role))
        }))
    }

    #[allow(clippy::unnecessary_wraps, reason = "all schemes have one signature")]
    /// Anybody, where the operator said so. The listener made sure that this is loopback.
    fn anonymous(&self, evidence: &Evidence) -> Result<Attempt, StoreError> {
        let open = self.authentication == Authentication::None
            && matches!(evidence, Evidence::Http { authorization: None, certificate: None, .. });
        Ok(if open { Attempt::Authenticated(Principal::anonymous()) } else { Attempt::NotAttempted })
    }
}

#[allow(clippy::unnecessary_wraps, reason = "all schemes have one signature")]
fn local(_: &Authenticator, evidence: &Evidence) -> Result<Attempt, StoreError> {
    Ok(match evidence {
        Evidence::Control { uid } => Attempt::Authenticated(Principal::local(*uid)),
        Evidence::Stdio { uid } => Attempt::Authenticated(Principal::stdio(*uid)),
        Evidence::Http { .. } => Attempt::NotAttempted,
    })
}
