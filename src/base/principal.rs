//! Who asks: the fact that `identify` establishes and everything after relies on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Somebody whom one authentication scheme has vouched for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Stable name: `local:1000`, `stdio:1000`, `token:quickstart`, `anonymous`.
    pub id: Arc<str>,
    pub role: Role,
    pub scheme: Scheme,
}

impl Principal {
    /// The person at this machine, through the control socket or the command line.
    pub fn local(uid: u32) -> Self {
        Self { id: format!("local:{uid}").into(), role: Role::Admin, scheme: Scheme::Local }
    }

    /// An agent that the person at this machine started over stdio. It is not that person:
    /// it reads.
    pub fn stdio(uid: u32) -> Self {
        Self { id: format!("stdio:{uid}").into(), role: Role::Reader, scheme: Scheme::Local }
    }

    pub fn token(name: &str, role: Role) -> Self {
        Self { id: format!("token:{name}").into(), role, scheme: Scheme::Bearer }
    }

    /// Anybody, where the operator switched authentication off on loopback.
    pub fn anonymous() -> Self {
        Self { id: "anonymous".into(), role: Role::Reader, scheme: Scheme::None }
    }
}

/// What a principal may do, coarsely. Policy proper comes with the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Searches and reads; what agents get.
    Reader,
    /// Everything, administration included. No agent is an administrator.
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
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
