//! Schema 1: all tables of the walking appliance, empty.

use redb::WriteTransaction;

use super::{StoreError, create_tables};

pub(super) fn apply(transaction: &WriteTransaction) -> Result<(), StoreError> {
    create_tables(transaction)
}
