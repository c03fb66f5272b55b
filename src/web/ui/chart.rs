//! Bars over time as SVG: drawn here, with no script and no style of its own, so that they show in every browser.

use askama::Template;

use super::fact::Fact;
use super::page::Page;

/// Inner size, in units of the picture.
const WIDTH: u64 = 600;
const HEIGHT: u64 = 120;

/// Tenths of a unit that are seen as something.
const SEEN: u64 = 15;

/// One chart. Its colours are classes of the style sheet.
#[derive(Template)]
#[template(path = "ui/chart.html", config = "assets/askama.toml")]
pub(super) struct Bars {
    bars: Vec<Bar>,
    /// Heads of the columns that are read out in the picture's place.
    heads: Vec<String>,
    most: String,
    from: String,
    to: String,
    width: u64,
    height: u64,
    /// Whether there is anything but zeros.
    pub(super) has_any: bool,
}

struct Bar {
    x: String,
    width: String,
    /// Upward from the ground.
    parts: Vec<Part>,
    /// What it says when it is pointed at.
    said: String,
    at: String,
    amounts: Vec<String>,
}

struct Part {
    tone: &'static str,
    y: String,
    height: String,
}

impl Bars {
    /// `series` are the classes and the keys of what is stacked in each bar.
    pub(super) fn of(page: &Page<'_>, buckets: &[Fact<'_>], series: &[(&'static str, &str)], unit: &str) -> Self {
        let total = |bucket: &Fact<'_>| series.iter().map(|(_, key)| bucket.count(key)).sum::<u64>();
        let most = buckets.iter().map(total).max().unwrap_or_default();
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        let step = tenths(WIDTH * 10, buckets.len() as u64);
        let bars = (0_u64..).zip(buckets).map(|(number, bucket)| {
            let mut ground = HEIGHT * 10;
            let parts = series.iter().map(|(tone, key)| {
                let count = bucket.count(key);
                // What there is of it shows, however little beside the highest bar.
                let height = tenths(count * HEIGHT * 10, most).max(if count > 0 { SEEN } else { 0 });
                ground = ground.saturating_sub(height);
                Part { tone, y: decimal(ground), height: decimal(height) }
            });
            let parts = parts.filter(|part| part.height != "0.0").collect();
            let amounts: Vec<String> = series
                .iter()
                .map(|(_, key)| format!("{} {}{unit}", page.word(key), page.amount(bucket.count(key))))
                .collect();
            let at = page.moment(&bucket.text("at"));
            Bar {
                x: decimal(number * step),
                // A gap between neighbours.
                width: decimal((step * 4 / 5).max(5)),
                parts,
                said: format!("{at}: {}", amounts.join(", ")),
                at,
                amounts: series.iter().map(|(_, key)| format!("{}{unit}", page.amount(bucket.count(key)))).collect(),
            }
        });
        let at = |bucket: Option<&Fact<'_>>| bucket.map(|bucket| page.minute(&bucket.text("at"))).unwrap_or_default();
        Self {
            bars: bars.collect(),
            heads: [page.t("logbook.at").to_owned()]
                .into_iter()
                .chain(series.iter().map(|(_, key)| page.word(key)))
                .collect(),
            most: format!("{}{unit}", page.amount(most)),
            from: at(buckets.first()),
            to: at(buckets.last()),
            width: WIDTH,
            height: HEIGHT,
            has_any: most > 0,
        }
    }
}

/// A part of `whole`, rounded down; nothing of nothing.
fn tenths(part: u64, whole: u64) -> u64 {
    part.checked_div(whole).unwrap_or_default()
}

fn decimal(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::web::ui::Dashboard;
    use crate::web::ui::look::{Language, Look, Theme};

    #[test]
    fn a_single_refusal_among_a_million_calls_is_seen_and_read_out() {
        let dashboard = Dashboard::embedded();
        let page = Page {
            dashboard: &dashboard,
            look: Look { language: Language::English, theme: Theme::System },
            now: Timestamp(0),
            proof: String::new(),
            who: None,
            places: Vec::new(),
            here: String::new(),
            said: None,
            frozen: None,
        };
        let buckets = [
            json!({"at": "2026-09-21T14:12:00Z", "answered": 1_000_000, "refused": 1}),
            json!({"at": "2026-09-21T14:13:00Z", "answered": 0, "refused": 0}),
        ];
        let buckets: Vec<Fact<'_>> = buckets.iter().map(Fact).collect();
        let bars = Bars::of(&page, &buckets, &[("good", "answered"), ("bad", "refused")], "");
        let parts: Vec<(&str, &str, &str)> =
            bars.bars[0].parts.iter().map(|part| (part.tone, part.y.as_str(), part.height.as_str())).collect();
        assert_eq!(parts, [("good", "0.1", "119.9"), ("bad", "0.0", "1.5")]);
        let shown = bars.render().unwrap();
        assert!(
            shown.contains("<th scope=\"row\">2026-09-21 14:12:00</th><td>1\u{202f}000\u{202f}000</td><td>1</td>"),
            "{shown}"
        );
        assert!(!shown.contains("14:13:00</th>"), "a row of nothing is not read out: {shown}");
    }
}
