//! Plots over time as SVG: lines, areas and stacked bars, with no script, no inline style and nothing from outside.
//!
//! Colours come from classes ([`STYLE`]), so that a strict Content-Security-Policy holds. Everything is counted in whole
//! numbers: the same figures give the same bytes.

use std::fmt::Write as _;

use crate::base::bound::plot as bound;
use crate::base::clock::Timestamp;

/// The rules for the classes that plots use; a page puts them into its own style sheet once.
pub const STYLE: &str = include_str!("../assets/plot.css");

/// What is drawn. All texts are escaped.
#[derive(Clone, Debug)]
pub struct Plot<'a> {
    /// Unique in its page, of letters, digits and `-`; other characters are left out.
    pub id: &'a str,
    pub title: &'a str,
    /// What a person who does not see the plot should know of it.
    pub description: &'a str,
    /// What the numbers count, such as `calls` or `ms`.
    pub unit: &'a str,
    /// The left end.
    pub from: Timestamp,
    /// The right end.
    pub to: Timestamp,
    /// How long a bar stands for, in milliseconds; lines and areas leave it alone.
    pub step_ms: u64,
    pub shape: Shape,
    /// At most [`bound::SERIES_MAX`]; others are left out.
    pub series: Vec<Series<'a>>,
}

/// One set of figures.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    pub name: &'a str,
    /// By time, oldest first; a bar begins at its time. Points outside of the plot are left out, as are those beyond
    /// [`bound::POINTS_MAX`].
    pub points: Vec<(Timestamp, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Line,
    /// A line, and what is below it.
    Area,
    /// Bars; the series stand on top of each other.
    Bars,
}

// In tenths of a pixel.
const WIDTH: u64 = 7200;
const HEIGHT: u64 = 2400;
const LEFT: u64 = 560;
const RIGHT: u64 = 7100;
const TOP: u64 = 300;
const BOTTOM: u64 = 2100;

impl Plot<'_> {
    /// The `<svg>` element.
    pub fn svg(&self) -> String {
        let id: String = self.id.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '-').collect();
        let mut out = String::with_capacity(4096);
        write(
            &mut out,
            format_args!(
                "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" \
                 aria-labelledby=\"{id}-title {id}-desc\"><title id=\"{id}-title\">{}</title><desc id=\"{id}-desc\">{}</desc>",
                WIDTH / 10,
                HEIGHT / 10,
                Escaped(self.title),
                Escaped(self.description)
            ),
        );
        let series = self.inside();
        let scale = Scale::of(self.highest(&series));
        self.legend(&mut out, &series);
        self.grid(&mut out, &scale);
        if series.iter().all(Vec::is_empty) {
            let (x, y) = (Tenths(u64::midpoint(LEFT, RIGHT)), Tenths(u64::midpoint(TOP, BOTTOM)));
            write(&mut out, format_args!("<text class=\"plot-none\" x=\"{x}\" y=\"{y}\">none</text>"));
        }
        match self.shape {
            Shape::Bars => self.bars(&mut out, &series, &scale),
            Shape::Line | Shape::Area => {
                for (place, points) in series.iter().enumerate() {
                    self.line(&mut out, place, points, &scale);
                }
            }
        }
        out.push_str("</svg>");
        out
    }

    /// The points that are drawn.
    fn inside(&self) -> Vec<Vec<(Timestamp, u64)>> {
        let drawn = |series: &Series<'_>| {
            let inside = series.points.iter().filter(|(at, _)| (self.from..=self.to).contains(at));
            inside.take(bound::POINTS_MAX).copied().collect()
        };
        self.series.iter().take(bound::SERIES_MAX).map(drawn).collect()
    }

    fn highest(&self, series: &[Vec<(Timestamp, u64)>]) -> u64 {
        if self.shape == Shape::Bars {
            return stacks(series).into_iter().map(|(_, parts)| sum(&parts)).max().unwrap_or_default();
        }
        series.iter().flatten().map(|(_, value)| *value).max().unwrap_or_default()
    }

    fn x(&self, at: Timestamp) -> u64 {
        let span = u128::from(self.to.0.saturating_sub(self.from.0).max(1));
        let offset = u128::from(at.0.saturating_sub(self.from.0)) * u128::from(RIGHT - LEFT) / span;
        LEFT + u64::try_from(offset).unwrap_or(u64::MAX).min(RIGHT - LEFT)
    }

    fn legend(&self, out: &mut String, series: &[Vec<(Timestamp, u64)>]) {
        let mut x = LEFT;
        for (place, (series, _)) in self.series.iter().zip(series).enumerate() {
            let (mark, name) = (Tenths(x), Tenths(x + 140));
            write(
                out,
                format_args!(
                    "<rect class=\"plot-s{place}\" x=\"{mark}\" y=\"5\" width=\"10\" height=\"10\"/>\
                     <text x=\"{name}\" y=\"14\">{}</text>",
                    Escaped(series.name)
                ),
            );
            x += 260 + 70 * series.name.chars().count() as u64;
        }
        write(
            out,
            format_args!("<text class=\"plot-y\" x=\"{}\" y=\"14\">{}</text>", Tenths(RIGHT), Escaped(self.unit)),
        );
    }

    fn grid(&self, out: &mut String, scale: &Scale) {
        for value in scale.ticks() {
            let y = scale.y(value);
            write(
                out,
                format_args!(
                    "<line class=\"plot-grid\" x1=\"{}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>\
                     <text class=\"plot-y\" x=\"{}\" y=\"{}\">{}</text>",
                    Tenths(LEFT),
                    Tenths(RIGHT),
                    Tenths(LEFT - 60),
                    Tenths(y.0 + 40),
                    short(value),
                ),
            );
        }
        let span_ms = self.to.0.saturating_sub(self.from.0);
        for part in 0..=bound::TIME_TICKS {
            let at = Timestamp(self.from.0 + span_ms / bound::TIME_TICKS * part);
            let x = self.x(at).clamp(LEFT + 200, RIGHT - 200);
            let label = when(at, span_ms);
            write(
                out,
                format_args!(
                    "<text class=\"plot-x\" x=\"{}\" y=\"{}\">{label}</text>",
                    Tenths(x),
                    Tenths(BOTTOM + 180)
                ),
            );
        }
    }

    fn line(&self, out: &mut String, place: usize, points: &[(Timestamp, u64)], scale: &Scale) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
        let mut path = String::new();
        for (at, value) in points {
            let command = if path.is_empty() { 'M' } else { 'L' };
            write(&mut path, format_args!("{command}{} {}", Tenths(self.x(*at)), scale.y(*value)));
        }
        if points.len() == 1 {
            // A path to where it began is nothing: a short dash can be seen.
            write(&mut path, format_args!("h4"));
        }
        if self.shape == Shape::Area {
            let (from, to, floor) = (Tenths(self.x(first.0)), Tenths(self.x(last.0)), Tenths(BOTTOM));
            write(
                out,
                format_args!("<path class=\"plot-area plot-s{place}\" d=\"{path}L{to} {floor}L{from} {floor}Z\"/>"),
            );
        }
        write(out, format_args!("<path class=\"plot-line plot-s{place}\" d=\"{path}\"/>"));
    }

    fn bars(&self, out: &mut String, series: &[Vec<(Timestamp, u64)>], scale: &Scale) {
        for (at, parts) in stacks(series) {
            let left = self.x(at);
            let right = self.x(Timestamp(at.0.saturating_add(self.step_ms)));
            // A gap between bars, where there is room for one.
            let width = right.saturating_sub(left);
            let width = if width > 30 { width - 10 } else { width.max(5) };
            let mut below = 0_u64;
            for (place, value) in parts.into_iter().enumerate().filter(|(_, value)| *value > 0) {
                let (top, bottom) = (scale.y(below.saturating_add(value)), scale.y(below));
                below = below.saturating_add(value);
                let name = self.series.get(place).map_or("", |series| series.name);
                write(
                    out,
                    format_args!(
                        "<rect class=\"plot-s{place}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\">\
                         <title>{}: {value} {}</title></rect>",
                        Tenths(left),
                        Tenths(width),
                        Tenths(bottom.0.saturating_sub(top.0).max(5)),
                        when(at, self.step_ms.saturating_mul(10)),
                        Escaped(name)
                    ),
                );
            }
        }
    }
}

/// By time, one value of each series.
fn stacks(series: &[Vec<(Timestamp, u64)>]) -> Vec<(Timestamp, Vec<u64>)> {
    let mut stacks: std::collections::BTreeMap<Timestamp, Vec<u64>> = std::collections::BTreeMap::new();
    for (place, points) in series.iter().enumerate() {
        for (at, value) in points {
            let parts = stacks.entry(*at).or_insert_with(|| vec![0; series.len()]);
            if let Some(part) = parts.get_mut(place) {
                *part += value;
            }
        }
    }
    stacks.into_iter().collect()
}

fn sum(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |sum: u64, part| sum.saturating_add(*part))
}

/// From zero to a round number that is no less than the highest value.
struct Scale {
    step: u64,
    top: u64,
}

impl Scale {
    fn of(highest: u64) -> Self {
        let mut decade = 1_u64;
        loop {
            for factor in [1, 2, 5] {
                let step = decade.saturating_mul(factor);
                if highest.div_ceil(step) <= bound::VALUE_TICKS_MAX || step == u64::MAX {
                    return Self { step, top: step.saturating_mul(highest.div_ceil(step).max(1)) };
                }
            }
            decade = decade.saturating_mul(10);
        }
    }

    fn ticks(&self) -> impl Iterator<Item = u64> {
        let step = self.step;
        (0..=self.top / step).map(move |count| count * step)
    }

    fn y(&self, value: u64) -> Tenths {
        let height = u128::from(value.min(self.top)) * u128::from(BOTTOM - TOP) / u128::from(self.top);
        Tenths(BOTTOM - u64::try_from(height).unwrap_or(BOTTOM - TOP))
    }
}

/// A length in pixels, kept in tenths of one.
#[derive(Clone, Copy)]
struct Tenths(u64);

impl std::fmt::Display for Tenths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}", self.0 / 10),
            tenths => write!(f, "{}.{tenths}", self.0 / 10),
        }
    }
}

/// Text between tags or in an attribute.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // XML has no way to write most of them.
                char if char.is_control() => f.write_char(' ')?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

/// A time of an axis that is `span_ms` long, in UTC.
fn when(at: Timestamp, span_ms: u64) -> String {
    const DAY_MS: u64 = 86_400_000;
    let text = at.rfc3339();
    let range = match span_ms {
        0..=DAY_MS => 11..16,
        _ if span_ms <= 10 * DAY_MS => 5..16,
        _ => 0..10,
    };
    text.get(range).unwrap_or(&text).replace('T', " ")
}

/// A value of an axis.
fn short(value: u64) -> String {
    for (unit, name) in [(1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")] {
        if value >= unit {
            let unit = if name == "k" { 1000 } else { unit };
            return match value % unit * 10 / unit {
                0 => format!("{}{name}", value / unit),
                tenth => format!("{}.{tenth}{name}", value / unit),
            };
        }
    }
    value.to_string()
}

/// Writing to a String cannot fail.
fn write(out: &mut String, what: std::fmt::Arguments<'_>) {
    let _never = out.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: u64 = 1_790_000_000_000;

    fn plot(shape: Shape, title: &str, points: Vec<(u64, u64)>) -> Plot<'_> {
        let points = points.into_iter().map(|(at, value)| (Timestamp(NOON + at), value)).collect();
        Plot {
            id: "calls",
            title,
            description: "how many",
            unit: "calls",
            from: Timestamp(NOON),
            to: Timestamp(NOON + 1000),
            step_ms: 100,
            shape,
            series: vec![Series { name: title, points }],
        }
    }

    #[test]
    fn a_line_goes_from_the_left_end_to_the_right_one() {
        let svg = plot(Shape::Line, "a", vec![(0, 0), (500, 5), (1000, 10)]).svg();
        assert!(svg.contains("<path class=\"plot-line plot-s0\" d=\"M56 210L383 120L710 30\"/>"), "{svg}");
        assert!(!svg.contains("plot-area"));
    }

    #[test]
    fn an_area_ends_at_the_ground_line() {
        let svg = plot(Shape::Area, "a", vec![(0, 10), (1000, 10)]).svg();
        assert!(svg.contains("d=\"M56 30L710 30L710 210L56 210Z\""), "{svg}");
    }

    #[test]
    fn bars_of_one_time_stand_on_each_other() {
        let mut stacked = plot(Shape::Bars, "done", vec![(0, 6)]);
        stacked.series.push(Series { name: "refused", points: vec![(Timestamp(NOON), 4)] });
        let svg = stacked.svg();
        // 6 from the ground, 4 from there to the top of a scale that ends at 10.
        assert!(svg.contains("<rect class=\"plot-s0\" x=\"56\" y=\"102\" width=\"64.4\" height=\"108\">"), "{svg}");
        assert!(svg.contains("<rect class=\"plot-s1\" x=\"56\" y=\"30\" width=\"64.4\" height=\"72\">"), "{svg}");
        assert!(svg.contains(": 4 refused</title>"), "{svg}");
    }

    #[test]
    fn nothing_is_told_as_nothing() {
        let svg = plot(Shape::Bars, "a", Vec::new()).svg();
        assert!(svg.contains(">none</text>") && !svg.contains("<path"), "{svg}");
        assert!(svg.contains("role=\"img\"") && svg.contains("<desc id=\"calls-desc\">how many</desc>"), "{svg}");
    }

    #[test]
    fn values_on_an_axis_are_round_and_short() {
        let ticks = |highest| Scale::of(highest).ticks().collect::<Vec<_>>();
        assert_eq!(ticks(0), [0, 1]);
        assert_eq!(ticks(3), [0, 1, 2, 3]);
        assert_eq!(ticks(17), [0, 5, 10, 15, 20]);
        assert_eq!(ticks(1001), [0, 500, 1000, 1500]);
        assert_eq!([0, 9999, 12_300, 4_000_000].map(short), ["0", "9999", "12.3k", "4M"]);
        assert!(Scale::of(u64::MAX).top > 0);
    }

    #[test]
    fn an_axis_tells_times_days_or_dates() {
        let at = Timestamp(NOON);
        assert_eq!(when(at, 1000), "14:13");
        assert_eq!(when(at, 3 * 86_400_000), "09-21 14:13");
        assert_eq!(when(at, 90 * 86_400_000), "2026-09-21");
    }

    /// Tags, quotes and the ends of comments from outside stay text, and there is nothing that a strict policy refuses.
    #[test]
    fn hostile_texts_stay_texts() {
        let hostile = "</title><script>alert(1)</script>\" onload='x' style=\"x\" & ]]> --> \u{0}";
        for shape in [Shape::Line, Shape::Area, Shape::Bars] {
            let mut plot = plot(shape, hostile, vec![(0, 1), (1000, 2)]);
            (plot.description, plot.unit, plot.id) = (hostile, hostile, "a\" onload=\"x");
            let svg = plot.svg();
            assert!(!svg.contains("<script") && !svg.contains('\u{0}') && !svg.contains('\''), "{svg}");
            assert!(!svg.contains(" style=\"") && !svg.contains(" onload=\""), "{svg}");
            assert!(svg.contains("id=\"aonloadx-title\""), "{svg}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_plotted_stays_in_its_frame(
            points in proptest::collection::vec((0..2000_u64, any::<u64>()), 0..50), from: u64, span: u64
        ) {
            for shape in [Shape::Line, Shape::Area, Shape::Bars] {
                let mut plot = plot(shape, "a", points.clone());
                plot.series[0].points.iter_mut().for_each(|(_, value)| *value /= 64);
                let whole = plot.svg();
                prop_assert!(whole.len() < 30_000);
                (plot.from, plot.to) = (Timestamp(from), Timestamp(from.saturating_add(span)));
                let svg = plot.svg();
                for rest in svg.split(" x=\"").skip(1).chain(whole.split(" x=\"").skip(1)) {
                    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
                    prop_assert!(number.parse::<u64>().is_ok_and(|x| x <= 720), "{}", rest);
                }
            }
        }
    }
}
