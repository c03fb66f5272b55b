//! A library of 100,000 generated documents through the program itself: the first sync, a sync with one document in a
//! hundred changed, one with none, queries, memory, and what lies on the disk afterwards.
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

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use common::{Times, Watch};
use process::{Process, sekisho};
use serde_json::{Value, json};

/// `SEKISHO_SCALE` takes its place, for a quick look.
const DOCUMENTS: usize = 100_000;
const QUERIES: usize = 500;
/// Words of the generated language; how often each is used falls with its place, as in any language.
const WORDS: usize = 40_000;

fn main() -> anyhow::Result<()> {
    if !common::is_measured() {
        println!("scale: nothing is measured without --bench (cargo bench --bench scale)");
        return Ok(());
    }
    #[allow(clippy::disallowed_methods, reason = "a switch of this bench")]
    let asked = std::env::var("SEKISHO_SCALE").ok().and_then(|count| count.parse().ok());
    let count = asked.unwrap_or(DOCUMENTS);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (folder, data) = (directory.path().join("documents"), directory.path().join("data"));
    common::print_load();

    let mut random = Random(6);
    let watch = Watch::start();
    let mut bytes = 0;
    for number in 0..count {
        bytes += write(&folder, number, 0, &mut random)?;
    }
    println!("{count} documents of {} MB written in {:.1} s\n", bytes / 1_000_000, watch.elapsed().as_secs_f64());

    Process::start(sekisho(None, &data, &["init"]))?.finish()?;
    println!("| step | seconds | share of the first | what it said |\n|---|---|---|---|");
    let path = folder.to_str().context("a folder with a name in UTF-8")?;
    let full = step("first sync", &data, &["library", "add", "scale", path], None)?;
    for number in (0..count).step_by(100) {
        write(&folder, number, 1, &mut random)?;
    }
    step("1 % changed", &data, &["library", "sync", "scale"], Some(full))?;
    step("nothing changed", &data, &["library", "sync", "scale"], Some(full))?;
    let (store, index) = (size(&data.join("sekisho.redb")), size(&data.join("index")));
    println!("\nOn disk: {} MB the store, {} MB the index.", store / 1_000_000, index / 1_000_000);
    queries(&data, &mut random)
}

fn step(name: &str, data: &Path, arguments: &[&str], full: Option<Duration>) -> anyhow::Result<Duration> {
    let watch = Watch::start();
    let process = Process::start(sekisho(None, data, arguments))?;
    let said = process.wait_for(|line| line.starts_with("scale:").then(|| line.to_owned()))?;
    process.finish()?;
    let took = watch.elapsed();
    let share = full.map_or(100.0, |full| 100.0 * took.as_secs_f64() / full.as_secs_f64());
    println!("| {name} | {:.2} | {share:.1} % | {said} |", took.as_secs_f64());
    Ok(took)
}

/// Searches over stdio, as an agent's client does: each call goes the whole way and is recorded.
fn queries(data: &Path, random: &mut Random) -> anyhow::Result<()> {
    let mut server = Process::start(sekisho(None, data, &["stdio"]))?;
    let mut times = Vec::new();
    for number in 0..QUERIES {
        let query: Vec<String> = (0..=number % 4).map(|_| random.word()).collect();
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "scale", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let arguments = json!({"query": query.join(" ")});
        let params = json!({"name": "search_documents", "arguments": arguments, "_meta": meta});
        let request = json!({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params});
        let watch = Watch::start();
        server.input().context("its standard input")?.write_all(format!("{request}\n").as_bytes())?;
        let answer: Value = server.wait_for(|line| serde_json::from_str(line).ok())?;
        times.push(watch.elapsed());
        if !answer["result"]["structuredContent"]["hits"].is_array() {
            bail!("expected hits, found {answer}");
        }
    }
    let (all, anonymous) = server.memory_mb();
    server.finish()?;
    let times = Times::of(times);
    println!("\n| {QUERIES} queries of 1 to 4 words over stdio | ms |\n|---|---|");
    for (name, hundredths) in [("p50", 50), ("p99", 99), ("longest", 100)] {
        println!("| {name} | {:.2} |", times.ms(hundredths));
    }
    println!("\nMemory of the server after them: {all:.0} MB, {anonymous:.0} MB of that anonymous.");
    Ok(())
}

/// Writes one page of some sections; `edition` makes it another one. Returns its bytes.
fn write(folder: &Path, number: usize, edition: usize, random: &mut Random) -> anyhow::Result<usize> {
    let folder = folder.join(format!("{:03}", number / 500));
    std::fs::create_dir_all(&folder)?;
    let mut text = format!("---\ntitle: Page {number} {} {}\n---\n", random.word(), random.word());
    for section in 0..2 + random.below(3) {
        write!(text, "\n## {} {section} of edition {edition}\n\n", random.word())?;
        for _ in 0..60 + random.below(120) {
            text.push_str(&random.word());
            text.push(if random.below(12) == 0 { '\n' } else { ' ' });
        }
        if section == 1 {
            write!(text, "\n```ts\nconst {} = {}();\n```\n", random.word(), random.word())?;
        }
    }
    std::fs::write(folder.join(format!("page-{number}.md")), &text)?;
    Ok(text.len())
}

fn size(path: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(path).into_iter().flatten().filter_map(|entry| entry.metadata().ok());
    entries.filter(std::fs::Metadata::is_file).map(|it| it.len()).sum()
}

/// `SplitMix64`: the same documents everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or_default()
    }

    /// A word made of syllables; small numbers come up far more often than large ones.
    fn word(&mut self) -> String {
        let mut number = 1 + self.below(WORDS);
        for _ in 0..2 {
            number = self.below(1 + number);
        }
        let mut word = String::new();
        loop {
            let (consonant, vowel) = (number % 17, (number / 17) % 5);
            word.push(char::from(*b"bdfghjklmnprstvwz".get(consonant).unwrap_or(&b'x')));
            word.push(char::from(*b"aeiou".get(vowel).unwrap_or(&b'y')));
            number /= 85;
            if number == 0 {
                return word;
            }
        }
    }
}
