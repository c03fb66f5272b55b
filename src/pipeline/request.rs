//! What arrives: by which way, from whom it says, and what is asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::auth::policy::ask::Circumstances;
use crate::auth::session::Handle;
use crate::operation::{Caller, Kind, Nobody};

/// The way a request came.
#[derive(Clone, Debug)]
pub enum Via {
    Http {
        peer: SocketAddr,
        is_tls: bool,
        user_agent: Option<Arc<str>>,
    },
    /// HTTP on a Unix socket.
    Socket {
        peer: SocketPeer,
        user_agent: Option<Arc<str>>,
    },
    /// An agent over stdio, its own process's uid.
    Stdio {
        uid: u32,
    },
    /// The control socket; `process` is the client's, where the kernel tells.
    Control {
        uid: u32,
        process: Option<i32>,
    },
    /// The command line, in this process.
    Command {
        uid: u32,
    },
}

impl Via {
    pub fn transport(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Socket { .. } => "unix",
            Self::Stdio { .. } => "stdio",
            Self::Control { .. } => "control",
            Self::Command { .. } => "command",
        }
    }

    /// As policies see it.
    pub fn circumstances(&self) -> Circumstances {
        let (peer, is_tls) = match self {
            // An IPv4 client of an IPv6 listener is that client.
            Self::Http { peer, is_tls, .. } => (Some(peer.ip().to_canonical()), *is_tls),
            _ => (None, false),
        };
        Circumstances { transport: self.transport(), is_tls, peer }
    }

    /// The person at this machine, through the control socket or the command line.
    pub fn is_at_this_machine(&self) -> bool {
        matches!(self, Self::Control { .. } | Self::Command { .. })
    }

    /// What an HTTP client calls itself.
    pub fn user_agent(&self) -> Option<&str> {
        match self {
            Self::Http { user_agent, .. } | Self::Socket { user_agent, .. } => user_agent.as_deref(),
            _ => None,
        }
    }

    /// Where the client is, over HTTP; behind a trusted proxy, what that says.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Http { peer, .. } => Some(peer.ip()),
            Self::Socket { .. } | Self::Stdio { .. } | Self::Control { .. } | Self::Command { .. } => None,
        }
    }

    pub fn peer(&self) -> Option<String> {
        match self {
            Self::Http { peer, .. } => Some(peer.ip().to_string()),
            Self::Socket { peer: SocketPeer { uid, process }, .. } => Some(of_process(*uid, *process)),
            Self::Stdio { uid } | Self::Command { uid } => Some(format!("uid {uid}")),
            Self::Control { uid, process } => Some(of_process(*uid, *process)),
        }
    }
}

/// The process at the other end of a Unix socket; `process` where the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketPeer {
    pub uid: u32,
    pub process: Option<i32>,
}

fn of_process(uid: u32, process: Option<i32>) -> String {
    process.map_or_else(|| format!("uid {uid}"), |process| format!("uid {uid} process {process}"))
}

/// What is asked for, and the caller's side of it.
pub struct Asked {
    pub kind: Kind,
    pub name: String,
    pub arguments: Value,
    pub handle: Handle,
    pub caller: Arc<dyn Caller>,
    pub cancel: CancellationToken,
    /// Answers to an earlier `Ask`, and its sealed state.
    pub answers: Option<Map<String, Value>>,
    pub state: Option<String>,
    /// A relay sent this again after its server went away: whether the first one ran is not known.
    pub resent: bool,
    /// This asks for the completion of an argument of that operation instead of running it.
    pub completion: Option<(String, String)>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("kind", &self.kind).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Asked {
    pub fn new(kind: Kind, name: impl Into<String>, arguments: Value, handle: Handle) -> Self {
        Self {
            kind,
            name: name.into(),
            arguments,
            handle,
            caller: Arc::new(Nobody),
            cancel: CancellationToken::new(),
            answers: None,
            state: None,
            resent: false,
            completion: None,
        }
    }

    /// How the audit log names it.
    pub(super) fn label(&self) -> String {
        let name: String = self.name.chars().take(crate::base::bound::AUDIT_NAME_CHARS_MAX).collect();
        match (self.kind, &self.completion) {
            (Kind::Prompt, Some(_)) => format!("completion/complete of prompt {name}"),
            (Kind::Prompt, None) => format!("prompts/get {name}"),
            _ => name,
        }
    }

    /// What it is about, where the arguments name it: a resource, a document, a library.
    pub(super) fn target(&self) -> Option<String> {
        let text = |key: &str| self.arguments.get(key).and_then(Value::as_str);
        let target = match (text("uri"), text("library").or_else(|| text("name")), text("path")) {
            (Some(uri), _, _) => uri.to_owned(),
            (None, Some(library), Some(path)) => format!("{library}/{}", path.trim_start_matches('/')),
            (None, Some(library), None) => library.to_owned(),
            _ => return None,
        };
        Some(target.chars().take(crate::base::bound::AUDIT_NAME_CHARS_MAX).collect())
    }
}
