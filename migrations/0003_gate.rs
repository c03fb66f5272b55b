//! Schema 3: tables for accounts, signing keys of tokens, issued tokens, sessions, ended credentials, bans, rates and
//! alerts that wait to be sent.

use redb::WriteTransaction;

use super::{StoreError, create_tables};

const TABLES: [&str; 8] = ["accounts", "jwt_keys", "jwts", "sessions", "denials", "bans", "rates", "alerts"];

pub(super) fn apply(transaction: &WriteTransaction) -> Result<(), StoreError> {
    create_tables(transaction, &TABLES)
}
