//! Composes the rooms in order, and stops them in reverse. The only file that sees everything.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::lifecycle::Lifecycle;
use crate::admin::status::Look;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::{self, Audit, AuditError};
use crate::auth::token::{self, TokenRecord};
use crate::base::bound;
use crate::base::clock::{Clock, SystemClock};
use crate::base::id::{NoEntropy, random_bytes};
use crate::base::principal::Role;
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::config::place::Places;
use crate::config::{Config, file};
use crate::crypto::aead::AeadError;
use crate::http::control::ControlSocket;
use crate::library::record::Source;
use crate::library::{Changes, Libraries, LibraryError};
use crate::mcp::Mcp;
use crate::operation::{Catalog, Change};
use crate::pipeline::Pipeline;
use crate::schema::NotASchema;
use crate::search::{Index, SearchError};
use crate::store::lock::{DirectoryLock, LockError};
use crate::store::table::Table;
use crate::store::{Batch, Put, Store, StoreError};
use crate::telemetry::metric::Metrics;
use crate::tool::{self, shelf::Shelves};
use crate::web::{Readiness, Web};

/// The library that every installation has: the manual.
pub const MANUAL: &str = "manual";

/// Everything that runs in the process which owns the data directory.
pub struct App {
    pub pipeline: Arc<Pipeline>,
    pub mcp: Arc<Mcp>,
    pub web: Arc<Web>,
    pub config: Arc<Config>,
    pub clock: Arc<dyn Clock>,
    audit: Audit,
    store: Store,
    stop: CancellationToken,
    giving_up: Arc<GivingUp>,
    control: Option<JoinHandle<()>>,
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
    NoEntropy(#[from] NoEntropy),
    #[error(transparent)]
    Sealing(#[from] AeadError),
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

/// What `init` made; what is not named was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    pub directory: bool,
    pub config: bool,
    pub database: bool,
    pub token: bool,
}

impl Made {
    pub fn anything(&self) -> bool {
        self.directory || self.config || self.database || self.token
    }
}

/// Makes what an installation needs and does not have: the directory, a configuration, a token, a database.
/// Killed anywhere, the next one goes on where this one stopped.
pub fn init(places: &Places) -> Result<Made, AppError> {
    let mut made = Made { directory: !places.data.exists(), ..Made::default() };
    DirBuilder::new().recursive(true).mode(0o700).create(&places.data).map_err(at(&places.data))?;
    if made.directory {
        // A umask cannot widen this, and a parent that was made on the way is nobody else's business either.
        fs::set_permissions(&places.data, fs::Permissions::from_mode(0o700)).map_err(at(&places.data))?;
    }
    let (database, token) = (places.database(), places.http_token());
    if places.config.exists() && database.exists() && token.exists() {
        // Nothing to do, and so nothing to disturb: another process may be at work there.
        return Ok(made);
    }
    let _lock = DirectoryLock::acquire(&places.data)?;
    if !places.config.exists() {
        write_new(&places.config, file::commented().as_bytes())?;
        made.config = true;
    }
    let (token, fresh) = match read_token(&token)? {
        Some(token) => (token, false),
        None => (token::make()?, true),
    };
    let record = TokenRecord { name: token::QUICKSTART.into(), role: Role::Reader, made: SystemClock::default().now() };
    let row = token::row(&token, &record)?;
    // The file of the token last: one that no database knows would look right and open nothing.
    if database.exists() {
        if fresh {
            replace_token(&database, row)?;
        }
    } else {
        let mut rows = audit::first_rows()?;
        rows.push(Put::new(Table::Meta, b"database_id", random_bytes::<16>()?.to_vec()));
        rows.push(row);
        Store::create(&database, &rows)?;
        made.database = true;
    }
    if fresh {
        write_new(&places.http_token(), &[token.expose_secret(), b"\n"].concat())?;
        made.token = true;
    }
    Ok(made)
}

fn read_token(path: &Path) -> Result<Option<Secret>, AppError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Secret::new(text.trim())).filter(|token| !token.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AppError::File { path: path.to_owned(), error }),
    }
}

/// Makes the new token valid, and every older one of its name invalid: deleting the file withdraws a token.
fn replace_token(database: &Path, row: Put) -> Result<(), AppError> {
    let opened = Store::open(database)?;
    let mut rows = opened.read(token::rows_of_quickstart)?;
    rows.push(row);
    let hook = audit::log::LogHook::of(&opened)?;
    let store = opened.start(Box::new(hook))?;
    futures::executor::block_on(async {
        store.commit(Batch::puts(rows)).await?;
        store.close().await;
        Ok(())
    })
}

/// Writes a file that is there whole or not at all.
fn write_new(path: &Path, content: &[u8]) -> Result<(), AppError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(at(&temporary))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(at(&temporary))?;
    fs::rename(&temporary, path).map_err(at(path))
}

impl App {
    /// Takes the data directory and starts everything but the listeners. `notice` is told what a person should know.
    pub async fn open(places: &Places, config: Config, notice: &(dyn Fn(&str) + Sync)) -> Result<Self, AppError> {
        let lock = DirectoryLock::acquire(&places.data)?;
        Self::open_locked(lock, places, config, notice).await
    }

    /// As [`App::open`], with the lock in hand.
    pub async fn open_locked(
        lock: DirectoryLock,
        places: &Places,
        config: Config,
        notice: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, AppError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let config = Arc::new(config);
        let opened = Store::open(&places.database())?;
        let digest_key = audit::digest_key(&opened)?;
        let hook = audit::log::LogHook::of(&opened)?;
        let store = opened.start(Box::new(hook))?;
        let audit = Audit::new(store.clone(), Arc::clone(&clock), digest_key);

        let index = Index::open(&places.index())?;
        if let Some(reason) = &index.rebuilt {
            notice(&format!("The index is made anew from the store: {reason}."));
        }
        let index_marks = index.marks;
        let index = Arc::new(index.index);
        let catalog = Arc::new(Catalog::default());
        let changes = Arc::new(Announce { catalog: Arc::clone(&catalog) });
        let libraries = Arc::new(Libraries::new(store.clone(), index, Arc::clone(&clock), changes));
        let caught_up = libraries.catch_up(index_marks).await?;
        if caught_up > 0 {
            notice(&format!("{caught_up} documents were indexed again."));
        }
        ensure_manual(&libraries).await?;

        let metrics = Arc::new(Metrics::default());
        let shelves = Arc::new(Shelves::default());
        tool::register(&catalog, &libraries, &shelves)?;
        #[cfg(feature = "conformance-fixtures")]
        crate::fixture::register(&catalog, &shelves)?;
        let pipeline = Arc::new(Pipeline::new(
            &store,
            audit.clone(),
            Arc::clone(&catalog),
            Arc::clone(&metrics),
            Arc::clone(&config),
            &clock,
        )?);
        let facts = Arc::new(Facts {
            places: places.clone(),
            libraries: Arc::clone(&libraries),
            audit: audit.clone(),
            store: store.clone(),
            metrics,
            pipeline: Arc::downgrade(&pipeline),
        });
        let giving_up = Arc::new(GivingUp::default());
        crate::admin::register(&catalog, &libraries, &audit, facts.clone(), giving_up.clone())?;
        let mcp = Mcp::new(Arc::clone(&pipeline));
        let web = Web::new(Arc::clone(&pipeline), facts);
        let app = Self {
            pipeline,
            mcp,
            web,
            config,
            clock,
            audit,
            store,
            stop: CancellationToken::new(),
            giving_up,
            control: None,
            _lock: lock,
        };
        app.note(Event::Lifecycle, "started").await?;
        app.sweep_sessions();
        Ok(app)
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

    /// Cancelled when the app stops.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// From now on a starting server may have the directory; the token says when one wants it.
    pub fn give_up_when_asked(&self) -> CancellationToken {
        self.giving_up.willing.store(true, Ordering::Relaxed);
        self.giving_up.asked.clone()
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
        if let Err(error) = self.audit.append_unwritten().await {
            tracing::error!(%error, "folded refusals could not be recorded");
        }
        if let Err(error) = self.note(Event::Lifecycle, "stopped").await {
            tracing::error!(%error, "the stop could not be recorded");
        }
        self.store.close().await;
    }

    async fn note(&self, event: Event, what: &str) -> Result<(), AuditError> {
        let draft = Draft::new(event, "internal", self.clock.now());
        let note = format!("{what}: sekisho {} as process {}", env!("CARGO_PKG_VERSION"), std::process::id());
        self.audit.append(draft, Outcome::Done, Some(note)).await.map(drop)
    }

    fn sweep_sessions(&self) {
        let (pipeline, stop) = (Arc::clone(&self.pipeline), self.stop.clone());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(bound::SESSION_SWEEP_SECONDS));
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => pipeline.sweep_sessions().await,
                }
            }
        });
    }
}

/// The manual is a library like any other, and follows the binary's version.
async fn ensure_manual(libraries: &Arc<Libraries>) -> Result<(), LibraryError> {
    match libraries.get(MANUAL) {
        Ok(_) => {}
        Err(LibraryError::NoLibrary(_)) => drop(libraries.add(MANUAL, Source::Builtin).await?),
        Err(error) => return Err(error),
    }
    libraries.sync(MANUAL, CancellationToken::new(), |_| {}).await.map(drop)
}

/// Whether this process gives the directory to a server: a stdio client's does, a server does not.
#[derive(Debug, Default)]
struct GivingUp {
    willing: AtomicBool,
    asked: CancellationToken,
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
}

/// Tells clients what a sync changed.
struct Announce {
    catalog: Arc<Catalog>,
}

impl Changes for Announce {
    fn documents(&self, library: &str, changed: &[String], list_changed: bool) {
        for path in changed {
            self.catalog.announce(Change::Resource(tool::uri::of_document(library, path)));
        }
        if list_changed {
            self.catalog.announce(Change::Resources);
        }
    }
}

/// The state of the installation, for `status` and `/ready`.
struct Facts {
    places: Places,
    libraries: Arc<Libraries>,
    audit: Audit,
    store: Store,
    metrics: Arc<Metrics>,
    /// Weak: the pipeline's catalogue holds us.
    pipeline: std::sync::Weak<Pipeline>,
}

impl Facts {
    /// Whether the token in the file opens anything; `None` where there is none.
    fn is_token_known(&self) -> Option<bool> {
        let token = read_token(&self.places.http_token()).ok()??;
        token::is_known(&self.store, &token).ok()
    }
}

impl Look for Facts {
    fn look(&self) -> BoxFuture<'_, Result<Value, Refusal>> {
        Box::pin(async {
            let bytes = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
            let index: u64 = fs::read_dir(self.places.index())
                .map(|entries| {
                    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
                })
                .unwrap_or_default();
            Ok(json!({
                "version": env!("CARGO_PKG_VERSION"),
                "process": std::process::id(),
                "data_directory": self.places.data.display().to_string(),
                "schema": crate::store::migrate::SCHEMA,
                "store_bytes": bytes(&self.places.database()),
                "store_writable": self.store.is_writable().await,
                "http_token_known": self.is_token_known(),
                "index_bytes": index,
                "index_passages": self.libraries.passages(),
                "libraries": self.libraries.list()?.len(),
                "audit_entries": self.audit.size().map_err(Refusal::internal)?,
                "sessions": self.pipeline.upgrade().map_or(0, |pipeline| pipeline.sessions().count()),
                "since_start": self.metrics.to_json(),
            }))
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
            missing
        })
    }
}
