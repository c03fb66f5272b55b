//! What keys are for: each purpose has keys of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a key is for, and nothing else. The names are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[repr(usize)]
pub enum Purpose {
    /// Values of credentials.
    Credentials,
    /// What is kept of a session.
    Sessions,
    /// The keys of persons whose data the audit log carries.
    AuditPersonal,
    /// Names that stand for persons in the audit log, and keyed digests there: HMAC.
    Pseudonyms,
    /// The keys of backups.
    Backup,
    /// Log files.
    Logs,
    /// The signature on checkpoints of the audit log: an Ed25519 seed.
    Signing,
}

impl Purpose {
    /// All, in the order of the enum.
    pub const ALL: [Self; 7] = [
        Self::Credentials,
        Self::Sessions,
        Self::AuditPersonal,
        Self::Pseudonyms,
        Self::Backup,
        Self::Logs,
        Self::Signing,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Sessions => "sessions",
            Self::AuditPersonal => "audit-personal",
            Self::Pseudonyms => "pseudonyms",
            Self::Backup => "backup",
            Self::Logs => "logs",
            Self::Signing => "signing",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// Whether old versions stay for ever: old entries of the audit log have old pseudonyms and old signatures, and are
    /// never rewritten. Such a key is also rotated on demand only: a new one breaks the thread, and it seals nothing
    /// that would wear it out. All other keys are destroyed once what they sealed was sealed anew.
    pub const fn keeps_versions(self) -> bool {
        matches!(self, Self::Pseudonyms | Self::Signing)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.name().to_owned()
    }
}

impl TryFrom<String> for Purpose {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::named(&name).ok_or("a key is for a purpose that this version does not know")
    }
}
