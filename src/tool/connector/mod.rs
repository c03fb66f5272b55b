//! Operations of connectors as tools of agents: they come and go as operators add, approve and switch.

pub mod invitation;
mod call;
mod login;
mod search;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;

use crate::auth::policy::ask::ActionGroup;
use crate::base::bound::connector as bound;
use crate::base::refusal::Refusal;
use crate::connector::breaker::Standing;
use crate::connector::client::{Call, Callable, Client, Watcher};
use crate::connector::error::ConnectorError;
use crate::connector::oauth::desk::Desk;
use crate::connector::record::{ConnectorRecord, Mode};
use crate::connector::registry::{Connectors, News};
use crate::connector::reply::{Part, Reply};
use crate::connector::tool::{Class, Tool};
use crate::operation::{Block, Body, Catalog, Change, Content, Cx, Effect, Kind, Operation, Outcome, Output};

/// Keeps the catalogue as the connectors are.
pub struct ConnectorTools {
    /// Weak, both: the catalogue holds the operations of administration, which hold the connectors, which hold us.
    catalog: Weak<Catalog>,
    connectors: Weak<Connectors>,
    reach: Reach,
    /// Names of tools by connector. Held for a look-up, never across an await.
    published: Mutex<HashMap<String, BTreeSet<String>>>,
}

impl std::fmt::Debug for ConnectorTools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectorTools")
    }
}

/// What every call of a connector needs.
#[derive(Clone, Debug)]
struct Reach {
    client: Arc<Client>,
    desk: Desk,
    /// For one call, waits included.
    time: Duration,
}

impl ConnectorTools {
    pub fn new(
        catalog: &Arc<Catalog>,
        connectors: &Arc<Connectors>,
        client: Arc<Client>,
        desk: Desk,
        time: Duration,
    ) -> Self {
        Self {
            catalog: Arc::downgrade(catalog),
            connectors: Arc::downgrade(connectors),
            reach: Reach { client, desk, time },
            published: Mutex::default(),
        }
    }

    /// Puts the tools of all connectors into the catalogue. One that is broken is said so, and keeps nobody from
    /// starting.
    pub async fn publish_all(&self) -> Result<(), ConnectorError> {
        let Some(connectors) = self.connectors.upgrade() else { return Ok(()) };
        for record in connectors.list()? {
            self.changed(&record.name).await;
        }
        Ok(())
    }

    /// The tools that a connector is to have now.
    fn wanted(&self, name: &str) -> BoxFuture<'static, Vec<Arc<dyn Operation>>> {
        let (connectors, reach, name) = (self.connectors.upgrade(), self.reach.clone(), name.to_owned());
        let work = move || {
            let Some(connectors) = connectors else { return Vec::new() };
            let found = connectors.get(&name).and_then(|record| Ok((connectors.exposed(&record)?, record)));
            match found {
                Ok((tools, record)) => operations(&reach, Arc::new(record), tools),
                Err(ConnectorError::Unknown(_)) => {
                    reach.client.forget(&name);
                    Vec::new()
                }
                Err(error) => {
                    tracing::error!(connector = name, %error, "the tools of a connector cannot be listed");
                    Vec::new()
                }
            }
        };
        Box::pin(async move { tokio::task::spawn_blocking(work).await.unwrap_or_default() })
    }
}

impl News for ConnectorTools {
    fn standing(&self, name: &str) -> Standing {
        self.reach.client.breakers().standing(name)
    }

    /// Whoever calls meanwhile finds the tool of before or of after, and none missing that is in both.
    fn changed<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(catalog) = self.catalog.upgrade() else { return };
            let wanted = self.wanted(name).await;
            let mut names = BTreeSet::new();
            for operation in wanted {
                let tool = operation.about().name.clone();
                match catalog.add(operation) {
                    Ok(()) => drop(names.insert(tool)),
                    Err(error) => tracing::error!(tool, %error, "a tool of a connector cannot be listed"),
                }
            }
            let before = {
                let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
                published.insert(name.to_owned(), names.clone()).unwrap_or_default()
            };
            for gone in before.difference(&names) {
                catalog.remove(Kind::Tool, gone);
            }
            if !before.is_empty() || !names.is_empty() {
                catalog.announce(Change::Tools);
            }
        })
    }
}

fn operations(reach: &Reach, record: Arc<ConnectorRecord>, tools: Vec<Tool>) -> Vec<Arc<dyn Operation>> {
    let mut all: Vec<Arc<dyn Operation>> = match record.mode {
        Mode::Tools => tools
            .into_iter()
            .map(|tool| Arc::new(call::OneOperation::new(reach.clone(), Arc::clone(&record), tool)) as _)
            .collect(),
        Mode::Search if tools.is_empty() => Vec::new(),
        Mode::Search => search::operations(reach, &record, tools),
    };
    // Where nothing can be called nobody need log in.
    if !all.is_empty() && record.binding.as_ref().is_some_and(|binding| binding.oauth().is_some()) {
        all.extend(login::operations(reach, &record));
    }
    all
}

fn effect(class: Class) -> Effect {
    match class {
        Class::Read => Effect::ReadOnly,
        Class::Write => Effect::Changes,
        Class::Delete => Effect::Destroys,
    }
}

/// What policies know it as: who only reads calls nothing that writes.
fn action_group(class: Class) -> ActionGroup {
    match class {
        Class::Read => ActionGroup::Agent,
        Class::Write | Class::Delete => ActionGroup::AgentChange,
    }
}

/// The largest arguments of a tool, in bytes of JSON.
fn argument_bytes_max(tool: &Tool) -> usize {
    if tool.body.is_some() { bound::CALL_BODY_ARGUMENT_BYTES_MAX } else { bound::CALL_ARGUMENT_BYTES_MAX }
}

impl Reach {
    async fn call(
        &self,
        cx: &Cx,
        connector: &ConnectorRecord,
        operation: &Callable,
        arguments: Value,
    ) -> Result<Outcome, Refusal> {
        let used = Arc::clone(&cx.used);
        let call = Call {
            connector,
            operation,
            principal: &cx.principal,
            meter: &cx.meter,
            used: &move |secret| used.note(secret),
            watcher: &Hears(cx),
            // What is left is for telling how it ended.
            time: self.time.mul_f64(0.95),
        };
        Ok(Outcome::Done(output(&connector.name, self.client.call(call, arguments).await?)))
    }
}

/// The caller, who hears how far an upload is.
struct Hears<'a>(&'a Cx);

impl Watcher for Hears<'_> {
    fn progress(&self, done: u64, total: u64, text: String) -> BoxFuture<'_, ()> {
        #[allow(clippy::cast_precision_loss, reason = "no file has 2^53 bytes")]
        let (done, total) = (done as f64, total as f64);
        Box::pin(self.0.progress(done, Some(total), Some(text)))
    }
}

fn output(connector: &str, reply: Reply) -> Output {
    let blocks = reply.parts.into_iter().map(|part| block(connector, part)).collect();
    Output::Tool { blocks, structured: reply.structured, failed: reply.failed }
}

fn block(connector: &str, part: Part) -> Block {
    let uri = |id: &str| format!("sekisho-answer://{connector}/{id}");
    match part {
        Part::Text(text) => Block::Text(text),
        Part::Markup { text, media_type, id } => {
            Block::Embedded(Content { uri: uri(&id), media_type, body: Body::Text(text) })
        }
        Part::Binary { data, media_type, .. } if media_type.starts_with("image/") => Block::Image { data, media_type },
        Part::Binary { data, media_type, .. } if media_type.starts_with("audio/") => Block::Audio { data, media_type },
        Part::Binary { data, media_type, id } => {
            Block::Embedded(Content { uri: uri(&id), media_type, body: Body::Blob(data) })
        }
    }
}
