//! Facets of a document by its path and front matter, as the rules of a profile say.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::pattern::Pattern;

/// A facet: what it can be, and how a document gets it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facet {
    pub name: String,
    /// For agents.
    pub about: String,
    /// What can be asked for; if it is open, `asked` says what it looks like.
    #[serde(default)]
    pub values: Vec<String>,
    /// What can be asked for, as a pattern.
    pub asked: Option<Pattern>,
    /// What a document has by which no rule says anything.
    #[serde(default)]
    default: Vec<String>,
    /// All rules that fit count; otherwise the first one.
    #[serde(default)]
    many: bool,
    /// Whoever asks for the one is also given what has the others.
    #[serde(default)]
    widens: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// The document's path fits; its groups can stand in `values`.
    path: Option<Pattern>,
    /// The key of the front matter whose values are looked at, with `is`.
    front: Option<String>,
    /// A value of `front` fits; its groups can stand in `values`.
    is: Option<Pattern>,
    /// The facet has all of these already.
    #[serde(default)]
    has: Vec<String>,
    values: Vec<String>,
}

impl Facet {
    /// The values that a document has.
    fn of(&self, path: &str, front: &BTreeMap<String, Vec<String>>) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for rule in &self.rules {
            let values = rule.values_for(path, front, &found);
            let fits = !values.is_empty();
            for value in values {
                if !found.contains(&value) {
                    found.push(value);
                }
            }
            if fits && !self.many {
                break;
            }
        }
        if found.is_empty() { self.default.clone() } else { found }
    }

    /// What is to be looked for when `asked` is asked for.
    pub fn widened(&self, asked: &[String]) -> Vec<String> {
        let mut values = asked.to_vec();
        for more in asked.iter().filter_map(|value| self.widens.get(value)).flatten() {
            if !values.contains(more) {
                values.push(more.clone());
            }
        }
        values
    }

    /// What is wrong with what its rules give: values that it never has, groups that a rule's pattern lacks.
    pub fn mistakes(&self) -> Vec<String> {
        let mut told = Vec::new();
        let ruled = self.rules.iter().flat_map(|rule| rule.values.iter().chain(&rule.has));
        let widened = self.widens.iter().flat_map(|(value, more)| more.iter().chain([value]));
        // What an open facet can have is not known; what can be asked for may be less.
        if self.asked.is_none() {
            for value in self.default.iter().chain(ruled).chain(widened).filter(|value| !value.contains('$')) {
                if !self.takes(value) {
                    told.push(format!("the facet {:?} has no value {value:?} in its values", self.name));
                }
            }
        }
        for rule in &self.rules {
            let pattern = if rule.front.is_some() { &rule.is } else { &rule.path };
            for value in &rule.values {
                if let Some(group) = pattern.as_ref().and_then(|pattern| pattern.lacks(value)) {
                    told.push(format!("a rule of the facet {:?} has no group {group:?} for {value:?}", self.name));
                }
            }
        }
        told
    }

    /// Whether `value` can be asked for.
    pub fn takes(&self, value: &str) -> bool {
        self.values.iter().any(|known| known == value)
            || self.asked.as_ref().is_some_and(|pattern| pattern.matches(value))
    }
}

impl Rule {
    fn values_for(&self, path: &str, front: &BTreeMap<String, Vec<String>>, found: &[String]) -> Vec<String> {
        if !self.has.iter().all(|value| found.contains(value)) {
            return Vec::new();
        }
        if let Some(pattern) = &self.path
            && !pattern.matches(path)
        {
            return Vec::new();
        }
        let Some(key) = &self.front else {
            let by_path = |value: &String| match &self.path {
                Some(pattern) => pattern.expand(path, value),
                None => Some(value.clone()),
            };
            return self.values.iter().filter_map(by_path).collect();
        };
        let of_key = front.get(key).map(Vec::as_slice).unwrap_or_default();
        let mut values = Vec::new();
        for written in of_key {
            match &self.is {
                None => values.extend(self.values.iter().cloned()),
                Some(pattern) => {
                    values.extend(self.values.iter().filter_map(|value| pattern.expand(written, value)));
                }
            }
        }
        values
    }
}

/// All facets of a document, by the rules of `facets`.
pub fn derive(facets: &[Facet], path: &str, front: &BTreeMap<String, Vec<String>>) -> Vec<(String, Vec<String>)> {
    facets.iter().map(|facet| (facet.name.clone(), facet.of(path, front))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        facets: Vec<Facet>,
    }

    const RULES: &str = r#"
[[facets]]
name = "version"
about = "v"
asked = '^(latest|v\d+)$'
default = ["latest"]
many = true
rules = [
  { path = '^versions/v(\d+)\.', values = ["v$1"] },
  { path = '^versions/v3\.', values = ["latest"] },
]
[[facets]]
name = "platform"
about = "p"
values = ["ios", "web", "any"]
default = ["any"]
many = true
widens = { ios = ["any"] }
rules = [
  { front = "platforms", is = '^(ios|web)\*?$', values = ["$1"] },
  { has = ["ios", "web"], values = ["any"] },
]
[[facets]]
name = "kind"
about = "k"
values = ["old", "new"]
rules = [{ front = "old", is = '^true$', values = ["old"] }, { values = ["new"] }]
"#;

    fn check(path: &str, front: &[(&str, &[&str])], expect: &str) {
        let holder: Holder = toml::from_str(RULES).unwrap();
        let own = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let front = front.iter().map(|(name, values)| ((*name).to_owned(), own(values))).collect();
        let derived = derive(&holder.facets, path, &front);
        let words: Vec<String> = derived.iter().map(|(name, values)| format!("{name}={}", values.join("+"))).collect();
        assert_eq!(words.join(" "), expect, "{path} {front:?}");
    }

    #[test]
    fn facets_follow_path_and_front_matter() {
        check("guides/a.md", &[], "version=latest platform=any kind=new");
        check("versions/v3.0/a.md", &[("platforms", &["ios*"])], "version=v3+latest platform=ios kind=new");
        check(
            "versions/v2.0/a.md",
            &[("platforms", &["ios", "web", "tv"])],
            "version=v2 platform=ios+web+any kind=new",
        );
        check("a.md", &[("old", &["true"])], "version=latest platform=any kind=old");
    }

    #[test]
    fn what_is_asked_for_widens() {
        let holder: Holder = toml::from_str(RULES).unwrap();
        let own = |values: &[&str]| -> Vec<String> { values.iter().map(|value| (*value).to_owned()).collect() };
        assert_eq!(holder.facets[1].widened(&own(&["ios"])), own(&["ios", "any"]));
        assert_eq!(holder.facets[1].widened(&own(&["web", "any"])), own(&["web", "any"]));
        assert!(holder.facets[0].takes("v52") && !holder.facets[0].takes("52") && holder.facets[1].takes("web"));
    }
}
