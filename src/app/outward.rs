//! What leads to other machines: the egress with its witness, the places that alerts go to, and the list of alerts.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::shutter::Shutter;
use crate::admin::alert::{Alerts, Announced};
use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::filter::time::parse_time;
use crate::audit::keep::Keeper;
use crate::audit::post::Poster;
use crate::audit::{Audit, Numbered};
use crate::auth::gate::Gate;
use crate::base::bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::refusal::{Code, Refusal};
use crate::base::severity::Severity;
use crate::config::Config;
use crate::config::target::Endpoint;
use crate::egress::{Egress, Purpose, Witness};
use crate::store::StoreError;
use crate::telemetry::metric::Metrics;
use crate::watch::Watch;
use crate::watch::alert::{AlertRecord, OfIncident};
use crate::watch::notify::message::Sender;
use crate::watch::notify::smtp::Smtp;
use crate::watch::notify::syslog::Syslog;
use crate::watch::notify::webhook::Webhook;
use crate::watch::notify::{Keys, Place};

/// A connection that was opened or refused.
struct Told {
    purpose: Purpose,
    target: String,
    outcome: Outcome,
    reason: String,
}

/// Hands on what the egress tells, without waiting.
struct Teller {
    queue: mpsc::Sender<Told>,
    metrics: Arc<Metrics>,
}

impl Teller {
    fn tell(&self, told: Told) {
        if let Err(error) = self.queue.try_send(told) {
            tracing::error!(%error, "a connection to another machine could not be recorded");
        }
    }
}

impl Witness for Teller {
    fn connected(&self, purpose: Purpose, target: &Endpoint, address: SocketAddr) {
        tracing::info!(operation = purpose.operation(), %target, %address, "connected");
        self.metrics.egressed(purpose.name(), "connected");
        // The entry about a checkpoint would need a checkpoint: that they go out at all is recorded by their keeper.
        if purpose != Purpose::Checkpoint {
            let reason = format!("connected to {address}");
            self.tell(Told { purpose, target: target.to_string(), outcome: Outcome::Done, reason });
        }
    }

    fn refused(&self, purpose: Purpose, target: &Endpoint, reason: &str) {
        tracing::warn!(target: "security", operation = purpose.operation(), %target, reason, "egress refused");
        self.metrics.egressed(purpose.name(), "refused");
        // As above: an entry for each attempt would call for the next attempt.
        if purpose == Purpose::Checkpoint {
            return;
        }
        let reason = reason.to_owned();
        self.tell(Told { purpose, target: target.to_string(), outcome: Outcome::Refused, reason });
    }
}

/// Writes into the audit log what the egress told.
pub(super) struct Outward {
    audit: Audit,
    queue: mpsc::Receiver<Told>,
}

impl Outward {
    /// Until the egress is gone.
    async fn run(mut self) {
        while let Some(Told { purpose, target, outcome, reason }) = self.queue.recv().await {
            let mut draft = Draft::new(Event::Egress, "internal", self.audit.now());
            draft.operation = Some(purpose.operation().to_owned());
            draft.target = Some(target);
            if let Err(error) = self.audit.append(draft, outcome, Some(reason)).await {
                tracing::error!(%error, "a connection to another machine could not be recorded");
            }
        }
    }
}

/// The way out, and what writes down who took it. It leads to the hosts that settings name.
pub(super) fn egress(config: &Config, audit: &Audit, metrics: &Arc<Metrics>) -> (Arc<Egress>, Outward) {
    let watch = &config.watch;
    let hosts = [
        watch.webhook.as_ref().map(|webhook| &webhook.url.endpoint),
        watch.smtp.as_ref().map(|smtp| &smtp.server),
        watch.syslog.as_ref().map(|syslog| &syslog.target),
        config.audit.checkpoint_webhook.as_ref().map(|url| &url.endpoint),
    ];
    let configured = hosts.into_iter().flatten().map(|endpoint| endpoint.host.clone()).collect();
    let (queue, told) = mpsc::channel(bound::EGRESS_TOLD_QUEUED_MAX);
    let egress = Egress::new(&config.egress, configured, Arc::new(Teller { queue, metrics: Arc::clone(metrics) }));
    (Arc::new(egress), Outward { audit: audit.clone(), queue: told })
}

/// The places that the configuration names.
fn places(config: &Config, egress: &Arc<Egress>, keys: &Keys, clock: &Arc<dyn Clock>) -> Vec<Arc<Place>> {
    let watch = &config.watch;
    // Not there in a container without /proc: then nobody is named.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let sender = Sender::new(&host, std::process::id());
    let mut places = Vec::new();
    if let Some(webhook) = &watch.webhook {
        let (webhook, egress) = (webhook.clone(), Arc::clone(egress));
        let sink = Webhook { webhook, egress, keys: keys.clone(), clock: Arc::clone(clock) };
        places.push(Place::new(Box::new(sink), watch.severity));
    }
    if let Some(smtp) = &watch.smtp {
        let host = if sender.host == "-" { "localhost".to_owned() } else { sender.host.clone() };
        let (severity, contacts) = (watch.severity, config.contacts.addresses());
        // Contacts hear of what is high, whatever the others want to hear of.
        let least = if contacts.is_empty() { severity } else { severity.min(Severity::High) };
        let (smtp, egress) = (smtp.clone(), Arc::clone(egress));
        let sink = Smtp { smtp, severity, contacts, host, egress, keys: keys.clone() };
        places.push(Place::new(Box::new(sink), least));
    }
    if let Some(syslog) = &watch.syslog {
        let sink = Syslog { syslog: syslog.clone(), sender, egress: Arc::clone(egress) };
        places.push(Place::new(Box::new(sink), watch.severity));
    }
    places
}

/// The watch and its way out, open and not yet at work.
pub(super) struct Lookout {
    audit: Audit,
    egress: Arc<Egress>,
    outward: Outward,
    watch: Arc<Watch>,
    feed: broadcast::Receiver<Numbered>,
}

impl Lookout {
    /// Hears every entry from now on.
    pub(super) async fn open(
        (egress, outward): (Arc<Egress>, Outward),
        config: &Config,
        audit: &Audit,
        gate: &Gate,
        keys: Keys,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let places = places(config, &egress, &keys, clock);
        let feed = audit.subscribe();
        let shutter = Arc::new(Shutter { gate: gate.clone(), audit: audit.clone() });
        let watch = Watch::open(audit.clone(), config.watch.clone(), shutter, places).await?;
        Ok(Self { audit: audit.clone(), egress, outward, watch, feed })
    }

    /// The way out, for others too.
    pub(super) fn egress(&self) -> &Arc<Egress> {
        &self.egress
    }

    pub(super) fn alerts(&self) -> Arc<dyn Alerts> {
        Arc::new(Kept { watch: Arc::clone(&self.watch), audit: self.audit.clone() })
    }

    /// Until `stop`. The handle is that of the watch, which still writes down at the end what it had only counted.
    pub(super) fn start(self, config: &Config, keeper: &Keeper, stop: &CancellationToken) -> JoinHandle<()> {
        tokio::spawn(self.outward.run());
        if let Some(url) = config.audit.checkpoint_webhook.clone() {
            let poster = Poster { audit: self.audit, egress: self.egress, url, newest: keeper.newest() };
            tokio::spawn(poster.run(stop.clone()));
        }
        tokio::spawn(self.watch.run(self.feed, stop.clone()))
    }
}

/// The watch, as administrators see it.
struct Kept {
    watch: Arc<Watch>,
    audit: Audit,
}

impl Alerts for Kept {
    fn list(&self, since: Option<&str>, severity: Severity) -> Result<Vec<Value>, Refusal> {
        let since = since.map(|text| parse_time(text, self.audit.now())).transpose();
        let since = since.map_err(|error| Refusal::new(Code::Invalid, format!("since: {error}.")))?;
        let found = self.watch.list(since, severity).map_err(Refusal::internal)?;
        Ok(found.iter().map(AlertRecord::to_json).collect())
    }

    fn between(&self, from: Timestamp, to: Timestamp) -> Result<Vec<(Timestamp, Value)>, Refusal> {
        let found = self.watch.between(from, to).map_err(Refusal::internal)?;
        Ok(found.iter().map(|alert| (alert.first, alert.to_json())).collect())
    }

    fn acknowledge(&self, id: u64) -> BoxFuture<'_, Result<Option<Value>, Refusal>> {
        Box::pin(async move {
            let found = self.watch.acknowledge(id).await.map_err(Refusal::internal)?;
            Ok(found.as_ref().map(AlertRecord::to_json))
        })
    }

    fn announce(&self, incident: Announced) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Announced { severity, kind, systems, title, description } = incident;
            self.watch.announce(severity, OfIncident { kind, systems, title, description }).await;
        })
    }

    fn test(&self) -> BoxFuture<'_, Value> {
        Box::pin(self.watch.test())
    }
}
