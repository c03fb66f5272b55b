//! Schema 5: tables for connectors, their operations and their documents.

use redb::WriteTransaction;

use super::{StoreError, create_tables};

const TABLES: [&str; 3] = ["connectors", "connector_operations", "connector_documents"];

pub(super) fn apply(transaction: &WriteTransaction) -> Result<(), StoreError> {
    create_tables(transaction, &TABLES)
}
