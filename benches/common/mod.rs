//! What the benches share: documents, queries, time and percentiles, and whether anything is to be measured at all.
#![allow(dead_code, clippy::expect_used, reason = "each bench uses a part of it, and stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sekisho::audit::entry::{Entry, Event, Outcome};
use sekisho::base::clock::{Clock as _, SystemClock, Timestamp};
use sekisho::library::parse::{Format, Parsed, parse};
use sekisho::search::{DocumentKey, Index, Passage};

/// The library's name in the index.
pub(crate) const LIBRARY: &str = "bench";

/// What people ask an agent that reads Expo's pages: questions, identifiers, commands, error messages.
pub(crate) const QUERIES: [&str; 20] = [
    "ask for camera permission",
    "expo-camera",
    "useFonts hook",
    "push notifications on Android",
    "eas build --profile preview",
    "TypeError: undefined is not an object",
    "http://localhost:8081",
    "how do I change the splash screen",
    "app.json scheme deep linking",
    "EXPO_PUBLIC_ environment variables",
    "config plugin withInfoPlist",
    "development build versus Expo Go",
    "requestForegroundPermissionsAsync",
    "file based routing with dynamic segments",
    "over the air updates rollback",
    "SecureStore",
    "metro.config.js",
    "native module in Swift and Kotlin",
    "Unable to resolve module",
    "submit to the App Store",
];

/// A document's file.
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) format: Format,
    pub(crate) bytes: Vec<u8>,
}

/// Documents under one name.
pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    pub(crate) pages: Vec<Page>,
}

impl Corpus {
    pub(crate) fn bytes(&self) -> u64 {
        self.pages.iter().map(|page| page.bytes.len() as u64).sum()
    }
}

/// The folder with the Expo pages, if there is one; where not, that is said, with what `instead` is measured.
pub(crate) fn expo_folder(instead: &str) -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "where test documents are is no setting of the program")]
    let given = std::env::var_os("SEKISHO_CORPORA").filter(|value| !value.is_empty()).map(PathBuf::from);
    let corpora = given.unwrap_or_else(|| checkout().join("../shared/corpora"));
    let folder = corpora.join("expo-docs/md");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: there are no Expo pages at {} (SEKISHO_CORPORA says where); {instead}", folder.display());
    None
}

pub(crate) fn manual() -> Corpus {
    Corpus { name: "manual", pages: pages_below(&checkout().join("assets/manual")) }
}

pub(crate) fn expo(folder: &Path) -> Corpus {
    Corpus { name: "expo", pages: pages_below(folder) }
}

/// The Expo pages, else the manual.
pub(crate) fn expo_or_manual() -> Corpus {
    expo_folder("the manual takes their place, and its figures do not compare with theirs.")
        .map_or_else(manual, |folder| expo(&folder))
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages_below(root: &Path) -> Vec<Page> {
    let files = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().flatten();
    let page = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(root).ok()?.to_str()?.to_owned();
        Some(Page { format: Format::of_path(&path)?, bytes: std::fs::read(entry.path()).ok()?, path })
    };
    files.filter(|entry| entry.file_type().is_file()).filter_map(page).collect()
}

/// A parsed document as the index takes it.
pub(crate) struct Document {
    pub(crate) path: String,
    pub(crate) facets: Vec<(String, String)>,
    pub(crate) passages: Vec<Passage>,
}

impl Document {
    /// As a sync does it.
    fn of(page: &Page, parsed: Parsed) -> Self {
        let Parsed { title, description, facets, markdown, sections, .. } = parsed;
        let passages = (0..).zip(sections).map(|(ordinal, section)| {
            let text = &markdown[section.range];
            let described = description.as_deref().filter(|_| ordinal == 0);
            Passage {
                ordinal,
                title: title.clone(),
                trail: section.trail,
                anchor: section.anchor,
                text: described.map_or_else(|| text.to_owned(), |description| format!("{description}\n\n{text}")),
            }
        });
        let passages = passages.collect();
        let facets = facets.into_iter().flat_map(|(name, values)| values.into_iter().map(move |it| (name.clone(), it)));
        Self { path: page.path.clone(), facets: facets.collect(), passages }
    }
}

pub(crate) fn documents(corpus: &Corpus) -> Vec<Document> {
    let parsed = corpus.pages.iter().filter_map(|page| Some((page, parse(&page.path, page.format, &page.bytes).ok()?)));
    parsed.map(|(page, parsed)| Document::of(page, parsed)).collect()
}

/// All documents in one commit of a new index in memory.
pub(crate) fn indexed(documents: &[Document]) -> Index {
    let index = Index::in_memory().expect("an index in memory");
    let mut writer = index.writer().expect("the only writer");
    for document in documents {
        let key = DocumentKey { library: LIBRARY, path: &document.path };
        writer.put(&key, &document.facets, &document.passages).expect("a document that fits");
    }
    writer.commit(&BTreeMap::from([(LIBRARY.to_owned(), 1)])).expect("a commit in memory");
    index
}

/// What a call over HTTP leaves in the audit log.
pub(crate) fn entry() -> Entry {
    Entry {
        at: Timestamp(1_790_000_000_123),
        event: Event::Call,
        outcome: Outcome::Done,
        reason: None,
        transport: "http".into(),
        subject: Some("p1-3f2a9c41d07b5e86a1c4d8f02b6e7a95".into()),
        role: Some("reader".into()),
        scheme: Some("bearer".into()),
        session: Some("0123456789ab".into()),
        operation: Some("search_documents".into()),
        target: None,
        argument_digest: Some("0123456789abcdef".repeat(4)),
        argument_bytes: 37,
        output_bytes: 12_345,
        duration_ms: 1,
        intent: None,
        // As long as a principal, an address and a user agent are when they are sealed.
        sealed: Some(vec![0x5a; 88]),
    }
}

/// False when `cargo test` runs the benches to see whether they work: nothing that depends on time is done then.
pub(crate) fn is_measured() -> bool {
    let asked = |what: &str| std::env::args().any(|argument| argument == what);
    asked("--bench") && !asked("--list")
}

/// Time since it was made.
pub(crate) struct Watch(SystemClock);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(SystemClock::default())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.monotonic()
    }
}

/// How long each of many things took.
#[derive(Default)]
pub(crate) struct Times {
    sorted: Vec<Duration>,
}

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { sorted: times }
    }

    /// Milliseconds that `hundredths` of a hundred did not exceed.
    pub(crate) fn ms(&self, hundredths: usize) -> f64 {
        self.at(hundredths).as_secs_f64() * 1e3
    }

    /// As [`Times::ms`], in nanoseconds.
    pub(crate) fn ns(&self, hundredths: usize) -> u128 {
        self.at(hundredths).as_nanos()
    }

    fn at(&self, hundredths: usize) -> Duration {
        let at = (self.sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
        self.sorted.get(at).copied().unwrap_or_default()
    }
}

/// What else the machine does: figures of a busy one say little.
pub(crate) fn print_load() {
    // Jiffies of all cores since the start, and the idle ones (the fourth and fifth column) among them.
    let jiffies = || {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
        let columns: Vec<u64> = line.filter_map(|column| column.parse().ok()).collect();
        (columns.iter().take(8).sum::<u64>(), columns.iter().skip(3).take(2).sum::<u64>())
    };
    let before = jiffies();
    std::thread::sleep(Duration::from_secs(1));
    let after = jiffies();
    let (all, idle) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let cores = stat.lines().filter(|line| line.starts_with("cpu")).count().saturating_sub(1);
    let busy = 100 * all.saturating_sub(idle) / all.max(1);
    println!("{cores} cores; in the second before this, others kept them {busy} % busy");
}
