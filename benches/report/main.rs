//! A report over 100,000 entries: how long the program takes from its start to the file, and whether the totals are those
//! that were written.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench speaks to a terminal, and its figures are for people"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../load/process.rs"]
#[allow(dead_code, reason = "the bench of load uses the rest")]
mod process;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use common::Watch;
use process::{Process, sekisho};
use sekisho::audit::Audit;
use sekisho::audit::entry::{Draft, Event, Outcome};
use sekisho::audit::log::LogHook;
use sekisho::base::clock::{Clock, SystemClock};
use sekisho::store::Store;
use sekisho::vault;
use sekisho::vault::door::{Door, Key};
use serde_json::Value;

/// `SEKISHO_ENTRIES` takes its place, for a quick look.
const ENTRIES: u64 = 100_000;
/// What a report may take over so many entries.
const GOAL_SECONDS: f64 = 5.0;
const TURNS: usize = 5;
const OPERATIONS: [&str; 3] = ["search_documents", "read_document", "list_libraries"];

fn main() -> anyhow::Result<()> {
    if !common::is_measured() {
        println!("report: nothing is measured without --bench (cargo bench --bench report)");
        return Ok(());
    }
    #[allow(clippy::disallowed_methods, reason = "a switch of this bench")]
    let asked = std::env::var("SEKISHO_ENTRIES").ok().and_then(|count| count.parse().ok());
    let count = asked.unwrap_or(ENTRIES);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let data = directory.path().join("data");
    common::print_load();
    Process::start(sekisho(None, &data, &["init"]))?.finish()?;
    let watch = Watch::start();
    let written = tokio::runtime::Runtime::new()?.block_on(fill(&data, count))?;
    println!("{count} entries written in {:.1} s", watch.elapsed().as_secs_f64());

    let mut times = Vec::new();
    for turn in 0..TURNS {
        for format in ["html", "json"] {
            let file = directory.path().join(format!("{turn}.{format}"));
            let path = file.to_str().context("a path in UTF-8")?;
            let watch = Watch::start();
            Process::start(sekisho(None, &data, &["report", "--format", format, "--out", path]))?.finish()?;
            let seconds = watch.elapsed().as_secs_f64();
            println!("turn {turn}: {format} in {seconds:.2} s, {} bytes", std::fs::metadata(&file)?.len());
            times.push(seconds);
            if format == "json" {
                compare(&serde_json::from_slice(&std::fs::read(&file)?)?, &written)?;
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("median {median:.2} s, worst {worst:.2} s; the goal is {GOAL_SECONDS} s");
    if count >= ENTRIES && worst > GOAL_SECONDS {
        bail!("a report takes longer than its goal");
    }
    Ok(())
}

/// What was written, counted while it was.
#[derive(Debug, Default)]
struct Written {
    outcomes: BTreeMap<&'static str, u64>,
    principals: BTreeMap<String, u64>,
    /// Those that ran, done or failed, by operation.
    ran: BTreeMap<&'static str, u64>,
}

/// Fills the log of an installation that nobody serves, as calls of 25 callers would.
async fn fill(data: &Path, count: u64) -> anyhow::Result<Written> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let opened = Store::open(&data.join("sekisho.redb"))?;
    let hook = LogHook::of(&opened)?;
    let store = opened.start(Box::new(hook))?;
    let secret = vault::key_file::read(&data.join("vault-key"))?;
    let door = Arc::new(Door::new(store.read(vault::state)?, Arc::clone(&clock)));
    door.unseal(&Key::Secret(&secret))?;
    let audit = Audit::new(store.clone(), Arc::clone(&clock), door);
    let mut written = Written::default();
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..count {
        let principal = format!("token:agent-{:02}", number % 25);
        let (outcome, reason) = match number % 20 {
            0 => (Outcome::Refused, Some("invalid: no such argument".to_owned())),
            1 => (Outcome::Refused, Some("forbidden: no policy permits it".to_owned())),
            2 => (Outcome::Failed, None),
            _ => (Outcome::Done, None),
        };
        *written.outcomes.entry(outcome.as_str()).or_default() += 1;
        *written.principals.entry(principal.clone()).or_default() += 1;
        let mut draft = Draft::new(Event::Call, "http", clock.now());
        let operation = OPERATIONS[usize::try_from(number % 3)?];
        *written.ran.entry(operation).or_default() += u64::from(outcome != Outcome::Refused);
        draft.operation = Some(operation.into());
        draft.role = Some("reader".into());
        draft.scheme = Some("bearer".into());
        draft.session = Some(format!("{:012x}", number % 50));
        draft.personal.principal = Some(principal);
        draft.personal.peer = Some(format!("192.0.2.{}", number % 25));
        let audit = audit.clone();
        waiting.spawn(async move { audit.append(draft, outcome, reason).await });
        while waiting.len() >= 512 {
            waiting.join_next().await.context("there are some")???;
        }
    }
    while let Some(one) = waiting.join_next().await {
        one??;
    }
    store.close().await;
    Ok(written)
}

/// Entries of the program itself stand beside those that were written; callers and refusals are ours alone.
fn compare(report: &Value, written: &Written) -> anyhow::Result<()> {
    let outcomes = &report["totals"]["outcomes"];
    for outcome in ["refused", "failed"] {
        ensure!(outcomes[outcome] == written.outcomes[outcome], "{outcome}: {outcomes} and not {written:?}");
    }
    let all: u64 = written.outcomes.values().sum();
    ensure!(report["totals"]["entries"].as_u64() >= Some(all), "{} entries", report["totals"]["entries"]);
    // For our operations nobody else asks: what ran of them is exact, and what failed too, and so is what was done.
    for (operation, count) in &written.ran {
        let rows = report["latency"].as_array().context("durations")?;
        let row = rows.iter().find(|row| row["operation"] == *operation).context("an operation has no row")?;
        ensure!(row["count"] == *count, "{operation}: {} ran and not {count}", row["count"]);
    }
    let done = written.outcomes["done"];
    ensure!(outcomes["done"].as_u64() >= Some(done), "done: {outcomes} and not {done}");
    let mut compared = 0;
    for row in report["principals"]["rows"].as_array().into_iter().flatten() {
        let name = row["name"].as_str().unwrap_or_default();
        if let Some(count) = written.principals.get(name) {
            ensure!(row["count"] == *count, "{name}: {} and not {count}", row["count"]);
            compared += 1;
        }
    }
    ensure!(compared > 0, "no caller of ours is among the principals");
    let over_time: u64 = report["over_time"]["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|step| ["done", "failed", "refused"].iter().filter_map(|key| step[key].as_u64()).sum::<u64>())
        .sum();
    ensure!(report["totals"]["calls"] == over_time, "{over_time} calls over time");
    Ok(())
}
