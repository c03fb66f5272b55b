//! Accounts of persons and services: a name, a role, and the hash of a password.

use serde::{Deserialize, Serialize};

use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::principal::Role;
use crate::base::secret::Secret;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, Store, StoreError, after_prefix};

/// What is kept of an account. The password is not.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountRecord {
    pub name: String,
    pub role: Role,
    /// See [`crate::crypto::password::PasswordHash`].
    pub phc: String,
    pub disabled: bool,
    pub made: Timestamp,
    /// When the password, or whether it is disabled, was changed.
    pub changed: Timestamp,
    pub last_used: Option<Timestamp>,
    /// Wrong passwords since the last right one.
    pub failures: u32,
}

impl std::fmt::Debug for AccountRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountRecord").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

impl Record for AccountRecord {
    const TABLE: &'static str = "accounts";
}

/// Why an account is not made or changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error(
        "a name has 1 to {most} characters of A-Z a-z 0-9 . _ - @, and begins with a letter or digit",
        most = bound::ACCOUNT_NAME_BYTES_MAX
    )]
    Name,
    #[error("a password has at least {least} characters, this one {0}; several words make a good one", least = bound::PASSWORD_CHARS_MIN)]
    Short(usize),
    #[error("a password has at most {most} bytes, this one {0}", most = bound::PASSWORD_BYTES_MAX)]
    Long(usize),
    #[error("the account's name is no password for it")]
    NameAsPassword,
    #[error("a password is UTF-8 text without control characters")]
    NotText,
    #[error("there is an account {0} already; change its password with `sekisho account passwd {0}`")]
    Exists(String),
    #[error("there is no account {0}; `sekisho account review` lists them all")]
    Unknown(String),
    #[error("there are {most} accounts already, which is the most", most = bound::ACCOUNTS_MAX)]
    TooMany,
}

/// Whether `name` may name an account or a token.
pub fn check_name(name: &str) -> Result<(), AccountError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@');
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let fits = first && name.len() <= bound::ACCOUNT_NAME_BYTES_MAX && name.bytes().all(good);
    if fits { Ok(()) } else { Err(AccountError::Name) }
}

/// Whether `password` may become the password of `name`.
pub fn check_password(name: &str, password: &Secret) -> Result<(), AccountError> {
    let bytes = password.expose_secret();
    let text = std::str::from_utf8(bytes).map_err(|_| AccountError::NotText)?;
    if text.chars().any(char::is_control) {
        // RFC 7617, section 2: a client could never send it.
        return Err(AccountError::NotText);
    }
    match text.chars().count() {
        _ if bytes.len() > bound::PASSWORD_BYTES_MAX => Err(AccountError::Long(bytes.len())),
        chars if chars < bound::PASSWORD_CHARS_MIN => Err(AccountError::Short(chars)),
        _ if text.to_lowercase().contains(&name.to_lowercase()) && text.len() < 2 * name.len() => {
            Err(AccountError::NameAsPassword)
        }
        _ => Ok(()),
    }
}

pub(super) fn find(snapshot: &Snapshot, name: &str) -> Result<Option<AccountRecord>, StoreError> {
    // No other name is in the table, and a key has a bound.
    if check_name(name).is_err() {
        return Ok(None);
    }
    snapshot.get(Table::Accounts, name.as_bytes())?.map(|bytes| codec::decode(&bytes)).transpose()
}

/// What is known of the account of this name.
pub fn named(store: &Store, name: &str) -> Result<Option<AccountRecord>, StoreError> {
    store.read(|snapshot| find(snapshot, name))
}

/// All accounts.
pub fn all(store: &Store) -> Result<Vec<AccountRecord>, StoreError> {
    store.read(list)
}

pub(super) fn row(record: &AccountRecord) -> Result<Put, StoreError> {
    Ok(Put::new(Table::Accounts, record.name.as_bytes(), codec::encode(record)?))
}

pub(super) fn list(snapshot: &Snapshot) -> Result<Vec<AccountRecord>, StoreError> {
    let rows = snapshot.scan(Table::Accounts, &[], &after_prefix(&[]), bound::ACCOUNTS_MAX)?;
    rows.iter().map(|(_, value)| codec::decode(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_break_out_of_a_key_or_a_header_are_none() {
        for good in ["ann", "build-bot", "ann@example.org", "A.b_c", &"x".repeat(64)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "ann:x", ".ann", "-x", "@x", "ann smith", "änn", "a\0", &"x".repeat(65)] {
            assert_eq!(check_name(bad), Err(AccountError::Name), "{bad}");
        }
    }

    #[test]
    fn passwords_that_are_guessed_or_cannot_be_sent_are_refused() {
        let check = |name: &str, password: &[u8], expect: Result<(), AccountError>| {
            assert_eq!(check_password(name, &Secret::new(password)), expect, "{password:?}");
        };
        check("ann", b"twelve chars", Ok(()));
        check("ann", "二十四バイトより長い言葉です".as_bytes(), Ok(()));
        check("ann", b"eleven char", Err(AccountError::Short(11)));
        check("build-robot-7", b"Build-Robot-7", Err(AccountError::NameAsPassword));
        check("build-robot-7", b"build-robot-7!", Err(AccountError::NameAsPassword));
        check("ann", b"ann likes long walks", Ok(()));
        check("ann", b"with a \x07 in it", Err(AccountError::NotText));
        check("ann", b"twelve chars\xff", Err(AccountError::NotText));
        check("ann", &[b'x'; 1025], Err(AccountError::Long(1025)));
    }
}
