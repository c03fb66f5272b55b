//! Measures the shipped patterns: what they refuse of honest text, and what they let pass of attacks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test ends where it is surprised, prints its figures, and reads the environment of its runner"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sekisho::config::Config;
use sekisho::config::mask::Masker;
use sekisho::config::raw::{Mode, Raw};
use sekisho::guardrail::Guardrail;
use sekisho::guardrail::field::FieldClass;

/// As many characters as a query may have.
const QUERY_CHARS: usize = 500;

fn guardrail() -> Guardrail {
    Guardrail::new(&Config::of(Raw::default()).unwrap().inspect).unwrap()
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Text files below `root`, with their path below it.
fn texts_below(root: &Path) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                let bytes = fs::read(&path).unwrap();
                let text = std::str::from_utf8(&bytes).map_or_else(|_| decoded(&bytes), str::to_owned);
                texts.push((below, text));
            }
        }
    }
    texts.sort();
    texts
}

fn decoded(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Sentences of prose and whole code blocks, each cut to what a query may have.
fn queries(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut code: Option<String> = None;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            if let Some(block) = code.take() {
                found.push(block);
            } else {
                found.extend(sentences(&prose));
                prose.clear();
                code = Some(String::new());
            }
        } else if let Some(code) = &mut code {
            code.push_str(line);
            code.push('\n');
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    found.extend(sentences(&prose));
    found.extend(code);
    found
        .into_iter()
        .map(|text| text.trim().chars().take(QUERY_CHARS).collect())
        .filter(|text: &String| !text.is_empty())
        .collect()
}

fn sentences(prose: &str) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in prose.split("\n\n") {
        let mut sentence = String::new();
        let mut chars = paragraph.chars().peekable();
        while let Some(char) = chars.next() {
            sentence.push(char);
            let ends = matches!(char, '。' | '！' | '？')
                || (matches!(char, '.' | '!' | '?') && chars.peek().is_none_or(|next| next.is_whitespace()));
            if ends {
                found.push(std::mem::take(&mut sentence));
            }
        }
        found.push(sentence);
    }
    found
}

#[derive(Default)]
struct Count {
    texts: usize,
    blocked: usize,
    flagged: usize,
    rules: BTreeMap<String, usize>,
    examples: Vec<String>,
}

impl Count {
    fn add(&mut self, guardrail: &Guardrail, text: &str, class: FieldClass) {
        let hits = guardrail.check(text, class);
        self.texts += 1;
        let blocked = hits.iter().any(|(_, mode)| *mode == Mode::Block);
        self.blocked += usize::from(blocked);
        self.flagged += usize::from(!blocked && !hits.is_empty());
        if blocked && self.examples.len() < 10 {
            self.examples.push(text.chars().take(100).collect());
        }
        for (rule, _) in hits {
            *self.rules.entry(rule.id.clone()).or_default() += 1;
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^53 texts")]
    fn share(&self, of: usize) -> f64 {
        100.0 * of as f64 / self.texts.max(1) as f64
    }
}

/// The corpora, or the manual where they are absent.
fn corpora() -> Vec<(String, PathBuf)> {
    let given = std::env::var_os("SEKISHO_CORPORA").filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = given.unwrap_or_else(|| checkout().join("../shared/corpora"));
    if root.is_dir() {
        let mut found: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.is_dir());
        found.sort();
        return found
            .into_iter()
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
            .collect();
    }
    println!("ABSENT: no corpora at {} (SEKISHO_CORPORA says where); the manual takes their place", root.display());
    vec![("manual".into(), checkout().join("assets/manual"))]
}

#[test]
fn questions_in_the_words_of_documentation_are_answered() {
    let start = Instant::now();
    let guardrail = guardrail();
    println!("the rules are compiled in {:?}", start.elapsed());
    let mut all = Count::default();
    let (mut bytes, mut time) = (0, 0);
    for (name, folder) in corpora() {
        let mut count = Count::default();
        for (_, text) in texts_below(&folder) {
            for query in queries(&text) {
                bytes += query.len();
                count.add(&guardrail, &query, FieldClass::FreeText);
                let start = Instant::now();
                all.add(&guardrail, &query, FieldClass::FreeText);
                time += start.elapsed().as_nanos();
            }
        }
        println!(
            "{name}: {} texts, refused {:.4} %, flagged {:.4} % {:?}",
            count.texts,
            count.share(count.blocked),
            count.share(count.flagged),
            count.rules
        );
    }
    let nanoseconds = time * 1024 / bytes.max(1) as u128;
    println!(
        "all: {} texts, refused {} ({:.4} %), flagged {} ({:.4} %), about {nanoseconds} ns for each KB",
        all.texts,
        all.blocked,
        all.share(all.blocked),
        all.flagged,
        all.share(all.flagged)
    );
    assert!(all.texts > 100 && all.share(all.blocked) < 0.1, "refused: {:?}", all.examples);
    assert!(all.share(all.flagged) < 1.0, "flags that come this often say nothing: {:?}", all.rules);
}

#[test]
fn names_of_documents_pass_where_names_stand() {
    let guardrail = guardrail();
    let mut count = Count::default();
    for (_, folder) in corpora() {
        for (path, _) in texts_below(&folder) {
            count.add(&guardrail, &path, FieldClass::Path);
        }
    }
    println!("paths: {} names, refused {} {:?}", count.texts, count.blocked, count.rules);
    assert_eq!((count.blocked, count.flagged), (0, 0), "{:?}", count.examples);
}

/// The attacks by group, with `<U+XXXX>` replaced.
fn attacks() -> Vec<(String, String)> {
    let text = fs::read_to_string(checkout().join("tests/fixtures/attacks.txt")).unwrap();
    let mut group = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            name.clone_into(&mut group);
        } else if !group.is_empty() && !line.is_empty() {
            found.push((group.clone(), unescaped(line)));
        }
    }
    found
}

fn unescaped(line: &str) -> String {
    let mut parts = line.split("<U+");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('>').unwrap();
        text.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        text.push_str(rest);
    }
    text
}

#[test]
fn every_attack_is_refused_where_names_stand() {
    let guardrail = guardrail();
    let attacks = attacks();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut passed = Vec::new();
    for (group, attack) in &attacks {
        *counts.entry(group).or_default() += 1;
        if !guardrail.check(attack, FieldClass::Path).iter().any(|(_, mode)| *mode == Mode::Block) {
            passed.push(format!("{group}: {attack:?}"));
        }
    }
    println!("{} attacks {counts:?}, {} passed", attacks.len(), passed.len());
    assert!(attacks.len() >= 300, "there are only {}", attacks.len());
    assert!(passed.is_empty(), "these passed:\n{}", passed.join("\n"));
}

#[test]
fn documents_keep_their_text_and_few_are_flagged() {
    let guardrail = guardrail();
    let masker = Masker::of_results(false).unwrap();
    let logs = Masker::of_logs().unwrap();
    let (mut documents, mut masked, mut flagged, mut bytes) = (0_usize, 0_usize, 0_usize, 0);
    let mut rules: BTreeMap<String, usize> = BTreeMap::new();
    let mut times = [0_u128; 3];
    for (_, folder) in corpora() {
        for (path, text) in texts_below(&folder) {
            documents += 1;
            bytes += text.len();
            let start = Instant::now();
            let out = masker.masked(&text);
            times[0] += start.elapsed().as_nanos();
            if out != text {
                masked += 1;
                println!("masked: {path}");
            }
            let start = Instant::now();
            let hits = guardrail.check_document(&text);
            times[1] += start.elapsed().as_nanos();
            flagged += usize::from(!hits.is_empty());
            for hit in hits {
                *rules.entry(hit.to_owned()).or_default() += 1;
                println!("flagged: {path} {hit}");
            }
            let start = Instant::now();
            logs.masked(&text);
            times[2] += start.elapsed().as_nanos();
        }
    }
    let each = times.map(|time| time * 1024 / (bytes.max(1) as u128));
    println!("{documents} documents of {bytes} bytes: {masked} masked, {flagged} flagged {rules:?}");
    println!(
        "ns for each KB: masking {}, hidden instructions {}, masking with all rules {}",
        each[0], each[1], each[2]
    );
    assert!(masked * 100 <= documents, "{masked} of {documents} documents lost text");
    assert!(flagged * 100 <= documents, "{flagged} of {documents} documents are flagged");
}
