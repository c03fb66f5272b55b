//! Connectors as an earlier format kept them: a start reads them, and their next change writes them anew.

use serde::{Deserialize, Serialize};

use super::binding::Binding;
use super::pick::{Picks, Switches};
use super::record::{ConnectorRecord, DocumentFacts, Mode, Pending};
use super::settings::Settings;
use crate::base::classification::Classification;
use crate::base::clock::Timestamp;
use crate::crypto::digest::Hash;
use crate::store::StoreError;
use crate::store::codec::{self, Record};

const FORMAT_WITHOUT_SETTINGS: u8 = 2;

/// From before there were settings of how calls go out, and before words were looked at.
#[derive(Serialize, Deserialize)]
struct WithoutSettings {
    name: String,
    base_url: String,
    loopback_http: bool,
    networks: Vec<String>,
    enabled: bool,
    mode: Mode,
    classification: Classification,
    picks: Picks,
    switches: Switches,
    binding: Option<Binding>,
    generation: u64,
    document: Unread,
    pending: Option<Waiting>,
    added: Timestamp,
    changed: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Unread {
    title: String,
    version: String,
    bytes: u64,
    sha256: Hash,
    operations: u64,
    left_out: u64,
    security: String,
}

#[derive(Serialize, Deserialize)]
struct Waiting {
    generation: u64,
    document: Unread,
    received: Timestamp,
}

impl Record for WithoutSettings {
    const TABLE: &'static str = "connectors";
    const FORMAT: u8 = FORMAT_WITHOUT_SETTINGS;
}

impl From<Unread> for DocumentFacts {
    fn from(old: Unread) -> Self {
        let Unread { title, version, bytes, sha256, operations, left_out, security } = old;
        Self { title, version, bytes, sha256, operations, left_out, security, flags: Vec::new() }
    }
}

/// Reads a connector of any format.
pub(super) fn decode(bytes: &[u8]) -> Result<ConnectorRecord, StoreError> {
    if bytes.first() != Some(&FORMAT_WITHOUT_SETTINGS) {
        return codec::decode(bytes);
    }
    let old: WithoutSettings = codec::decode(bytes)?;
    let pending = old.pending.map(|old| Pending {
        generation: old.generation,
        document: old.document.into(),
        received: old.received,
    });
    Ok(ConnectorRecord {
        name: old.name,
        base_url: old.base_url,
        loopback_http: old.loopback_http,
        networks: old.networks,
        enabled: old.enabled,
        mode: old.mode,
        classification: old.classification,
        picks: old.picks,
        switches: old.switches,
        binding: old.binding,
        settings: Settings::default(),
        generation: old.generation,
        document: old.document.into(),
        pending,
        added: old.added,
        changed: old.changed,
    })
}
