//! Front matter: the YAML between `---` or the TOML between `+++` at the top of a file, and the facets in it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::base::bound::{
    DOCUMENT_FACETS_MAX, FACET_VALUE_BYTES_MAX, FACET_VALUES_MAX, FRONT_MATTER_BYTES_MAX, FRONT_MATTER_DEPTH_MAX,
    FRONT_MATTER_ENTRIES_MAX, FRONT_MATTER_NODES_MAX,
};

/// A file's front matter and where its body starts.
#[derive(Default, Debug, PartialEq)]
pub(super) struct Front {
    pub(super) values: Map<String, Value>,
    pub(super) body_start: usize,
    pub(super) warning: Option<String>,
}

/// Finds and reads the front matter. It never fails: what cannot be read is left out, and said.
#[must_use]
pub(super) fn read(source: &str) -> Front {
    let Some((language, opening)) = opening(source) else {
        return Front::default();
    };
    let Some((block, body_start)) = block(source, opening, language.fence()) else {
        let looks_meant = is_key(source.get(opening..).unwrap_or_default(), language);
        return Front {
            warning: looks_meant.then(|| {
                format!(
                    "front matter ignored: expected a closing `{}` within {FRONT_MATTER_BYTES_MAX} bytes, found none; close it",
                    language.fence()
                )
            }),
            ..Front::default()
        };
    };
    match language.values(block) {
        Ok(Value::Object(values)) => Front { values, body_start, warning: None },
        Ok(Value::Null) => Front { body_start, ..Front::default() },
        // Prose between two thematic breaks is no front matter, and no mistake either.
        Err(_) | Ok(_) if !is_key(block, language) => Front::default(),
        // Meant as front matter: without its delimiters it would read as a heading, so it is left out of the body.
        Ok(_) => Front {
            body_start,
            warning: Some("front matter ignored: expected a list of `key: value`, found something else".to_owned()),
            ..Front::default()
        },
        // Real sites hold a lot of nearly-YAML such as `title: @expo/ui`: what can be told apart line by line is kept.
        Err(reason) => Front {
            values: if let Language::Yaml = language { entries(block) } else { Map::new() },
            body_start,
            warning: Some(format!(
                "front matter read line by line: expected {}, found: {reason}; quote the value",
                language.name()
            )),
        },
    }
}

/// The entries of broken YAML that can be read one by one, and one-line values that are plainly text.
fn entries(block: &str) -> Map<String, Value> {
    let mut values = Map::new();
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in block.split_inclusive('\n') {
        if !line.starts_with([' ', '\t', '-', '#', '\n']) {
            starts.push(at);
        }
        at += line.len();
    }
    for (n, start) in starts.iter().enumerate().take(FRONT_MATTER_ENTRIES_MAX) {
        let end = starts.get(n + 1).copied().unwrap_or(block.len());
        let entry = block.get(*start..end).unwrap_or_default();
        if let Ok(Value::Object(read)) = yaml(entry) {
            for (key, value) in read {
                values.entry(key).or_insert(value);
            }
            continue;
        }
        let Some((key, text)) = entry.trim_end().split_once(": ") else {
            continue;
        };
        let text = text.trim();
        let is_text = !text.contains('\n') && !text.starts_with(['[', '{', '&', '*', '|', '>', '!']);
        if is_text && is_key(entry, Language::Yaml) {
            values.entry(key.trim()).or_insert_with(|| Value::from(text));
        }
    }
    values
}

#[derive(Clone, Copy)]
enum Language {
    Yaml,
    Toml,
}

impl Language {
    fn fence(self) -> &'static str {
        match self {
            Language::Yaml => "---",
            Language::Toml => "+++",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Language::Yaml => "YAML",
            Language::Toml => "TOML",
        }
    }

    fn values(self, block: &str) -> Result<Value, String> {
        match self {
            Language::Yaml => yaml(block),
            Language::Toml => block
                .parse::<toml::Table>()
                .map_err(|error| first_line(error.message()))
                .and_then(|table| json(toml::Value::Table(table), FRONT_MATTER_DEPTH_MAX)),
        }
    }
}

fn yaml(block: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: FRONT_MATTER_DEPTH_MAX,
            max_nodes: FRONT_MATTER_NODES_MAX,
            max_events: 4 * FRONT_MATTER_NODES_MAX,
            max_aliases: 256,
            max_anchors: 256,
        },
    };
    if block.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str_with_options::<Value>(block, options).map_err(|error| first_line(&error.to_string()))
}

/// TOML has one kind of value that JSON has not: dates, which become text.
fn json(value: toml::Value, depth: usize) -> Result<Value, String> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err("values nested too deep".to_owned());
    };
    Ok(match value {
        toml::Value::String(it) => Value::String(it),
        toml::Value::Integer(it) => Value::from(it),
        toml::Value::Float(it) => Value::from(it),
        toml::Value::Boolean(it) => Value::Bool(it),
        toml::Value::Datetime(it) => Value::String(it.to_string()),
        toml::Value::Array(items) => {
            Value::Array(items.into_iter().map(|it| json(it, depth)).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => Value::Object(
            table.into_iter().map(|(key, it)| Ok((key, json(it, depth)?))).collect::<Result<_, String>>()?,
        ),
    })
}

/// The language by the first line, and where the second line starts.
fn opening(source: &str) -> Option<(Language, usize)> {
    let line = source.split('\n').next()?;
    let language = match line.trim_end() {
        "---" => Language::Yaml,
        "+++" => Language::Toml,
        _ => return None,
    };
    (line.len() < source.len()).then_some((language, line.len() + 1))
}

/// The text between the fences, and where the body starts.
fn block<'a>(source: &'a str, opening: usize, fence: &str) -> Option<(&'a str, usize)> {
    let mut at = opening;
    for line in source.get(opening..)?.split_inclusive('\n') {
        if at - opening > FRONT_MATTER_BYTES_MAX {
            return None;
        }
        let next = at + line.len();
        if line.trim_end() == fence {
            return Some((source.get(opening..at)?, next));
        }
        at = next;
    }
    None
}

/// Whether the first written line sets a key.
fn is_key(block: &str, language: Language) -> bool {
    let sign = match language {
        Language::Yaml => ':',
        Language::Toml => '=',
    };
    block.lines().take(64).find(|it| !it.trim().is_empty() && !it.starts_with('#')).is_some_and(|line| {
        line.split_once(sign).is_some_and(|(key, _)| {
            let key = key.trim();
            !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"'))
        })
    })
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.get(..line.floor_char_boundary(200)).unwrap_or_default().to_owned()
}

/// The values short and plain enough to filter by. Title and description are read as text instead.
#[must_use]
pub(super) fn facets(values: &Map<String, Value>) -> BTreeMap<String, Vec<String>> {
    let mut facets = BTreeMap::new();
    for (name, value) in values {
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name || name == "title" || name == "description" || name.len() > FACET_VALUE_BYTES_MAX {
            continue;
        }
        let values: Vec<String> = match value {
            Value::Array(items) if items.len() <= FACET_VALUES_MAX => items.iter().filter_map(label).collect(),
            Value::Array(_) => Vec::new(),
            scalar => label(scalar).into_iter().collect(),
        };
        if !values.is_empty() && facets.len() < DOCUMENT_FACETS_MAX {
            facets.insert(name.clone(), values);
        }
    }
    facets
}

/// The text of a value, if it is a label.
fn label(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(it) => it.trim().to_owned(),
        Value::Bool(it) => it.to_string(),
        Value::Number(it) => it.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let is_short = !text.is_empty() && text.len() <= FACET_VALUE_BYTES_MAX;
    (is_short && !text.contains(char::is_control)).then_some(text)
}

/// A value as one line of text: for title and description.
#[must_use]
pub(super) fn text(values: &Map<String, Value>, name: &str) -> Option<String> {
    let text = match values.get(name)? {
        Value::String(it) => it.trim().to_owned(),
        Value::Number(it) => it.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `body` and `values` as JSON; a warning is expected where `warning` says so.
    fn check(source: &str, body: &str, values: &str, warning: bool) {
        let front = read(source);
        assert_eq!(&source[front.body_start..], body, "{source}");
        assert_eq!(Value::Object(front.values).to_string(), values, "{source}");
        assert_eq!(front.warning.is_some(), warning, "{source}: {:?}", front.warning);
    }

    #[test]
    fn yaml_and_toml_are_read() {
        check("---\ntitle: A\nn: 1\n---\n# B\n", "# B\n", r#"{"title":"A","n":1}"#, false);
        check("+++\ntitle = 'A'\nd = 2024-01-02\n+++\nB", "B", r#"{"d":"2024-01-02","title":"A"}"#, false);
        check("---\ntitle: A\n---", "", r#"{"title":"A"}"#, false);
        check("---\n---\nB", "B", "{}", false);
        check("no front", "no front", "{}", false);
        check("", "", "{}", false);
        check("---", "---", "{}", false);
    }

    #[test]
    fn what_is_broken_is_said_and_the_body_stays() {
        check("---\ntitle: [a\n---\nB", "B", "{}", true);
        check("---\ntitle: A\nB", "---\ntitle: A\nB", "{}", true);
        check("+++\ntitle = \n+++\nB", "B", "{}", true);
        check("---\na: 1\na: 2\n---\nB", "B", r#"{"a":1}"#, true);
        check(
            "---\ntitle: @expo/ui\ntags: [a]\nbad: [a\nq: \"main\" is not\nc: d: e\n---\nB",
            "B",
            r#"{"title":"@expo/ui","tags":["a"],"q":"\"main\" is not","c":"d: e"}"#,
            true,
        );
        check("---\n\nProse between rules.\n\n---\nB", "---\n\nProse between rules.\n\n---\nB", "{}", false);
        let long = format!("---\na: {}\n---\nB", "x".repeat(FRONT_MATTER_BYTES_MAX));
        check(&long, &long, "{}", true);
    }

    #[test]
    fn bombs_are_defused() {
        let mut bomb = "---\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let list = vec![format!("*a{}", n - 1); 9].join(", ");
            bomb.push_str(&format!("a{n}: &a{n} [{list}]\n"));
        }
        bomb.push_str("---\nB");
        check(&bomb, "B", r#"{"a0":["x","x","x","x","x","x","x","x","x"]}"#, true);
        let deep = format!("---\na: {}{}\n---\nB", "[".repeat(1000), "]".repeat(1000));
        check(&deep, "B", "{}", true);
        let deep = format!("+++\na = {}{}\n+++\nB", "[".repeat(1000), "]".repeat(1000));
        check(&deep, "B", "{}", true);
    }

    #[test]
    fn facets_are_labels() {
        let front = read(
            "---\ntitle: A\nplatforms: [\"android*\", ios]\ndraft: true\nn: 2.5\nbad-name: x\nmap: {a: 1}\nlong: |\n  two\n  lines\nempty: ''\nmixed: [a, [b], 3]\n---\n",
        );
        let facets = serde_json::to_string(&facets(&front.values)).unwrap();
        assert_eq!(facets, r#"{"draft":["true"],"mixed":["a","3"],"n":["2.5"],"platforms":["android*","ios"]}"#);
    }
}
