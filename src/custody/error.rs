//! What can go wrong with keys, credentials and backups, and how that looks to whoever asked.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

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
    #[error("{} is damaged, and nothing was taken from it: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "{} cannot be checked here: the vault has no longer the key that it was made with, which a rotation or a restore replaced. It carries its own keys, so open it with a restore into another folder: sekisho --data-dir FOLDER restore {}",
        .0.display(), .0.display()
    )]
    OlderKey(PathBuf),
    #[error(
        "{} does not open with this vault's key for backups: it is of another vault, or its header was changed. A restore into another folder tells which: sekisho --data-dir FOLDER restore {}",
        .0.display(), .0.display()
    )]
    OtherKey(PathBuf),
    #[error("there is no {}; make it, or name another place", .0.display())]
    NoFolder(PathBuf),
    #[error("there is no {}", .0.display())]
    NoFile(PathBuf),
    #[error(
        "a compaction that did not end left a copy from before, {}: make sure that all is well, with sekisho audit verify, and take the copy away, with sekisho prune --copies",
        .0.display()
    )]
    CopyLeft(PathBuf),
    #[error("{what} needs {wanted} bytes on the disk, and {free} are free; make room, for example with sekisho prune")]
    NoRoom { what: &'static str, wanted: u64, free: u64 },
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
            Self::Credential(CredentialError::Unknown(_)) | Self::NoFolder(_) | Self::NoFile(_) => Code::NotFound,
            Self::Credential(
                CredentialError::Name | CredentialError::ValueLength(_) | CredentialError::NoteLength(_),
            )
            | Self::Recovery(_)
            | Self::NoBackup { .. }
            | Self::Damaged { .. }
            | Self::Audit(AuditError::Refused(_)) => Code::Invalid,
            Self::Exists(_)
            | Self::FileExists(_)
            | Self::DatabaseExists(_)
            | Self::CopyLeft(_)
            | Self::Credential(CredentialError::TooMany) => Code::Conflict,
            Self::Store(StoreError::Full { .. } | StoreError::Reading)
            | Self::NoRoom { .. }
            | Self::OlderKey(_)
            | Self::OtherKey(_) => Code::Unavailable,
            _ => Code::Internal,
        }
    }

    /// What a check says by it, for whoever waits for its verdict: that it was made and found something, or that it could
    /// not be made. None where it is about no check.
    pub fn verdict(&self) -> Option<&'static str> {
        match self {
            Self::Damaged { .. } => Some(DAMAGED),
            Self::OlderKey(_) | Self::OtherKey(_) => Some(UNCHECKED),
            _ => None,
        }
    }
}

/// The verdict on a backup that was changed or cut.
pub const DAMAGED: &str = "damaged";
/// The verdict on a backup of which nothing can be said here.
pub const UNCHECKED: &str = "unchecked";

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
        if let Some(verdict) = error.verdict() {
            return refusal.with_data(json!({"verdict": verdict}));
        }
        match error {
            CustodyError::Vault(VaultError::TooSoon { wait }) => refusal.with_retry_after(wait),
            _ => refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_can_mend_is_no_internal_error() {
        let path = || PathBuf::from("/srv/backup/one");
        let damaged = CustodyError::Damaged { path: path(), reason: "it was cut".into() };
        assert_eq!((damaged.code(), damaged.verdict()), (Code::Invalid, Some(DAMAGED)));
        assert_eq!(Refusal::from(damaged).data, Some(json!({"verdict": "damaged"})));
        let older = CustodyError::OlderKey(path());
        assert!(older.to_string().contains("restore /srv/backup/one"), "{older}");
        assert_eq!((older.code(), older.verdict()), (Code::Unavailable, Some(UNCHECKED)));
        let other = [
            (CustodyError::NoFolder(path()), Code::NotFound),
            (CustodyError::NoFile(path()), Code::NotFound),
            (CustodyError::CopyLeft(path()), Code::Conflict),
            (CustodyError::NoRoom { what: "it", wanted: 2, free: 1 }, Code::Unavailable),
        ];
        for (error, code) in other {
            assert_eq!((error.code(), error.verdict()), (code, None), "{error}");
        }
    }
}
