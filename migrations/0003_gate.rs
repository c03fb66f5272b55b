//! Schema 3: tables for accounts, signing keys of tokens, issued tokens, sessions, ended credentials, bans, rates and
//! alerts that wait to be sent. A bearer token gets what an API key has: a beginning, scopes, an end, a last use.

use redb::{ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{StoreError, create_tables};
use crate::store::codec::{self, Record};

const TABLES: [&str; 8] = ["accounts", "jwt_keys", "jwts", "sessions", "denials", "bans", "rates", "alerts"];

const TOKENS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("tokens");

pub(super) fn apply(transaction: &WriteTransaction) -> Result<(), StoreError> {
    create_tables(transaction, &TABLES)?;
    let mut tokens = transaction.open_table(TOKENS)?;
    let mut rows = Vec::new();
    for row in tokens.iter()? {
        let (key, value) = row?;
        let Before { name, role, made } = codec::decode(value.value())?;
        // How it began is not known: only its hash is there.
        let after = After {
            name,
            role,
            prefix: String::new(),
            scopes: Vec::new(),
            made,
            expires: None,
            last_used: None,
            disabled: false,
        };
        rows.push((key.value().to_vec(), codec::encode(&after)?));
    }
    for (key, value) in rows {
        tokens.insert(key.as_slice(), value.as_slice())?;
    }
    Ok(())
}

/// A token as schema 2 has it, format 1.
#[derive(Serialize, Deserialize)]
struct Before {
    name: String,
    role: Role,
    made: u64,
}

impl Record for Before {
    const TABLE: &'static str = "tokens";
    const FORMAT: u8 = 1;
}

/// A token as schema 3 has it, format 2.
#[derive(Serialize, Deserialize)]
struct After {
    name: String,
    role: Role,
    prefix: String,
    scopes: Vec<String>,
    made: u64,
    expires: Option<u64>,
    last_used: Option<u64>,
    disabled: bool,
}

impl Record for After {
    const TABLE: &'static str = "tokens";
    const FORMAT: u8 = 2;
}

/// The roles of schema 2, in their order.
#[derive(Serialize, Deserialize)]
enum Role {
    Reader,
    Admin,
}
