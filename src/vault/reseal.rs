//! Sealing credentials and tokens anew after a rotation, page by page. A record says under which version it is sealed, so a pass
//! that was broken off is simply begun again.

use std::collections::BTreeSet;

use super::credential::{CredentialError, CredentialRecord, HistoryRecord};
use super::grant::GrantRecord;
use super::open::version_of;
use super::purpose::Purpose;
use super::{Open, VaultError};
use crate::base::bound;
use crate::store::codec;
use crate::store::table::Table;
use crate::store::{Put, Row, Snapshot, after_prefix};

/// Opens with one vault and seals with the other: the same twice after [`Open::rotate`], the old and the new one for
/// [`Open::rekeyed`].
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    pub from: &'a Open,
    pub to: &'a Open,
}

/// Where a pass stands: the row that it looked at last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    table: Table,
    key: Vec<u8>,
}

/// One commit's worth.
#[derive(Debug)]
#[must_use]
pub struct Page {
    /// Rows sealed anew, and reservations ([`super::count::counts_in`]). Empty where nothing had to be.
    pub rows: Vec<Put>,
    /// To go on with after the commit; none at the end.
    pub next: Option<Cursor>,
}

const TABLES: [Table; 3] = [Table::Credentials, Table::CredentialHistory, Table::ConnectorTokens];

/// Looks at up to `rows_max` rows after `after`, fewer where they are large ([`bound::RESEAL_BATCH_BYTES`]), and seals
/// anew what is not under the active version of `pair.to`. A row that does not open ends the pass with an error that
/// names the credential: set or remove it, and begin again. Of tokens it names the connector: log out of it.
pub fn reseal_page(
    pair: Pair<'_>,
    snapshot: &Snapshot,
    after: Option<&Cursor>,
    rows_max: usize,
) -> Result<Page, ResealError> {
    let mut page = Page { rows: Vec::new(), next: None };
    let found = rows_after(snapshot, after, rows_max.clamp(1, bound::SCAN_ROWS_MAX))?;
    let mut bytes = 0;
    for (table, (key, value)) in found {
        if bytes >= bound::RESEAL_BATCH_BYTES {
            return Ok(page);
        }
        if let Some(value) = resealed(pair, table, &key, &value, &mut page.rows)? {
            bytes += key.len() + value.len();
            page.rows.push(Put::new(table, key.as_slice(), value));
        }
        page.next = Some(Cursor { table, key });
    }
    Ok(page)
}

/// Versions of the key for credentials that something is sealed under. All others may be retired.
pub fn versions_in_use(snapshot: &Snapshot) -> Result<BTreeSet<u32>, ResealError> {
    let mut versions = BTreeSet::new();
    let mut after = None;
    loop {
        let found = rows_after(snapshot, after.as_ref(), bound::SCAN_ROWS_MAX)?;
        for (table, (key, value)) in &found {
            if let Some(sealed) = Sealed::of(*table, value)? {
                let malformed = VaultError::Malformed { place: table.name() };
                versions
                    .insert(version_of(sealed.bytes()).ok_or_else(|| ResealError::at(*table, key, malformed.into()))?);
            }
        }
        match found.into_iter().last() {
            Some((table, (key, _))) => after = Some(Cursor { table, key }),
            None => return Ok(versions),
        }
    }
}

/// A pass stopped here.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    #[error("credential {name} could not be sealed anew: {error}")]
    Credential { name: String, error: CredentialError },
    #[error(
        "tokens of the connector {name} could not be sealed anew; log out of it with `sekisho connector logout {name} --all`: {error}"
    )]
    Grant { name: String, error: CredentialError },
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl ResealError {
    /// The name of a credential, or of a connector, stands in the key up to the first zero.
    fn at(table: Table, key: &[u8], error: CredentialError) -> Self {
        let name = key.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        if table == Table::ConnectorTokens { Self::Grant { name, error } } else { Self::Credential { name, error } }
    }
}

/// A record of one of the tables that holds a value.
enum Sealed {
    Current(CredentialRecord, Vec<u8>),
    Old(HistoryRecord, Vec<u8>),
    Grant(GrantRecord, Vec<u8>),
}

impl Sealed {
    fn of(table: Table, value: &[u8]) -> Result<Option<Self>, crate::store::StoreError> {
        if table == Table::Credentials {
            let mut record: CredentialRecord = codec::decode(value)?;
            let sealed = std::mem::take(&mut record.sealed);
            return Ok(Some(Self::Current(record, sealed)));
        }
        if table == Table::ConnectorTokens {
            let mut record: GrantRecord = codec::decode(value)?;
            let sealed = std::mem::take(&mut record.sealed);
            return Ok(Some(Self::Grant(record, sealed)));
        }
        let mut record: HistoryRecord = codec::decode(value)?;
        Ok(record.sealed.take().map(|sealed| Self::Old(record, sealed)))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Current(_, sealed) | Self::Old(_, sealed) | Self::Grant(_, sealed) => sealed,
        }
    }

    fn with(self, sealed: Vec<u8>) -> Result<Vec<u8>, crate::store::StoreError> {
        match self {
            Self::Current(record, _) => codec::encode(&CredentialRecord { sealed, ..record }),
            Self::Old(record, _) => codec::encode(&HistoryRecord { sealed: Some(sealed), ..record }),
            Self::Grant(record, _) => codec::encode(&GrantRecord { sealed, ..record }),
        }
    }
}

/// The row's new value, if it needs one; its reservation goes to `rows`.
fn resealed(
    pair: Pair<'_>,
    table: Table,
    key: &[u8],
    value: &[u8],
    rows: &mut Vec<Put>,
) -> Result<Option<Vec<u8>>, ResealError> {
    let Some(record) = Sealed::of(table, value).map_err(|error| ResealError::at(table, key, error.into()))? else {
        return Ok(None);
    };
    if !pair.to.needs_reseal(Purpose::Credentials, record.bytes()) {
        return Ok(None);
    }
    let refused = |error: VaultError| ResealError::at(table, key, error.into());
    let text = pair.from.unseal(Purpose::Credentials, table, key, record.bytes()).map_err(refused)?;
    let sealed = pair.to.seal(Purpose::Credentials, table, key, text.expose_secret()).map_err(refused)?;
    Ok(Some(record.with(sealed.into_bytes(rows))?))
}

/// The next rows of all tables, one after the other.
fn rows_after(snapshot: &Snapshot, after: Option<&Cursor>, rows_max: usize) -> Result<Vec<(Table, Row)>, ResealError> {
    let end = after_prefix(&[]);
    let mut found = Vec::new();
    let tables = TABLES.into_iter().skip_while(|table| after.is_some_and(|after| after.table != *table));
    for table in tables {
        let from = match after {
            Some(after) if after.table == table => [after.key.as_slice(), &[0]].concat(),
            _ => Vec::new(),
        };
        let rows = snapshot.scan(table, &from, &end, rows_max - found.len())?;
        found.extend(rows.into_iter().map(|row| (table, row)));
        if found.len() >= rows_max {
            break;
        }
    }
    Ok(found)
}
