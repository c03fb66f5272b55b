//! Why there is no connection, or no answer, and whether the other machine may have heard of it.

use std::io;

use crate::crypto::trust::TrustError;

/// Why there is no connection, or no answer.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// By policy, before anything was asked of anybody but a resolver.
    #[error("{target}: refused: {reason}")]
    Refused { target: String, reason: String },
    #[error("{target}: the name was not found: {error}")]
    NotFound { target: String, error: io::Error },
    #[error("{target}: no connection: {error}")]
    Connect { target: String, error: io::Error },
    #[error("{target}: no TLS: {error}")]
    Tls { target: String, error: io::Error },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("{target}: no answer within {within_ms} ms")]
    Timeout {
        target: String,
        within_ms: u64,
        /// Whether the request had begun to leave.
        is_sent: bool,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("{target}: {reason}")]
    Exchange { target: String, reason: String },
    /// What leads on from here is not followed. The request itself was answered.
    #[error("{target}: its redirect is not followed: {reason}")]
    Redirect { target: String, reason: String },
    #[error("{target}: the answer has more than {bytes_max} bytes")]
    TooLarge { target: String, bytes_max: usize },
    /// Our caller's bug.
    #[error("{target}: this cannot be sent: {reason}")]
    Request { target: String, reason: String },
}

impl EgressError {
    /// Whether the other machine may have acted on the request. If not, it can be sent again whatever it asks for.
    pub fn may_be_done(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::NotFound { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Trust(_)
            | Self::Request { .. } => false,
            Self::Timeout { is_sent, .. } => *is_sent,
            Self::Exchange { .. } | Self::Redirect { .. } | Self::TooLarge { .. } => true,
        }
    }
}
