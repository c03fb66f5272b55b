//! Durable audit records a second through the store's group commit, beside the same bytes appended to a plain file and
//! synced, in the same run: the ratio is what counts, disks differ. Criterion has no place for callers at once.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a bench speaks to a terminal and stops at the first surprise"
)]

mod common;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Times, Watch};
use sekisho::audit::log::LogHook;
use sekisho::base::bound;
use sekisho::store::{Batch, Store, codec};
use tokio::sync::{mpsc, oneshot};

const CALLERS: [usize; 4] = [1, 8, 64, 512];
/// The two take turns, so that a busy neighbour meets both.
const TURNS: usize = 3;
const TURN: Duration = Duration::from_secs(1);

fn main() {
    if !common::is_measured() {
        println!("group_commit: nothing is measured without --bench (cargo bench --bench group_commit)");
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(compare(directory.path()));
}

async fn compare(directory: &Path) {
    let leaf = codec::encode(&common::entry()).expect("an entry that fits");
    let raw = Raw::start(&directory.join("raw"));
    let store = open(&directory.join("sekisho.redb"));
    common::print_load();
    println!("records of {} bytes, {TURNS} turns of {TURN:?} each, in {}\n", leaf.len(), env!("CARGO_TARGET_TMPDIR"));
    println!("| callers | raw file, group append, fdatasync: records/s (p50/p99 ms) | store | store : raw |");
    println!("|---|---|---|---|");
    for callers in CALLERS {
        let (mut of_raw, mut of_store) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let (appended, leaf_of_raw) = (raw.clone(), leaf.clone());
            of_raw.extend(turn(callers, move || append(appended.clone(), leaf_of_raw.clone())).await);
            let (committed, leaf_of_store) = (store.clone(), leaf.clone());
            of_store.extend(turn(callers, move || commit(committed.clone(), leaf_of_store.clone())).await);
        }
        let ratio = of_store.len() as f64 / of_raw.len() as f64;
        println!("| {callers} | {} | {} | {ratio:.2} |", figures(of_raw), figures(of_store));
    }
    store.close().await;
}

fn figures(times: Vec<Duration>) -> String {
    let rate = times.len() as f64 / (TURN.as_secs_f64() * TURNS as f64);
    let times = Times::of(times);
    format!("{rate:.0} ({:.2}/{:.2})", times.ms(50), times.ms(99))
}

/// Each of the callers writes a record, waits until it is durable, and writes the next.
async fn turn<W, F>(callers: usize, write: W) -> Vec<Duration>
where
    W: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let watch = Arc::new(Watch::start());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (watch, write) = (Arc::clone(&watch), write.clone());
        tasks.spawn(async move {
            let mut times = Vec::new();
            let mut begun = watch.elapsed();
            while begun < TURN {
                write().await;
                let ended = watch.elapsed();
                times.push(ended.saturating_sub(begun));
                begun = ended;
            }
            times
        });
    }
    tasks.join_all().await.concat()
}

fn open(path: &Path) -> Store {
    Store::create(path, &[]).expect("a new database");
    let opened = Store::open(path).expect("the database");
    let hook = LogHook::of(&opened).expect("an empty log");
    opened.start(Box::new(hook)).expect("the writer's thread")
}

async fn commit(store: Store, leaf: Vec<u8>) {
    store.commit(Batch::leaf(leaf)).await.expect("a durable commit");
}

/// What no store can beat: the same queue in front of one append and one fdatasync.
#[derive(Clone)]
struct Raw {
    queue: mpsc::Sender<(Vec<u8>, oneshot::Sender<()>)>,
}

impl Raw {
    fn start(path: &Path) -> Self {
        let mut file = File::create_new(path).expect("a new file");
        let (queue, mut records) = mpsc::channel::<(Vec<u8>, oneshot::Sender<()>)>(bound::COMMIT_QUEUE_BATCHES_MAX);
        std::thread::spawn(move || {
            while let Some(first) = records.blocking_recv() {
                let queued = std::iter::from_fn(|| records.try_recv().ok());
                let (bytes, waiting): (Vec<_>, Vec<_>) =
                    std::iter::once(first).chain(queued).take(bound::COMMIT_BATCHES_MAX).unzip();
                file.write_all(&bytes.concat()).and_then(|()| file.sync_data()).expect("a durable append");
                for reply in waiting {
                    reply.send(()).expect("a caller that waits");
                }
            }
        });
        Self { queue }
    }
}

async fn append(raw: Raw, record: Vec<u8>) {
    let (reply, durable) = oneshot::channel();
    raw.queue.send((record, reply)).await.expect("the thread that appends");
    durable.await.expect("an answer");
}
