//! Looks for attacks in what is asked, and for hidden instructions in what documents say. Pure: it decides nothing
//! but whether a text looks like one, and how much that counts where it stands.
//!
//! A query may speak about SQL; a path that does is none. So a rule's mode hangs on the class of the field.

pub mod field;
mod matcher;
pub mod normal;
pub mod rule;

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use crate::base::bound;
use crate::config::Inspect;
use crate::config::raw::Mode;
use field::{Field, FieldClass, field_of, is_plain_name};
use matcher::{DocumentMatcher, Matcher};
use rule::{Kind, Rule, RuleError, Severity};

/// All rules with their modes, compiled once at the start.
#[derive(Debug)]
pub struct Guardrail {
    rules: Vec<Arc<Known>>,
    free_text: Ruled,
    path: Ruled,
    other: Ruled,
    documents: DocumentMatcher,
    filter_names: HashSet<String>,
}

/// What is told of a rule that hit.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    pub id: String,
    pub group: String,
    pub severity: Severity,
    /// 1 to 10: how sure one hit is.
    pub weight: u8,
}

#[derive(Debug)]
struct Ruled {
    matcher: Matcher,
    /// For each rule.
    modes: Vec<Mode>,
}

/// A rule that hit a field of the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub rule: Arc<Known>,
    /// JSON Pointer (RFC 6901) of the field, cut and without characters that a log should not have.
    pub pointer: String,
    /// The call is refused for it; else it is noted.
    pub blocks: bool,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "suspicious_pattern {} at {}", self.rule.id, self.pointer)
    }
}

/// Something in the arguments that is refused whatever the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A filter's name is no word and not declared.
    FilterName { pointer: String },
    /// A text is longer than its kind of field may be.
    TooLong { pointer: String, setting: &'static str, chars_max: usize },
}

/// What came of looking at the arguments of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    pub wrong: Option<Wrong>,
    pub findings: Vec<Finding>,
}

/// The longest texts in some fields, in characters.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    pub query_chars_max: usize,
    pub uri_chars_max: usize,
}

impl Guardrail {
    pub fn new(inspect: &Inspect) -> Result<Self, RuleError> {
        let rules = rule::shipped()?;
        for id in &inspect.rules_off {
            if !rules.iter().any(|rule| rule.id == *id) {
                return Err(RuleError::NoSuchRule(id.clone()));
            }
        }
        for given in &inspect.group_modes {
            if !rule::GROUPS.contains(&given.group.as_str()) {
                return Err(RuleError::NoSuchGroup(given.group.clone()));
            }
            if !["free_text", "path", "other", "document"].contains(&given.class.as_str()) {
                return Err(RuleError::NoSuchClass(given.class.clone()));
            }
        }
        if let Some(rule) = rules.iter().find(|rule| !rule::GROUPS.contains(&rule.group.as_str())) {
            return Err(RuleError::Unknown(rule.id.clone()));
        }
        let ruled = |class: FieldClass| {
            let modes: Vec<Mode> = rules.iter().map(|rule| mode(rule, Some(class), inspect)).collect();
            let matcher = Matcher::new(&rules, |number| modes.get(number).is_some_and(|mode| *mode != Mode::Off))?;
            Ok::<_, RuleError>(Ruled { matcher, modes })
        };
        let in_documents = |number: usize| rules.get(number).is_some_and(|rule| mode(rule, None, inspect) != Mode::Off);
        Ok(Self {
            free_text: ruled(FieldClass::FreeText)?,
            path: ruled(FieldClass::Path)?,
            other: ruled(FieldClass::Other)?,
            documents: DocumentMatcher::new(&rules, in_documents)?,
            filter_names: inspect.filter_names.iter().cloned().collect(),
            rules: rules
                .into_iter()
                .map(|Rule { id, group, severity, weight, .. }| Arc::new(Known { id, group, severity, weight }))
                .collect(),
        })
    }

    /// The rules that hit `text` where it stands in a field of `class`, and whether they block.
    pub fn check(&self, text: &str, class: FieldClass) -> Vec<(&Arc<Known>, Mode)> {
        let ruled = match class {
            FieldClass::FreeText => &self.free_text,
            FieldClass::Path => &self.path,
            FieldClass::Other => &self.other,
        };
        let hits = ruled.matcher.hits(&normal::normalise(text));
        hits.into_iter().filter_map(|hit| Some((self.rules.get(hit)?, *ruled.modes.get(hit)?))).collect()
    }

    /// The ids of the rules that hit a document's text: instructions that hide in it.
    pub fn check_document(&self, text: &str) -> Vec<&str> {
        self.documents.hits(text).into_iter().filter_map(|hit| Some(self.rules.get(hit)?.id.as_str())).collect()
    }

    /// Looks at each text in `arguments`, by the class that `schema` and its name give it; texts without either are
    /// `outer`. Names of fields that hold texts are looked at where they are names of filters. Where `schema` itself has
    /// the annotation, all texts are prose but for those whose own schema says otherwise.
    pub fn inspect(&self, schema: &Value, outer: FieldClass, arguments: &Value, lengths: Option<Lengths>) -> Inspected {
        let mut inspected = Inspected::default();
        // Another API's arguments: its names mean there what they mean there. What reaches an interpreter, each says.
        let named = schema.get(field::ANNOTATION).is_none();
        let lengths = lengths.filter(|_| named);
        let outer = if named { outer } else { FieldClass::FreeText };
        let mut stack = vec![Place { value: arguments, schema, class: outer, pointer: String::new(), name: "" }];
        while let Some(place) = stack.pop() {
            match place.value {
                Value::String(text) => self.text(text, &place, lengths, &mut inspected),
                Value::Array(items) => {
                    let schema = &place.schema["items"];
                    stack.extend(items.iter().enumerate().map(|(number, value)| Place {
                        value,
                        schema,
                        class: place.class,
                        pointer: format!("{}/{number}", place.pointer),
                        name: place.name,
                    }));
                }
                Value::Object(fields) => {
                    for (name, value) in fields {
                        let schema = property(place.schema, name);
                        let pointer = pointed(&place.pointer, name);
                        let field = if named || schema.get(field::ANNOTATION).is_some() {
                            field_of(name, schema, place.class)
                        } else {
                            Field::Text(place.class)
                        };
                        let class = match field {
                            Field::Text(class) => class,
                            Field::Filter => {
                                let odd = value.as_object().into_iter().flatten().any(|(name, _)| {
                                    !is_plain_name(name)
                                        && schema["properties"].get(name).is_none()
                                        && !self.filter_names.contains(name)
                                });
                                if odd && inspected.wrong.is_none() {
                                    inspected.wrong = Some(Wrong::FilterName { pointer: pointer.clone() });
                                }
                                FieldClass::Other
                            }
                        };
                        stack.push(Place { value, schema, class, pointer, name });
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        inspected
    }

    fn text(&self, text: &str, place: &Place<'_>, lengths: Option<Lengths>, inspected: &mut Inspected) {
        if let Some(lengths) = lengths {
            let bounded = match place.name {
                "query" | "question" => Some(("inspect.max_query_length", lengths.query_chars_max)),
                "uri" | "resources" => Some(("inspect.max_resource_uri_length", lengths.uri_chars_max)),
                _ => None,
            };
            if let Some((setting, chars_max)) = bounded
                && text.chars().nth(chars_max).is_some()
            {
                let pointer = place.pointer.clone();
                inspected.wrong.get_or_insert(Wrong::TooLong { pointer, setting, chars_max });
                return;
            }
        }
        for (rule, mode) in self.check(text, place.class) {
            if inspected.findings.len() < bound::FINDINGS_MAX {
                let blocks = mode == Mode::Block;
                inspected.findings.push(Finding { rule: Arc::clone(rule), pointer: place.pointer.clone(), blocks });
            }
        }
    }
}

/// A value in the arguments.
struct Place<'a> {
    value: &'a Value,
    schema: &'a Value,
    class: FieldClass,
    pointer: String,
    /// Of the field that it stands in.
    name: &'a str,
}

fn property<'a>(schema: &'a Value, name: &str) -> &'a Value {
    match schema["properties"].get(name) {
        Some(schema) => schema,
        None => &schema["additionalProperties"],
    }
}

/// `pointer` with one more name. Names come from outside: what a log should not have is left out, and it is cut.
fn pointed(pointer: &str, name: &str) -> String {
    let name: String = name
        .chars()
        .take(bound::POINTER_NAME_CHARS_MAX)
        .map(|char| if char.is_ascii_alphanumeric() || "_-.".contains(char) { char } else { '?' })
        .collect();
    format!("{pointer}/{name}")
}

/// The least of what the rule may do and what the settings allow, unless a group's mode is set.
fn mode(rule: &Rule, class: Option<FieldClass>, inspect: &Inspect) -> Mode {
    let name = class.map_or("document", FieldClass::as_str);
    let interprets = ["sql", "shell", "template", "ldap", "crlf", "script"].contains(&rule.group.as_str());
    if inspect.rules_off.contains(&rule.id)
        || (interprets && !inspect.prevent_code_injection)
        || (rule.group == "path_traversal" && !inspect.sanitize_file_paths)
        // A document's expression without an anchor would be tried at each place of each page.
        || (class.is_none() && rule.kind == Kind::Regex && rule.anchor.is_empty())
    {
        return Mode::Off;
    }
    let given = inspect.group_modes.iter().rev().find(|given| given.group == rule.group && given.class == name);
    if let Some(given) = given {
        // A document is never refused: it is what was asked for.
        return if class.is_none() { given.mode.min(Mode::Flag) } else { given.mode };
    }
    match class {
        Some(FieldClass::FreeText) => rule.free_text.min(inspect.free_text),
        Some(FieldClass::Path) => rule.path.min(inspect.paths),
        Some(FieldClass::Other) => rule.other.min(inspect.other),
        None => rule.document.min(Mode::Flag),
    }
}

#[cfg(test)]
mod tests;
