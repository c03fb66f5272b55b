//! How fast typical queries are answered, snippets included, beside `SQLite`'s FTS5 and tantivy called directly: the same
//! documents, the same words, ten hits each, on one thread, taking turns.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench speaks to a terminal and stops at the first surprise"
)]

mod common;
#[path = "common/rival.rs"]
mod rival;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use common::documents::{self, LIBRARY};
use common::{QUERIES, Times, Watch};
use criterion::{Criterion, Throughput};
use rival::{Bare, Fts5};
use sekisho::search::{Choices, Found, Index, Request};

const OWN_LOOP: Duration = Duration::from_secs(20);
/// Misspelt, unfinished and joined words: the queries that need the dictionary.
const WRONG: [&str; 5] =
    ["camra permision", "notifcation", "splashscreen imge", "enviroment varibles", "navigaton betwen screns"];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let corpus = documents::expo_or_manual();
    let pages = documents::documents(&corpus);
    let index = documents::indexed(&pages, Choices::default());
    println!("{}: {} passages", corpus.name, index.passages());
    let mut group = criterion.benchmark_group("query");
    group.throughput(Throughput::Elements(QUERIES.len() as u64)).measurement_time(Duration::from_secs(5));
    group.bench_function(format!("{}, {} queries", corpus.name, QUERIES.len()), |bencher| {
        bencher.iter(|| QUERIES.map(|query| black_box(search(&index, query)).total));
    });
    group.finish();
    criterion.final_summary();
    if common::is_measured() {
        print_percentiles(&index);
        print_rivals(&index, &pages);
    }
}

fn search(index: &Index, text: &str) -> Found {
    let (libraries, facets) = ([LIBRARY.to_owned()], BTreeMap::new());
    let request = Request {
        text,
        libraries: &libraries,
        path_prefix: None,
        facets: &facets,
        limit: 10,
        offset: 0,
        explain: false,
    };
    index.search(&request).expect("a query is never an error")
}

/// A mean hides the slow query that an agent waits for.
fn print_percentiles(index: &Index) {
    println!("\n| query | passages that match | p50 ms | p99 ms |\n|---|---|---|---|");
    for query in QUERIES.iter().chain(&WRONG) {
        let times = Times::of((0..200).map(|_| timed(|| search(index, query).hits.len())).collect());
        println!("| {query} | {} | {:.3} | {:.3} |", search(index, query).total, times.ms(50), times.ms(99));
    }
}

fn timed(ask: impl FnOnce() -> usize) -> Duration {
    let watch = Watch::start();
    black_box(ask());
    watch.elapsed()
}

fn print_rivals(index: &Index, pages: &[documents::Document]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bare = Bare::indexed(folder.path(), pages);
    let fts5 = Fts5::indexed(&folder.path().join("fts5"), pages);
    let mut times: [Vec<Duration>; 4] = Default::default();
    let whole = Watch::start();
    while whole.elapsed() < OWN_LOOP {
        for query in QUERIES {
            times[0].push(timed(|| search(index, query).hits.len()));
            times[1].push(timed(|| bare.search(query, false)));
            times[2].push(timed(|| bare.search(query, true)));
            times[3].push(timed(|| fts5.search(query)));
        }
    }
    let times = times.map(Times::of);
    let names = [
        "Sekisho: both trees, folding, snippets",
        "tantivy called directly: the tree over passages",
        "tantivy called directly: both trees, snippets",
        "SQLite FTS5: bm25, snippets",
    ];
    println!("\n| {} queries in turns | p50 ms | p99 ms | ours to theirs, p99 |\n|---|---|---|---|", QUERIES.len());
    for (name, times_of) in names.iter().zip(&times) {
        let ratio = times[0].ms(99) / times_of.ms(99);
        println!("| {name} | {:.3} | {:.3} | {ratio:.2} |", times_of.ms(50), times_of.ms(99));
    }
}
