//! How fast documents become searchable, and how large that is, beside `SQLite`'s FTS5 and tantivy called directly: the
//! same parsed documents into a new index on disk, in one commit.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a bench speaks to a terminal and stops at the first surprise"
)]

mod common;
#[path = "common/rival.rs"]
mod rival;

use std::path::Path;
use std::time::Duration;

use common::{Times, Watch, documents};
use criterion::{Criterion, Throughput};
use rival::{Bare, Fts5, bytes_of};
use sekisho::search::{Choices, Index};

const ROUNDS: usize = 5;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let corpus = documents::expo_or_manual();
    let pages = documents::documents(&corpus);
    let passages: usize = pages.iter().map(|document| document.passages.len()).sum();
    println!("{}: {} documents, {passages} passages, {} bytes", corpus.name, pages.len(), corpus.bytes());
    let mut group = criterion.benchmark_group("index");
    group
        .throughput(Throughput::ElementsAndBytes { elements: passages as u64, bytes: corpus.bytes() })
        .sample_size(10)
        .measurement_time(Duration::from_secs(8));
    // What an index holds is given back after the measurement.
    group.bench_function(corpus.name, |bencher| {
        bencher.iter_with_large_drop(|| documents::indexed(&pages, Choices::default()));
    });
    group.finish();
    criterion.final_summary();
    if common::is_measured() {
        print_rivals(&corpus, &pages);
    }
}

type Fill<'a> = (&'a str, &'a dyn Fn(&Path));

fn print_rivals(corpus: &documents::Corpus, pages: &[documents::Document]) {
    let ours = |folder: &Path| {
        let index = Index::open(folder).expect("an index").index;
        documents::fill(&index, pages);
        drop(index);
    };
    let bare = |folder: &Path| drop(Bare::indexed(folder, pages));
    let fts5 = |folder: &Path| drop(Fts5::indexed(&folder.join("fts5"), pages));
    let all: [Fill<'_>; 3] = [("Sekisho", &ours), ("tantivy called directly", &bare), ("SQLite FTS5", &fts5)];
    let mut times: [Vec<Duration>; 3] = Default::default();
    let mut bytes = [0; 3];
    for _ in 0..ROUNDS {
        for (((_, fill), times), bytes) in all.iter().zip(&mut times).zip(&mut bytes) {
            let folder = tempfile::tempdir().expect("a folder");
            let watch = Watch::start();
            fill(folder.path());
            times.push(watch.elapsed());
            *bytes = bytes_of(folder.path());
        }
    }
    println!(
        "\n| {}, median of {ROUNDS} | seconds | MB/s | documents/s | size MB |\n|---|---|---|---|---|",
        corpus.name
    );
    for (((name, _), times), bytes) in all.iter().zip(times).zip(bytes) {
        let seconds = Times::of(times).ms(50) / 1e3;
        let (speed, documents) = (corpus.bytes() as f64 / 1e6 / seconds, pages.len() as f64 / seconds);
        println!("| {name} | {seconds:.3} | {speed:.1} | {documents:.0} | {:.1} |", bytes as f64 / 1e6);
    }
}
