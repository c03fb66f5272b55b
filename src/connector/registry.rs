//! The connectors of this installation: kept with their locks, changed by operators, quarantined when a document changes.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::future::BoxFuture;

use super::base_url::BaseUrl;
use super::breaker::Standing;
use super::error::ConnectorError;
use super::lock::{self, Diff, Pinned};
use super::name::is_connector_name;
use super::pick::{Picks, Switches};
use super::reading::{Finding, Reading, check_accepted, of_flags, read};
use super::record::{self, ConnectorRecord, Mode, Pending};
use super::rows;
use super::settings::{Changes, Settings};
use super::tool::{Class, Import, Tool};
use super::upstream::Upstream;
use crate::base::bound::connector as bound;
use crate::base::classification::Classification;
use crate::base::clock::Clock;
use crate::base::network::Network;
use crate::crypto::digest::sha256;
use crate::store::table::Table;
use crate::store::{Batch, Put, Snapshot, Store, StoreError};

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

/// Whoever calls connectors. Hears of each that came, went, or is called otherwise than before; injected by `app`. The change is done
/// when it has been heard.
pub trait News: Send + Sync {
    fn changed<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ()>;

    /// How the API of a connector stood at the last calls.
    fn standing(&self, name: &str) -> Standing;
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
        Ok(self.store.read(rows::list)?)
    }

    pub fn get(&self, name: &str) -> Result<ConnectorRecord, ConnectorError> {
        self.store.read(|snapshot| rows::get(snapshot, name))
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
        rows::forget(&self.store, &record.name, 0..u64::MAX).await?;
        rows::keep(&self.store, &record.name, record.generation, &document, &preview.import.tools).await?;
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
            rows::forget(&self.store, name, generation..u64::MAX).await?;
            return Ok((Updated::Same, import));
        }
        // First it stops to wait, then its rows go: a crash between leaves rows that nobody sees.
        self.write(&record).await?;
        rows::forget(&self.store, name, generation..u64::MAX).await?;
        rows::keep(&self.store, name, generation, &document, &import.tools).await?;
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
            rows::forget(&self.store, name, 0..pending.generation).await?;
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
        rows::forget(&self.store, name, record.generation.saturating_add(1)..u64::MAX).await?;
        Ok(record)
    }

    /// Forgets a connector.
    pub async fn remove(&self, name: &str) -> Result<ConnectorRecord, ConnectorError> {
        let _busy = self.occupy(name)?;
        let record = self.get(name)?;
        // First the name, durably: what a crash leaves behind nobody sees, and the next `add` takes away.
        self.store.commit(Batch::puts(vec![Put::delete(Table::Connectors, name)])).await?;
        self.publish(name).await;
        rows::forget(&self.store, name, 0..u64::MAX).await?;
        Ok(record)
    }

    pub(super) fn stored(&self, name: &str, generation: u64) -> Result<Vec<Tool>, ConnectorError> {
        rows::tools(&self.store, name, generation)
    }

    pub(super) async fn write(&self, record: &ConnectorRecord) -> Result<(), StoreError> {
        self.store.commit(Batch::puts(vec![rows::row(record)?])).await.map(drop)
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

/// Whether each is a network, and there are not too many.
pub(super) fn check_networks(networks: &[String]) -> Result<(), ConnectorError> {
    let no = |text: &String| ConnectorError::Network(text.chars().take(bound::OPENAPI_NAME_BYTES_MAX).collect());
    if let Some(surplus) = networks.get(bound::NETWORKS_MAX) {
        return Err(no(surplus));
    }
    networks.iter().find(|network| Network::parse(network).is_none()).map_or(Ok(()), |wrong| Err(no(wrong)))
}
