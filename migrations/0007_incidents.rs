//! Schema 7: a table for incidents.

use redb::WriteTransaction;

use super::{StoreError, create_tables};

const TABLES: [&str; 1] = ["incidents"];

pub(super) fn apply(transaction: &WriteTransaction) -> Result<(), StoreError> {
    create_tables(transaction, &TABLES)
}
