//! What the benches share: documents, queries, time and percentiles, and whether anything is to be measured at all.
#![allow(dead_code, clippy::expect_used, reason = "each bench uses a part of it, and stops at the first surprise")]

pub(crate) mod documents;

use std::time::Duration;

use sekisho::audit::entry::{Entry, Event, Outcome};
use sekisho::base::clock::{Clock as _, SystemClock, Timestamp};

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
