//! Composes the rooms in order, and stops them in reverse. The only file that sees everything.

pub mod init;
pub mod offline;
pub mod reading;
pub mod verify;
mod chores;
mod drain;
mod facts;
mod fetch;
mod follow;
mod libraries;
mod outward;
mod prune;
mod scanner;
mod shutter;
mod survey;
mod unwritten;
mod upkeep;
mod upstream;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::keep::Keeper;
use crate::audit::log::LogHook;
use crate::audit::{Audit, AuditError};
use crate::auth::Authenticator;
use crate::auth::gate::Gate;
use crate::auth::policy::Policy;
use crate::auth::policy::keep::PolicyKeeper;
use crate::auth::policy::source::PolicyError;
use crate::auth::session::Restored;
use crate::base::clock::{Clock, SystemClock};
use crate::base::id::NoEntropy;
use crate::config::Config;
use crate::config::place::Places;
use crate::connector::error::ConnectorError;
use crate::connector::oauth::desk::Desk;
use crate::custody::{Custody, CustodyError, Found};
use crate::http::certificates::Witness;
use crate::http::control::ControlSocket;
use crate::http::metrics::Exposed;
use crate::library::LibraryError;
use crate::mcp::Mcp;
use crate::operation::Catalog;
use crate::pipeline::{Parts, Pipeline, PipelineError};
use crate::schema::NotASchema;
use crate::search::SearchError;
use crate::store::lock::{DirectoryLock, LockError};
use crate::store::table::Table;
use crate::store::{Batch, Opened, Put, Store, StoreError};
use crate::telemetry::log::LogHandle;
use crate::telemetry::metric::Metrics;
use crate::vault::door::Door;
use crate::vault::{self, VaultError, source};
use crate::watch::notify::Keys;
use crate::web::Web;
use crate::web::openapi::Describe;
use facts::{Facts, GivingUp, Meanwhile};
use outward::Lookout;

/// Everything that runs in the process which owns the data directory.
pub struct App {
    pub pipeline: Arc<Pipeline>,
    pub mcp: Arc<Mcp>,
    pub web: Arc<Web>,
    pub config: Arc<Config>,
    pub clock: Arc<dyn Clock>,
    pub custody: Arc<Custody>,
    desk: Desk,
    authenticator: Arc<Authenticator>,
    policies: PolicyKeeper,
    audit: Audit,
    store: Store,
    stop: CancellationToken,
    giving_up: Arc<GivingUp>,
    facts: Arc<Facts>,
    control: Option<JoinHandle<()>>,
    watch: Option<JoinHandle<()>>,
    /// Syncs that nobody asked for: what they changed stands in the log before the end.
    syncs: TaskTracker,
    /// Last: it is given up when all else has stopped.
    _lock: DirectoryLock,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

/// Why Sekisho does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Source(#[from] source::SourceError),
    #[error(transparent)]
    Custody(#[from] CustodyError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("a built-in operation has a schema that does not compile: {0}")]
    Schema(#[from] NotASchema),
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("the control socket {} cannot be made: {error}", path.display())]
    Control { path: PathBuf, error: io::Error },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> AppError {
    let path = path.to_owned();
    move |error| AppError::File { path, error }
}

impl App {
    /// Takes the data directory, whose lock is in hand, and starts everything but the listeners. `secret` opens the
    /// vault; `notice` is told what a person should know.
    pub async fn open_locked(
        lock: DirectoryLock,
        places: &Places,
        config: Config,
        secret: Option<Found>,
        log: LogHandle,
        notice: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, AppError> {
        let clock = Arc::new(SystemClock::default());
        // Its state is large, and whoever waits for it would carry it.
        Box::pin(Self::open_with_clock(lock, places, config, secret, log, notice, clock)).await
    }

    /// As [`App::open_locked`], by another clock: the seam through which tests break time.
    pub async fn open_with_clock(
        lock: DirectoryLock,
        places: &Places,
        config: Config,
        secret: Option<Found>,
        log: LogHandle,
        notice: &(dyn Fn(&str) + Sync),
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AppError> {
        let config = Arc::new(config);
        // First: who starts with wrong policies has changed nothing.
        let policies = config.policy.directory.clone().unwrap_or_else(|| places.policies());
        let policy = Arc::new(Policy::open(policies, Arc::clone(&clock))?);
        let opened = Store::open(&places.database())?;
        let (database_id, hook) = (database_id(&opened)?, LogHook::of(&opened)?);
        let store = opened.start_with_clock(Box::new(hook), Arc::clone(&clock))?;
        let key_file = config.vault.key_file.clone().unwrap_or_else(|| places.vault_key());
        let secret = secret_of_vault(&store, database_id, secret, &key_file, &*clock, notice).await?;
        let vault = Arc::new(Door::new(store.read(vault::state)?, Arc::clone(&clock)));
        let audit = Audit::new(store.clone(), Arc::clone(&clock), Arc::clone(&vault));
        let checkpoints = config.audit.checkpoint_file.clone().unwrap_or_else(|| places.checkpoints());
        let keeper = Keeper::new(audit.clone(), &database_id, checkpoints, config.audit.checkpoint_syslog);
        let custody = Custody::new(audit.clone(), Arc::clone(&vault), Arc::new(keeper), key_file.clone(), &config);
        let custody = Arc::new(custody.with_logs(places.logs(), config.log, log.clone()));
        forget_left_over(places, &key_file, secret.as_ref());
        // Deriving a key takes as long as everything else together: both at once.
        let unsealing = tokio::spawn(Arc::clone(&custody).unseal_at_start(secret));

        let catalog = Arc::new(Catalog::default());
        let shelved = libraries::open(places, &config, &store, &clock, &catalog, notice).await?;
        let libraries = Arc::clone(&shelved.libraries);
        let unsealed = unsealing.await.unwrap_or_else(|error| Err(CustodyError::Failed(error.to_string())));
        custody.supply_log_keys_or_say().await;
        let metrics = Arc::new(Metrics::new(&config.metrics.prefix));
        shelved.register(&catalog, &config)?;
        let outward = outward::egress(&config, &audit, &metrics);
        let known = Authenticator::new(store.clone(), Arc::clone(&clock), Arc::clone(&vault), &config, &outward.0)?;
        let authenticator = Arc::new(known);
        let (gate, restored) = Gate::open(&store, &config, &clock)?;
        let pipeline = Arc::new(Pipeline::new(Parts {
            authenticator: Arc::clone(&authenticator),
            gate: gate.clone(),
            clock: Arc::clone(&clock),
            audit: audit.clone(),
            policy: Arc::clone(&policy),
            catalog: Arc::clone(&catalog),
            metrics: Arc::clone(&metrics),
            config: Arc::clone(&config),
            security: log.security(),
        })?);
        let facts = Arc::new(Facts {
            places: places.clone(),
            config: Arc::clone(&config),
            libraries: Arc::clone(&libraries),
            audit: audit.clone(),
            custody: Arc::clone(&custody),
            policy: Arc::clone(&policy),
            store: store.clone(),
            metrics,
            meanwhile: Meanwhile::default(),
            pipeline: Arc::downgrade(&pipeline),
        });
        let giving_up = Arc::new(GivingUp::new(&pipeline));
        let policies = PolicyKeeper::new(policy, audit.clone());
        let keys = Keys { store: store.clone(), vault };
        let lookout = Lookout::open(outward, &config, &audit, &gate, keys.clone(), &clock).await?;
        let rooms_below = (&custody, &libraries);
        let (connectors, desk) = upstream::open(&config, lookout.egress(), keys, &clock, &catalog, rooms_below).await?;
        let rooms = crate::admin::Rooms {
            libraries: &libraries,
            profiles: &shelved.profiles,
            connectors: &connectors,
            desk: &desk,
            audit: &audit,
            custody: &custody,
            authenticator: &authenticator,
            gate: &gate,
            policies: &policies,
            alerts: &lookout.alerts(),
            config: &config,
            look: facts.clone(),
            lifecycle: giving_up.clone(),
        };
        crate::admin::register(&catalog, rooms)?;
        catalog.add(Arc::new(Describe::default()))?;
        let mut app = Self {
            mcp: Mcp::new(Arc::clone(&pipeline)),
            web: Web::new(Arc::clone(&pipeline), facts.clone(), Arc::clone(&config)),
            pipeline,
            config,
            clock,
            custody,
            desk,
            authenticator,
            policies,
            audit,
            store,
            stop: CancellationToken::new(),
            giving_up,
            facts,
            control: None,
            watch: None,
            syncs: TaskTracker::new(),
            _lock: lock,
        };
        app.watch = Some(lookout.start(&app.config, app.custody.keeper(), &app.stop));
        Box::pin(app.begin(unsealed, restored, notice)).await?;
        app.begin_chores(&libraries);
        Ok(app)
    }

    /// Writes down that we are here, with what an auditor would ask first.
    async fn begin(
        &self,
        unsealed: Result<Option<String>, CustodyError>,
        restored: Restored,
        notice: &(dyn Fn(&str) + Sync),
    ) -> Result<(), AppError> {
        let vault = match &unsealed {
            Ok(Some(from)) => format!("; the vault was opened by {from}"),
            Ok(None) => "; the vault is sealed".to_owned(),
            Err(_) => "; the vault stays sealed".to_owned(),
        };
        self.note(Event::Lifecycle, "started", &vault).await?;
        if matches!(unsealed, Ok(None)) {
            notice(
                "The vault is sealed: credentials cannot be used, and entries say nothing personal. Open it: sekisho vault unseal",
            );
        }
        if let Err(error) = unsealed {
            notice(&format!("The vault stays sealed: {error}."));
            let mut draft = Draft::new(Event::Vault, "internal", self.clock.now());
            draft.operation = Some("vault.unseal".into());
            self.audit.append(draft, Outcome::Failed, Some(error.to_string())).await?;
        }
        self.record_configuration().await?;
        self.policies.record().await?;
        if let Some(alarm) = self.custody.look_outside().await? {
            notice(&format!("Alarm: {alarm}."));
        }
        Ok(self.pipeline.end_restored(restored).await?)
    }

    /// An entry of its own where the configuration is not that of the last start.
    async fn record_configuration(&self) -> Result<(), AppError> {
        let now = serde_json::to_value(&self.config.raw).unwrap_or_default();
        let before = self.store.read(|snapshot| snapshot.get(Table::Meta, KEY_CONFIGURATION))?;
        let before = before.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        if before.as_ref() == Some(&now) {
            return Ok(());
        }
        let changes = before.map_or_else(|| vec!["first start".to_owned()], |before| changes(&before, &now));
        let mut draft = Draft::new(Event::Configuration, "internal", self.clock.now());
        draft.operation = Some("config".into());
        let row = Put::new(Table::Meta, KEY_CONFIGURATION, now.to_string().into_bytes());
        self.audit.append_with(Batch::puts(vec![row]), draft, Outcome::Done, Some(changes.join("; "))).await?;
        Ok(())
    }

    /// Opens the control socket, so that others of this user get in while we own the directory.
    pub fn serve_control(&mut self, places: &Places) -> Result<(), AppError> {
        let socket = ControlSocket::bind(&places.control)
            .map_err(|error| AppError::Control { path: places.control.clone(), error })?;
        let patience = self.config.http.shutdown_timeout;
        let serve = socket.serve(Arc::clone(&self.mcp), Arc::clone(&self.web), self.stop.clone(), patience);
        self.control = Some(tokio::spawn(serve));
        Ok(())
    }

    /// The listeners are open, and browsers reach them at `address`, unless `http.public_url` says where.
    pub fn is_at_home(&self, address: SocketAddr) {
        self.facts.meanwhile.serving.store(true, Ordering::Relaxed);
        self.begin_upkeep();
        let http = &self.config.http;
        let scheme = if http.tls.is_some() { "https" } else { "http" };
        let own = (!address.ip().is_unspecified()).then(|| format!("{scheme}://{address}"));
        if let Some(home) = http.public_url.clone().or(own) {
            self.desk.is_at_home(home);
        }
    }

    /// What the metrics listener serves.
    pub fn metrics(&self) -> Arc<dyn Exposed> {
        self.facts.clone()
    }

    /// Who writes down what becomes of the certificate.
    pub fn witness(&self) -> Arc<dyn Witness> {
        self.facts.clone()
    }

    /// Cancelled when the app stops.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// From now on a starting server may have the directory; the token says when one wants it.
    pub fn give_up_when_asked(&self) -> CancellationToken {
        self.giving_up.willing.store(true, Ordering::Relaxed);
        self.giving_up.asked.clone()
    }

    /// From now on an operator can drain this server; returns when it has been.
    pub async fn drained(&self) {
        self.giving_up.drainer.drained().await;
    }

    /// Lets what is under way finish, writes the end into the log, and gives the directory up.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(control) = self.control.take() {
            // Its panic, if it had one, is in the log.
            control.await.unwrap_or_default();
        }
        let deadline = tokio::time::Instant::now() + self.config.http.shutdown_timeout;
        while !self.pipeline.sessions().is_idle(self.config.limits.in_flight_max)
            && tokio::time::Instant::now() < deadline
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.syncs.close();
        if tokio::time::timeout_at(deadline, self.syncs.wait()).await.is_err() {
            tracing::warn!("a sync by itself did not end in time; its entry is missing");
        }
        self.pipeline.flush().await;
        if let Err(error) = self.audit.append_unwritten().await {
            tracing::error!(%error, "folded refusals could not be recorded");
        }
        if let Err(error) = self.authenticator.write_used().await {
            tracing::error!(%error, "when accounts and tokens were last used could not be written down");
        }
        if let Some(watch) = self.watch.take() {
            // It writes down what it had only counted.
            watch.await.unwrap_or_default();
        }
        if let Err(error) = self.note(Event::Lifecycle, "stopped", "").await {
            tracing::error!(%error, "the stop could not be recorded");
        }
        if let Err(error) = self.custody.keeper().checkpoint().await {
            tracing::error!(%error, "the last checkpoint could not be made");
        }
        self.store.close().await;
    }

    async fn note(&self, event: Event, what: &str, more: &str) -> Result<(), AuditError> {
        let draft = Draft::new(event, "internal", self.clock.now());
        let note = format!("{what}: sekisho {} as process {}{more}", env!("CARGO_PKG_VERSION"), std::process::id());
        self.audit.append(draft, Outcome::Done, Some(note)).await.map(drop)
    }
}

const KEY_CONFIGURATION: &[u8] = b"config/last";

/// Which keys differ, with both values.
fn changes(before: &Value, now: &Value) -> Vec<String> {
    let mut changes = Vec::new();
    for (table, keys) in now.as_object().into_iter().flatten() {
        for (key, value) in keys.as_object().into_iter().flatten() {
            let old = &before[table][key];
            if old != value {
                changes.push(format!("{table}.{key}: {old} became {value}"));
            }
        }
        for (key, old) in before[table].as_object().into_iter().flatten() {
            if keys.get(key).is_none() {
                changes.push(format!("{table}.{key}: {old} became the default"));
            }
        }
    }
    changes
}

fn database_id(opened: &Opened) -> Result<vault::DatabaseId, AppError> {
    let bytes = opened.read(|snapshot| snapshot.get(Table::Meta, b"database_id"))?;
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(AppError::Vault(VaultError::Damaged("the database has no id of 16 bytes")))
}

/// A key that was kept beside a key file goes with it: whoever took the secret away does not expect to leave one.
fn forget_left_over(places: &Places, key_file: &Path, secret: Option<&Found>) {
    let used = secret.and_then(|found| found.key_file.as_deref());
    for path in [key_file, &places.vault_key()] {
        if used != Some(path)
            && let Err(error) = vault::key_file::forget_derived(path)
        {
            tracing::warn!(%error, "what was kept beside the vault's secret is still there");
        }
    }
}

/// What opens the vault, if anything is at hand. A database from before there were vaults gets one.
async fn secret_of_vault(
    store: &Store,
    database_id: vault::DatabaseId,
    secret: Option<Found>,
    key_file: &Path,
    clock: &dyn Clock,
    notice: &(dyn Fn(&str) + Sync),
) -> Result<Option<Found>, AppError> {
    if matches!(store.read(vault::state)?, vault::State::Sealed(_)) {
        return Ok(secret);
    }
    let secret = if let Some(secret) = secret {
        secret
    } else {
        let (secret, _) = init::key_of(key_file)?;
        Found { secret, from: format!("the key file {}", key_file.display()), key_file: Some(key_file.to_owned()) }
    };
    let made = vault::create(database_id, &secret.secret, crate::crypto::password::Iterations::default(), clock.now())?;
    store.commit(Batch::puts(made.rows)).await?;
    notice(&format!(
        "This database had no vault; one was made, which {} opens. Get a recovery key for it: sekisho key recovery",
        secret.from
    ));
    Ok(Some(secret))
}
