//! Who asks: schemes in order. One decides, and a failed attempt never falls through to the next.

pub mod account;
pub mod ban;
pub mod browser;
pub mod challenge;
pub mod change;
pub mod contain;
pub mod gate;
pub mod issue;
pub mod jwt_key;
pub mod policy;
pub mod quota;
pub mod session;
pub mod standing;
pub mod token;
mod basic;
mod cache;
mod foreign;
mod jwks;
mod jwt;
mod used;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey};

use crate::base::bound;
use crate::base::clock::Clock;
use crate::base::id::{NoEntropy, hex};
use crate::base::principal::{Principal, Role};
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::config::raw::{AuthScheme, Authentication};
use crate::config::{self, Config};
use crate::crypto::digest::{Hash, sha256};
use crate::crypto::password::PasswordHash;
use crate::egress::Egress;
use crate::store::{Batch, Store, StoreError};
use crate::vault::door::Door;
use account::AccountRecord;
use basic::{Checked, Passwords};
use cache::Cache;
use jwks::Jwks;
use jwks::remote::RemoteJwks;
use used::{Subject, Used};

/// What a caller shows of itself.
#[derive(Debug)]
pub enum Evidence {
    /// Through the control socket, or the command line itself, with this uid.
    Control { uid: u32 },
    /// An agent over stdio, started by this uid.
    Stdio { uid: u32 },
    /// Over HTTP, from `peer`: the client that a trusted proxy names, else the other end of the connection.
    Http {
        peer: SocketAddr,
        /// Whether nobody between the client and us can read along.
        is_private: bool,
        /// The header's value.
        authorization: Option<Secret>,
        /// The client's certificate, whose chain the listener has checked.
        certificate: Option<Arc<ClientCertificate>>,
    },
    /// The session of a browser in which the password of this account was shown.
    Browser { account: Arc<str>, stamp: browser::Stamp },
}

impl Evidence {
    /// What kind of credential is shown, from a closed list: for counting attempts that came to nothing.
    pub fn shown(&self) -> &'static str {
        let (authorization, certificate) = match self {
            Self::Http { authorization, certificate, .. } => (authorization, certificate),
            Self::Browser { .. } => return "browser",
            Self::Control { .. } | Self::Stdio { .. } => return "local",
        };
        let starts = |scheme: &str| {
            let header = authorization.as_ref().map(Secret::expose_secret).unwrap_or_default();
            header.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
        };
        match () {
            () if starts("basic ") => "basic",
            () if starts("bearer ") => "bearer",
            () if authorization.is_some() => "unknown",
            () if certificate.is_some() => "mtls",
            () => "none",
        }
    }
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
    /// It was not looked at whether the credential holds, and the caller is told why.
    Refused(Refusal),
}

/// Recognises callers, and changes who is recognised.
#[derive(Debug)]
pub struct Authenticator {
    store: Store,
    clock: Arc<dyn Clock>,
    vault: Arc<Door>,
    authentication: Authentication,
    settings: config::Auth,
    cache: Cache,
    passwords: Passwords,
    jwks: Option<Jwks>,
    remote_jwks: Option<RemoteJwks>,
    used: Used,
    /// Of the environment; never stored.
    visitor: Option<AccountRecord>,
    /// How often accounts and tokens were changed since the start.
    generation: AtomicU64,
    /// Held from the look at the store to the commit by whatever changes accounts and tokens: rows replace what was
    /// there.
    change: tokio::sync::Mutex<()>,
}

impl Authenticator {
    /// Hashes the password of `MCP_USERNAME`, where that is set: a tenth of a second.
    /// Through `egress` come the keys of `auth.jwks_url`.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        vault: Arc<Door>,
        config: &Config,
        egress: &Arc<Egress>,
    ) -> Result<Self, NoEntropy> {
        let settings = config.auth.clone();
        let visitor = settings.environment.account.as_ref().map(|(name, password)| {
            let now = clock.now();
            PasswordHash::of(password).map(|hash| AccountRecord {
                name: name.clone(),
                role: Role::Reader,
                phc: hash.to_phc(),
                disabled: false,
                made: now,
                changed: now,
                last_used: None,
                failures: 0,
            })
        });
        Ok(Self {
            store,
            vault,
            authentication: config.http.authentication,
            cache: Cache::new(Arc::clone(&clock))?,
            passwords: Passwords::new(Arc::clone(&clock))?,
            jwks: settings.jwks_file.clone().map(|path| Jwks::new(path, Arc::clone(&clock))),
            remote_jwks: settings
                .jwks_url
                .as_ref()
                .map(|url| RemoteJwks::new(Arc::clone(egress), url, Arc::clone(&clock))),
            used: Used::default(),
            visitor: visitor.transpose()?,
            generation: AtomicU64::default(),
            change: tokio::sync::Mutex::default(),
            settings,
            clock,
        })
    }

    /// Goes through the schemes in their configured order; the first one that is attempted decides.
    pub async fn identify(&self, evidence: &Evidence) -> Result<Attempt, StoreError> {
        let (peer, is_private, authorization, certificate) = match evidence {
            Evidence::Control { uid } => return Ok(Attempt::Authenticated(Principal::local(*uid))),
            Evidence::Stdio { uid } => return Ok(Attempt::Authenticated(Principal::stdio(*uid))),
            Evidence::Browser { account, stamp } => return self.browser(account, *stamp),
            Evidence::Http { peer, is_private, authorization, certificate } => {
                (peer.ip(), *is_private, authorization.as_ref(), certificate.as_deref())
            }
        };
        for scheme in &self.settings.schemes {
            let attempt = match (scheme, authorization, certificate) {
                (AuthScheme::Mtls, _, Some(certificate)) => self.mtls(certificate),
                (AuthScheme::Jwt, Some(header), _) => self.jwt(header).await?,
                (AuthScheme::ApiKey, Some(header), _) => self.api_key(header)?,
                (AuthScheme::Basic, Some(header), _) => self.basic(header, peer, is_private).await?,
                _ => Attempt::NotAttempted,
            };
            if !matches!(attempt, Attempt::NotAttempted) {
                return Ok(attempt);
            }
        }
        Ok(match (self.authentication, authorization, certificate) {
            // A credential that no scheme takes is not as good as none.
            (_, Some(_), _) => Attempt::Failed("the Authorization header is of no scheme that is in use"),
            // The listener made sure that this is loopback.
            (Authentication::None, None, None) => Attempt::Authenticated(Principal::anonymous()),
            _ => Attempt::NotAttempted,
        })
    }

    fn mtls(&self, certificate: &ClientCertificate) -> Attempt {
        if self.settings.certificates.is_empty() {
            // Certificates are asked for by the listener only; somebody else says who it is.
            return Attempt::NotAttempted;
        }
        let named = |name: &str| certificate.names.iter().any(|own| own.eq_ignore_ascii_case(name));
        let found = self.settings.certificates.iter().find(|(name, _)| named(name));
        found.map_or(Attempt::Failed("no name of the certificate is in auth.certificates"), |(name, role)| {
            Attempt::Authenticated(Principal::certificate(name, *role))
        })
    }

    fn api_key(&self, header: &Secret) -> Result<Attempt, StoreError> {
        let Some(shown) = token::of_header(header) else { return Ok(Attempt::NotAttempted) };
        let key = token::key_of(&shown);
        let now = self.clock.now();
        let Some(record) = self.store.read(|snapshot| token::find(snapshot, &key))? else {
            return Ok(Attempt::Failed("no such API key"));
        };
        if let Some(why) = record.why_not(now) {
            return Ok(Attempt::Failed(why));
        }
        self.used.note(Subject::Token(key), now);
        Ok(Attempt::Authenticated(Principal::token(&record.name, record.role).with_scopes(record.scopes)))
    }

    async fn jwt(&self, header: &Secret) -> Result<Attempt, StoreError> {
        let Some(token) = jwt::of_header(header) else { return Ok(Attempt::NotAttempted) };
        let shown = match jwt::Shown::parse(token) {
            Ok(shown) => shown,
            Err(why) => return Ok(Attempt::Failed(why)),
        };
        let now = self.clock.now();
        Ok(match (shown.algorithm, shown.kid.as_deref(), &self.settings.environment.jwt_secret) {
            (Algorithm::HS256, Some(kid), _) => self.jwt_of_ours(&shown, kid)?,
            (Algorithm::HS256, None, Some(secret)) => {
                let key = DecodingKey::from_secret(secret.expose_secret());
                self.jwt_of_others(token, shown.verified(&key), now, true)?
            }
            (Algorithm::HS256, None, None) => Attempt::Failed("the JWT names no key"),
            (algorithm, Some(kid), _) => {
                let key = self.key_of_others(kid, algorithm).await;
                let key =
                    key.ok_or("the JWT's kid is not in auth.jwks_file or auth.jwks_url, or for another algorithm");
                self.jwt_of_others(token, key.and_then(|key| shown.verified(&key)), now, false)?
            }
            (_, None, _) => Attempt::Failed("the JWT names no key"),
        })
    }

    /// The key of another issuer.
    async fn key_of_others(&self, kid: &str, algorithm: Algorithm) -> Option<DecodingKey> {
        if let Some(key) = self.jwks.as_ref().and_then(|jwks| jwks.find(kid, algorithm)) {
            return Some(key);
        }
        match &self.remote_jwks {
            Some(jwks) => jwks.find(kid, algorithm).await,
            None => None,
        }
    }

    /// A token that was issued here: its key, and what is recorded of it.
    fn jwt_of_ours(&self, shown: &jwt::Shown<'_>, kid: &str) -> Result<Attempt, StoreError> {
        let now = self.clock.now();
        let Some(key) = self.store.read(|snapshot| jwt_key::find_key(snapshot, kid))? else {
            return Ok(Attempt::Failed("the JWT's kid is not known"));
        };
        if !key.verifies(now) {
            return Ok(Attempt::Failed("the JWT's key was rotated, and its last token has expired"));
        }
        let Some(open) = self.vault.open() else {
            return Ok(Attempt::Failed("the vault is sealed, so JWTs that were issued here cannot be checked"));
        };
        let Ok(key) = key.decoding(&open, kid) else {
            return Ok(Attempt::Failed("the vault has no key for this JWT"));
        };
        let claims =
            match shown.verified(&key).and_then(|claims| claims.check(&self.settings, now, false).map(|()| claims)) {
                Ok(claims) => claims,
                Err(why) => return Ok(Attempt::Failed(why)),
            };
        let Some(id) = claims.id else { return Ok(Attempt::Failed("the JWT has no jti")) };
        let (record, account) = self.store.read(|snapshot| {
            Ok::<_, StoreError>((jwt_key::find(snapshot, &id)?, account::find(snapshot, &claims.subject)?))
        })?;
        // Without its record, such as after a backup was restored, nobody could revoke it.
        let Some(record) = record else { return Ok(Attempt::Failed("the JWT's jti is not known")) };
        let account = match account {
            _ if record.revoked.is_some() => return Ok(Attempt::Failed("the JWT was revoked")),
            Some(account) if account.disabled => return Ok(Attempt::Failed("the JWT's account is disabled")),
            None if record.is_of_account => return Ok(Attempt::Failed("the JWT's account is gone")),
            account => account,
        };
        if let Some(account) = &account {
            self.used.note(Subject::Account(account.name.as_str().into()), now);
        }
        self.used.note(Subject::Jwt(id.as_str().into()), now);
        // What was lowered since is lowered for the token too.
        let role = account.as_ref().map_or(record.role, |account| record.role.at_most(account.role));
        let principal = Principal::jwt(&record.subject, account.is_some(), &id, role);
        Ok(Attempt::Authenticated(principal.with_scopes(record.scopes)))
    }

    /// A token that somebody else issued, whom the operator trusts to.
    fn jwt_of_others(
        &self,
        token: &str,
        claims: Result<jwt::Claims, jwt::Why>,
        now: crate::base::clock::Timestamp,
        lenient: bool,
    ) -> Result<Attempt, StoreError> {
        let claims = match claims.and_then(|claims| claims.check(&self.settings, now, lenient).map(|()| claims)) {
            Ok(claims) => claims,
            Err(why) => return Ok(Attempt::Failed(why)),
        };
        // Its revocation is kept that long.
        let most = now.plus(Duration::from_secs(bound::JWT_FOREIGN_SECONDS));
        if claims.expires.is_none_or(|expires| expires > most) {
            return Ok(Attempt::Failed("the JWT's exp is more than a year ahead"));
        }
        // One that has no id is named by its digest, so that it can be revoked all the same.
        // Of what is signed alone: an ECDSA signature has another form that is as good, and anybody can make it.
        let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
        let id = claims.id.unwrap_or_else(|| hex(&sha256(&[signed.as_bytes()])[..16]));
        if self.store.read(|snapshot| jwt_key::find(snapshot, &id))?.is_some_and(|record| record.revoked.is_some()) {
            return Ok(Attempt::Failed("the JWT was revoked"));
        }
        let scopes = match foreign::scopes(&claims.body) {
            Ok(scopes) => scopes,
            Err(why) => return Ok(Attempt::Failed(why)),
        };
        let principal = Principal::jwt(&claims.subject, false, &id, foreign::role(&claims.body, &self.settings));
        let principal = Principal { expires: claims.expires, ..principal.with_scopes(scopes) };
        Ok(Attempt::Authenticated(principal))
    }

    async fn basic(&self, header: &Secret, peer: IpAddr, is_private: bool) -> Result<Attempt, StoreError> {
        let Some(shown) = basic::of_header(header) else { return Ok(Attempt::NotAttempted) };
        if !is_private {
            let public = "A password is not taken over an unencrypted connection from another machine: use https, or an API key. Change the password, for it was sent in the clear.";
            return Ok(Attempt::Refused(Refusal::new(Code::Forbidden, public)));
        }
        let (name, password) = match shown {
            Ok(shown) => shown,
            Err(why) => return Ok(Attempt::Failed(why)),
        };
        let (place, known) = self.cache.find("basic", &name, &password);
        if let Some(principal) = known {
            self.used.note(Subject::Account(name.as_str().into()), self.clock.now());
            return Ok(Attempt::Authenticated(principal));
        }
        let account = self.account(&name)?;
        let hash = account.as_ref().and_then(|account| PasswordHash::parse(&account.phc).ok());
        let is_disabled = account.as_ref().is_some_and(|account| account.disabled);
        let Ok(Checked { fits, upgraded }) = self.passwords.check(&name, &password, hash, is_disabled, peer).await
        else {
            let public = "Too many passwords are being checked at the moment; come back in a few seconds.";
            let refusal =
                Refusal::new(Code::Busy, public).with_retry_after(Duration::from_millis(bound::PASSWORD_DELAY_MS_MAX));
            return Ok(Attempt::Refused(refusal));
        };
        let account = match account {
            None => return Ok(Attempt::Failed("there is no such account")),
            Some(_) if !fits => return Ok(Attempt::Failed("wrong password")),
            Some(account) if account.disabled => return Ok(Attempt::Failed("the account is disabled")),
            Some(account) => account,
        };
        let principal = Principal::account(&account.name, account.role);
        if !self.cache.remember(place, &principal) {
            // Something changed while the hash was made; perhaps this account.
            let now = self.account(&name)?;
            if !now.is_some_and(|now| now.phc == account.phc && now.role == account.role && !now.disabled) {
                return Ok(Attempt::Failed("the account was changed meanwhile"));
            }
        }
        self.used.note(Subject::Account(name.as_str().into()), self.clock.now());
        if let Some(hash) = upgraded {
            self.upgrade(&account, &hash).await?;
        }
        Ok(Attempt::Authenticated(principal))
    }

    fn visitor_named(&self, name: &str) -> Option<AccountRecord> {
        self.visitor.clone().filter(|visitor| visitor.name == name)
    }

    /// Stores a hash of the same password with more iterations, unless the account was changed meanwhile.
    async fn upgrade(&self, account: &AccountRecord, hash: &PasswordHash) -> Result<(), StoreError> {
        let _one = self.change.lock().await;
        let stored = self.store.read(|snapshot| account::find(snapshot, &account.name))?;
        if let Some(stored) = stored.filter(|stored| stored.phc == account.phc) {
            let row = account::row(&AccountRecord { phc: hash.to_phc(), ..stored })?;
            self.store.commit(Batch::puts(vec![row])).await?;
        }
        Ok(())
    }
}
