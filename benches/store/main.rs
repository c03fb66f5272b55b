//! Durable audit records a second, beside what a plain file and Redis make of the same bytes in the same run, and how
//! long a session's look-up takes. The ratios are what counts: disks differ.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench speaks to a terminal, and its figures are for people"
)]

#[path = "../common/mod.rs"]
mod common;
mod audited;
mod lookup;
mod raw;
mod redis;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audited::Audited;
use common::{Times, Watch};
use raw::Raw;
use redis::{Connection, Redis};
use sekisho::audit::Audit;
use sekisho::audit::entry::Draft;
use sekisho::store::{Batch, Store};
use tokio::sync::Barrier;

const CALLERS: [usize; 4] = [1, 8, 64, 512];
/// All take turns, so that a busy neighbour meets all of them; the median of the turns counts.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(1);

/// What the store is meant to reach, Merkle log and sealing included.
const GOALS: [Goal; 3] = [
    Goal { callers: 512, beside: What::Single, at_least: 25.0 },
    Goal { callers: 64, beside: What::Redis, at_least: 0.9 },
    Goal { callers: 512, beside: What::Redis, at_least: 2.5 },
];

struct Goal {
    callers: usize,
    beside: What,
    at_least: f64,
}

/// What takes turns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// One caller appends one record to a file and syncs it: the unit of all others, whoever many they are.
    Single,
    /// All callers append to one file, through one queue, with one sync for all that waits.
    Raw,
    /// A commit of the store for each record: the leaf as it comes, with the Merkle log.
    Store,
    /// What the server does for each call: an entry, its personal part sealed, in the Merkle log.
    Audit,
    Redis,
}

impl What {
    const ALL: [Self; 5] = [Self::Single, Self::Raw, Self::Store, Self::Audit, Self::Redis];

    fn name(self) -> &'static str {
        match self {
            Self::Single => "file, one record, fdatasync",
            Self::Raw => "file, group append, fdatasync",
            Self::Store => "store: commit, Merkle log",
            Self::Audit => "**audit: sealed, Merkle log**",
            Self::Redis => "Redis XADD, appendfsync always",
        }
    }
}

fn main() -> anyhow::Result<()> {
    if !common::is_measured() {
        println!("store: nothing is measured without --bench (cargo bench --bench store)");
        return Ok(());
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let runtime = tokio::runtime::Runtime::new()?;
    common::print_load();
    runtime.block_on(records(directory.path()))?;
    lookup::measure()
}

async fn records(directory: &Path) -> anyhow::Result<()> {
    let contest = Contest::open(directory).await?;
    println!(
        "records of {} bytes, {TURNS} turns of {TURN:?} each, in {}\n",
        contest.leaf.len(),
        env!("CARGO_TARGET_TMPDIR")
    );
    println!("| callers | what | records/s | p50/p99 ms | x single fdatasync | x Redis | goals |");
    println!("|---|---|---|---|---|---|---|");
    for callers in CALLERS {
        let mut tallies: Vec<Tally> = Vec::new();
        for turn in 0..TURNS {
            for what in What::ALL {
                let Some(done) = contest.turn(what, callers).await? else { continue };
                if turn == 0 {
                    tallies.push(Tally::new(what));
                }
                if let Some(tally) = tallies.iter_mut().find(|tally| tally.what == what) {
                    tally.add(done);
                }
            }
        }
        tallies.into_iter().map(Tally::summary).collect::<Summaries>().print(callers);
    }
    contest.close().await;
    Ok(())
}

/// All that is compared, with the record that all but the audit write: it makes its own, of the same length.
struct Contest {
    leaf: Vec<u8>,
    raw: Raw,
    store: Store,
    audited: Audited,
    redis: Option<Redis>,
}

impl Contest {
    async fn open(directory: &Path) -> anyhow::Result<Self> {
        let audited = Audited::open(&directory.join("audited.redb")).await?;
        let leaf = audited.sample().await?;
        Ok(Self {
            leaf,
            raw: Raw::create(directory)?,
            store: audited::open_store(&directory.join("store.redb"), &[])?,
            audited,
            redis: Redis::start(directory).await?,
        })
    }

    /// `None` where there is no Redis.
    async fn turn(&self, what: What, callers: usize) -> anyhow::Result<Option<Turn>> {
        let mut connections = Vec::new();
        if what == What::Redis {
            let Some(redis) = &self.redis else { return Ok(None) };
            connections = redis.connect(callers, &self.leaf).await?;
        }
        let callers = match what {
            What::Single => return self.raw.single(&self.leaf, TURN).map(Some),
            What::Raw => (0..callers).map(|_| Caller::Raw(self.raw.clone(), self.leaf.clone())).collect(),
            What::Store => (0..callers).map(|_| Caller::Store(self.store.clone(), self.leaf.clone())).collect(),
            What::Audit => (0..callers).map(|number| self.audited.caller(number)).collect(),
            What::Redis => connections.into_iter().map(Caller::Redis).collect(),
        };
        let turn = turn(callers).await?;
        if let Some(redis) = self.redis.as_ref().filter(|_| what == What::Redis) {
            redis.forget().await?;
        }
        Ok(Some(turn))
    }

    async fn close(self) {
        self.store.close().await;
        self.audited.close().await;
    }
}

/// Somebody who writes a record, waits until it is durable, and writes the next.
enum Caller {
    Raw(Raw, Vec<u8>),
    Store(Store, Vec<u8>),
    Audit(Audit, Box<Draft>),
    Redis(Connection),
}

impl Caller {
    async fn write(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Raw(raw, record) => raw.append(record.clone()).await,
            Self::Store(store, leaf) => Ok(store.commit(Batch::leaf(leaf.clone())).await.map(drop)?),
            Self::Audit(audit, draft) => audited::append(audit, draft).await,
            Self::Redis(connection) => connection.add().await,
        }
    }
}

/// What was written in a turn.
struct Turn {
    /// From the first record on until the last is durable.
    took: Duration,
    times: Vec<Duration>,
}

async fn turn(callers: Vec<Caller>) -> anyhow::Result<Turn> {
    let watch = Arc::new(Watch::start());
    let start = Arc::new(Barrier::new(callers.len()));
    let mut tasks = tokio::task::JoinSet::new();
    for mut caller in callers {
        let (watch, start) = (Arc::clone(&watch), Arc::clone(&start));
        tasks.spawn(async move {
            // The first makes what is made once: a connection's buffers, a subject's key.
            caller.write().await?;
            start.wait().await;
            let (begin, mut times) = (watch.elapsed(), Vec::new());
            let mut begun = begin;
            while begun.saturating_sub(begin) < TURN {
                caller.write().await?;
                let ended = watch.elapsed();
                times.push(ended.saturating_sub(begun));
                begun = ended;
            }
            anyhow::Ok((begin, begun, times))
        });
    }
    let (mut begin, mut end, mut times) = (Duration::MAX, Duration::ZERO, Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (began, ended, of_caller) = done??;
        begin = begin.min(began);
        end = end.max(ended);
        times.extend(of_caller);
    }
    Ok(Turn { took: end.saturating_sub(begin), times })
}

/// All turns of one.
struct Tally {
    what: What,
    rates: Vec<f64>,
    times: Vec<Duration>,
}

struct Summary {
    what: What,
    rate: f64,
    times: Times,
}

impl Tally {
    fn new(what: What) -> Self {
        Self { what, rates: Vec::new(), times: Vec::new() }
    }

    fn add(&mut self, turn: Turn) {
        self.rates.push(turn.times.len() as f64 / turn.took.as_secs_f64());
        self.times.extend(turn.times);
    }

    fn summary(mut self) -> Summary {
        self.rates.sort_unstable_by(f64::total_cmp);
        let rate = self.rates.get(self.rates.len() / 2).copied().unwrap_or_default();
        Summary { what: self.what, rate, times: Times::of(self.times) }
    }
}

#[derive(Default)]
struct Summaries(Vec<Summary>);

impl FromIterator<Summary> for Summaries {
    fn from_iter<I: IntoIterator<Item = Summary>>(summaries: I) -> Self {
        Self(summaries.into_iter().collect())
    }
}

impl Summaries {
    fn ratio(&self, rate: f64, beside: What) -> Option<f64> {
        self.0.iter().find(|it| it.what == beside).map(|it| rate / it.rate)
    }

    fn print(&self, callers: usize) {
        for Summary { what, rate, times } in &self.0 {
            let ratio = |beside| self.ratio(*rate, beside).map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"));
            let goals = GOALS.iter().filter(|goal| *what == What::Audit && goal.callers == callers);
            let goals: Vec<String> = goals.filter_map(|goal| self.judged(*rate, goal)).collect();
            println!(
                "| {} | {} | {rate:.0} | {:.2}/{:.2} | {} | {} | {} |",
                if *what == What::Single { 1 } else { callers },
                what.name(),
                times.ms(50),
                times.ms(99),
                ratio(What::Single),
                ratio(What::Redis),
                goals.join("; ")
            );
        }
    }

    fn judged(&self, rate: f64, goal: &Goal) -> Option<String> {
        let met = if self.ratio(rate, goal.beside)? >= goal.at_least { "met" } else { "MISSED" };
        let beside = if goal.beside == What::Redis { "Redis" } else { "single fdatasync" };
        Some(format!(">= {} x {beside}: {met}", goal.at_least))
    }
}
