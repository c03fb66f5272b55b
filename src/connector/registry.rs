//! The connectors of this installation: kept with their locks, changed by operators, quarantined when a document changes.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::base_url::{BaseUrl, BaseUrlError};
use super::change::{News, check_networks};
use super::former;
use super::lock::{self, Diff, Pinned};
use super::name::is_connector_name;
use super::pick::{NotAGlob, Picks, Switches};
use super::reading::{Finding, Reading, check_accepted, of_flags, read};
use super::record::{self, ConnectorRecord, Mode, OperationRecord, Pending};
use super::settings::{Changes, NotASetting, Settings};
use super::tool::{Class, Import, Tool};
use super::upstream::Upstream;
use crate::base::bound::COMMIT_BYTES_MAX;
use crate::base::bound::connector as bound;
use crate::base::classification::Classification;
use crate::base::clock::Clock;
use crate::base::refusal::{Code, Refusal};
use crate::crypto::digest::sha256;
use crate::openapi::OpenApiError;
use crate::store::table::Table;
use crate::store::{Batch, Put, Removal, Snapshot, Store, StoreError, after_prefix, codec};

/// All connectors.
pub struct Connectors {
    store: Store,
    reading: Reading,
    pub(super) clock: Arc<dyn Clock>,
    /// Names that are worked on. Held for a look-up, never across an await.
    busy: Mutex<HashSet<String>>,
    pub(super) news: OnceLock<Arc<dyn News>>,
    pub(super) way: OnceLock<Arc<dyn Upstream>>,
}

impl std::fmt::Debug for Connectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connectors")
    }
}

/// What can go wrong with connectors.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    #[error("there is no connector {0:?}; `sekisho connector list` names those that there are")]
    Unknown(String),
    #[error("there is a connector {0:?} already; update it, or remove it first")]
    Exists(String),
    #[error("{0:?} is no name for a connector: write 1 to {max} of a-z 0-9 -, begin with a letter and end with none but a letter or digit", max = bound::CONNECTOR_NAME_BYTES_MAX)]
    Name(String),
    #[error("the connector {0:?} is being changed at the moment; try again when that is done")]
    Busy(String),
    #[error("there are {} connectors, which is the most there may be; remove one first", bound::CONNECTORS_MAX)]
    TooMany,
    #[error("none of the document's operations is picked; `--dry-run` without picks lists them all")]
    NothingPicked,
    #[error(
        "the connector {connector:?} has no operation {operation:?}; `sekisho connector show {connector}` lists them"
    )]
    NoOperation { connector: String, operation: String },
    #[error("the connector {0:?} has no changed document that waits to be approved")]
    NothingPending(String),
    #[error(
        "the change that waits has the digest {found}, not {named}: look at it again with `sekisho connector diff {connector}`"
    )]
    OtherChange { connector: String, found: String, named: String },
    #[error(
        "the stored operations of the connector {0:?} are not those that its lock pins; restore a backup, or remove it and add it again"
    )]
    Broken(String),
    #[error(
        "expected an https:// URL without a user and a password, found {0:?}; http:// is for this machine, with --loopback-http"
    )]
    Url(String),
    #[error("the document at {url} cannot be had: {reason}")]
    Unfetched { url: String, reason: String },
    #[error("expected an address or a network such as 10.0.0.0/8, found {0:?}")]
    Network(String),
    #[error(transparent)]
    Document(#[from] OpenApiError),
    #[error("{0}")]
    Unreadable(String),
    #[error("{0}")]
    NoReader(String),
    #[error(transparent)]
    BaseUrl(#[from] BaseUrlError),
    #[error(transparent)]
    Glob(#[from] NotAGlob),
    #[error(transparent)]
    Setting(#[from] NotASetting),
    #[error(
        "words in the document look like an attack on whoever reads them: {0}; look at what was found, and accept each by its name, or leave it out"
    )]
    Flagged(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a worker of the connectors ended: {0}")]
    Worker(String),
}

impl From<ConnectorError> for Refusal {
    fn from(error: ConnectorError) -> Self {
        let code = match &error {
            ConnectorError::Unknown(_) | ConnectorError::NoOperation { .. } => Code::NotFound,
            ConnectorError::Exists(_)
            | ConnectorError::Busy(_)
            | ConnectorError::NothingPending(_)
            | ConnectorError::OtherChange { .. }
            | ConnectorError::Flagged(_) => Code::Conflict,
            ConnectorError::Document(OpenApiError::TooLarge { .. }) => Code::TooLarge,
            ConnectorError::Name(_)
            | ConnectorError::TooMany
            | ConnectorError::NothingPicked
            | ConnectorError::Network(_)
            | ConnectorError::Url(_)
            | ConnectorError::Document(_)
            | ConnectorError::Unreadable(_)
            | ConnectorError::BaseUrl(_)
            | ConnectorError::Glob(_)
            | ConnectorError::Setting(_) => Code::Invalid,
            ConnectorError::NoReader(_) | ConnectorError::Unfetched { .. } => Code::Unavailable,
            ConnectorError::Broken(_) | ConnectorError::Store(_) | ConnectorError::Worker(_) => {
                return Self::internal(error);
            }
        };
        Self::new(code, error.to_string())
    }
}

/// A connector as an operator wants it.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: String,
    pub base_url: String,
    pub loopback_http: bool,
    pub networks: Vec<String>,
    pub document: Vec<u8>,
    pub picks: Picks,
    pub mode: Mode,
    pub classification: Classification,
    /// How its calls are to go out; networks stand above.
    pub settings: Changes,
    /// Names of tools (and of the connector) whose words were looked at and are taken as they are.
    pub accepted: Vec<String>,
}

/// A connector that could be: nothing is kept of it.
#[derive(Clone, Debug)]
pub struct Preview {
    pub record: ConnectorRecord,
    pub import: Import,
    /// What looks like an attack in its words.
    pub findings: Vec<Finding>,
}

/// What is switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The connector as a whole.
    Connector,
    Classes(Vec<Class>),
    /// Names of tools, or `operationId`s.
    Operations(Vec<String>),
}

/// What became of a new document.
#[derive(Clone, Debug)]
pub enum Updated {
    /// It exposes what is exposed already.
    Same,
    /// It waits for an operator.
    Quarantined(Box<Change>),
}

/// A change that waits for an operator.
#[derive(Clone, Debug)]
pub struct Change {
    pub diff: Diff,
    /// What an approval has to name.
    pub digest: String,
    /// What would be on.
    pub switches: Switches,
    /// Tools that would be on and are new, or do more than before.
    pub newly_on: Vec<String>,
    pub record: ConnectorRecord,
    /// What looks like an attack in words that are new.
    pub findings: Vec<Finding>,
}

impl Connectors {
    pub fn new(store: Store, reading: Reading, clock: Arc<dyn Clock>) -> Self {
        Self { store, reading, clock, busy: Mutex::default(), news: OnceLock::new(), way: OnceLock::new() }
    }

    /// All connectors, by name.
    pub fn list(&self) -> Result<Vec<ConnectorRecord>, ConnectorError> {
        Ok(self.store.read(list)?)
    }

    pub fn get(&self, name: &str) -> Result<ConnectorRecord, ConnectorError> {
        self.store.read(|snapshot| get(snapshot, name))
    }

    /// The approved tools of a connector, by name; each is what its lock pins.
    pub fn tools(&self, name: &str) -> Result<Vec<Tool>, ConnectorError> {
        let record = self.get(name)?;
        self.stored(name, record.generation)
    }

    /// The tools that are on.
    pub fn exposed(&self, record: &ConnectorRecord) -> Result<Vec<Tool>, ConnectorError> {
        if !record.enabled {
            return Ok(Vec::new());
        }
        let mut tools = self.stored(&record.name, record.generation)?;
        tools.retain(|tool| record.switches.is_on(&tool.name, tool.class()));
        Ok(tools)
    }

    /// The lock's text and its digest.
    pub fn lock(&self, name: &str) -> Result<(String, String), ConnectorError> {
        let record = self.get(name)?;
        let (tools, security) = (self.stored(name, record.generation)?, record.document.schemes());
        let pinned = Pinned { tools: &tools, security: &security };
        Ok((lock::text(name, pinned), lock::digest(name, pinned)))
    }

    /// The approved document as it came.
    pub fn document(&self, name: &str) -> Result<Vec<u8>, ConnectorError> {
        let record = self.get(name)?;
        let read = |snapshot: &Snapshot| record::document(snapshot, name, record.generation, record.document.bytes);
        let document = self.store.read(read)?.filter(|document| sha256(&[document]) == record.document.sha256);
        document.ok_or_else(|| ConnectorError::Broken(name.into()))
    }

    /// Reads a document and says what a connector would expose.
    pub async fn preview(&self, wanted: Wanted) -> Result<Preview, ConnectorError> {
        if !is_connector_name(&wanted.name) {
            return Err(ConnectorError::Name(wanted.name));
        }
        let base_url = BaseUrl::parse(&wanted.base_url, wanted.loopback_http)?;
        check_networks(&wanted.networks)?;
        let settings = Settings::default().with(&wanted.settings, base_url.origin())?;
        let Wanted { name, loopback_http, networks, document, picks, mode, classification, .. } = wanted;
        let (import, document, findings) = read(&self.reading, name.clone(), document, picks.clone()).await?;
        let now = self.clock.now();
        let record = ConnectorRecord {
            name,
            base_url: base_url.to_string(),
            loopback_http,
            networks,
            enabled: true,
            mode,
            classification,
            picks,
            switches: Switches::default(),
            binding: None,
            settings,
            generation: 1,
            document,
            pending: None,
            added: now,
            changed: now,
        };
        Ok(Preview { record, import, findings })
    }

    /// Keeps a new connector.
    pub async fn add(&self, wanted: Wanted) -> Result<Preview, ConnectorError> {
        let _busy = self.occupy(&wanted.name)?;
        let known = self.list()?;
        if known.iter().any(|record| record.name == wanted.name) {
            return Err(ConnectorError::Exists(wanted.name));
        }
        if known.len() >= bound::CONNECTORS_MAX {
            return Err(ConnectorError::TooMany);
        }
        let (document, accepted) = (wanted.document.clone(), wanted.accepted.clone());
        let preview = self.preview(wanted).await?;
        check_accepted(&preview.findings, &accepted)?;
        let record = &preview.record;
        // What a crash in the middle of an earlier attempt left.
        self.forget(&record.name, 0..u64::MAX).await?;
        self.keep(&record.name, record.generation, &document, &preview.import.tools).await?;
        self.write(record).await?;
        self.publish(&record.name).await;
        Ok(preview)
    }

    /// Reads a new document. One that changes anything is kept apart until an operator approves it; a change that
    /// waited before is given up.
    pub async fn update(&self, name: &str, document: Vec<u8>) -> Result<(Updated, Import), ConnectorError> {
        let _busy = self.occupy(name)?;
        let mut record = self.get(name)?;
        let picks = record.picks.clone();
        let (import, facts, _) = read(&self.reading, name.to_owned(), document.clone(), picks).await?;
        let before = self.stored(name, record.generation)?;
        let schemes = record.document.schemes();
        let after = Pinned { tools: &import.tools, security: &import.security };
        let diff = Diff::between(Pinned { tools: &before, security: &schemes }, after);
        let generation = record.generation.saturating_add(1);
        record.pending = None;
        if diff.is_empty() {
            self.write(&record).await?;
            self.forget(name, generation..u64::MAX).await?;
            return Ok((Updated::Same, import));
        }
        // First it stops to wait, then its rows go: a crash between leaves rows that nobody sees.
        self.write(&record).await?;
        self.forget(name, generation..u64::MAX).await?;
        self.keep(name, generation, &document, &import.tools).await?;
        record.pending = Some(Pending { generation, document: facts, received: self.clock.now() });
        self.write(&record).await?;
        Ok((Updated::Quarantined(Box::new(self.waiting(name)?)), import))
    }

    /// The change that waits.
    pub fn waiting(&self, name: &str) -> Result<Change, ConnectorError> {
        let record = self.get(name)?;
        let Some(pending) = &record.pending else { return Err(ConnectorError::NothingPending(name.into())) };
        let (before, after) = (self.stored(name, record.generation)?, self.stored(name, pending.generation)?);
        let schemes = (record.document.schemes(), pending.document.schemes());
        let pinned = Pinned { tools: &after, security: &schemes.1 };
        let diff = Diff::between(Pinned { tools: &before, security: &schemes.0 }, pinned);
        let digest = lock::digest(name, pinned);
        let names = diff.added.iter().map(|row| &row.name).chain(diff.changed.iter().map(|row| &row.name));
        let names: HashSet<&String> = names.collect();
        let new: Vec<Tool> = after.iter().filter(|tool| names.contains(&tool.name)).cloned().collect();
        let mut findings = if pending.document.flags == record.document.flags {
            Vec::new()
        } else {
            of_flags(name, &pending.document)
        };
        findings.extend(self.reading.words.of_tools(&new)?);
        let switches = record.switches.after(&before, &after);
        let newly_on = switches.newly_on(&before, &after);
        Ok(Change { diff, digest, switches, newly_on, record, findings })
    }

    /// Puts the change that waits in force. `digest` is that of the change that was looked at; `accepted` names the tools
    /// with findings.
    pub async fn approve(&self, name: &str, digest: &str, accepted: &[String]) -> Result<Change, ConnectorError> {
        let _busy = self.occupy(name)?;
        let mut change = self.waiting(name)?;
        is_the_one(&change, name, digest)?;
        check_accepted(&change.findings, accepted)?;
        if let Some(pending) = change.record.pending.take() {
            change.record.generation = pending.generation;
            change.record.document = pending.document;
            change.record.switches.clone_from(&change.switches);
            self.write(&change.record).await?;
            self.publish(name).await;
            self.forget(name, 0..pending.generation).await?;
        }
        Ok(change)
    }

    /// Gives the change that waits up: with a `digest` that one only, whatever came meanwhile.
    pub async fn reject(&self, name: &str, digest: Option<&str>) -> Result<ConnectorRecord, ConnectorError> {
        let _busy = self.occupy(name)?;
        let mut record = self.get(name)?;
        if let Some(digest) = digest {
            is_the_one(&self.waiting(name)?, name, digest)?;
        }
        if record.pending.take().is_none() {
            return Err(ConnectorError::NothingPending(name.into()));
        }
        self.write(&record).await?;
        self.forget(name, record.generation.saturating_add(1)..u64::MAX).await?;
        Ok(record)
    }

    /// Forgets a connector.
    pub async fn remove(&self, name: &str) -> Result<ConnectorRecord, ConnectorError> {
        let _busy = self.occupy(name)?;
        let record = self.get(name)?;
        // First the name, durably: what a crash leaves behind nobody sees, and the next `add` takes away.
        self.store.commit(Batch::puts(vec![Put::delete(Table::Connectors, name)])).await?;
        self.publish(name).await;
        self.forget(name, 0..u64::MAX).await?;
        Ok(record)
    }

    pub(super) fn stored(&self, name: &str, generation: u64) -> Result<Vec<Tool>, ConnectorError> {
        let from = record::generation_prefix(name, generation);
        let to = record::generation_prefix(name, generation.saturating_add(1));
        let rows = self
            .store
            .read(|snapshot| snapshot.scan(Table::ConnectorOperations, &from, &to, bound::OPENAPI_OPERATIONS_MAX));
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

    pub(super) async fn write(&self, record: &ConnectorRecord) -> Result<(), StoreError> {
        self.store.commit(Batch::puts(vec![row(record)?])).await.map(drop)
    }

    /// Writes the rows of a generation that nothing refers to yet, in commits that leave room for others.
    async fn keep(&self, name: &str, generation: u64, document: &[u8], tools: &[Tool]) -> Result<(), StoreError> {
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
                self.store.commit(std::mem::take(&mut batch)).await?;
            }
        }
        self.store.commit(batch).await.map(drop)
    }

    /// Deletes the rows of these generations.
    async fn forget(&self, name: &str, generations: std::ops::Range<u64>) -> Result<(), StoreError> {
        let from = record::generation_prefix(name, generations.start);
        let to = match generations.end {
            u64::MAX => after_prefix(&record::prefix(name)),
            end => record::generation_prefix(name, end),
        };
        for table in [Table::ConnectorOperations, Table::ConnectorDocuments] {
            loop {
                let removal =
                    Removal { table, from: from.clone(), to: to.clone(), rows_max: crate::base::bound::SCAN_ROWS_MAX };
                if self.store.commit(Batch::removal(removal)).await?.removed_rows == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    pub(super) fn occupy(&self, name: &str) -> Result<Busy<'_>, ConnectorError> {
        let fresh = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        if fresh {
            Ok(Busy { connectors: self, name: name.to_owned() })
        } else {
            Err(ConnectorError::Busy(name.into()))
        }
    }
}

/// Whether the change that waits is the one that was looked at.
fn is_the_one(change: &Change, connector: &str, digest: &str) -> Result<(), ConnectorError> {
    if change.digest == digest {
        return Ok(());
    }
    let (connector, named) = (connector.to_owned(), digest.chars().take(64).collect());
    Err(ConnectorError::OtherChange { connector, found: change.digest.clone(), named })
}

pub(super) fn row(record: &ConnectorRecord) -> Result<Put, StoreError> {
    Ok(Put::new(Table::Connectors, record.name.as_str(), codec::encode(record)?))
}

/// A name that is worked on; free again when this is dropped.
pub(super) struct Busy<'a> {
    connectors: &'a Connectors,
    name: String,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.connectors.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

fn list(snapshot: &Snapshot) -> Result<Vec<ConnectorRecord>, StoreError> {
    let rows = snapshot.scan(Table::Connectors, &[], &[u8::MAX; 4], bound::CONNECTORS_MAX)?;
    rows.iter().map(|(_, value)| former::decode(value)).collect()
}

fn get(snapshot: &Snapshot, name: &str) -> Result<ConnectorRecord, ConnectorError> {
    let unknown = || ConnectorError::Unknown(name.chars().take(bound::CONNECTOR_NAME_BYTES_MAX).collect());
    if !is_connector_name(name) {
        return Err(unknown());
    }
    let row = snapshot.get(Table::Connectors, name.as_bytes())?.ok_or_else(unknown)?;
    Ok(former::decode(&row)?)
}
