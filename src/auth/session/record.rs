//! Sessions and denials as they are stored.

use serde::{Deserialize, Serialize};

use super::Handle;
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, StoreError};

/// A session. Its handle is there whole: an `Mcp-Session-Id` opens nothing without its principal's credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SessionRecord {
    pub(super) id: SessionId,
    pub(super) handle: Handle,
    pub(super) principal: String,
    pub(super) credential: String,
    pub(super) scheme: String,
    pub(super) transport: String,
    pub(super) began: Timestamp,
    pub(super) seen: Timestamp,
    pub(super) calls: u64,
    /// The certificate or address that it is bound to.
    pub(super) mark: Option<String>,
    /// JSON of what the client of an older protocol said of itself, so that its session goes on after a restart.
    pub(super) initialize: Option<String>,
}

impl Record for SessionRecord {
    const TABLE: &'static str = "sessions";
}

/// A credential that holds no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DenialRecord {
    pub(super) credential: String,
    pub(super) since: Timestamp,
}

impl Record for DenialRecord {
    const TABLE: &'static str = "denials";
}

/// All keys are texts.
const AFTER_ALL: [u8; 1] = [u8::MAX];

pub(super) fn sessions(snapshot: &Snapshot) -> Result<Vec<SessionRecord>, StoreError> {
    let rows = snapshot.scan(Table::Sessions, &[], &AFTER_ALL, 2 * bound::SESSIONS_MAX)?;
    rows.into_iter().map(|(_, value)| codec::decode(&value)).collect()
}

pub(super) fn denials(snapshot: &Snapshot) -> Result<Vec<DenialRecord>, StoreError> {
    let rows = snapshot.scan(Table::Denials, &[], &AFTER_ALL, bound::DENIALS_MAX)?;
    rows.into_iter().map(|(_, value)| codec::decode(&value)).collect()
}

pub(super) fn row(record: &SessionRecord) -> Result<Put, StoreError> {
    Ok(Put::new(Table::Sessions, record.id.as_str().as_bytes(), codec::encode(record)?))
}

pub(super) fn deletion(id: &SessionId) -> Put {
    Put::delete(Table::Sessions, id.as_str().as_bytes())
}

pub(super) fn denial(record: &DenialRecord) -> Result<Put, StoreError> {
    Ok(Put::new(Table::Denials, record.credential.as_bytes(), codec::encode(record)?))
}

pub(super) fn allowance(credential: &str) -> Put {
    Put::delete(Table::Denials, credential.as_bytes())
}
