//! A report as a page: one file that opens with no network, in light and in dark, on paper too.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Report, State, Step};
use crate::base::clock::Timestamp;
use crate::crypto::digest::sha256;
use crate::plot::{self, Plot, Series, Shape};

const STYLE: &str = include_str!("../../assets/report/page.css");

#[derive(Template)]
#[template(path = "report/page.html", config = "assets/askama.toml")]
struct Page<'a> {
    report: &'a Report,
    style: &'a str,
    /// As a Content-Security-Policy names it: nothing but this style is applied, and nothing is run or fetched.
    style_hash: &'a str,
    calls: &'a str,
    durations: &'a str,
    /// Empty where there was no alert.
    alerts: &'a str,
    proof: Option<String>,
}

impl State {
    /// Of the style sheet.
    fn class(self) -> &'static str {
        match self {
            Self::NotCovered => "faint",
            Self::Missing => "missing",
            Self::Partly => "partly",
            Self::Covered => "covered",
        }
    }
}

/// The page. An error is one of the template.
pub fn html(report: &Report) -> Result<String, askama::Error> {
    let style = format!("{STYLE}{}", plot::STYLE);
    let style_hash = format!("sha256-{}", STANDARD.encode(sha256(&[style.as_bytes()])));
    let proof = report.log.proof.as_ref().and_then(|proof| serde_json::to_string_pretty(proof).ok());
    let (calls, durations, alerts) = (calls(report), durations(report), alerts(report));
    let (calls, durations, alerts) = (calls.as_str(), durations.as_str(), alerts.as_str());
    Page { report, style: &style, style_hash: &style_hash, calls, durations, alerts, proof }.render()
}

/// As milliseconds since 1970; where it is no time, nothing is drawn there.
fn at(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp)
}

fn plot<'a>(report: &Report, shape: Shape, series: Vec<Series<'a>>) -> Plot<'a> {
    let step_ms = report.over_time.step_seconds.saturating_mul(1000).max(1);
    // The first step may begin before the report does.
    let first = report.over_time.steps.first().and_then(|step| at(&step.from));
    let from = at(&report.period.from).unwrap_or_default();
    let from = first.map_or(from, |first| first.min(from));
    let to = at(&report.period.to).unwrap_or_default().max(Timestamp(from.0.saturating_add(step_ms)));
    Plot { id: "", title: "", description: "", unit: "", from, to, step_ms, shape, series }
}

fn series<'a>(report: &Report, name: &'a str, value: impl Fn(&Step) -> u64) -> Series<'a> {
    let steps = report.over_time.steps.iter();
    Series { name, points: steps.filter_map(|step| Some((at(&step.from)?, value(step)))).collect() }
}

fn calls(report: &Report) -> String {
    let sum = |value: fn(&Step) -> u64| report.over_time.steps.iter().map(value).sum::<u64>();
    let (done, refused, failed) = (sum(|step| step.done), sum(|step| step.refused), sum(|step| step.failed));
    let minutes = report.over_time.step_seconds / 60;
    let description =
        format!("Calls by time, in steps of {minutes} minutes: {done} were done, {refused} refused, {failed} failed.");
    let all = vec![
        series(report, "done", |step| step.done),
        series(report, "refused", |step| step.refused),
        series(report, "failed", |step| step.failed),
    ];
    let plot = plot(report, Shape::Bars, all);
    Plot { id: "calls", title: "Calls over time", description: &description, unit: "calls", ..plot }.svg()
}

fn durations(report: &Report) -> String {
    let longest = report.over_time.steps.iter().map(|step| step.max_ms).max().unwrap_or_default();
    let description = format!("How long calls took, by time; the longest took {longest} ms.");
    let all = vec![
        series(report, "half of them at most", |step| step.p50_ms),
        series(report, "95 of 100 at most", |step| step.p95_ms),
    ];
    let plot = plot(report, Shape::Line, all);
    Plot { id: "durations", title: "Durations over time", description: &description, unit: "ms", ..plot }.svg()
}

fn alerts(report: &Report) -> String {
    let count: u64 = report.over_time.steps.iter().map(|step| step.alerts).sum();
    if count == 0 {
        return String::new();
    }
    let minutes = report.over_time.step_seconds / 60;
    let description = format!("Alerts by when they came first, in steps of {minutes} minutes: {count} of them.");
    let plot = plot(report, Shape::Bars, vec![series(report, "alerts", |step| step.alerts)]);
    Plot { id: "alerts-over-time", title: "Alerts over time", description: &description, unit: "alerts", ..plot }.svg()
}

#[cfg(test)]
mod tests;
