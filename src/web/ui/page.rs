//! What every page of the dashboard has around its content, and how it says times and amounts.

use std::borrow::Borrow;

use askama::Template;

use super::look::{Language, Look, Theme};
use super::{Asks, Dashboard};
use crate::audit::filter::time::parse_time;
use crate::base::clock::Timestamp;
use crate::base::refusal::Refusal;

/// The frame of one page.
pub(super) struct Page<'a> {
    pub(super) dashboard: &'a Dashboard,
    pub(super) look: Look,
    pub(super) now: Timestamp,
    /// What forms repeat.
    pub(super) proof: String,
    /// Who is logged in, and as what.
    pub(super) who: Option<Who>,
    pub(super) places: Vec<Place>,
    /// Path and query of this page.
    pub(super) here: String,
    /// What was just done.
    pub(super) said: Option<String>,
    /// Since when nothing but health and the log is served, RFC 3339.
    pub(super) frozen: Option<String>,
}

pub(super) struct Who {
    pub(super) name: String,
    pub(super) role: &'static str,
}

/// One line of the navigation.
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) path: String,
    pub(super) is_here: bool,
}

#[allow(clippy::unused_self, reason = "templates call them on what they have, which is the page")]
impl Page<'_> {
    /// A text in the language of this page.
    pub(super) fn t<'k>(&'k self, key: &'k str) -> &'k str {
        self.dashboard.words.say(self.look.language, key)
    }

    /// A word of the program, such as an outcome, in the language of this page; as it is where it has no translation.
    pub(super) fn word(&self, word: &str) -> String {
        let found = self.dashboard.words.find(self.look.language, &format!("word.{word}"));
        found.unwrap_or(word).to_owned()
    }

    /// A place's name in the navigation.
    pub(super) fn nav(&self, name: &str) -> String {
        self.t(&format!("nav.{name}")).to_owned()
    }

    pub(super) fn asset(&self, name: &str) -> String {
        self.dashboard.assets.path(name)
    }

    pub(super) fn language(&self) -> &'static str {
        self.look.language.tag()
    }

    pub(super) fn is_language(&self, tag: &str) -> bool {
        self.look.language.tag() == tag
    }

    pub(super) fn theme(&self) -> &'static str {
        self.look.theme.name()
    }

    pub(super) fn themes(&self) -> [Theme; 3] {
        Theme::ALL
    }

    pub(super) fn languages(&self) -> [Language; 2] {
        Language::ALL
    }

    pub(super) fn theme_name(&self, theme: &str) -> String {
        self.t(&format!("site.theme_{theme}")).to_owned()
    }

    /// What a stranger wrote, with what would not be seen written out: nobody is to approve what their page hid.
    pub(super) fn visible(&self, text: &str) -> String {
        let is_seen = |character: &char| character.escape_debug().len() == 1 || matches!(character, '"' | '\'');
        let shown = |character: char| {
            if is_seen(&character) { character.to_string() } else { character.escape_debug().to_string() }
        };
        text.chars().map(shown).collect()
    }

    /// That a list shows so many of all.
    pub(super) fn newest(&self, shown: impl Borrow<usize>, all: impl Borrow<usize>) -> String {
        let (shown, all) = (self.amount(*shown.borrow() as u64), self.amount(*all.borrow() as u64));
        self.t("site.newest").replace("{n}", &shown).replace("{all}", &all)
    }

    /// Templates compare through this: what they have is borrowed once or twice.
    pub(super) fn same(&self, one: &str, other: &str) -> bool {
        one == other
    }

    /// A time as an operator reads it: to the second, in UTC.
    pub(super) fn moment(&self, rfc3339: &str) -> String {
        let seconds = rfc3339.get(..19).unwrap_or(rfc3339);
        seconds.replacen('T', " ", 1)
    }

    /// The same to the minute, without the year: below a chart there is little room.
    pub(super) fn minute(&self, rfc3339: &str) -> String {
        rfc3339.get(5..16).unwrap_or(rfc3339).replacen('T', " ", 1)
    }

    /// How long ago that was, or how long it is until then.
    pub(super) fn ago(&self, rfc3339: &str) -> String {
        let Some(at) = Some(rfc3339).filter(|text| text.contains('T')).and_then(|text| parse_time(text, self.now).ok())
        else {
            return String::new();
        };
        let (past, future) = (self.now.since(at).as_secs(), at.since(self.now).as_secs());
        let (seconds, keys) = if future > 0 {
            (future, ["ago.in_seconds", "ago.in_minutes", "ago.in_hours", "ago.in_days"])
        } else {
            (past, ["ago.seconds", "ago.minutes", "ago.hours", "ago.days"])
        };
        let [of_seconds, of_minutes, of_hours, of_days] = keys;
        let (amount, key) = match seconds {
            0..=90 => (seconds, of_seconds),
            91..=5400 => (seconds / 60, of_minutes),
            5401..=172_800 => (seconds / 3600, of_hours),
            _ => (seconds / 86_400, of_days),
        };
        self.t(key).replace("{n}", &self.amount(amount))
    }

    /// A number with a thin space every three digits.
    pub(super) fn amount(&self, number: impl Borrow<u64>) -> String {
        let digits = number.borrow().to_string();
        let mut out = String::with_capacity(digits.len() + digits.len() / 3);
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                out.push('\u{202f}');
            }
            out.push(digit);
        }
        out
    }

    /// An amount of bytes in the largest unit that leaves at least one of it.
    pub(super) fn bytes(&self, bytes: impl Borrow<u64>) -> String {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let (mut amount, mut unit) = (*bytes.borrow(), 0);
        let mut rest = 0;
        while amount >= 1024 && unit + 1 < UNITS.len() {
            rest = amount % 1024;
            amount /= 1024;
            unit += 1;
        }
        let unit_name = UNITS.get(unit).copied().unwrap_or_default();
        if unit == 0 || amount >= 100 {
            format!("{amount} {unit_name}")
        } else {
            format!("{amount}.{} {unit_name}", rest * 10 / 1024)
        }
    }

    /// Which colour a severity or an outcome has, as a class of the style sheet.
    pub(super) fn tone(&self, word: &str) -> &'static str {
        match word {
            "critical" | "high" | "refused" | "failed" | "tampered" | "open" | "deny" | "forbid" => "bad",
            "medium" | "undelivered" | "half-open" | "trial" | "incomplete" | "waits" => "warn",
            "done" | "sound" | "closed" | "ok" | "permit" => "good",
            _ => "plain",
        }
    }
}

/// A page as HTML.
pub(super) fn html(template: &impl Template) -> Result<String, Refusal> {
    template.render().map_err(Refusal::internal)
}

#[derive(Template)]
#[template(path = "ui/login.html", config = "assets/askama.toml")]
pub(super) struct Login<'a> {
    pub(super) page: &'a Page<'a>,
    pub(super) asks: &'a Asks<'a>,
}

#[derive(Template)]
#[template(path = "ui/on.html", config = "assets/askama.toml")]
pub(super) struct On<'a> {
    pub(super) page: &'a Page<'a>,
    pub(super) path: &'a str,
}

#[derive(Template)]
#[template(path = "ui/refused.html", config = "assets/askama.toml")]
pub(super) struct Refused<'a> {
    pub(super) page: &'a Page<'a>,
    pub(super) status: u16,
    pub(super) why: &'a str,
    /// The page that leads back to.
    pub(super) back: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(dashboard: &Dashboard, language: Language) -> Page<'_> {
        Page {
            dashboard,
            look: Look { language, theme: Theme::System },
            now: Timestamp(1_790_000_000_000),
            proof: String::new(),
            who: None,
            places: Vec::new(),
            here: String::new(),
            said: None,
            frozen: None,
        }
    }

    #[test]
    fn what_would_not_be_seen_is_written_out() {
        let dashboard = Dashboard::embedded();
        let page = page(&dashboard, Language::English);
        assert_eq!(page.visible("don't \"関所\""), "don't \"関所\"");
        assert_eq!(page.visible("a\u{202e}b\u{200b}c\nd\\"), "a\\u{202e}b\\u{200b}c\\nd\\\\");
    }

    #[test]
    fn times_and_amounts_are_said_as_people_say_them() {
        let dashboard = Dashboard::embedded();
        let page = page(&dashboard, Language::English);
        assert_eq!(page.ago("2026-09-21T14:12:20.000Z"), "60 s ago");
        assert_eq!(page.ago("2026-09-21T13:53:20Z"), "20 min ago");
        assert_eq!(page.ago("2026-09-20T14:13:20Z"), "24 h ago");
        assert_eq!(page.ago("2026-09-11T14:13:20Z"), "10 days ago");
        assert_eq!(page.ago("2026-09-26T14:13:20Z"), "in 5 days");
        assert_eq!((page.ago(""), page.ago("soon")), (String::new(), String::new()));
        assert_eq!(page.moment("2026-09-26T14:13:20.123Z"), "2026-09-26 14:13:20");
        assert_eq!(
            [7_u64, 1234, 1_234_567].map(|number| page.amount(number)),
            ["7", "1\u{202f}234", "1\u{202f}234\u{202f}567"]
        );
        assert_eq!(
            [5_u64, 1536, 5 << 20, 300 << 30].map(|bytes| page.bytes(bytes)),
            ["5 B", "1.5 KiB", "5.0 MiB", "300 GiB"]
        );
    }

    #[test]
    fn what_somebody_wrote_becomes_no_markup() {
        let dashboard = Dashboard::embedded();
        let page = page(&dashboard, Language::Japanese);
        let shown =
            html(&Refused { page: &page, status: 403, why: "<script>alert(1)</script>\"'&", back: "/ui/" }).unwrap();
        assert!(!shown.contains("<script>alert") && shown.contains("alert(1)"), "{shown}");
        assert!(shown.contains("<html lang=\"ja\""), "{shown}");
    }
}
