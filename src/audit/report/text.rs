//! A report as a page for a terminal.

use std::fmt::Write as _;

use super::tally::Tally;
use super::{OTHERS, Summary};
use crate::audit::render::text::cut;
use crate::base::bound;

pub(super) fn page(summary: &Summary) -> String {
    let mut page = String::new();
    head(&mut page, summary);
    for (title, counts) in [("By event", &summary.events), ("By outcome", &summary.outcomes)] {
        let rows = counts.iter().map(|(name, count)| vec![(*name).to_owned(), count.to_string()]);
        table(&mut page, &[title, "entries"], rows.collect());
    }
    for (title, unit, counts, rows_max) in [
        ("By operation", "entries", &summary.operations, bound::REPORT_ROWS_MAX),
        ("By role", "entries", &summary.roles, bound::REPORT_ROWS_MAX),
        ("By transport", "entries", &summary.transports, bound::REPORT_ROWS_MAX),
        ("Refusals", "entries", &summary.refusals, bound::REPORT_ROWS_MAX),
        ("Subjects", "calls", &summary.subjects, bound::REPORT_SUBJECTS_MAX),
    ] {
        tally(&mut page, title, unit, counts, rows_max);
    }
    durations(&mut page, summary);
    periods(&mut page, summary);
    page
}

fn head(page: &mut String, summary: &Summary) {
    let range = summary.range.map_or_else(String::new, |(first, last)| format!(" ({first} to {last})"));
    let times = summary.times.map(|(from, to)| format!("{} to {}", from.rfc3339(), to.rfc3339()));
    let open = summary.intents.open.iter().take(3).map(u64::to_string).collect::<Vec<_>>().join(", ");
    let open = if open.is_empty() { open } else { format!(" (from entry {open})") };
    for (name, value) in [
        ("Entries", format!("{}{range}", summary.entries)),
        ("Time", times.unwrap_or_else(|| "none".to_owned())),
        ("Calls", summary.calls.to_string()),
        ("Intents without outcome", format!("{}{open}", summary.intents.count())),
        ("Without personal part", summary.without_personal.to_string()),
    ] {
        // Writing to a String cannot fail.
        let _never = writeln!(page, "{name:<24}{value}");
    }
}

fn tally(page: &mut String, title: &str, unit: &str, tally: &Tally, rows_max: usize) {
    let others = tally.others(rows_max);
    let mut rows: Vec<_> =
        tally.rows(rows_max).into_iter().map(|(name, count)| vec![name.to_owned(), count.to_string()]).collect();
    if others > 0 {
        rows.push(vec![OTHERS.to_owned(), others.to_string()]);
    }
    table(page, &[title, unit], rows);
    if tally.error_max() > 0 {
        let _never =
            writeln!(page, "There were too many names: each count may be too low by up to {}.", tally.error_max());
    }
}

fn durations(page: &mut String, summary: &Summary) {
    let rows = summary.durations().into_iter().take(bound::REPORT_ROWS_MAX).map(|(operation, histogram)| {
        let [p50, p95, p99] = [50, 95, 99].map(|percent| histogram.percentile(percent).to_string());
        vec![operation.to_owned(), histogram.count().to_string(), p50, p95, p99, histogram.max().to_string()]
    });
    table(page, &["Durations in ms", "runs", "50 %", "95 %", "99 %", "max"], rows.collect());
}

fn periods(page: &mut String, summary: &Summary) {
    let mut rows: Vec<_> = summary.periods.rows().rev().take(bound::REPORT_PERIODS_SHOWN_MAX).collect();
    rows.reverse();
    let most = rows.iter().map(|(_, calls)| *calls).max().unwrap_or(1).max(1);
    let title = match summary.periods.hours() {
        1 => "Calls by hour, from".to_owned(),
        24 => "Calls by day, from".to_owned(),
        hours => format!("Calls by {} days, from", hours / 24),
    };
    let earlier = summary.periods.rows().count() - rows.len();
    let rows = rows.into_iter().map(|(from, calls)| {
        let bar = u128::from(calls) * bound::REPORT_BAR_CHARS_MAX as u128 / u128::from(most);
        vec![from.rfc3339(), calls.to_string(), "#".repeat(usize::try_from(bar).unwrap_or_default())]
    });
    table(page, &[&title, "calls", ""], rows.collect());
    if earlier > 0 {
        let _never = writeln!(page, "{earlier} earlier periods with calls are not shown.");
    }
}

/// A table with its heading after an empty line; nothing where there are no rows. Names stand left, numbers right, and
/// what has no heading (bars) left again. Widths are counted in characters: East Asian ones are twice as wide on a
/// terminal, and stand out a little.
fn table(page: &mut String, heading: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let mut lines = vec![heading.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>()];
    lines.extend(rows);
    for cell in lines.iter_mut().flatten() {
        *cell = cut(cell, bound::REPORT_NAME_CHARS_MAX).into_owned();
    }
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    page.push('\n');
    for line in &lines {
        let mut text = String::new();
        for (number, ((cell, width), title)) in line.iter().zip(&widths).zip(heading).enumerate() {
            let _never = match number {
                0 => write!(text, "{cell:<width$}"),
                _ if title.is_empty() => write!(text, "  {cell}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        page.push_str(text.trim_end());
        page.push('\n');
    }
}
