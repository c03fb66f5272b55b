//! API keys: bearer tokens (RFC 6750) of 256 random bits, shown once, stored as a hash.

use serde::{Deserialize, Serialize};

use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::{NoEntropy, hex, random_bytes};
use crate::base::principal::Role;
use crate::base::secret::Secret;
use crate::config::mask::{TOKEN_BODY_CHARS, TOKEN_PREFIX};
use crate::crypto::digest::{Hash, sha256};
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, Store, StoreError};

/// Characters after [`TOKEN_PREFIX`] by which a token is found in a list: 32 of its 256 bits.
const FINDABLE_CHARS: usize = 8;

/// Why a token, an API key or a JWT, is not issued or revoked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error(
        "there is a valid API key {0} already; revoke it first with `sekisho token revoke {0}`, or take another name"
    )]
    Exists(String),
    #[error("there is no token with the name, the beginning or the id {0}; `sekisho token list` lists them all")]
    Unknown(String),
    #[error("several API keys begin with {0}; name more of it, or the name")]
    Ambiguous(String),
    #[error("there are {0} of them already, which is the most; revoked and expired ones make room")]
    TooMany(usize),
    #[error(
        "a token has at most {} scopes of 1 to {} visible characters each",
        bound::SCOPES_MAX,
        bound::SCOPE_BYTES_MAX
    )]
    Scopes,
    #[error("a token is valid for 1 to {0} days")]
    Days(u64),
    #[error(
        "there is no account {0} whose role the token could have; make it with `sekisho account add {0}`, or say the token's role with --role (reader, auditor, operator, admin)"
    )]
    NoRole(String),
    #[error("the account {name} is {is}, so a token for it is {is} or reader, not {asked}", is = is.as_str(), asked = asked.as_str())]
    OtherRole { name: String, is: Role, asked: Role },
}

/// What is known of a token; the token itself is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    pub name: String,
    pub role: Role,
    /// How the token begins. Empty where it was made before this was kept.
    pub prefix: String,
    /// What it is confined to; empty: nothing narrower than its role.
    pub scopes: Vec<String>,
    pub made: Timestamp,
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
    /// Revoked. The record stays, so that a list says so.
    pub disabled: bool,
}

impl TokenRecord {
    /// Of a token that never expires and is confined to nothing.
    pub fn new(name: impl Into<String>, role: Role, token: &Secret, made: Timestamp) -> Self {
        Self {
            name: name.into(),
            role,
            prefix: beginning(token),
            scopes: Vec::new(),
            made,
            expires: None,
            last_used: None,
            disabled: false,
        }
    }

    /// Why the token is not taken at `now`.
    pub fn why_not(&self, now: Timestamp) -> Option<&'static str> {
        match self.expires {
            _ if self.disabled => Some("the API key was revoked"),
            Some(expires) if now >= expires => Some("the API key has expired"),
            _ => None,
        }
    }
}

impl Record for TokenRecord {
    const TABLE: &'static str = "tokens";
    /// 1 was: name, role, made.
    const FORMAT: u8 = 2;
}

/// How a token begins: what lists show of it.
pub fn beginning(token: &Secret) -> String {
    let text = String::from_utf8_lossy(token.expose_secret());
    text.chars().take(TOKEN_PREFIX.len() + FINDABLE_CHARS).collect()
}

/// A new token. The random part has 256 bits, so a plain SHA-256 of it gives nothing away.
pub fn make() -> Result<Secret, NoEntropy> {
    Ok(Secret::new(format!("{TOKEN_PREFIX}{}", hex(&random_bytes::<32>()?))))
}

/// The row that makes `token` valid.
pub fn row(token: &Secret, record: &TokenRecord) -> Result<Put, StoreError> {
    row_at(key_of(token), record)
}

pub(super) fn row_at(key: Hash, record: &TokenRecord) -> Result<Put, StoreError> {
    Ok(Put::new(Table::Tokens, key, codec::encode(record)?))
}

pub(super) fn key_of(token: &Secret) -> Hash {
    sha256(&[token.expose_secret()])
}

/// The name of the token that `init` makes for HTTP clients.
pub const QUICKSTART: &str = "quickstart";

/// Deletions of every token of the name [`QUICKSTART`].
pub fn rows_of_quickstart(snapshot: &Snapshot) -> Result<Vec<Put>, StoreError> {
    let named = list(snapshot)?.into_iter().filter(|(_, record)| record.name == QUICKSTART);
    Ok(named.map(|(key, _)| Put::delete(Table::Tokens, key)).collect())
}

/// All tokens with the hashes that they are stored under.
pub(super) fn list(snapshot: &Snapshot) -> Result<Vec<(Hash, TokenRecord)>, StoreError> {
    let rows = snapshot.scan(Table::Tokens, &[], &[u8::MAX; 33], bound::TOKENS_MAX)?;
    let whole = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let reason = || StoreError::Record { table: TokenRecord::TABLE, reason: "its key is no hash".into() };
        Ok((key.as_slice().try_into().map_err(|_| reason())?, codec::decode(value)?))
    };
    rows.iter().map(whole).collect()
}

/// All API keys, revoked ones included.
pub fn all(store: &Store) -> Result<Vec<TokenRecord>, StoreError> {
    Ok(store.read(list)?.into_iter().map(|(_, record)| record).collect())
}

/// What is known of the token with this name or beginning; of several, the newest, and one that holds before one that
/// was revoked.
pub fn named(store: &Store, wanted: &str) -> Result<Option<TokenRecord>, StoreError> {
    let begins = |record: &TokenRecord| {
        let body = record.prefix.strip_prefix(TOKEN_PREFIX).filter(|body| !body.is_empty());
        body.is_some_and(|body| wanted == record.prefix || wanted == body)
    };
    let records = store.read(list)?.into_iter().map(|(_, record)| record);
    let found = records.filter(|record| record.name == wanted || begins(record));
    Ok(found.max_by_key(|record| (!record.disabled, record.made)))
}

/// Whether `token` is there and is taken at `now`.
pub fn is_known(store: &Store, token: &Secret, now: Timestamp) -> Result<bool, StoreError> {
    let found = store.read(|snapshot| find(snapshot, &key_of(token)))?;
    Ok(found.is_some_and(|record| record.why_not(now).is_none()))
}

/// What is known of the token with this hash. The look-up goes by the hash, so its time says nothing about near misses.
pub(super) fn find(snapshot: &Snapshot, key: &Hash) -> Result<Option<TokenRecord>, StoreError> {
    snapshot.get(Table::Tokens, key)?.map(|bytes| codec::decode(&bytes)).transpose()
}

/// What follows `Bearer` in an `Authorization` header (RFC 6750, section 2.1).
pub(super) fn bearer(header: &Secret) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(header.expose_secret()).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// The API key in an `Authorization: Bearer ...` header, if it has the form of one.
pub(super) fn of_header(header: &Secret) -> Option<Secret> {
    let token = bearer(header)?;
    let body = token.strip_prefix(TOKEN_PREFIX)?;
    let good = body.len() == TOKEN_BODY_CHARS && body.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| Secret::new(token))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_gives_its_token_or_nothing() {
        let token = make().unwrap();
        let text = String::from_utf8(token.expose_secret().to_vec()).unwrap();
        let check = |header: String, good: bool| {
            assert_eq!(of_header(&Secret::new(header.clone())), good.then(|| token.clone()), "{header}");
        };
        check(format!("Bearer {text}"), true);
        check(format!("bearer  {text} "), true);
        check(text.clone(), false);
        check(format!("Basic {text}"), false);
        check(format!("Bearer {text}0"), false);
        check("Bearer ".into(), false);
        check(String::new(), false);
    }

    #[test]
    fn a_record_shows_how_its_token_begins_and_no_more() {
        let token = make().unwrap();
        let record = TokenRecord::new("ci", Role::Reader, &token, Timestamp(0));
        assert!(token.expose_secret().starts_with(record.prefix.as_bytes()));
        assert_eq!(record.prefix.len(), TOKEN_PREFIX.len() + FINDABLE_CHARS);
        assert_eq!(record.why_not(Timestamp(u64::MAX)), None);
        let record = TokenRecord { expires: Some(Timestamp(10)), ..record };
        assert_eq!(record.why_not(Timestamp(9)), None);
        assert!(record.why_not(Timestamp(10)).unwrap().contains("expired"));
        assert!(TokenRecord { disabled: true, ..record }.why_not(Timestamp(0)).unwrap().contains("revoked"));
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(header: Vec<u8>) {
            let _any = of_header(&Secret::new(header));
        }
    }
}
