//! The words of a question to the policy: which action, on what, under which circumstances.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::classification::Classification;

/// What kind of thing an operation is. The order is from the mildest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionGroup {
    /// What a protocol needs to work at all: a session, lists of operations, tasks. Part of `Agent`.
    Protocol,
    /// Tools, prompts, resources, completions.
    Agent,
    /// Operations of connectors that write or delete. Part of `Agent`.
    AgentChange,
    /// Reading the audit log, its proofs and reports, and the policies.
    AuditRead,
    /// Running the appliance day by day: libraries, sessions, bans, backups, status, lifecycle.
    Operate,
    /// Accounts, tokens, credentials, the vault, keys, policies, retention, restore.
    Administer,
}

impl ActionGroup {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Agent => "agent",
            Self::AgentChange => "agent_change",
            Self::AuditRead => "audit_read",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }

    /// Whether an agent does such things.
    pub fn is_for_agents(self) -> bool {
        matches!(self, Self::Protocol | Self::Agent | Self::AgentChange)
    }
}

/// One operation, as policies name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Action {
    /// `search_documents`, `prompt:answer_from_library`, `resources/read`, `library.add`.
    pub name: Arc<str>,
    pub group: ActionGroup,
}

/// What an action is done to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    pub kind: ResourceKind,
    pub name: Arc<str>,
    pub classification: Classification,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// Sekisho itself: whether an operation may be called at all.
    Appliance,
    Library,
    /// A connector to a REST API.
    Connector,
    Credential,
}

impl ResourceKind {
    /// As a scope and `policy explain` write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Appliance => "appliance",
            Self::Library => "library",
            Self::Connector => "connector",
            Self::Credential => "credential",
        }
    }

    /// The entity type in the schema, within the namespace `Sekisho`.
    pub(super) fn entity(self) -> &'static str {
        match self {
            Self::Appliance => "Appliance",
            Self::Library => "Library",
            Self::Connector => "Connector",
            Self::Credential => "Credential",
        }
    }
}

impl Resource {
    /// Sekisho itself. That there is one is no secret.
    pub fn appliance() -> Self {
        Self {
            kind: ResourceKind::Appliance,
            name: Arc::from(ResourceKind::Appliance.as_str()),
            classification: Classification::Public,
        }
    }

    pub fn library(name: &str, classification: Classification) -> Self {
        Self { kind: ResourceKind::Library, name: name.into(), classification }
    }

    pub fn connector(name: &str, classification: Classification) -> Self {
        Self { kind: ResourceKind::Connector, name: name.into(), classification }
    }

    pub fn credential(name: &str, classification: Classification) -> Self {
        Self { kind: ResourceKind::Credential, name: name.into(), classification }
    }

    /// For people: `the appliance`, `library "manual"`.
    pub fn describe(&self) -> String {
        match self.kind {
            ResourceKind::Appliance => "the appliance".into(),
            kind => format!("{} {:?}", kind.as_str(), self.name),
        }
    }
}

/// How the question came in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Circumstances {
    /// `http`, `stdio`, `control`, `command`.
    pub transport: &'static str,
    /// Over TLS.
    pub is_tls: bool,
    /// The client's address, over HTTP.
    pub peer: Option<IpAddr>,
}
