//! How fast documents become searchable: all of them into a new index in memory, in one commit.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a bench speaks to a terminal and stops at the first surprise"
)]

mod common;

use std::time::Duration;

use common::{Times, Watch};
use criterion::{Criterion, Throughput};

const ROUNDS: usize = 5;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let corpus = common::expo_or_manual();
    let documents = common::documents(&corpus);
    let passages: usize = documents.iter().map(|document| document.passages.len()).sum();
    println!("{}: {} documents, {passages} passages, {} bytes", corpus.name, documents.len(), corpus.bytes());
    let mut group = criterion.benchmark_group("index");
    group
        .throughput(Throughput::ElementsAndBytes { elements: passages as u64, bytes: corpus.bytes() })
        .sample_size(10)
        .measurement_time(Duration::from_secs(8));
    // What an index holds is given back after the measurement.
    group.bench_function(corpus.name, |bencher| bencher.iter_with_large_drop(|| common::indexed(&documents)));
    group.finish();
    criterion.final_summary();
    if common::is_measured() {
        let round = |_| {
            let watch = Watch::start();
            let index = common::indexed(&documents);
            let took = watch.elapsed();
            drop(index);
            took
        };
        let seconds = Times::of((0..ROUNDS).map(round).collect()).ms(50) / 1e3;
        println!("\n| corpus | seconds (median of {ROUNDS}) | documents/s | passages/s |\n|---|---|---|---|");
        let (documents, passages) = (documents.len() as f64 / seconds, passages as f64 / seconds);
        println!("| {} | {seconds:.3} | {documents:.0} | {passages:.0} |", corpus.name);
    }
}
