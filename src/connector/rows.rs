//! Rows of connectors in the store: what there are, and by generation their operations and documents.

use super::error::ConnectorError;
use super::former;
use super::name::is_connector_name;
use super::record::{self, ConnectorRecord, OperationRecord};
use super::tool::Tool;
use crate::base::bound::COMMIT_BYTES_MAX;
use crate::base::bound::connector as bound;
use crate::crypto::digest::sha256;
use crate::store::table::Table;
use crate::store::{Batch, Put, Removal, Snapshot, Store, StoreError, after_prefix, codec};

/// All of them, by name.
pub(super) fn list(snapshot: &Snapshot) -> Result<Vec<ConnectorRecord>, StoreError> {
    let rows = snapshot.scan(Table::Connectors, &[], &[u8::MAX; 4], bound::CONNECTORS_MAX)?;
    rows.iter().map(|(_, value)| former::decode(value)).collect()
}

pub(super) fn get(snapshot: &Snapshot, name: &str) -> Result<ConnectorRecord, ConnectorError> {
    let unknown = || ConnectorError::Unknown(name.chars().take(bound::CONNECTOR_NAME_BYTES_MAX).collect());
    if !is_connector_name(name) {
        return Err(unknown());
    }
    let row = snapshot.get(Table::Connectors, name.as_bytes())?.ok_or_else(unknown)?;
    Ok(former::decode(&row)?)
}

pub(super) fn row(record: &ConnectorRecord) -> Result<Put, StoreError> {
    Ok(Put::new(Table::Connectors, record.name.as_str(), codec::encode(record)?))
}

/// The tools of a generation, each as the lock pins it.
pub(super) fn tools(store: &Store, name: &str, generation: u64) -> Result<Vec<Tool>, ConnectorError> {
    let from = record::generation_prefix(name, generation);
    let to = record::generation_prefix(name, generation.saturating_add(1));
    let rows =
        store.read(|snapshot| snapshot.scan(Table::ConnectorOperations, &from, &to, bound::OPENAPI_OPERATIONS_MAX));
    let broken = || ConnectorError::Broken(name.into());
    let rows: Result<Vec<_>, StoreError> = rows;
    rows?
        .into_iter()
        .map(|(_, row)| {
            let OperationRecord { digest, tool } = codec::decode(&row)?;
            if sha256(&[tool.as_bytes()]) != digest {
                return Err(broken());
            }
            serde_json::from_str(&tool).map_err(|_| broken())
        })
        .collect()
}

/// Writes the rows of a generation that nothing refers to yet, in commits that leave room for others.
pub(super) async fn keep(
    store: &Store,
    name: &str,
    generation: u64,
    document: &[u8],
    tools: &[Tool],
) -> Result<(), StoreError> {
    let mut rows = record::document_rows(name, generation, document);
    for tool in tools {
        let record = OperationRecord { digest: tool.digest(), tool: tool.canonical() };
        let key = record::operation_key(name, generation, &tool.name);
        rows.push(Put::new(Table::ConnectorOperations, key, codec::encode(&record)?));
    }
    let mut batch = Batch::default();
    for row in rows {
        batch.puts.push(row);
        if batch.bytes() > COMMIT_BYTES_MAX / 2 {
            store.commit(std::mem::take(&mut batch)).await?;
        }
    }
    store.commit(batch).await.map(drop)
}

/// Deletes the rows of these generations.
pub(super) async fn forget(store: &Store, name: &str, generations: std::ops::Range<u64>) -> Result<(), StoreError> {
    let from = record::generation_prefix(name, generations.start);
    let to = match generations.end {
        u64::MAX => after_prefix(&record::prefix(name)),
        end => record::generation_prefix(name, end),
    };
    for table in [Table::ConnectorOperations, Table::ConnectorDocuments] {
        loop {
            let removal =
                Removal { table, from: from.clone(), to: to.clone(), rows_max: crate::base::bound::SCAN_ROWS_MAX };
            if store.commit(Batch::removal(removal)).await?.removed_rows == 0 {
                break;
            }
        }
    }
    Ok(())
}
