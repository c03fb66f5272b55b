//! How pages look: in which language, light or dark. Kept in cookies that say nothing else.

use ::http::{HeaderMap, header};

use super::form::Form;

const LANGUAGE: &str = "sekisho-language";
const THEME: &str = "sekisho-theme";

/// What a browser chose, or what it says that its person reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub language: Language,
    pub theme: Theme,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    Japanese,
}

/// `System` is what the browser prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    System,
    Light,
    Dark,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::Japanese];

    /// BCP 47.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    /// As its readers call it.
    pub fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Japanese => "日本語",
        }
    }

    fn named(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }
}

impl Look {
    pub fn of(headers: &HeaderMap) -> Self {
        let chosen = cookie_named(headers, LANGUAGE).and_then(Language::named);
        let theme = cookie_named(headers, THEME).and_then(Theme::named);
        Self { language: chosen.unwrap_or_else(|| accepted(headers)), theme: theme.unwrap_or(Theme::System) }
    }

    /// The same one, with what a form chose.
    pub fn changed(self, form: &Form) -> Self {
        Self {
            language: Language::named(form.text("language")).unwrap_or(self.language),
            theme: Theme::named(form.text("theme")).unwrap_or(self.theme),
        }
    }

    /// Names and values.
    pub fn cookies(self) -> [(&'static str, &'static str); 2] {
        [(LANGUAGE, self.language.tag()), (THEME, self.theme.name())]
    }
}

/// The first language of `Accept-Language` that we have: browsers name the dearest first (RFC 9110, section 12.5.4).
fn accepted(headers: &HeaderMap) -> Language {
    let said = headers.get(header::ACCEPT_LANGUAGE).and_then(|said| said.to_str().ok()).unwrap_or_default();
    let mut tags = said.split(',').filter_map(|range| range.trim().split([';', '-']).next());
    tags.find_map(|tag| Language::named(&tag.to_ascii_lowercase())).unwrap_or(Language::English)
}

/// The value of a cookie.
pub fn cookie_named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    #[test]
    fn the_language_is_the_chosen_one_or_the_browsers_first_that_we_have() {
        let check = |accept: &'static str, cookie: &'static str, expect: Language| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
            headers.insert(header::COOKIE, HeaderValue::from_static(cookie));
            assert_eq!(Look::of(&headers).language, expect, "{accept} {cookie}");
        };
        check("", "", Language::English);
        check("de-DE, de;q=0.9", "", Language::English);
        check("fr, ja-JP;q=0.8, en;q=0.7", "", Language::Japanese);
        check("en-US,en;q=0.9,ja;q=0.8", "", Language::English);
        check("ja", "a=b; sekisho-language=en", Language::English);
        check("en", "sekisho-language=xx; sekisho-theme=dark", Language::English);
    }
}
