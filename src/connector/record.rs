//! What the store holds of connectors, and how their keys are built.

use serde::{Deserialize, Serialize};

use super::binding::Binding;
use super::pick::{Picks, Switches};
use super::settings::Settings;
use super::tool::Schemes;
use crate::auth::policy::ask::Resource;
use crate::base::bound::connector as bound;
use crate::base::classification::Classification;
use crate::base::clock::Timestamp;
use crate::crypto::digest::Hash;
use crate::store::codec::Record;
use crate::store::table::Table;
use crate::store::{Put, Snapshot, StoreError};

/// A connector: where it goes, what of it is on, and which generation of its document was approved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectorRecord {
    pub name: String,
    /// As [`super::base_url::BaseUrl`] reads it.
    pub base_url: String,
    /// `http://` is taken, for this machine only.
    pub loopback_http: bool,
    /// Networks that are not on the internet and that its host may be in, such as `10.0.0.0/8`.
    pub networks: Vec<String>,
    pub enabled: bool,
    pub mode: Mode,
    pub classification: Classification,
    pub picks: Picks,
    pub switches: Switches,
    /// With which credential its calls prove who asks.
    pub binding: Option<Binding>,
    /// How its calls go out.
    pub settings: Settings,
    /// Rows of operations and documents of this generation are the approved ones.
    pub generation: u64,
    pub document: DocumentFacts,
    /// A changed document that nobody approved yet.
    pub pending: Option<Pending>,
    pub added: Timestamp,
    pub changed: Timestamp,
}

/// How an agent sees a connector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Each operation is a tool.
    #[default]
    Tools,
    /// Three tools find, describe and call operations: a big connector does not flood the context.
    Search,
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Search => "search",
        }
    }
}

/// What is known of a document without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentFacts {
    pub title: String,
    pub version: String,
    pub bytes: u64,
    pub sha256: Hash,
    /// Operations that were picked, and that could not be expressed.
    pub operations: u64,
    pub left_out: u64,
    /// The security schemes ([`super::tool::Schemes`]) as canonical JSON.
    pub security: String,
    /// What was found in words that belong to no operation: `pointer rule`.
    pub flags: Vec<String>,
}

impl DocumentFacts {
    /// How the API wants to know its caller.
    pub fn schemes(&self) -> Schemes {
        // It was written by us; what is no JSON any more asks for nothing.
        serde_json::from_str(&self.security).unwrap_or_default()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub generation: u64,
    pub document: DocumentFacts,
    pub received: Timestamp,
}

impl Record for ConnectorRecord {
    const TABLE: &'static str = "connectors";
    /// 1 had no binding, and was in no version that anybody runs. Of 2 `former.rs` knows.
    const FORMAT: u8 = 3;
}

impl ConnectorRecord {
    /// As policies see it.
    pub fn resource(&self) -> Resource {
        Resource::connector(&self.name, self.classification)
    }
}

/// One operation of one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OperationRecord {
    /// SHA-256 of `tool`: what the lock pins.
    pub(super) digest: Hash,
    /// The canonical form of [`super::tool::Tool`]: JSON.
    pub(super) tool: String,
}

impl Record for OperationRecord {
    const TABLE: &'static str = "connector_operations";
}

/// `name, 0`: all that belongs to a connector begins with it.
pub(super) fn prefix(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// `name, 0, generation`.
pub(super) fn generation_prefix(name: &str, generation: u64) -> Vec<u8> {
    [prefix(name), generation.to_be_bytes().to_vec()].concat()
}

pub(super) fn operation_key(name: &str, generation: u64, tool: &str) -> Vec<u8> {
    [generation_prefix(name, generation), tool.as_bytes().to_vec()].concat()
}

/// The rows of a document: one LZ4 block without a size in front, in pieces that fit a commit.
pub(super) fn document_rows(name: &str, generation: u64, document: &[u8]) -> Vec<Put> {
    let compressed = lz4_flex::compress(document);
    let pieces = compressed.chunks(crate::base::bound::BODY_CHUNK_BYTES);
    (0_u32..)
        .zip(pieces)
        .map(|(number, piece)| {
            let key = [generation_prefix(name, generation), number.to_be_bytes().to_vec()].concat();
            Put::new(Table::ConnectorDocuments, key, piece.to_vec())
        })
        .collect()
}

/// A document of `bytes` bytes; `None` when it is not what was written.
pub(super) fn document(
    snapshot: &Snapshot,
    name: &str,
    generation: u64,
    bytes: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(size) = usize::try_from(bytes).ok().filter(|size| *size <= bound::OPENAPI_DOCUMENT_BYTES_MAX) else {
        return Ok(None);
    };
    let (from, to) = (generation_prefix(name, generation), generation_prefix(name, generation.saturating_add(1)));
    let pieces_max = 2 * bound::OPENAPI_DOCUMENT_BYTES_MAX / crate::base::bound::BODY_CHUNK_BYTES;
    let rows = snapshot.scan(Table::ConnectorDocuments, &from, &to, pieces_max)?;
    let compressed: Vec<u8> = rows.into_iter().flat_map(|(_, piece)| piece).collect();
    Ok(lz4_flex::decompress(&compressed, size).ok().filter(|document| document.len() == size))
}
