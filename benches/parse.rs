//! How fast files become documents: decoding, front matter, Markdown and the split into sections, which has no door of its own.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench speaks to a terminal and stops at the first surprise"
)]

mod common;

use std::hint::black_box;
use std::time::Duration;

use common::documents::{self, Page};
use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use sekisho::library::parse::parse;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("parse");
    measure(&mut group, "manual, all pages", &documents::manual().pages);
    if let Some(folder) = documents::expo_folder("only the manual is parsed.") {
        let mut pages = documents::expo(&folder).pages;
        measure(&mut group, "expo, all pages", &pages);
        pages.sort_unstable_by_key(|page| page.bytes.len());
        measure(&mut group, "expo, the largest page", &pages[pages.len().saturating_sub(1)..]);
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
