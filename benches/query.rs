//! How fast typical queries are answered, snippets included: ten hits each, on one thread.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench speaks to a terminal and stops at the first surprise"
)]

mod common;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use common::{LIBRARY, QUERIES, Times, Watch};
use criterion::{Criterion, Throughput};
use sekisho::search::{Found, Index, Request};

const OWN_LOOP: Duration = Duration::from_secs(5);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let corpus = common::expo_or_manual();
    let index = common::indexed(&common::documents(&corpus));
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
    }
}

fn search(index: &Index, text: &str) -> Found {
    let (libraries, facets) = ([LIBRARY.to_owned()], BTreeMap::new());
    let request = Request { text, libraries: &libraries, path_prefix: None, facets: &facets, limit: 10, offset: 0 };
    index.search(&request).expect("a query is never an error")
}

/// A mean hides the slow query that an agent waits for.
fn print_percentiles(index: &Index) {
    let mut times: [Vec<Duration>; QUERIES.len()] = Default::default();
    let whole = Watch::start();
    while whole.elapsed() < OWN_LOOP {
        for (query, times) in QUERIES.iter().zip(&mut times) {
            let watch = Watch::start();
            black_box(search(index, query));
            times.push(watch.elapsed());
        }
    }
    println!("\n| query | passages that match | p50 ms | p99 ms |\n|---|---|---|---|");
    for (query, times) in QUERIES.iter().zip(&times) {
        let (total, times) = (search(index, query).total, Times::of(times.clone()));
        println!("| {query} | {total} | {:.3} | {:.3} |", times.ms(50), times.ms(99));
    }
    let all = Times::of(times.concat());
    println!("| all {} | | {:.3} | {:.3} |", QUERIES.len(), all.ms(50), all.ms(99));
}
