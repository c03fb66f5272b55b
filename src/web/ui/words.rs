//! The texts of the dashboard, in each language: `assets/ui/en.toml` and `assets/ui/ja.toml`.

use std::collections::BTreeMap;

use super::asset::file;
use super::look::Language;

/// All texts of all languages, by keys such as `sessions.title`.
#[derive(Debug)]
pub(super) struct Words {
    english: BTreeMap<String, String>,
    japanese: BTreeMap<String, String>,
}

impl Words {
    /// Of the files that are built in; tests hold that they can be read.
    pub(super) fn embedded() -> Self {
        Self { english: table(Language::English), japanese: table(Language::Japanese) }
    }

    /// The text of `key`; where there is none, the key.
    pub(super) fn say<'a>(&'a self, language: Language, key: &'a str) -> &'a str {
        self.find(language, key).unwrap_or(key)
    }

    /// The text of `key`, if it has one.
    pub(super) fn find(&self, language: Language, key: &str) -> Option<&str> {
        let texts = match language {
            Language::English => &self.english,
            Language::Japanese => &self.japanese,
        };
        texts.get(key).map(String::as_str)
    }
}

fn table(language: Language) -> BTreeMap<String, String> {
    let bytes = file(&format!("{}.toml", language.tag())).unwrap_or_default();
    let tables: BTreeMap<String, BTreeMap<String, String>> =
        toml::from_str(&String::from_utf8_lossy(&bytes)).unwrap_or_default();
    let mut flat = BTreeMap::new();
    for (table, texts) in tables {
        flat.extend(texts.into_iter().map(|(key, text)| (format!("{table}.{key}"), text)));
    }
    flat
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Keys as templates and code name them.
    fn used() -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = ["assets/ui", "src/web/ui", "src/http/ui"].map(|folder| fs::read_dir(root.join(folder)).unwrap());
        let mut keys = BTreeSet::new();
        for path in files.into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let is_read = path.extension().is_some_and(|kind| kind == "html" || kind == "rs");
            let text = if is_read { fs::read_to_string(&path).unwrap() } else { continue };
            for quoted in text.split('"').skip(1).step_by(1) {
                let is_key = quoted.split_once('.').is_some_and(|(table, key)| {
                    TABLES.contains(&table)
                        && !key.is_empty()
                        && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                });
                if is_key {
                    keys.insert(quoted.to_owned());
                }
            }
        }
        keys
    }

    /// The tables of texts. None of them is the beginning of an operation's name in a template.
    const TABLES: [&str; 19] = [
        "site",
        "nav",
        "login",
        "said",
        "ago",
        "word",
        "overview",
        "live",
        "sessions",
        "bans",
        "logbook",
        "libraries",
        "connectors",
        "credentials",
        "accounts",
        "policies",
        "settings",
        "backups",
        "refused",
    ];

    #[test]
    fn both_languages_have_the_same_texts_and_the_pages_use_no_other() {
        let words = Words::embedded();
        let keys = |texts: &BTreeMap<String, String>| texts.keys().cloned().collect::<BTreeSet<_>>();
        let (english, japanese) = (keys(&words.english), keys(&words.japanese));
        assert!(english.len() > 100, "{}", english.len());
        assert_eq!(english.symmetric_difference(&japanese).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(used().difference(&english).collect::<Vec<_>>(), Vec::<&String>::new(), "used, and not there");
        for (key, text) in words.english.iter().chain(&words.japanese) {
            assert!(!text.trim().is_empty() && !text.contains('<'), "{key} = {text:?}");
        }
    }

    /// No text has this key.
    const NOTHING: &str = "nav nothing";

    #[test]
    fn a_text_is_said_in_its_language_and_a_key_without_text_as_it_is() {
        let words = Words::embedded();
        assert_eq!(words.say(Language::English, "nav.sessions"), "Sessions");
        assert_eq!(words.say(Language::Japanese, "nav.sessions"), "セッション");
        assert_eq!(words.say(Language::Japanese, NOTHING), NOTHING);
        assert_eq!(words.find(Language::Japanese, NOTHING), None);
    }
}
