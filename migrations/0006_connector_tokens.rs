//! Schema 6: a table for the tokens that authorization servers give connectors.

use redb::WriteTransaction;

use super::{StoreError, create_tables};

const TABLES: [&str; 1] = ["connector_tokens"];

pub(super) fn apply(transaction: &WriteTransaction) -> Result<(), StoreError> {
    create_tables(transaction, &TABLES)
}
