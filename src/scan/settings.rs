//! Checks of settings that guard less than their defaults. Which those are is data: `assets/scan/settings.toml`.

use serde::Deserialize;
use serde_json::Value;

use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::mend;
use crate::config::file::{self, Setting};
use crate::config::preset::Preset;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    setting: Vec<Rule>,
}

/// When a setting guards less.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    key: String,
    looser: Option<Looser>,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    contains: Vec<String>,
    severity: Severity,
    why: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Looser {
    More,
    Less,
    False,
    Zero,
    Any,
}

impl Rule {
    fn fits(&self, value: &Value, default: &Value) -> bool {
        let words = || match value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect::<Vec<&str>>(),
        };
        let numbers = value.as_u64().zip(default.as_u64());
        let looser = self.looser.is_some_and(|looser| match looser {
            Looser::More => numbers.is_some_and(|(value, default)| value > default),
            Looser::Less => numbers.is_some_and(|(value, default)| value < default),
            Looser::False => value == &Value::Bool(false),
            Looser::Zero => value.as_u64() == Some(0),
            Looser::Any => value.as_array().is_some_and(|items| !items.is_empty()),
        });
        looser
            || words().iter().any(|word| {
                self.values.iter().any(|weak| weak == word)
                    || self.contains.iter().any(|part| word.contains(part.as_str()))
            })
    }
}

fn rules() -> Vec<Rule> {
    // A test reads it: what does not parse never ships.
    toml::from_str::<Table>(include_str!("../../assets/scan/settings.toml"))
        .map(|table| table.setting)
        .unwrap_or_default()
}

pub(super) fn loosened(facts: &Facts) -> Vec<Finding> {
    let rules = rules();
    let now = serde_json::to_value(&facts.config.raw).unwrap_or_default();
    let loosened = |setting: Setting| {
        let value = &now[&setting.table][&setting.key];
        let dotted = setting.dotted();
        let rule = rules.iter().find(|rule| rule.key == dotted && rule.fits(value, &setting.default))?;
        let why = format!("it is {value}, by default {}: {}", setting.default, rule.why);
        Some(Finding::new(
            rule.severity,
            format!("the setting {dotted}"),
            why,
            mend::default_of(&facts.config, &dotted),
        ))
    };
    file::settings().into_iter().filter_map(loosened).collect()
}

/// Where others depend on it, the values of the production preset are what the guides ask for.
pub(super) fn preset(facts: &Facts) -> Vec<Finding> {
    if facts.config.http.listen.ip().is_loopback() {
        return Vec::new();
    }
    let now = serde_json::to_value(&facts.config.raw).unwrap_or_default();
    let looser = |(dotted, wanted): (&'static str, Value)| {
        let (table, key) = dotted.split_once('.')?;
        let value = &now[table][key];
        let is_looser = match (value.as_u64(), wanted.as_u64()) {
            (Some(value), Some(wanted)) => value > wanted || value == 0,
            // Words have a check of their own.
            _ => false,
        };
        let why = format!("it is {value}; the preset \"production\" has {wanted} where other machines can call");
        let mend = mend::set(&facts.config, dotted, &wanted.to_string());
        is_looser.then(|| Finding::new(Severity::Low, format!("the setting {dotted}"), why, mend))
    };
    Preset::Production.values().into_iter().filter_map(looser).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scan::tests::facts_with;

    /// A value of which the rule speaks.
    fn weak_value(rule: &Rule, default: &Value) -> Value {
        match rule.looser {
            Some(Looser::More) => json!(default.as_u64().unwrap() + 1),
            Some(Looser::Less) => json!(default.as_u64().unwrap() - 1),
            Some(Looser::False) => json!(false),
            Some(Looser::Zero) => json!(0),
            Some(Looser::Any) => json!(["sql.union_select"]),
            None => {
                let word = rule.values.first().cloned().unwrap_or_else(|| match rule.key.as_str() {
                    "http.trusted_proxies" => "0.0.0.0/0".into(),
                    "egress.allowed_hosts" => "*.example.org".into(),
                    "inspect.group_modes" => "sql.free_text=off".into(),
                    other => panic!("no word for {other}"),
                });
                if default.is_array() { json!([word]) } else { json!(word) }
            }
        }
    }

    #[test]
    fn every_rule_names_a_setting_and_finds_it_loosened_and_the_defaults_are_not() {
        let settings = file::settings();
        assert!(rules().len() > 50, "the table was not read");
        for rule in rules() {
            let setting = settings.iter().find(|setting| setting.dotted() == rule.key);
            let setting = setting.unwrap_or_else(|| panic!("there is no setting {}", rule.key));
            assert!(!rule.fits(&setting.default, &setting.default), "the default of {} is weak", rule.key);
            let value = weak_value(&rule, &setting.default);
            let facts = facts_with(&format!("[{}]\n{} = {value}\n", setting.table, setting.key));
            let found = loosened(&facts);
            let place = format!("the setting {}", rule.key);
            let found = found.iter().find(|finding| finding.place == place);
            let found = found.unwrap_or_else(|| panic!("{} = {value} was not found", rule.key));
            assert_eq!((found.severity, found.why.contains(&rule.why)), (rule.severity, true), "{found:?}");
        }
        assert_eq!(loosened(&facts_with("")), []);
    }

    #[test]
    fn the_production_preset_is_asked_for_only_where_others_can_call() {
        assert_eq!(preset(&facts_with("")), []);
        let exposed = preset(&facts_with("[http]\nlisten = \"0.0.0.0:3000\"\n"));
        assert!(exposed.iter().any(|finding| finding.place == "the setting session.timeout_minutes"), "{exposed:?}");
        let values = "[session]\ntimeout_minutes = 30\nrotation_minutes = 15\nmax_concurrent_sessions = 3\n[rate]\nper_session = 1000\n";
        assert_eq!(preset(&facts_with(&format!("[http]\nlisten = \"0.0.0.0:3000\"\n{values}"))), []);
    }
}
