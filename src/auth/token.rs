//! Bearer tokens (RFC 6750): 256 random bits, shown once, stored as a hash.

use serde::{Deserialize, Serialize};

use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::{NoEntropy, hex, random_bytes};
use crate::base::principal::Role;
use crate::base::secret::Secret;
use crate::config::mask::{TOKEN_BODY_CHARS, TOKEN_PREFIX};
use crate::crypto::digest::sha256;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, Store, StoreError};

/// What is known of a token; the token itself is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    pub name: String,
    pub role: Role,
    pub made: Timestamp,
}

impl Record for TokenRecord {
    const TABLE: &'static str = "tokens";
}

/// A new token. The random part has 256 bits, so a plain SHA-256 of it gives nothing away.
pub fn make() -> Result<Secret, NoEntropy> {
    Ok(Secret::new(format!("{TOKEN_PREFIX}{}", hex(&random_bytes::<32>()?))))
}

/// The row that makes `token` valid.
pub fn row(token: &Secret, record: &TokenRecord) -> Result<Put, StoreError> {
    Ok(Put::new(Table::Tokens, sha256(&[token.expose_secret()]), codec::encode(record)?))
}

/// The name of the token that `init` makes for HTTP clients.
pub const QUICKSTART: &str = "quickstart";

/// Deletions of every token of the name [`QUICKSTART`].
pub fn rows_of_quickstart(snapshot: &Snapshot) -> Result<Vec<Put>, StoreError> {
    let mut deletions = Vec::new();
    for (key, value) in snapshot.scan(Table::Tokens, &[], &[u8::MAX; 33], bound::TOKENS_MAX)? {
        if codec::decode::<TokenRecord>(&value)?.name == QUICKSTART {
            deletions.push(Put::delete(Table::Tokens, key));
        }
    }
    Ok(deletions)
}

/// What is known of the token of this name; of several, the newest.
pub fn named(store: &Store, name: &str) -> Result<Option<TokenRecord>, StoreError> {
    let rows = store.read(|snapshot| snapshot.scan(Table::Tokens, &[], &[u8::MAX; 33], bound::TOKENS_MAX))?;
    let mut found: Option<TokenRecord> = None;
    for (_, value) in rows {
        let record: TokenRecord = codec::decode(&value)?;
        if record.name == name && found.as_ref().is_none_or(|known| known.made <= record.made) {
            found = Some(record);
        }
    }
    Ok(found)
}

/// Whether `token` opens anything.
pub fn is_known(store: &Store, token: &Secret) -> Result<bool, StoreError> {
    find(store, token).map(|found| found.is_some())
}

/// What is known of `token`. The look-up goes by its hash, so its time says nothing about near misses.
pub(super) fn find(store: &Store, token: &Secret) -> Result<Option<TokenRecord>, StoreError> {
    let key = sha256(&[token.expose_secret()]);
    let row = store.read(|snapshot| snapshot.get(Table::Tokens, &key))?;
    row.map(|bytes| codec::decode(&bytes)).transpose()
}

/// The token in an `Authorization: Bearer ...` header, if it has a token's form.
pub(super) fn of_header(header: &Secret) -> Option<Secret> {
    let text = std::str::from_utf8(header.expose_secret()).ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    let body = token.strip_prefix(TOKEN_PREFIX)?;
    let good = scheme.eq_ignore_ascii_case("bearer")
        && body.len() == TOKEN_BODY_CHARS
        && body.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| Secret::new(token))
}

#[cfg(test)]
mod tests {
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
}
