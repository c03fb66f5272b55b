//! `serve` and `quickstart`: listens until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::Failure;
use super::{Context, print, reach, setup, unlock};
use crate::app::App;
use crate::base::bound;
use crate::base::clock::SystemClock;
use crate::config::env::Inherited;
use crate::config::origin::Origin;
use crate::config::place::Places;
use crate::config::raw::Authentication;
use crate::config::{Config, file};
use crate::http::Site;
use crate::http::certificates::Certificates;
use crate::http::listener::Listener;
use crate::http::metrics::MetricsListener;
use crate::mcp::http::McpHttp;
use crate::telemetry::log;
use crate::telemetry::supervisor::Supervisor;

#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Address and port to listen on, instead of http.listen
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Serve beyond this machine without TLS or without authentication: everybody on the network can read what you serve
    #[arg(long)]
    dangerously_serve_unprotected: bool,
}

pub(super) async fn quickstart(context: &Context, listen: Listen, inherited: Inherited) -> Result<u8, Failure> {
    let places = context.places()?;
    let config = file::load(&places.config, &context.environment)?;
    let made = setup::make(context, &places, &config, None)?;
    setup::tell(context, &places, &setup::key_file(&places, &config), &made)?;
    Box::pin(run(context, &places, listen, inherited, true)).await
}

pub(super) async fn serve(context: &Context, listen: Listen, inherited: Inherited) -> Result<u8, Failure> {
    let places = context.places()?;
    Box::pin(run(context, &places, listen, inherited, false)).await
}

async fn run(
    context: &Context,
    places: &Places,
    listen: Listen,
    inherited: Inherited,
    introduce: bool,
) -> Result<u8, Failure> {
    let mut config = file::load(&places.config, &context.environment)?;
    if let Some(address) = listen.listen {
        config.http.listen = address;
        config.origins.note("http.listen", Origin::CommandLine(address.to_string()));
    }
    if let Some(tcp) = &inherited.tcp {
        // What the supervisor listens on is what can be reached, whatever the configuration says.
        config.http.listen = tcp.local_addr().map_err(Failure::internal)?;
    }
    check_exposure(&config, listen.dangerously_serve_unprotected)?;
    let open = |tls| Certificates::open(tls, Arc::new(SystemClock::default()));
    let certificates = config.http.tls.as_ref().map(open).transpose().map_err(Failure::config)?;
    if let Some(warning) = certificates.as_ref().and_then(|certificates| certificates.warning()) {
        print::error_line(&print::painted(print::WARNING, &format!("Warning: {}.", print::harmless(&warning))));
    }
    let scheme = if certificates.is_some() { "https" } else { "http" };
    // Before the database is touched: a taken port should change nothing.
    let listener = Listener::bind(&config.http, inherited, certificates.clone()).await.map_err(|error| {
        Failure::unavailable(format!(
            "cannot listen on {}: {error}; choose another with --listen or http.listen",
            config.http.listen
        ))
    })?;
    let address = listener.address().map_err(Failure::internal)?;
    let log = log::start(&places.logs(), config.log, Arc::new(SystemClock::default())).map_err(Failure::internal)?;
    for warning in config.auth.environment.warnings().into_iter().chain(config.unheard_contacts()) {
        tracing::warn!("{warning}");
        print::error_line(warning);
    }
    let lock = reach::take_directory(places).await?;
    let secret = unlock::find(context, places, &config, true)?;
    let mut app =
        App::open_locked(lock, places, config, secret, log.handle(), &|notice| print::error_line(notice)).await?;
    app.serve_control(places)?;
    app.pipeline.metrics().watch_log(log.dropped());
    serve_metrics(&app).await?;

    // Also without TLS: who sends SIGHUP wants files read again, never the end.
    let hangup = signal(SignalKind::hangup()).map_err(Failure::internal)?;
    if let Some(certificates) = certificates {
        tokio::spawn(certificates.keep(app.witness(), hangup, app.stopping()));
    }
    let streams = CancellationToken::new();
    let mcp = McpHttp::new(&app.mcp, &app.config, Arc::clone(&app.clock), streams.clone());
    let sweep = sweep_sessions(mcp.clone(), app.stopping());
    let site = Site::new(mcp, Arc::clone(&app.web), &app.config);
    let serving = tokio::spawn(listener.serve(site, app.stopping(), streams, app.config.http.shutdown_timeout));

    let url = format!("{scheme}://{address}/mcp");
    tracing::info!(%address, "serving");
    if introduce {
        print::line(&format!("\n{}\n", setup::snippets(context, places, &url)?))?;
        let command = setup::typed(context, places)?;
        print::line(&format!(
            "Next, in another terminal:\n\n  {command} library add NAME PATH\n  {command} search WORDS\n  {command} doctor\n"
        ))?;
    }
    if app.config.http.authentication == Authentication::None {
        print::error_line(
            "Authentication is off (http.authentication = \"none\"): whoever reaches the port reads every library.",
        );
    }
    if let Some(frozen) = app.pipeline.frozen() {
        print::error_line(&print::painted(
            print::WARNING,
            &format!(
                "Warning: frozen since {}: only health, the audit log, reports and incidents are served. Lift it: sekisho unfreeze",
                frozen.since.rfc3339()
            ),
        ));
    }
    app.is_at_home(address);
    // Before anybody is told that we serve, and stops us for it.
    let stops = Stops::heed()?;
    let supervisor = Arc::new(Supervisor::find(&context.environment.supervised));
    tokio::spawn(Arc::clone(&supervisor).watch(app.stopping()));
    supervisor.ready(&format!("Serving MCP at {url}"));
    print::line(&format!("Serving MCP at {url}"))?;

    tokio::select! {
        () = stops.asked() => print::error_line("Stopping: calls under way finish first."),
        () = app.drained() => print::error_line("Drained, as an operator asked."),
    }
    supervisor.stopping();
    app.stopping().cancel();
    sweep.abort();
    // Its panic, if it had one, is in the log.
    serving.await.unwrap_or_default();
    app.stop().await;
    Ok(0)
}

/// A taken port costs the metrics, not the service: on many machines a Prometheus itself listens at 9090.
async fn serve_metrics(app: &App) -> Result<(), Failure> {
    let Some(address) = app.config.metrics.listen else { return Ok(()) };
    match MetricsListener::bind(address, &app.config).await {
        Ok(listener) => {
            let address = listener.address().map_err(Failure::internal)?;
            if !address.ip().is_loopback() {
                let notice =
                    "can be read by other machines without a credential: names of tools and counts are in them";
                print::error_line(&format!("Metrics at http://{address}/metrics {notice}."));
            }
            print::line(&format!("Metrics at http://{address}/metrics"))?;
            tokio::spawn(listener.serve(app.metrics(), app.stopping()));
        }
        Err(error) => {
            tracing::warn!(%address, %error, "no metrics");
            print::error_line(&format!(
                "There are no metrics: cannot listen on {address}: {error}. Choose another address in metrics.listen, or set it to \"\"."
            ));
        }
    }
    Ok(())
}

/// Beyond loopback, TLS and authentication are not optional, unless somebody says the word.
fn check_exposure(config: &Config, dangerously: bool) -> Result<(), Failure> {
    let http = &config.http;
    if http.listen.ip().is_loopback() || dangerously {
        return Ok(());
    }
    let missing = match (http.tls.is_some(), http.authentication == Authentication::Required) {
        (true, true) => return Ok(()),
        (false, true) => "TLS (http.tls_certificate and http.tls_key)",
        (true, false) => "authentication (http.authentication = \"required\")",
        (false, false) => "TLS and authentication",
    };
    Err(Failure::not_allowed(format!(
        "{} can be reached from other machines, and {missing} is missing; configure it, listen on 127.0.0.1, or pass --dangerously-serve-unprotected",
        http.listen
    )))
}

fn sweep_sessions(mcp: McpHttp, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(std::time::Duration::from_secs(bound::SESSION_SWEEP_SECONDS));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => mcp.sessions().sweep().await,
            }
        }
    })
}

/// SIGTERM and SIGINT, heeded from when this is made: one that comes before anybody waits for it is not lost.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn heed() -> Result<Self, Failure> {
        let of = |kind| signal(kind).map_err(Failure::internal);
        Ok(Self { terminate: of(SignalKind::terminate())?, interrupt: of(SignalKind::interrupt())? })
    }

    async fn asked(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        // The second one means now.
        tokio::spawn(async move {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            std::process::exit(130);
        });
    }
}
