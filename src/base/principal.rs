//! Who asks: the fact that `identify` establishes and everything after relies on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Somebody whom one authentication scheme has vouched for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Stable name: `local:1000`, `stdio:1000`, `token:quickstart`, `account:ann`, `anonymous`.
    pub id: Arc<str>,
    pub role: Role,
    pub scheme: Scheme,
    /// Names the credential that was shown, and gives nothing of it away: `token:quickstart`, `jwt:` and its id,
    /// `basic:ann`. Several may vouch for one principal.
    pub credential: Arc<str>,
    /// What this credential is confined to, such as `library:manual`. Empty: nothing narrower than the role.
    pub scopes: Arc<[String]>,
}

impl Principal {
    /// Somebody who is the only bearer of this one credential, with all that the role allows.
    fn of(id: String, role: Role, scheme: Scheme) -> Self {
        let id: Arc<str> = id.into();
        Self { credential: Arc::clone(&id), id, role, scheme, scopes: Arc::default() }
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

    /// Anybody, where the operator switched authentication off on loopback.
    pub fn anonymous() -> Self {
        Self::of("anonymous".into(), Role::Reader, Scheme::None)
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
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Bearer => "bearer",
            Self::None => "none",
        }
    }
}
