//! What `app` tells the lower rooms: the state of the installation, what changed, who gives the directory up.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::drain::Drainer;
use super::init::read_token;
use super::unwritten::Unwritten;
use crate::admin::lifecycle::Lifecycle;
use crate::admin::policy;
use crate::admin::status::{Look, State};
use crate::audit::Audit;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::auth::policy::Policy;
use crate::auth::token;
use crate::base::refusal::{Code, Refusal};
use crate::config::Config;
use crate::config::place::Places;
use crate::custody::Custody;
use crate::http::certificates::Witness;
use crate::http::metrics::Exposed;
use crate::library::record::LibraryRecord;
use crate::library::{Changes, Libraries};
use crate::operation::{Catalog, Change};
use crate::pipeline::Pipeline;
use crate::store::Store;
use crate::telemetry::metric::{Exposition, Gathered, Metrics};
use crate::tool;
use crate::tool::profile::ProfileTools;
use crate::web::Readiness;

/// Whether this process gives the directory to a server: a stdio client's does, a server does not.
#[derive(Debug)]
pub(super) struct GivingUp {
    pub(super) willing: AtomicBool,
    pub(super) asked: CancellationToken,
    pub(super) drainer: Drainer,
}

impl GivingUp {
    pub(super) fn new(pipeline: &Arc<Pipeline>) -> Self {
        let drainer = Drainer::new(Arc::downgrade(pipeline));
        Self { willing: AtomicBool::default(), asked: CancellationToken::new(), drainer }
    }
}

impl Lifecycle for GivingUp {
    fn yield_directory(&self) -> Result<(), Refusal> {
        if !self.willing.load(Ordering::Relaxed) {
            let public = format!("Process {} keeps the data directory until it ends.", std::process::id());
            return Err(Refusal::new(Code::Conflict, public));
        }
        self.asked.cancel();
        Ok(())
    }

    fn drain(&self, patience: Duration) -> Result<usize, Refusal> {
        self.drainer.begin(patience)
    }

    fn freeze<'a>(&'a self, by: &'a str, reason: &'a str) -> BoxFuture<'a, Result<(String, String), Refusal>> {
        Box::pin(async move {
            let frozen = self.drainer.pipeline()?.freeze(by, reason).await?;
            Ok((frozen.since.rfc3339(), frozen.reason.clone()))
        })
    }

    fn unfreeze(&self) -> BoxFuture<'_, Result<Option<(String, String)>, Refusal>> {
        Box::pin(async {
            let held = self.drainer.pipeline()?.unfreeze().await?;
            Ok(held.map(|frozen| (frozen.since.rfc3339(), frozen.reason.clone())))
        })
    }
}

/// Tells clients what a sync changed.
pub(super) struct Announce {
    pub(super) catalog: Arc<Catalog>,
    /// Set when there are tools to keep; a sync before that tells nobody.
    pub(super) profiles: OnceLock<Arc<ProfileTools>>,
}

impl Announce {
    fn keep_tools(&self) {
        if let Some(tools) = self.profiles.get() {
            tools.keep();
        }
    }
}

impl Changes for Announce {
    fn documents(&self, library: &LibraryRecord, changed: &[String], list_changed: bool) {
        for path in changed {
            let uri = tool::uri::of_document(&library.name, path);
            self.catalog.announce(Change::Resource(uri, library.resource()));
        }
        if list_changed {
            self.catalog.announce(Change::Resources(Some(library.resource())));
        }
        self.keep_tools();
    }

    fn libraries(&self) {
        self.catalog.announce(Change::Resources(None));
        self.keep_tools();
    }
}

/// What is so only in this process.
#[derive(Debug, Default)]
pub(super) struct Meanwhile {
    pub(super) unwritten: Unwritten,
    /// Held while a database of advisories is taken.
    pub(super) importing: tokio::sync::Mutex<()>,
    /// Whether listeners are open.
    pub(super) serving: AtomicBool,
}

/// The state of the installation, for `status` and `/ready`.
pub(super) struct Facts {
    pub(super) places: Places,
    pub(super) config: Arc<Config>,
    pub(super) libraries: Arc<Libraries>,
    pub(super) audit: Audit,
    pub(super) custody: Arc<Custody>,
    pub(super) policy: Arc<Policy>,
    pub(super) store: Store,
    pub(super) metrics: Arc<Metrics>,
    pub(super) meanwhile: Meanwhile,
    /// Weak: the pipeline's catalogue holds us.
    pub(super) pipeline: std::sync::Weak<Pipeline>,
}

impl Facts {
    /// Whether the token in the file opens anything; `None` where there is none.
    fn is_token_known(&self) -> Option<bool> {
        let token = read_token(&self.places.http_token()).ok()??;
        token::is_known(&self.store, &token, self.audit.now()).ok()
    }
}

impl Facts {
    fn gathered(&self) -> Gathered {
        let commits = self.store.commits();
        Gathered {
            audit_entries: self.audit.size().unwrap_or_default(),
            commits: commits.count,
            commit_time: commits.time,
            sessions: self.pipeline.upgrade().map_or(0, |pipeline| pipeline.sessions().count()),
            passages: self.libraries.passages(),
            store_bytes: bytes_of(&self.places.database()),
            index_bytes: bytes_in(&self.places.index()),
            log_bytes: bytes_in(&self.places.logs()),
            disk_free_bytes: self.store.free_bytes().unwrap_or_default(),
        }
    }
}

impl Exposed for Facts {
    fn exposed(&self, form: Exposition) -> Result<String, std::fmt::Error> {
        self.metrics.render(&self.gathered(), form)
    }
}

impl Witness for Facts {
    fn serving(&self, what: String) -> BoxFuture<'_, ()> {
        Box::pin(self.note_certificate(Outcome::Done, what))
    }

    fn rejected(&self, what: String) -> BoxFuture<'_, ()> {
        Box::pin(self.note_certificate(Outcome::Failed, what))
    }
}

impl Facts {
    async fn note_certificate(&self, outcome: Outcome, what: String) {
        let mut draft = Draft::new(Event::Configuration, "internal", self.audit.now());
        draft.operation = Some("tls.certificate".into());
        if let Err(error) = self.audit.append(draft, outcome, Some(what)).await {
            tracing::error!(%error, "a change of the certificate could not be recorded");
        }
    }
}

fn bytes_of(path: &Path) -> u64 {
    fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default()
}

/// Of the files of one folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

impl Look for Facts {
    fn look(&self) -> BoxFuture<'_, Result<State, Refusal>> {
        Box::pin(async {
            let pipeline = self.pipeline.upgrade();
            let store_writable = self.store.is_writable().await;
            let sizes = self.sizes().await;
            Ok(State {
                version: env!("CARGO_PKG_VERSION"),
                process: std::process::id(),
                data_directory: self.places.data.display().to_string(),
                schema: crate::store::migrate::SCHEMA,
                store_bytes: bytes_of(&self.places.database()),
                store_health: self.store.health().borrow().as_str().to_owned(),
                store_writable,
                vault: self.custody.vault_status(),
                checkpoints_leave_the_file: self.custody.keeper().is_exporting(),
                alarm: self.custody.alarm(),
                sizes,
                history: self.history(),
                disk_warning: self.disk_warning(),
                core_dumps: crate::base::process::are_core_dumps_possible(),
                http_token_known: self.is_token_known(),
                index_bytes: bytes_in(&self.places.index()),
                index_passages: self.libraries.passages(),
                libraries: self.libraries.list()?.len(),
                audit_entries: self.audit.size().map_err(Refusal::internal)?,
                policy: policy::State::of(&self.policy.summary()),
                sessions: pipeline.as_ref().map_or(0, |pipeline| pipeline.sessions().count()),
                draining: pipeline.as_ref().is_some_and(|pipeline| pipeline.is_draining()),
                frozen: pipeline.is_some_and(|pipeline| pipeline.frozen().is_some()),
                since_start: self.metrics.to_json(),
            })
        })
    }
}

impl Readiness for Facts {
    fn missing(&self) -> BoxFuture<'_, Vec<&'static str>> {
        Box::pin(async {
            let mut missing = Vec::new();
            if !self.store.is_writable().await {
                missing.push("store");
            }
            if !self.custody.is_open() {
                missing.push("vault");
            }
            missing
        })
    }

    fn is_serving(&self) -> bool {
        self.meanwhile.serving.load(Ordering::Relaxed)
    }

    fn warnings(&self) -> Vec<&'static str> {
        if self.disk_warning().is_some() { vec!["disk"] } else { Vec::new() }
    }
}
