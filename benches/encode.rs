//! What the codec costs: one audit entry to its stored bytes and back.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench speaks to a terminal and stops at the first surprise"
)]

mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use sekisho::audit::entry::Entry;
use sekisho::store::codec;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let entry = common::entry();
    let bytes = codec::encode(&entry).expect("an entry that fits");
    println!("an entry of {} bytes", bytes.len());
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| codec::encode(black_box(&entry))));
    group.bench_function("decode", |bencher| bencher.iter(|| codec::decode::<Entry>(black_box(&bytes))));
    group.finish();
    criterion.final_summary();
}
