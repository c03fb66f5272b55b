//! What a call of a connector costs beside calling the same API directly, and beside a `FastMCP` server that was made
//! from the same document: latencies at 1, 8 and 64 connections, as ratios from one run.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench speaks to a terminal, and its figures are for people"
)]

mod api;
#[path = "../common/mod.rs"]
mod common;
mod generator;
#[path = "../load/process.rs"]
#[allow(dead_code, reason = "shared with the load bench, which looks at more")]
mod process;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use common::{Times, Watch};
use generator::Target;
use process::{Process, on_core, sekisho};
use tokio::signal::unix::{SignalKind, signal};

const CONNECTIONS: [usize; 3] = [1, 8, 64];
/// The servers take turns, so that a busy neighbour meets all of them.
const TURNS: u32 = 2;
const TURN: Duration = Duration::from_millis(2500);
/// The whole bench.
const TIME_MAX: Duration = Duration::from_mins(5);
/// Retries and outages are not what is measured.
const PATIENT: (&str, &str) = ("SEKISHO_TOOL_EXECUTION_CONNECTOR_TIMEOUT_MS", "60000");

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(api::ARGUMENT) {
        return api::serve();
    }
    if !common::is_measured() {
        println!("connector: nothing is measured without --bench (cargo bench --bench connector)");
        return Ok(());
    }
    // One thread, for the generator has one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        // However this ends, the children are dropped, and with that killed.
        tokio::select! {
            done = tokio::time::timeout(TIME_MAX, run()) => done?,
            _ = terminate.recv() => bail!("ended by SIGTERM"),
            _ = tokio::signal::ctrl_c() => bail!("ended by Ctrl-C"),
        }
    })
}

async fn run() -> anyhow::Result<()> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let data = directory.path().join("data");
    common::print_load();
    let done = measure(directory.path(), &data).await;
    done.with_context(|| {
        let said = std::fs::read_to_string(process::log(&data)).unwrap_or_default();
        format!("the servers had said:\n{said}")
    })
}

async fn measure(directory: &Path, data: &Path) -> anyhow::Result<()> {
    let core = process::part_cores();
    match core {
        Some(_) => println!("The API and the servers run on core 0, the generator on core 1 (taskset)."),
        None => println!("SKIPPED: cores are not parted (no taskset, or only one core): all share them."),
    }
    let mut api = on_core(core, &std::env::current_exe()?);
    api.arg(api::ARGUMENT);
    let api = Process::start(api)?;
    let upstream = api.wait_for(|line| line.strip_prefix("API at http://")?.parse().ok())?;
    let document = directory.join("shop.json");
    std::fs::write(&document, api::document(upstream))?;

    let server = connected(core, data, upstream, &document)?;
    let token = std::fs::read_to_string(data.join("http-token"))?;
    let mut targets = vec![
        Target::direct("the API itself", upstream)?,
        Target::tool("sekisho", server.address()?, Some(token.trim()), "shop_get_item")?,
    ];
    let peer = fast_mcp(core, &document)?;
    if let Some(peer) = &peer {
        let address = peer.address()?;
        listening(address)?;
        targets.push(Target::tool("FastMCP", address, None, "get_item")?);
    }
    for target in &targets {
        println!("- {}: an answer of {} bytes", target.name, target.check().await?);
    }
    println!("\nWindows of {:?} per cell in {TURNS} turns.\n", TURN * TURNS);
    table(&targets).await?;
    println!("\nA ratio is to the API itself; \"over it\" is what is added to a call at the median.");
    server.terminate()
}

async fn table(targets: &[Arc<Target>]) -> anyhow::Result<()> {
    println!("| connections | called | calls/s | p50 ms | p99 ms | p50 ratio | p99 ratio | over it, µs |");
    println!("|---|---|---|---|---|---|---|---|");
    for connections in CONNECTIONS {
        let mut cells: Vec<Vec<Duration>> = targets.iter().map(|_| Vec::new()).collect();
        for _ in 0..TURNS {
            for (target, cell) in targets.iter().zip(&mut cells) {
                cell.append(&mut target.press(connections, TURN).await?);
            }
        }
        let mut direct = None;
        for (target, cell) in targets.iter().zip(cells) {
            let rate = cell.len() as f64 / (TURN * TURNS).as_secs_f64();
            let times = Times::of(cell);
            let (p50, p99) = (times.ms(50), times.ms(99));
            let (base50, base99) = *direct.get_or_insert((p50, p99));
            println!(
                "| {connections} | {} | {rate:.0} | {p50:.3} | {p99:.3} | {:.2} | {:.2} | {:.0} |",
                target.name,
                p50 / base50,
                p99 / base99,
                (p50 - base50) * 1000.0
            );
        }
    }
    Ok(())
}

/// A server with the API as a connector, whose audit log and policies are at work as always.
fn connected(core: Option<usize>, data: &Path, upstream: SocketAddr, document: &Path) -> anyhow::Result<Process> {
    Process::start(sekisho(None, data, &["init"]))?.finish()?;
    let (document, url) = (document.to_str().context("a path in UTF-8")?, format!("http://{upstream}"));
    let add = ["connector", "add", "shop", document, "--base-url", &url, "--loopback-http", "--yes"];
    Process::start(sekisho(None, data, &add))?.finish()?;
    let mut serve = sekisho(core, data, &["serve", "--listen", "127.0.0.1:0"]);
    serve.env(PATIENT.0, PATIENT.1);
    Process::start(serve)
}

/// `FastMCP` says where it will be before it is there.
fn listening(address: SocketAddr) -> anyhow::Result<()> {
    let watch = Watch::start();
    while watch.elapsed() < Duration::from_secs(30) {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("nobody listens at {address}")
}

/// `FastMCP` on the same document, if its virtual environment was made.
fn fast_mcp(core: Option<usize>, document: &Path) -> anyhow::Result<Option<Process>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/connector");
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    let python = tools.join("fastmcp/bin/python");
    if !python.exists() {
        println!("SKIPPED: there is no FastMCP at {}. It is made with:", python.display());
        println!("  python3 -m venv {}", tools.join("fastmcp").display());
        println!(
            "  {} install -r {}",
            tools.join("fastmcp/bin/pip").display(),
            folder.join("requirements.txt").display()
        );
        return Ok(None);
    }
    let mut command: Command = on_core(core, &python);
    let script: PathBuf = folder.join("fastmcp_server.py");
    command.arg(script).arg(document).stderr(std::process::Stdio::null());
    Process::start(command).map(Some)
}
