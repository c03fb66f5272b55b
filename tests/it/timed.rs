//! The whole server in this process, over a real socket, by a clock that stands still until it is told otherwise.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sekisho::app::App;
use sekisho::base::clock::{Clock, ManualClock, Timestamp};
use sekisho::base::secret::Secret;
use sekisho::config::env::{Environment, Inherited};
use sekisho::config::file;
use sekisho::config::place::Places;
use sekisho::custody::Found;
use sekisho::http::Site;
use sekisho::http::listener::Listener;
use sekisho::mcp::http::McpHttp;
use sekisho::store::lock::DirectoryLock;
use sekisho::telemetry::log::LogHandle;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Installation, Server};

/// A running server whose time a test moves.
pub(crate) struct Timed {
    pub(crate) server: Server,
    pub(crate) clock: Arc<ManualClock>,
    runtime: Runtime,
    app: Option<App>,
    mcp: McpHttp,
    serving: Option<JoinHandle<()>>,
}

/// A clock that shows the time at which it was made.
pub(crate) fn clock() -> Arc<ManualClock> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Arc::new(ManualClock::at(Timestamp(u64::try_from(now.as_millis()).unwrap())))
}

impl Timed {
    pub(crate) fn start(installation: &Installation, clock: &Arc<ManualClock>) -> Self {
        let runtime = Runtime::new().unwrap();
        let places = Places {
            data: installation.data(),
            config: installation.data().join("sekisho.toml"),
            control: installation.data().join("control.sock"),
            home: None,
            units: Vec::new(),
        };
        let environment = Environment { settings: installation.settings().collect(), ..Environment::default() };
        let config = file::parse("", &places.config, &environment).unwrap();
        let key = std::fs::read_to_string(places.vault_key()).unwrap();
        let secret = Found { secret: Secret::new(key.trim()), from: "the test".into(), key_file: None };
        let own: Arc<dyn Clock> = clock.clone();
        let (app, mcp, address, serving) = runtime.block_on(async {
            let listener = Listener::bind(&config.http, Inherited::default(), None).await.unwrap();
            let address = listener.address().unwrap();
            let lock = DirectoryLock::acquire(&places.data).unwrap();
            let opened =
                App::open_with_clock(lock, &places, config, Some(secret), LogHandle::default(), &|_| {}, own).await;
            let mut app = opened.unwrap();
            app.serve_control(&places).unwrap();
            let streams = CancellationToken::new();
            let mcp = McpHttp::new(&app.mcp, &app.config, Arc::clone(&app.clock), streams.clone());
            let site = Site::new(mcp.clone(), Arc::clone(&app.web), &app.config);
            let patience = app.config.http.shutdown_timeout;
            let serving = tokio::spawn(listener.serve(site, app.stopping(), streams, patience));
            (app, mcp, address, serving)
        });
        let server = Server::here(address, installation.token());
        Self { server, clock: Arc::clone(clock), runtime, app: Some(app), mcp, serving: Some(serving) }
    }

    /// Time passes, and what the server does now and then is done.
    pub(crate) fn pass(&self, span: Duration) {
        self.clock.advance(span);
        let app = self.app.as_ref().unwrap();
        self.runtime.block_on(async {
            app.pipeline.sweep().await;
            self.mcp.sessions().sweep().await;
            app.pipeline.flush().await;
        });
    }

    /// What a server looks at each minute is looked at.
    pub(crate) fn look_after(&self) {
        self.runtime.block_on(self.app.as_ref().unwrap().look_after());
    }

    /// What a server does every ten minutes is done.
    pub(crate) fn keep_house(&self) {
        self.runtime.block_on(self.app.as_ref().unwrap().custody.keep_house());
    }

    /// Ends as a server does that is told to.
    pub(crate) fn stop(mut self) {
        let (app, serving) = (self.app.take().unwrap(), self.serving.take().unwrap());
        self.runtime.block_on(async {
            app.stopping().cancel();
            serving.await.unwrap();
            app.stop().await;
        });
    }
}
