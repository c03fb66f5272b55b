//! Sekisho under load beside a bare rmcp server, over loopback: requests a second and latencies, and before that what
//! an operator waits for: a start, memory, a library added.
//!
//! `cargo bench --bench load -- list_libraries 64` measures only that tool at that many connections, for a profiler.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench speaks to a terminal, and its figures are for people"
)]

#[path = "../common/mod.rs"]
mod common;
mod echo;
mod generator;
mod process;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{QUERIES, Times, Watch};
use generator::Target;
use process::{Process, on_core, sekisho};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

const CONNECTIONS: [usize; 3] = [1, 8, 64];
/// The servers take turns, so that a busy neighbour meets all of them.
const TURNS: u32 = 2;
const TURN: Duration = Duration::from_millis(2500);
const STARTS: usize = 10;
const ACCOUNT: &str = "load";
/// Of an account that lives as long as the bench.
const PASSWORD: &str = "correct horse battery staple";
/// The whole bench.
const TIME_MAX: Duration = Duration::from_mins(10);

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(echo::ARGUMENT) {
        return echo::serve();
    }
    if !common::is_measured() {
        println!("load: nothing is measured without --bench (cargo bench --bench load)");
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
    let raised: Vec<String> = process::RAISED.iter().map(|(name, value)| format!("{name}={value}")).collect();
    println!("The limits are raised, they are not what is measured: {}\n", raised.join(" "));

    let done = measure(&data).await;
    done.with_context(|| {
        let said = std::fs::read_to_string(process::log(&data)).unwrap_or_default();
        format!("the servers had said:\n{said}")
    })
}

async fn measure(data: &Path) -> anyhow::Result<()> {
    Process::start(sekisho(None, data, &["init"]))?.finish()?;
    add_libraries(data)?;
    let mut adding = Process::start(sekisho(None, data, &["account", "add", ACCOUNT, "--role", "reader"]))?;
    writeln!(adding.input().context("its standard input")?, "{PASSWORD}")?;
    adding.finish()?;
    starts(data)?;
    memory(data)?;
    requests(data).await
}

fn add_libraries(data: &Path) -> anyhow::Result<()> {
    println!("| library | time of `library add` | what it said |\n|---|---|---|");
    let first = Watch::start();
    Process::start(sekisho(None, data, &["library", "list"]))?.finish()?;
    println!("| manual | {:.2} s | the first command indexes it |", first.elapsed().as_secs_f64());
    if let Some(folder) = common::documents::expo_folder("only the manual is searched.") {
        let folder = folder.to_str().context("a folder with a name in UTF-8")?;
        let watch = Watch::start();
        let adding = Process::start(sekisho(None, data, &["library", "add", "expo", folder]))?;
        let said = adding.wait_for(|line| line.starts_with("expo:").then(|| line.to_owned()))?;
        adding.finish()?;
        println!("| expo | {:.2} s | {said} |", watch.elapsed().as_secs_f64());
    }
    println!();
    Ok(())
}

/// How long a person waits after a start on a data directory that is there.
fn starts(data: &Path) -> anyhow::Result<()> {
    let (mut of_serve, mut of_stdio) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let watch = Watch::start();
        let server = serve(None, data)?;
        process::health(server.address()?)?;
        of_serve.push(watch.elapsed());
        server.terminate()?;

        let watch = Watch::start();
        let mut server = Process::start(sekisho(None, data, &["stdio"]))?;
        let request = format!("{}\n", generator::call("list_libraries", &json!({})));
        server.input().context("its standard input")?.write_all(request.as_bytes())?;
        let answer: Value = server.wait_for(|line| serde_json::from_str(line).ok())?;
        of_stdio.push(watch.elapsed());
        if !answer["result"]["content"].is_array() {
            bail!("expected a tool's result, found {answer}");
        }
        server.finish()?;
    }
    println!("| start to the first answer, {STARTS} times | p50 ms | longest ms |\n|---|---|---|");
    for (name, times) in [("serve, /health", of_serve), ("stdio, tools/call", of_stdio)] {
        let times = Times::of(times);
        println!("| {name} | {:.1} | {:.1} |", times.ms(50), times.ms(100));
    }
    println!();
    Ok(())
}

fn serve(core: Option<usize>, data: &Path) -> anyhow::Result<Process> {
    Process::start(sekisho(core, data, &["serve", "--listen", "127.0.0.1:0"]))
}

fn memory(data: &Path) -> anyhow::Result<()> {
    let server = serve(None, data)?;
    process::health(server.address()?)?;
    println!("| memory of `serve` | MB | of that anonymous |\n|---|---|---|");
    let print = |when: &str| {
        let (all, anonymous) = server.memory_mb();
        println!("| {when} | {all:.1} | {anonymous:.1} |");
    };
    print("after the start");
    std::thread::sleep(Duration::from_secs(1));
    print("after 1 s idle");
    println!();
    server.terminate()
}

async fn requests(data: &Path) -> anyhow::Result<()> {
    let core = process::part_cores();
    match core {
        Some(_) => println!("Servers run on core 0, the generator on core 1 (taskset)."),
        None => {
            println!("SKIPPED: cores are not parted (no taskset, or only one core): generator and servers share them.");
        }
    }
    let mut echo = on_core(core, &std::env::current_exe()?);
    echo.arg(echo::ARGUMENT);
    let echo = Process::start(echo)?;
    let server = serve(core, data)?;
    println!("sekisho is process {}.", server.id());
    let token = std::fs::read_to_string(data.join("http-token"))?;
    let bearer = format!("Bearer {}", token.trim());
    let basic = format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{PASSWORD}")));

    let bare = (echo.id(), echo.address()?);
    let ours = (server.id(), server.address()?);
    let queries = QUERIES.map(|query| json!({"query": query}));
    let targets = [
        Target::new("bare rmcp, echo", bare, None, echo::TOOL, &[json!({"text": "as good as nothing"})])?,
        Target::new("sekisho, list_libraries", ours, Some(&bearer), "list_libraries", &[json!({})])?,
        Target::new("sekisho, list_libraries by password", ours, Some(&basic), "list_libraries", &[json!({})])?,
        Target::new("sekisho, search_documents", ours, Some(&bearer), "search_documents", &queries)?,
    ];
    // What cargo itself passes begins with a dash.
    let asked: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let named: Vec<_> =
        targets.iter().filter(|it| asked.iter().any(|asked| it.name.contains(asked))).cloned().collect();
    let targets = if named.is_empty() { targets.to_vec() } else { [vec![targets[0].clone()], named].concat() };
    let counts: Vec<usize> = asked.iter().filter_map(|it| it.parse().ok()).collect();
    let counts = if counts.is_empty() { CONNECTIONS.to_vec() } else { counts };
    common::print_load();
    println!("Windows of {:?} per cell in {TURNS} turns, protocol 2026-07-28, JSON answers.\n", TURN * TURNS);
    for target in &targets {
        println!("- {}: answers of {} bytes in the mean", target.name, target.check().await?);
    }
    println!(
        "\n| connections | server | requests/s | p50 ms | p99 ms | to bare | server's processor µs per request | generator's core busy |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for connections in counts {
        let mut cells: Vec<Cell> = targets.iter().map(|_| Cell::default()).collect();
        for _ in 0..TURNS {
            for (target, cell) in targets.iter().zip(&mut cells) {
                let processors = [target.process, std::process::id()];
                let before = processors.map(process::processor_time);
                cell.times.append(&mut target.press(connections, TURN).await?);
                let [of_server, of_generator] = processors.map(process::processor_time);
                cell.server += of_server.saturating_sub(before[0]);
                cell.generator += of_generator.saturating_sub(before[1]);
            }
        }
        let bare = cells[0].times.len() as f64;
        for (target, cell) in targets.iter().zip(cells) {
            println!("| {connections} | {} | {} |", target.name, cell.figures(bare));
        }
    }
    println!("\nAfter that: sekisho {:.1} MB in memory, bare rmcp {:.1} MB.", server.memory_mb().0, echo.memory_mb().0);
    server.terminate()
}

/// What one server did at one number of connections.
#[derive(Default)]
struct Cell {
    times: Vec<Duration>,
    server: Duration,
    generator: Duration,
}

impl Cell {
    fn figures(self, bare: f64) -> String {
        let (answered, span) = (self.times.len() as f64, (TURN * TURNS).as_secs_f64());
        let times = Times::of(self.times);
        format!(
            "{:.0} | {:.3} | {:.3} | {:.2} | {:.0} | {:.0} %",
            answered / span,
            times.ms(50),
            times.ms(99),
            answered / bare,
            self.server.as_secs_f64() * 1e6 / answered,
            self.generator.as_secs_f64() * 100.0 / span,
        )
    }
}
