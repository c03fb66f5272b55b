//! The first page: what was asked lately and how it went, what alerted, and how the appliance is.

use askama::Template;
use serde_json::json;

use super::super::chart;
use super::super::fact::{Fact, Part};
use super::super::form::Form;
use super::super::page::{Page, html};
use super::super::{Visit, nothing};
use crate::base::refusal::Refusal;

/// Spans that can be looked at: as `activity` takes them.
const SPANS: [&str; 4] = ["1h", "24h", "7d", "30d"];

#[derive(Template)]
#[template(path = "ui/overview.html", config = "assets/askama.toml")]
struct Overview<'a> {
    page: &'a Page<'a>,
    status: Fact<'a>,
    no_status: Option<&'a str>,
    activity: Fact<'a>,
    no_activity: Option<&'a str>,
    alerts: Vec<Fact<'a>>,
    all_alerts: usize,
    open_alerts: u64,
    no_alerts: Option<&'a str>,
    may_acknowledge: bool,
    may_search: bool,
    spans: [&'static str; 4],
    span: &'a str,
    calls: chart::Bars,
    latency: chart::Bars,
    alerting: chart::Bars,
}

pub(in super::super) async fn show(visit: &Visit, query: &Form) -> Result<String, Refusal> {
    let span = SPANS.into_iter().find(|span| *span == query.text("span")).unwrap_or("24h");
    let status = visit.part("status", nothing()).await;
    let activity = visit.part("activity", json!({"span": span})).await;
    let alerts = visit.part("alert.list", json!({"since": "30d"})).await;
    let page = visit.frame("overview");
    let mut listed = alerts.fact().rows("alerts");
    let all_alerts = listed.len();
    let open_alerts = listed.iter().filter(|alert| !alert.has("acknowledged")).count() as u64;
    // What waits for somebody first; below that the newest.
    listed.sort_by_key(|alert| alert.has("acknowledged"));
    listed.truncate(8);
    let buckets = activity.fact().rows("buckets");
    let bars = |series: &[(&'static str, &str)], unit| chart::Bars::of(&page, &buckets, series, unit);
    html(&Overview {
        page: &page,
        status: status.fact(),
        no_status: Part::refused(&status),
        activity: activity.fact(),
        no_activity: Part::refused(&activity),
        alerts: listed,
        all_alerts,
        open_alerts,
        no_alerts: Part::refused(&alerts),
        may_acknowledge: visit.may("alert.acknowledge"),
        may_search: visit.may("audit.search"),
        spans: SPANS,
        span,
        calls: bars(&[("good", "answered"), ("bad", "refused")], ""),
        latency: bars(&[("plain", "p95_ms")], "ms"),
        alerting: bars(&[("warn", "alerts")], ""),
    })
}
