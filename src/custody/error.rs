//! What can go wrong with keys, credentials and backups, and how that looks to whoever asked.

use std::io;
use std::path::{Path, PathBuf};

use crate::audit::AuditError;
use crate::base::refusal::{Code, Refusal, sentence};
use crate::crypto::stream::StreamError;
use crate::store::StoreError;
use crate::vault::credential::CredentialError;
use crate::vault::reseal::ResealError;
use crate::vault::source::SourceError;
use crate::vault::{RecoveryKeyError, VaultError};

/// Why something was not kept, opened, changed or restored.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Reseal(#[from] ResealError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Recovery(#[from] RecoveryKeyError),
    #[error("there is a credential {0} already; nothing was changed")]
    Exists(String),
    #[error("{} exists already; it was left as it is", .0.display())]
    FileExists(PathBuf),
    #[error("there is a database {} already, and it was left as it is; put it aside with --overwrite", .0.display())]
    DatabaseExists(PathBuf),
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: {error}", path.display())]
    Stream { path: PathBuf, error: StreamError },
    #[error("{} is no backup of Sekisho: {reason}", path.display())]
    NoBackup { path: PathBuf, reason: String },
    #[error("the copy does not hold what it should: {0}")]
    NotAsBefore(String),
    #[error("{0}")]
    Failed(String),
}

impl CustodyError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }
}

impl CustodyError {
    /// What kind of refusal it makes.
    pub fn code(&self) -> Code {
        match self {
            Self::Vault(error)
            | Self::Credential(CredentialError::Vault(error))
            | Self::Audit(AuditError::Vault(error)) => of_vault(error),
            Self::Credential(CredentialError::Unknown(_)) => Code::NotFound,
            Self::Credential(
                CredentialError::Name | CredentialError::ValueLength(_) | CredentialError::NoteLength(_),
            )
            | Self::Recovery(_)
            | Self::NoBackup { .. }
            | Self::Audit(AuditError::Refused(_)) => Code::Invalid,
            Self::Exists(_)
            | Self::FileExists(_)
            | Self::DatabaseExists(_)
            | Self::Credential(CredentialError::TooMany) => Code::Conflict,
            Self::Store(StoreError::Full { .. } | StoreError::Reading) => Code::Unavailable,
            _ => Code::Internal,
        }
    }
}

fn of_vault(error: &VaultError) -> Code {
    match error {
        VaultError::TooSoon { .. } => Code::TooManyRequests,
        VaultError::WrongSecret | VaultError::WrongRecoveryKey => Code::Forbidden,
        VaultError::Absent | VaultError::Sealed => Code::Unavailable,
        VaultError::Iterations(_) | VaultError::SecretLength { .. } => Code::Invalid,
        _ => Code::Internal,
    }
}

/// Operators are told the whole reason: it names no value.
impl From<CustodyError> for Refusal {
    fn from(error: CustodyError) -> Self {
        let refusal = Self::new(error.code(), sentence(&error));
        match error {
            CustodyError::Vault(VaultError::TooSoon { wait }) => refusal.with_retry_after(wait),
            _ => refusal,
        }
    }
}
