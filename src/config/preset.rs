//! The file that `init` writes: every key with its meaning and default commented out, and what a preset sets.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::file;

/// Values that go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// The defaults.
    #[default]
    Standard,
    /// What the guides of the replaced servers ask for where others depend on it: shorter sessions, fewer of them,
    /// fewer calls in each, a credential on every way in.
    Production,
}

impl Preset {
    /// What differs from the defaults, or is said again because it must not be forgotten.
    pub fn values(self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Standard => Vec::new(),
            Self::Production => vec![
                ("http.authentication", json!("required")),
                ("session.timeout_minutes", json!(30)),
                ("session.rotation_minutes", json!(15)),
                ("session.max_concurrent_sessions", json!(3)),
                ("rate.per_session", json!(1000)),
            ],
        }
    }
}

/// The file with nothing in force.
pub fn commented() -> String {
    commented_with(&[])
}

/// The file with `values` in force, by their dotted keys.
pub fn commented_with(values: &[(&str, Value)]) -> String {
    let schema = file::schema();
    let mut text = String::from(
        "# Sekisho's configuration. Every key has the default shown; remove the # to change one.\n\
         # Each key can also be set by an environment variable: http.listen is SEKISHO_HTTP_LISTEN.\n\
         # `sekisho config check` checks this file, `sekisho config show` prints what is in force.\n",
    );
    let mut table = String::new();
    for setting in file::settings() {
        if setting.table != table {
            table.clone_from(&setting.table);
            let about = schema["properties"][&table]["description"].as_str().unwrap_or_default();
            // Writing to a String cannot fail.
            write!(text, "\n# {about}\n[{table}]\n").unwrap_or_default();
        }
        let chosen = values.iter().find(|(key, _)| *key == setting.dotted()).map(|(_, value)| value);
        let (mark, value) = chosen.map_or(("# ", &setting.default), |value| ("", value));
        let value = match value {
            Value::Null => "\"\"".to_owned(),
            value => value.to_string(),
        };
        write!(text, "\n# {}\n{mark}{} = {value}\n", setting.description, setting.key).unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::env::Environment;
    use crate::config::raw::Raw;

    #[test]
    fn the_commented_file_is_the_defaults_and_names_every_key() {
        let text = commented();
        let uncommented: String = text
            .lines()
            .map(|line| {
                line.strip_prefix("# ").filter(|rest| rest.contains(" = ") && !rest.contains(". ")).unwrap_or(line)
            })
            .fold(String::new(), |mut all, line| {
                all.push_str(line);
                all.push('\n');
                all
            });
        assert_eq!(file::parse(&text, Path::new("a"), &Environment::default()).unwrap().raw, Raw::default());
        for setting in file::settings() {
            assert!(uncommented.contains(&format!("\n{} = ", setting.key)), "{}", setting.dotted());
            assert!(!setting.description.is_empty(), "{}", setting.dotted());
        }
    }

    #[test]
    fn a_preset_is_valid_and_sets_what_it_names() {
        let values = Preset::Production.values();
        let config = file::parse(&commented_with(&values), Path::new("a"), &Environment::default()).unwrap().raw;
        let config = serde_json::to_value(config).unwrap();
        for (key, value) in values {
            let (table, key) = key.split_once('.').unwrap();
            assert_eq!(config[table][key], value, "{key}");
        }
    }
}
