//! Configuration files made from templates: trees of JSON and texts with variables and conditions.
//!
//! In JSON a key `"ios ? ios"` and an item `{"?": "ios", "is": ...}` are there only if the condition holds; a text that
//! is `"{{platforms}}"` alone becomes the value, elsewhere `{{name}}` is filled in. In a text `{{name}}` is filled in, and
//! what stands between the lines `{{#ios}}` and `{{/ios}}` is there only if the condition holds. A condition is a name
//! that is true, or `!name`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::pattern::Pattern;

/// Whether a file is JSON, by its name.
pub fn is_json(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|ending| ending == "json")
}

/// What `templates.toml` says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateFile {
    pub context: Context,
    #[serde(default)]
    pub variables: Vec<Variable>,
    pub templates: Vec<TemplateEntry>,
}

/// What a project says of itself, and what is assumed if it does not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    pub name: String,
    pub platforms: Vec<String>,
    pub version: Pattern,
    /// The version that is assumed.
    pub version_default: String,
    /// What becomes of the version, by the groups of `version`.
    pub version_is: String,
    /// What `latest` and its like stand for: number of the newest version.
    pub version_newest: String,
}

/// A variable made of the project's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    pub name: String,
    pub form: Form,
    /// What stands before it.
    #[serde(default)]
    before: String,
    /// What it is if nothing of the name is left.
    fallback: String,
}

/// How a name is written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Small letters and digits, words joined by hyphens.
    Kebab,
    /// Small letters and digits only, beginning with a letter.
    Flat,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateEntry {
    /// The file's name, by which it is asked for.
    pub file: String,
    pub about: String,
    /// The file of the profile with the template; JSON if it ends so.
    pub body: String,
    /// The file of the profile with the JSON Schema.
    pub schema: Option<String>,
    /// The page about the file.
    #[serde(default)]
    pub pages: Vec<String>,
    #[serde(default)]
    pub notes: Vec<Note>,
    /// What a text is looked at for, where there is no schema.
    #[serde(default)]
    pub checks: Vec<TextCheck>,
}

/// Something to know about what was made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    pub when: Option<String>,
    pub text: String,
}

/// Something that a file should or should not have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextCheck {
    pub pattern: Pattern,
    /// What is said if the pattern is there.
    pub found: Option<String>,
    /// What is said if it is not.
    pub missing: Option<String>,
}

/// What is true and what is filled in.
#[derive(Clone, Debug, Default)]
pub struct Values {
    values: BTreeMap<String, Value>,
}

/// What a project says of itself.
#[derive(Clone, Debug, Default)]
pub struct Project {
    pub name: Option<String>,
    pub platforms: Vec<String>,
    pub version: Option<String>,
}

impl TemplateFile {
    /// The values for a project: its name in all forms, each platform by its name, the version.
    pub fn values(&self, project: &Project) -> Values {
        let context = &self.context;
        let name = project.name.clone().unwrap_or_else(|| context.name.clone());
        let platforms = if project.platforms.is_empty() { &context.platforms } else { &project.platforms };
        let asked = project.version.as_ref().unwrap_or(&context.version_default);
        let expanded = context.version.expand(asked, &context.version_is).filter(|version| !version.is_empty());
        let version = expanded.unwrap_or_else(|| context.version_newest.clone());
        let mut values = BTreeMap::new();
        for variable in &self.variables {
            values.insert(variable.name.clone(), Value::from(variable.of(&name)));
        }
        for platform in &context.platforms {
            values.insert(platform.clone(), Value::from(platforms.contains(platform)));
        }
        values.insert("name".into(), Value::from(name));
        values.insert("platforms".into(), Value::from(platforms.clone()));
        values.insert("version".into(), Value::from(version));
        Values { values }
    }
}

impl Variable {
    fn of(&self, name: &str) -> String {
        let lower: String = name.to_lowercase();
        let words = lower.split(|char: char| !char.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let made = match self.form {
            Form::Kebab => words.collect::<Vec<_>>().join("-"),
            Form::Flat => words.collect::<String>().trim_start_matches(|char: char| char.is_ascii_digit()).to_owned(),
        };
        format!("{}{}", self.before, if made.is_empty() { &self.fallback } else { &made })
    }
}

impl Values {
    /// Whether `condition` holds; one about a name that is not there does not.
    pub fn holds(&self, condition: &str) -> bool {
        let condition = condition.trim();
        let (name, wanted) = condition.strip_prefix('!').map_or((condition, true), |name| (name, false));
        let is = match self.values.get(name) {
            Some(Value::Bool(value)) => *value,
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            _ => false,
        };
        is == wanted
    }

    fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let Some((name, after)) = after.split_once("}}") else {
                filled.push_str("{{");
                rest = after;
                continue;
            };
            match self.values.get(name.trim()) {
                Some(Value::String(value)) => filled.push_str(value),
                Some(value) => filled.push_str(&value.to_string()),
                None => {}
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// A tree of JSON, filled in.
    pub fn tree(&self, template: &Value) -> Value {
        match template {
            Value::String(text) => {
                let alone = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
                match alone.and_then(|name| self.values.get(name.trim())) {
                    Some(value) => value.clone(),
                    None => Value::from(self.fill(text)),
                }
            }
            Value::Array(items) => Value::Array(items.iter().filter_map(|item| self.item(item)).collect()),
            Value::Object(fields) => {
                let mut made = Map::new();
                for (key, value) in fields {
                    let (key, condition) = key.split_once(" ? ").unwrap_or((key, ""));
                    if condition.is_empty() || self.holds(condition) {
                        made.insert(self.fill(key), self.tree(value));
                    }
                }
                Value::Object(made)
            }
            other => other.clone(),
        }
    }

    fn item(&self, item: &Value) -> Option<Value> {
        let Some(condition) = item.get("?").and_then(Value::as_str) else { return Some(self.tree(item)) };
        self.holds(condition).then(|| self.tree(item.get("is").unwrap_or(&Value::Null)))
    }

    /// A text, filled in.
    pub fn text(&self, template: &str) -> String {
        let mut made = String::new();
        let mut hidden: Vec<&str> = Vec::new();
        for line in template.lines() {
            let bare = line.trim();
            if let Some(name) = bare.strip_prefix("{{#").and_then(|rest| rest.strip_suffix("}}")) {
                if !hidden.is_empty() || !self.holds(name) {
                    hidden.push(name);
                }
            } else if let Some(name) = bare.strip_prefix("{{/").and_then(|rest| rest.strip_suffix("}}")) {
                if hidden.last() == Some(&name) {
                    hidden.pop();
                }
            } else if hidden.is_empty() {
                made.push_str(&self.fill(line));
                made.push('\n');
            }
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file() -> TemplateFile {
        toml::from_str(
            r#"
            templates = []
            variables = [
              { name = "slug", form = "kebab", fallback = "app" },
              { name = "package", form = "flat", before = "com.example.", fallback = "app" },
            ]
            [context]
            name = "My app"
            platforms = ["ios", "web"]
            version = '^(?:latest|sdk-(\d+))$'
            version_default = "latest"
            version_is = "$1"
            version_newest = "53"
            "#,
        )
        .unwrap()
    }

    fn values(name: Option<&str>, platforms: &[&str], version: Option<&str>) -> Values {
        file().values(&Project {
            name: name.map(str::to_owned),
            platforms: platforms.iter().map(|platform| (*platform).to_owned()).collect(),
            version: version.map(str::to_owned),
        })
    }

    #[test]
    fn a_tree_is_filled_in_where_its_conditions_hold() {
        let template = json!({"name": "{{name}}", "slug": "{{slug}}", "ios ? ios": {"id": "{{package}}"}, "web ? web": {},
            "platforms": "{{platforms}}", "v": "{{version}}.0.0", "plugins": ["a", {"?": "web", "is": "b"}, {"?": "!web", "is": ["c", {"x": "{{nothing}}"}]}]});
        let made = values(Some("Tea & 2 Cups"), &["ios"], Some("sdk-52")).tree(&template);
        let expect = json!({"name": "Tea & 2 Cups", "slug": "tea-2-cups", "ios": {"id": "com.example.tea2cups"},
            "platforms": ["ios"], "v": "52.0.0", "plugins": ["a", ["c", {"x": ""}]]});
        assert_eq!(made, expect);
    }

    #[test]
    fn what_is_not_said_is_assumed() {
        let made = values(None, &[], None);
        assert_eq!(made.text("{{name}} {{version}}\n{{#web}}\nweb {{\n{{/web}}\n"), "My app 53\nweb {{\n");
        assert_eq!(values(Some("日本"), &[], None).text("{{slug}} {{package}}"), "app com.example.app\n");
        assert_eq!(
            values(Some("3D"), &["ios"], None)
                .text("{{package}}\n{{#web}}\n{{#ios}}\nx\n{{/ios}}\n{{/web}}\n{{#!web}}\nno web\n{{/!web}}"),
            "com.example.d\nno web\n"
        );
    }
}
