//! Who asks: the fact that `identify` establishes and everything after relies on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;

/// The id of everybody who shows nothing, where that is allowed. Those who are known have a colon in theirs.
pub const ANONYMOUS: &str = "anonymous";

/// Somebody whom one authentication scheme has vouched for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Stable name: `local:1000`, `stdio:1000`, `token:quickstart`, `account:ann`, `jwt:svc`,
    /// `certificate:dns:agent.example`, `anonymous`.
    pub id: Arc<str>,
    pub role: Role,
    pub scheme: Scheme,
    /// Names the credential that was shown, and gives nothing of it away: `token:quickstart`, `jwt:` and its id,
    /// `basic:ann`. Several may vouch for one principal.
    pub credential: Arc<str>,
    /// What this credential is confined to, such as `library:manual`. Empty: nothing narrower than the role.
    pub scopes: Arc<[String]>,
    /// When the credential ends, where nothing here keeps that: a JWT of another issuer.
    pub expires: Option<Timestamp>,
}

impl Principal {
    /// Somebody who is the only bearer of this one credential, with all that the role allows.
    fn of(id: String, role: Role, scheme: Scheme) -> Self {
        let id: Arc<str> = id.into();
        Self { credential: Arc::clone(&id), id, role, scheme, scopes: Arc::default(), expires: None }
    }

    /// The person at this machine, through the control socket or the command line.
    pub fn local(uid: u32) -> Self {
        Self::of(format!("local:{uid}"), Role::Admin, Scheme::Local)
    }

    /// An agent that the person at this machine started over stdio. It is not that person:
    /// it reads.
    pub fn stdio(uid: u32) -> Self {
        Self::of(format!("stdio:{uid}"), Role::Reader, Scheme::Local)
    }

    pub fn token(name: &str, role: Role) -> Self {
        Self::of(format!("token:{name}"), role, Scheme::Bearer)
    }

    /// How the password of this account is named.
    pub fn basic_credential(name: &str) -> String {
        format!("basic:{name}")
    }

    /// A person or service with an account, by its password.
    pub fn account(name: &str, role: Role) -> Self {
        let credential = Self::basic_credential(name).into();
        Self { credential, ..Self::of(format!("account:{name}"), role, Scheme::Basic) }
    }

    /// The subject of a JWT with the id `jti`; of the account of that name where there is one.
    pub fn jwt(subject: &str, has_account: bool, jti: &str, role: Role) -> Self {
        let kind = if has_account { "account" } else { "jwt" };
        let credential = format!("jwt:{jti}").into();
        Self { credential, ..Self::of(format!("{kind}:{subject}"), role, Scheme::Jwt) }
    }

    /// The holder of a client certificate with this alternative name, such as `dns:agent.example`.
    pub fn certificate(name: &str, role: Role) -> Self {
        Self::of(format!("certificate:{name}"), role, Scheme::Certificate)
    }

    /// The same one, confined to `scopes`.
    pub fn with_scopes(self, scopes: impl Into<Arc<[String]>>) -> Self {
        Self { scopes: scopes.into(), ..self }
    }

    /// Anybody, where the operator switched authentication off on loopback.
    pub fn anonymous() -> Self {
        Self::of(ANONYMOUS.into(), Role::Reader, Scheme::None)
    }
}

/// What a principal may do, before its scopes and the policy narrow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Searches and reads; what agents get.
    Reader,
    /// Everything, administration included. No agent is an administrator.
    Admin,
    /// Runs the appliance day by day: libraries, sessions, bans, backups. Makes no accounts, keys or policies.
    Operator,
    /// Reads the audit log, its proofs and reports, and changes nothing.
    Auditor,
}

impl Role {
    /// All, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Reader, Self::Auditor, Self::Operator, Self::Admin];

    /// How much it may do, beside the others.
    pub fn rank(self) -> usize {
        Self::ALL.iter().position(|role| *role == self).unwrap_or_default()
    }

    /// This one, or `most` if that is less.
    pub fn at_most(self, most: Self) -> Self {
        if self.rank() <= most.rank() { self } else { most }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }
}

/// How a principal was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// By the uid of the process at the other end, or our own.
    Local,
    /// By a bearer token.
    Bearer,
    /// Not at all: authentication is off on loopback.
    None,
    /// By an account's name and password (RFC 7617).
    Basic,
    /// By a signed token (RFC 7519).
    Jwt,
    /// By a client certificate.
    Certificate,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Bearer => "bearer",
            Self::None => "none",
            Self::Basic => "basic",
            Self::Jwt => "jwt",
            Self::Certificate => "certificate",
        }
    }
}
