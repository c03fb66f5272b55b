//! What is measured: counters, gauges and histograms in the forms that Prometheus reads.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use serde_json::{Value, json};

use super::log::Dropped;
use super::process;
use crate::base::bound;

/// Everything that is measured, since the start. Labels come from closed lists and from the catalogue, never from a
/// caller, so their number is bounded.
pub struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    call_seconds: Family<OperationLabel, Histogram, fn() -> Histogram>,
    refusals: Family<CodeLabel, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    violations: Family<ViolationLabels, Counter>,
    egress: Family<EgressLabels, Counter>,
    listed: Counter,
    passed: Counter,
    audit_entries: Gauge,
    commits: Counter,
    commit_seconds: Counter<f64, AtomicU64>,
    sessions: Gauge,
    passages: Gauge,
    bytes: Family<PlaceLabel, Gauge>,
    dropped_lines: Counter,
    cpu_seconds: Counter<f64, AtomicU64>,
    resident_bytes: Gauge,
    descriptors: Gauge,
    threads: Gauge,
    /// Of the log, once there is one.
    dropped: OnceLock<Dropped>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ViolationLabels {
    r#type: &'static str,
    severity: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EgressLabels {
    purpose: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlaceLabel {
    place: &'static str,
}

/// What is looked up when somebody asks, because nothing passes by when it changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gathered {
    pub audit_entries: u64,
    pub commits: u64,
    pub commit_time: Duration,
    pub sessions: usize,
    pub passages: u64,
    pub store_bytes: u64,
    pub index_bytes: u64,
    pub log_bytes: u64,
    pub disk_free_bytes: u64,
}

/// The forms in which metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus text format 0.0.4.
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Exposition {
    /// What a client that accepts `accept` gets: `OpenMetrics` only where it is named.
    pub fn negotiated(accept: Option<&str>) -> Self {
        let named = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if named { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// From a cached search to a call that waits for its whole budget.
fn call_histogram() -> Histogram {
    Histogram::new(bound::CALL_SECONDS_BUCKETS)
}

impl Metrics {
    /// Names begin with `prefix` and an underscore.
    pub fn new(prefix: &str) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix(prefix),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(call_histogram),
            refusals: Family::default(),
            attempts: Family::default(),
            violations: Family::default(),
            egress: Family::default(),
            listed: Counter::default(),
            passed: Counter::default(),
            audit_entries: Gauge::default(),
            commits: Counter::default(),
            commit_seconds: Counter::default(),
            sessions: Gauge::default(),
            passages: Gauge::default(),
            bytes: Family::default(),
            dropped_lines: Counter::default(),
            cpu_seconds: Counter::default(),
            resident_bytes: Gauge::default(),
            descriptors: Gauge::default(),
            threads: Gauge::default(),
            dropped: OnceLock::new(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("calls", "Calls of operations, by how they ended", self.calls.clone());
        let help = "Time from a recognised caller to the durable entry";
        registry.register_with_unit("call_duration", help, Unit::Seconds, self.call_seconds.clone());
        registry.register("refusals", "Requests that were refused, by code", self.refusals.clone());
        registry.register("auth_attempts", "Attempts to be recognised", self.attempts.clone());
        registry.register("security_violations", "Security events, by kind and severity", self.violations.clone());
        let help = "Connections to other machines that were opened or refused, by what for";
        registry.register("egress_connections", help, self.egress.clone());
        registry.register("lists", "Lists, which are counted and not recorded", self.listed.clone());
        registry.register("pings_and_notifications", "Messages that are only counted", self.passed.clone());
        registry.register(
            "audit_entries",
            "Entries of the audit log, pruned ones included",
            self.audit_entries.clone(),
        );
        registry.register("store_commits", "Commits since the start", self.commits.clone());
        let help = "Time that commits have taken since the start";
        registry.register_with_unit("store_commit", help, Unit::Seconds, self.commit_seconds.clone());
        registry.register("sessions", "Sessions that are open", self.sessions.clone());
        registry.register("index_passages", "Passages in the search index", self.passages.clone());
        let help = "Size of the store, the index and the log, and what is free on their disk";
        registry.register_with_unit("disk", help, Unit::Bytes, self.bytes.clone());
        registry.register("log_lines_dropped", "Lines that the log gave up for speed", self.dropped_lines.clone());
        let help = "Processor time of this process";
        registry.register_with_unit("process_cpu", help, Unit::Seconds, self.cpu_seconds.clone());
        let help = "Memory of this process that is in RAM";
        registry.register_with_unit("process_resident_memory", help, Unit::Bytes, self.resident_bytes.clone());
        registry.register("process_open_fds", "File descriptors of this process", self.descriptors.clone());
        registry.register("process_threads", "Threads of this process", self.threads.clone());
    }

    /// A call of `operation`, a name from the catalogue, ended.
    pub fn called(&self, operation: &str, outcome: &'static str, took: Duration) {
        self.calls.get_or_create(&CallLabels { operation: operation.to_owned(), outcome }).inc();
        self.call_seconds
            .get_or_create(&OperationLabel { operation: operation.to_owned() })
            .observe(took.as_secs_f64());
    }

    /// A request was refused, wherever that was; `code` is one of `base::refusal::Code`.
    pub fn refused(&self, code: &'static str) {
        self.refusals.get_or_create(&CodeLabel { code }).inc();
    }

    /// Somebody showed something to be recognised by; `method` is a scheme's name.
    pub fn attempted(&self, method: &'static str, result: &'static str) {
        self.attempts.get_or_create(&AttemptLabels { result, method }).inc();
    }

    /// A security event, from a closed list.
    pub fn violated(&self, kind: &'static str, severity: &'static str) {
        self.violations.get_or_create(&ViolationLabels { r#type: kind, severity }).inc();
    }

    /// A connection to another machine was opened (`connected`) or not allowed (`refused`); `purpose` is one of
    /// `egress::Purpose`.
    pub fn egressed(&self, purpose: &'static str, result: &'static str) {
        self.egress.get_or_create(&EgressLabels { purpose, result }).inc();
    }

    /// A list, which the audit log does not hold at its usual level.
    pub fn listed(&self) {
        self.listed.inc();
    }

    /// A ping, a notification, a health check.
    pub fn passed(&self) {
        self.passed.inc();
    }

    /// From now on the lines that the log gives up are told too. A process has one log.
    pub fn watch_log(&self, dropped: Dropped) {
        self.dropped.set(dropped).ok();
    }

    /// All of it, as text.
    pub fn render(&self, gathered: &Gathered, form: Exposition) -> Result<String, fmt::Error> {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        let seconds = |counter: &Counter<f64, AtomicU64>, time: Duration| {
            // The counter keeps its number's bits there.
            counter.inner().store(time.as_secs_f64().to_bits(), Ordering::Relaxed);
        };
        set(&self.audit_entries, gathered.audit_entries);
        self.commits.inner().store(gathered.commits, Ordering::Relaxed);
        seconds(&self.commit_seconds, gathered.commit_time);
        set(&self.sessions, gathered.sessions as u64);
        set(&self.passages, gathered.passages);
        for (place, bytes) in [
            ("store", gathered.store_bytes),
            ("index", gathered.index_bytes),
            ("log", gathered.log_bytes),
            ("free", gathered.disk_free_bytes),
        ] {
            set(&self.bytes.get_or_create(&PlaceLabel { place }), bytes);
        }
        self.dropped_lines.inner().store(self.dropped.get().map_or(0, Dropped::lines), Ordering::Relaxed);
        if let Some(process) = process::look() {
            seconds(&self.cpu_seconds, process.cpu);
            set(&self.resident_bytes, process.resident_bytes);
            set(&self.descriptors, process.descriptors);
            set(&self.threads, process.threads);
        }
        let mut written = String::new();
        text::encode(&mut written, &self.registry)?;
        Ok(match form {
            Exposition::OpenMetrics => written,
            Exposition::Prometheus => as_prometheus(&written),
        })
    }

    /// The sums that `sekisho doctor` shows.
    pub fn to_json(&self) -> Value {
        let mut written = String::new();
        // Writing to a String cannot fail.
        text::encode(&mut written, &self.registry).unwrap_or_default();
        let sum = |name: &str| -> u64 { written.lines().filter_map(|line| sample(line, name)).sum() };
        json!({
            "calls": sum("_calls_total"),
            "refused": sum("_refusals_total"),
            "lists": sum("_lists_total"),
            "pings_and_notifications": sum("_pings_and_notifications_total"),
        })
    }
}

/// The value of a sample of a counter whose name ends so.
fn sample(line: &str, name: &str) -> Option<u64> {
    let (before, value) = line.rsplit_once(' ')?;
    let own = before.split('{').next()?;
    if own.ends_with(name) { value.parse().ok() } else { None }
}

/// Prometheus text format 0.0.4 from `OpenMetrics`: a counter's family has the name of its sample, and there are
/// neither units nor an end.
fn as_prometheus(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut counters: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" counter")) {
            counters.push(name);
        }
    }
    for line in text.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let mut parts = line.splitn(4, ' ');
        if let (Some("#"), Some(what), Some(name), Some(rest)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
            && counters.contains(&name)
        {
            for part in ["# ", what, " ", name, "_total ", rest, "\n"] {
                written.push_str(part);
            }
            continue;
        }
        written.push_str(line);
        written.push('\n');
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        let metrics = Metrics::new("sekisho");
        metrics.called("search_documents", "done", Duration::from_millis(3));
        metrics.refused("forbidden");
        metrics.refused("forbidden");
        metrics.attempted("basic", "failed");
        metrics.violated("rate_limit_exceeded", "medium");
        metrics.egressed("connector", "refused");
        metrics.listed();
        metrics
    }

    #[test]
    fn the_manual_names_every_figure() {
        let page = include_str!("../../assets/manual/metrics.md");
        let text = metrics().render(&Gathered::default(), Exposition::Prometheus).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
        let missing: Vec<&str> = names.filter(|name| !page.contains(&format!("`{name}`"))).collect();
        assert_eq!(missing, [""; 0]);
        assert!(
            text.contains("sekisho_egress_connections_total{purpose=\"connector\",result=\"refused\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn open_metrics_names_counters_without_total_and_ends() {
        let text = metrics().render(&Gathered::default(), Exposition::OpenMetrics).unwrap();
        for line in [
            "# TYPE sekisho_calls counter",
            "sekisho_calls_total{operation=\"search_documents\",outcome=\"done\"} 1",
            "sekisho_refusals_total{code=\"forbidden\"} 2",
            "sekisho_auth_attempts_total{result=\"failed\",method=\"basic\"} 1",
            "sekisho_security_violations_total{type=\"rate_limit_exceeded\",severity=\"medium\"} 1",
            "sekisho_call_duration_seconds_count{operation=\"search_documents\"} 1",
            "# UNIT sekisho_disk_bytes bytes",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn prometheus_text_names_a_counter_as_its_sample_and_has_no_end() {
        let gathered =
            Gathered { sessions: 3, commits: 7, commit_time: Duration::from_millis(1500), ..Gathered::default() };
        let text = metrics().render(&gathered, Exposition::Prometheus).unwrap();
        for line in [
            "# TYPE sekisho_calls_total counter",
            "sekisho_calls_total{operation=\"search_documents\",outcome=\"done\"} 1",
            "# TYPE sekisho_call_duration_seconds histogram",
            "# TYPE sekisho_sessions gauge",
            "sekisho_sessions 3",
            "sekisho_store_commit_seconds_total 1.5",
            "sekisho_store_commits_total 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
    }

    #[test]
    fn a_prefix_of_ones_own_keeps_old_dashboards() {
        let metrics = Metrics::new("expo_mcp");
        metrics.violated("suspicious_patterns", "high");
        let text = metrics.render(&Gathered::default(), Exposition::Prometheus).unwrap();
        let line = "expo_mcp_security_violations_total{type=\"suspicious_patterns\",severity=\"high\"} 1";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn sums_go_over_all_labels() {
        let metrics = metrics();
        metrics.refused("busy");
        assert_eq!(metrics.to_json()["refused"], 3);
        assert_eq!(metrics.to_json()["calls"], 1);
        assert_eq!(metrics.to_json()["lists"], 1);
    }

    #[test]
    fn open_metrics_is_given_to_whoever_names_it() {
        let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
        assert_eq!(Exposition::negotiated(Some(accept)), Exposition::OpenMetrics);
        assert_eq!(Exposition::negotiated(Some("text/plain")), Exposition::Prometheus);
        assert_eq!(Exposition::negotiated(None), Exposition::Prometheus);
    }
}
