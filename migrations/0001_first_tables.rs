//! Schema 1: all tables of the walking appliance, empty.

use redb::WriteTransaction;

use super::{StoreError, create_tables};

const TABLES: [&str; 7] = ["meta", "migrations", "tokens", "libraries", "documents", "bodies", "audit_entries"];

pub(super) fn apply(transaction: &WriteTransaction) -> Result<(), StoreError> {
    create_tables(transaction, &TABLES)
}
