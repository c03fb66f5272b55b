//! Schema 4: a credential says how confidential it is. Those that are there are what nobody classified.

use redb::{ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::store::codec::{self, Record};

const CREDENTIALS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("credentials");

pub(super) fn apply(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let mut credentials = transaction.open_table(CREDENTIALS)?;
    let mut rows = Vec::new();
    for row in credentials.iter()? {
        let (key, value) = row?;
        let Before { name, version, created, updated, note, source, sealed } = codec::decode(value.value())?;
        // What is sealed is bound to its row, not to the record around it.
        let classification = Classification::Internal;
        let after = After { name, version, created, updated, note, source, classification, sealed };
        rows.push((key.value().to_vec(), codec::encode(&after)?));
    }
    for (key, value) in rows {
        credentials.insert(key.as_slice(), value.as_slice())?;
    }
    Ok(())
}

/// A credential as schema 3 has it, format 1.
#[derive(Serialize, Deserialize)]
struct Before {
    name: String,
    version: u32,
    created: u64,
    updated: u64,
    note: Option<String>,
    source: Source,
    sealed: Vec<u8>,
}

impl Record for Before {
    const TABLE: &'static str = "credentials";
    const FORMAT: u8 = 1;
}

/// A credential as schema 4 has it, format 2.
#[derive(Serialize, Deserialize)]
struct After {
    name: String,
    version: u32,
    created: u64,
    updated: u64,
    note: Option<String>,
    source: Source,
    classification: Classification,
    sealed: Vec<u8>,
}

impl Record for After {
    const TABLE: &'static str = "credentials";
    const FORMAT: u8 = 2;
}

/// How a value came in, in the order of schema 3.
#[derive(Serialize, Deserialize)]
enum Source {
    Prompt,
    StandardInput,
    File,
    Import,
    Api,
}

/// The levels of schema 4, in their order.
#[derive(Serialize, Deserialize)]
enum Classification {
    Public,
    Internal,
    Confidential,
    Restricted,
}
