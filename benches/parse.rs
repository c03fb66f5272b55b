//! How fast files become documents: decoding, front matter, Markdown and the split into sections, which has no door of its own.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a bench speaks to a terminal and stops at the first surprise")]

mod common;

use std::hint::black_box;
use std::time::Duration;

use common::{Corpus, Page};
use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use sekisho::library::parse::parse;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("parse");
    let manual = common::manual();
    let largest = |corpus: &Corpus| corpus.pages.iter().max_by_key(|page| page.bytes.len()).map(|page| page.path.clone());
    measure(&mut group, "manual, all pages", &manual.pages);
    if let Some(folder) = common::expo_folder("only the manual is parsed.") {
        let expo = common::expo(&folder);
        let largest = largest(&expo);
        let page = expo.pages.iter().position(|page| Some(&page.path) == largest.as_ref()).unwrap_or_default();
        measure(&mut group, "expo, the largest page", &expo.pages[page..=page]);
        measure(&mut group, "expo, all pages", &expo.pages);
    }
    group.finish();
    criterion.final_summary();
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, pages: &[Page]) {
    let bytes = pages.iter().map(|page| page.bytes.len() as u64).sum();
    println!("{name}: {} files, {bytes} bytes", pages.len());
    group.throughput(Throughput::BytesDecimal(bytes)).sample_size(20).measurement_time(Duration::from_secs(5));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for page in pages {
                black_box(parse(&page.path, page.format, &page.bytes).expect("a page that parses"));
            }
        });
    });
}
