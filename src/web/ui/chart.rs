//! Bars over time as SVG: drawn here, with no script and no style of its own, so that they show in every browser.

use askama::Template;

use super::fact::Fact;
use super::page::Page;

/// Inner size, in units of the picture.
const WIDTH: u64 = 600;
const HEIGHT: u64 = 120;

/// One chart. Its colours are classes of the style sheet.
#[derive(Template)]
#[template(path = "ui/chart.html", config = "assets/askama.toml")]
pub(super) struct Bars {
    bars: Vec<Bar>,
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
                let height = tenths(bucket.count(key) * HEIGHT * 10, most);
                ground = ground.saturating_sub(height);
                Part { tone, y: decimal(ground), height: decimal(height) }
            });
            let parts = parts.filter(|part| part.height != "0.0").collect();
            let amounts: Vec<String> = series
                .iter()
                .map(|(_, key)| format!("{} {}{unit}", page.word(key), page.amount(bucket.count(key))))
                .collect();
            Bar {
                x: decimal(number * step),
                // A gap between neighbours.
                width: decimal((step * 4 / 5).max(5)),
                parts,
                said: format!("{}: {}", page.moment(&bucket.text("at")), amounts.join(", ")),
            }
        });
        let at = |bucket: Option<&Fact<'_>>| bucket.map(|bucket| page.minute(&bucket.text("at"))).unwrap_or_default();
        Self {
            bars: bars.collect(),
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
