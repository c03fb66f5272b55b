//! What can go wrong with connectors.

use super::base_url::BaseUrlError;
use super::pick::NotAGlob;
use super::settings::NotASetting;
use crate::base::bound::connector as bound;
use crate::base::refusal::{Code, Refusal};
use crate::openapi::OpenApiError;
use crate::store::StoreError;

/// Why a connector is not as it was wanted.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    #[error("there is no connector {0:?}; `sekisho connector list` names those that there are")]
    Unknown(String),
    #[error("there is a connector {0:?} already; update it, or remove it first")]
    Exists(String),
    #[error("{0:?} is no name for a connector: write 1 to {max} of a-z 0-9 -, begin with a letter and end with none but a letter or digit", max = bound::CONNECTOR_NAME_BYTES_MAX)]
    Name(String),
    #[error("the connector {0:?} is being changed at the moment; try again when that is done")]
    Busy(String),
    #[error("there are {} connectors, which is the most there may be; remove one first", bound::CONNECTORS_MAX)]
    TooMany,
    #[error("none of the document's operations is picked; `--dry-run` without picks lists them all")]
    NothingPicked,
    #[error(
        "the connector {connector:?} has no operation {operation:?}; `sekisho connector show {connector}` lists them"
    )]
    NoOperation { connector: String, operation: String },
    #[error("the connector {0:?} has no changed document that waits to be approved")]
    NothingPending(String),
    #[error(
        "the change that waits has the digest {found}, not {named}: look at it again with `sekisho connector diff {connector}`"
    )]
    OtherChange { connector: String, found: String, named: String },
    #[error(
        "the stored operations of the connector {0:?} are not those that its lock pins; restore a backup, or remove it and add it again"
    )]
    Broken(String),
    #[error(
        "expected an https:// URL without a user and a password, found {0:?}; http:// is for this machine, with --loopback-http"
    )]
    Url(String),
    #[error("the document at {url} cannot be had: {reason}")]
    Unfetched { url: String, reason: String },
    #[error("expected an address or a network such as 10.0.0.0/8, found {0:?}")]
    Network(String),
    #[error(transparent)]
    Document(#[from] OpenApiError),
    #[error("{0}")]
    Unreadable(String),
    #[error("{0}")]
    NoReader(String),
    #[error(transparent)]
    BaseUrl(#[from] BaseUrlError),
    #[error(transparent)]
    Glob(#[from] NotAGlob),
    #[error(transparent)]
    Setting(#[from] NotASetting),
    #[error(
        "words in the document look like an attack on whoever reads them: {0}; look at what was found, and accept each by its name, or leave it out"
    )]
    Flagged(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a worker of the connectors ended: {0}")]
    Worker(String),
}

impl From<ConnectorError> for Refusal {
    fn from(error: ConnectorError) -> Self {
        let code = match &error {
            ConnectorError::Unknown(_) | ConnectorError::NoOperation { .. } => Code::NotFound,
            ConnectorError::Exists(_)
            | ConnectorError::Busy(_)
            | ConnectorError::NothingPending(_)
            | ConnectorError::OtherChange { .. }
            | ConnectorError::Flagged(_) => Code::Conflict,
            ConnectorError::Document(OpenApiError::TooLarge { .. }) => Code::TooLarge,
            ConnectorError::Name(_)
            | ConnectorError::TooMany
            | ConnectorError::NothingPicked
            | ConnectorError::Network(_)
            | ConnectorError::Url(_)
            | ConnectorError::Document(_)
            | ConnectorError::Unreadable(_)
            | ConnectorError::BaseUrl(_)
            | ConnectorError::Glob(_)
            | ConnectorError::Setting(_) => Code::Invalid,
            ConnectorError::NoReader(_) | ConnectorError::Unfetched { .. } => Code::Unavailable,
            ConnectorError::Broken(_) | ConnectorError::Store(_) | ConnectorError::Worker(_) => {
                return Self::internal(error);
            }
        };
        Self::new(code, error.to_string())
    }
}
