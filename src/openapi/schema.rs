//! Schemas of OpenAPI become JSON Schema (draft 2020-12) with definitions of their own.
//!
//! One [`Schemas`] serves one side of one operation: what goes in has no `readOnly` properties, what comes out no
//! `writeOnly` ones. A reference becomes `#/$defs/NAME`, and what it means is converted later from a queue, so that
//! neither a cycle nor a long chain of references costs stack.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

use super::{Dialect, clean, pointer};
use crate::base::bound::connector as bound;

/// Which side of a call a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    In,
    Out,
}

/// The schemas have more values than their bound.
#[derive(Debug)]
pub(super) struct TooMany;

pub(super) struct Schemas<'a> {
    root: &'a Value,
    dialect: Dialect,
    side: Side,
    /// Names of definitions by the pointers of what they mean.
    names: BTreeMap<String, String>,
    queue: VecDeque<(String, String)>,
    definitions: Map<String, Value>,
    nodes: usize,
    nodes_max: usize,
    /// What could not be expressed: pointer and reason.
    pub(super) left_out: Vec<(String, String)>,
}

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];

impl<'a> Schemas<'a> {
    pub(super) fn new(root: &'a Value, dialect: Dialect, side: Side, nodes_max: usize) -> Self {
        Self {
            root,
            dialect,
            side,
            names: BTreeMap::new(),
            queue: VecDeque::new(),
            definitions: Map::new(),
            nodes: 0,
            nodes_max,
            left_out: Vec::new(),
        }
    }

    /// The schema at `pointer`. What it refers to is converted by [`Schemas::finish`].
    pub(super) fn convert(&mut self, schema: &Value, at: &str) -> Result<Value, TooMany> {
        self.count(1)?;
        match schema {
            Value::Object(fields) => self.object(fields, at),
            Value::Bool(false) => Ok(json!({"not": {}})),
            _ => Ok(json!({})),
        }
    }

    /// Converts what was referred to, takes endless loops apart, and puts small definitions where they are used.
    pub(super) fn finish(mut self, schemas: &mut [&mut Value]) -> Result<Finished, TooMany> {
        while let Some((pointer, name)) = self.queue.pop_front() {
            let meant = self.root.pointer(&pointer).unwrap_or(&Value::Null);
            let converted = self.convert(meant, &pointer)?;
            self.definitions.insert(name, converted);
        }
        let mut definitions = self.definitions;
        super::cycle::cut(&mut definitions);
        let small: Map<String, Value> =
            definitions.iter().filter(|(_, it)| is_small(it)).map(|(name, it)| (name.clone(), it.clone())).collect();
        for schema in definitions.values_mut() {
            place(schema, &small);
        }
        for schema in schemas.iter_mut() {
            place(schema, &small);
        }
        definitions.retain(|name, _| !small.contains_key(name));
        Ok(Finished { definitions, nodes: self.nodes, left_out: self.left_out })
    }

    fn count(&mut self, nodes: usize) -> Result<(), TooMany> {
        self.nodes += nodes;
        if self.nodes > self.nodes_max { Err(TooMany) } else { Ok(()) }
    }

    fn leave_out(&mut self, at: &str, reason: impl Into<String>) {
        self.left_out.push((at.to_owned(), reason.into()));
    }

    fn object(&mut self, fields: &Map<String, Value>, at: &str) -> Result<Value, TooMany> {
        let mut out = Map::new();
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            match self.refer(reference) {
                Ok(name) => drop(out.insert("$ref".into(), Value::from(format!("#/$defs/{name}")))),
                Err(reason) => self.leave_out(at, reason),
            }
            if self.dialect == Dialect::V30 {
                describe(fields, &mut out);
                return Ok(Value::Object(out));
            }
        }
        if let Some(found) =
            ["$id", "$dynamicRef", "$recursiveRef"].iter().find(|keyword| fields.contains_key(**keyword))
        {
            self.leave_out(at, format!("it uses {found}, which is not followed: anything is accepted there"));
            return Ok(json!({}));
        }
        types(fields, &mut out);
        let hidden = self.hidden(fields);
        for (keyword, value) in fields {
            self.keyword(keyword, value, &hidden, &mut out, at)?;
        }
        self.discriminate(fields, &mut out, at);
        exclusive(fields, &mut out);
        describe(fields, &mut out);
        Ok(if fields.get("nullable") == Some(&Value::Bool(true)) { or_null(out) } else { Value::Object(out) })
    }

    fn keyword(
        &mut self,
        keyword: &str,
        value: &Value,
        hidden: &BTreeSet<&str>,
        out: &mut Map<String, Value>,
        at: &str,
    ) -> Result<(), TooMany> {
        let at = || pointer::below(at, keyword);
        match (keyword, value) {
            ("properties", Value::Object(properties)) => {
                let shown = properties.iter().filter(|(name, _)| !hidden.contains(name.as_str()));
                let properties = self.each(shown, &at())?;
                out.insert(keyword.into(), Value::Object(properties));
            }
            ("patternProperties" | "dependentSchemas", Value::Object(schemas)) => {
                let schemas = self.each(schemas.iter(), &at())?;
                out.insert(keyword.into(), Value::Object(schemas));
            }
            ("required", Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str).filter(|name| !hidden.contains(name));
                let names: BTreeSet<&str> = names.collect();
                if !names.is_empty() {
                    out.insert(keyword.into(), json!(names));
                }
            }
            ("additionalProperties" | "unevaluatedProperties" | "unevaluatedItems", Value::Bool(_)) => {
                out.insert(keyword.into(), value.clone());
            }
            (
                "additionalProperties"
                | "unevaluatedProperties"
                | "unevaluatedItems"
                | "items"
                | "contains"
                | "propertyNames"
                | "not"
                | "if"
                | "then"
                | "else",
                Value::Object(_) | Value::Bool(_),
            ) => {
                let schema = self.convert(value, &at())?;
                out.insert(keyword.into(), schema);
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) if !schemas.is_empty() => {
                let at = at();
                let schemas = schemas.iter().enumerate().map(|(n, it)| self.convert(it, &format!("{at}/{n}")));
                let schemas = schemas.collect::<Result<Vec<_>, _>>()?;
                out.insert(keyword.into(), Value::Array(schemas));
            }
            ("enum", Value::Array(values)) if !values.is_empty() => {
                self.count(values.len())?;
                if values.iter().all(is_short) {
                    out.insert(keyword.into(), value.clone());
                } else {
                    self.leave_out(&at(), "its values are too long: any is accepted");
                }
            }
            ("const" | "default", _) if is_short(value) => drop(out.insert(keyword.into(), value.clone())),
            ("minimum" | "maximum", Value::Number(_)) => drop(out.insert(keyword.into(), value.clone())),
            ("exclusiveMinimum" | "exclusiveMaximum", Value::Number(_)) => {
                drop(out.insert(keyword.into(), value.clone()));
            }
            ("multipleOf", Value::Number(number)) if number.as_f64().is_some_and(|it| it > 0.0) => {
                out.insert(keyword.into(), value.clone());
            }
            (
                "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
                | "maxContains",
                Value::Number(number),
            ) if number.is_u64() => drop(out.insert(keyword.into(), value.clone())),
            ("uniqueItems" | "deprecated", Value::Bool(_)) => drop(out.insert(keyword.into(), value.clone())),
            ("pattern", Value::String(text)) if text.len() <= bound::OPENAPI_PATH_BYTES_MAX => {
                out.insert(keyword.into(), value.clone());
            }
            ("format" | "contentEncoding" | "contentMediaType", Value::String(text))
                if text.len() <= bound::OPENAPI_NAME_BYTES_MAX =>
            {
                out.insert(keyword.into(), value.clone());
            }
            ("dependentRequired", Value::Object(lists)) if lists.values().all(is_names) => {
                self.count(lists.len())?;
                out.insert(keyword.into(), value.clone());
            }
            // Annotations, examples, extensions, and what is handled elsewhere.
            _ => {}
        }
        Ok(())
    }

    fn each<'b>(
        &mut self,
        schemas: impl Iterator<Item = (&'b String, &'b Value)>,
        at: &str,
    ) -> Result<Map<String, Value>, TooMany> {
        let mut out = Map::new();
        for (name, schema) in schemas {
            if name.len() > bound::OPENAPI_NAME_BYTES_MAX {
                self.leave_out(at, format!("a name has more than {} bytes", bound::OPENAPI_NAME_BYTES_MAX));
                continue;
            }
            out.insert(name.clone(), self.convert(schema, &pointer::below(at, name))?);
        }
        Ok(out)
    }

    /// Properties that are not for this side.
    fn hidden<'b>(&self, fields: &'b Map<String, Value>) -> BTreeSet<&'b str> {
        let mark = match self.side {
            Side::In => "readOnly",
            Side::Out => "writeOnly",
        };
        let properties = fields.get("properties").and_then(Value::as_object).into_iter().flatten();
        properties.filter(|(_, schema)| is_marked(self.root, schema, mark)).map(|(name, _)| name.as_str()).collect()
    }

    fn refer(&mut self, reference: &str) -> Result<String, String> {
        let pointer = pointer::of_reference(reference)?;
        if self.root.pointer(&pointer).is_none() {
            return Err(format!("it refers to {}, which is not there", pointer::short(reference)));
        }
        if let Some(name) = self.names.get(&pointer) {
            return Ok(name.clone());
        }
        if self.names.len() >= bound::OPENAPI_DEFINITIONS_MAX {
            return Err(format!("it needs more than {} definitions", bound::OPENAPI_DEFINITIONS_MAX));
        }
        let plain = pointer.strip_prefix("/components/schemas/").unwrap_or(&pointer);
        let plain: String =
            plain.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).take(80).collect();
        let taken = |name: &str| self.names.values().any(|taken| taken == name);
        let name = if taken(&plain) { format!("{plain}_{}", self.names.len()) } else { plain };
        self.names.insert(pointer.clone(), name.clone());
        self.queue.push_back((pointer, name.clone()));
        Ok(name)
    }

    /// Each alternative of a `discriminator` gets the values that choose it, so that it cannot be taken for another.
    fn discriminate(&self, fields: &Map<String, Value>, out: &mut Map<String, Value>, at: &str) {
        let Some(property) = fields.get("discriminator").and_then(|it| it.get("propertyName")).and_then(Value::as_str)
        else {
            return;
        };
        let mapping = fields.get("discriminator").and_then(|it| it.get("mapping")).and_then(Value::as_object);
        for keyword in ["oneOf", "anyOf"] {
            let (Some(Value::Array(raw)), Some(Value::Array(made))) = (fields.get(keyword), out.get_mut(keyword))
            else {
                continue;
            };
            for (raw, made) in raw.iter().zip(made.iter_mut()) {
                let Ok((target, pointer)) = pointer::follow(self.root, raw, at) else { continue };
                let says_itself = target.pointer(&pointer::below("/properties", property));
                if raw.get("$ref").is_none()
                    || says_itself.is_some_and(|it| it.get("enum").or(it.get("const")).is_some())
                {
                    continue;
                }
                let name = pointer.rsplit('/').next().unwrap_or_default();
                let means = |value: &Value| {
                    let value = value.as_str().unwrap_or_default();
                    value == name || pointer::of_reference(value).is_ok_and(|found| found == pointer)
                };
                let mut values: Vec<&str> = mapping
                    .into_iter()
                    .flatten()
                    .filter(|(_, value)| means(value))
                    .map(|(key, _)| key.as_str())
                    .collect();
                if values.is_empty() {
                    values.push(name);
                }
                let chosen = json!({"properties": {property: {"enum": values}}, "required": [property]});
                *made = json!({"allOf": [made.take(), chosen]});
            }
        }
    }
}

/// What [`Schemas::finish`] gives.
pub(super) struct Finished {
    pub(super) definitions: Map<String, Value>,
    pub(super) nodes: usize,
    pub(super) left_out: Vec<(String, String)>,
}

/// Names of properties with `mark` in the schema itself and in all that it is put together from.
pub(super) fn marked(root: &Value, schema: &Value, mark: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut queue = vec![(schema, String::new())];
    while let Some((schema, at)) = queue.pop() {
        let Ok((schema, at)) = pointer::follow(root, schema, &at) else { continue };
        if !at.is_empty() && !seen.insert(at) || seen.len() > bound::OPENAPI_PARAMETERS_MAX {
            continue;
        }
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        found.extend(properties.filter(|(_, it)| is_marked(root, it, mark)).map(|(name, _)| name.clone()));
        queue.extend(schema.get("allOf").and_then(Value::as_array).into_iter().flatten().map(|it| (it, String::new())));
    }
    found.into_iter().collect()
}

fn is_marked(root: &Value, schema: &Value, mark: &str) -> bool {
    let here = schema.get(mark) == Some(&Value::Bool(true));
    here || pointer::follow(root, schema, "").is_ok_and(|(meant, _)| meant.get(mark) == Some(&Value::Bool(true)))
}

fn types(fields: &Map<String, Value>, out: &mut Map<String, Value>) {
    match fields.get("type") {
        Some(Value::String(name)) if TYPES.contains(&name.as_str()) => drop(out.insert("type".into(), json!(name))),
        Some(Value::Array(names)) => {
            let names: BTreeSet<&str> =
                names.iter().filter_map(Value::as_str).filter(|it| TYPES.contains(it)).collect();
            if !names.is_empty() {
                out.insert("type".into(), json!(names));
            }
        }
        _ => {}
    }
}

fn describe(fields: &Map<String, Value>, out: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = fields.get("description") {
        let text = clean::line(text, bound::OPENAPI_VALUE_DESCRIPTION_CHARS_MAX);
        if !text.is_empty() {
            out.insert("description".into(), Value::from(text));
        }
    }
}

/// 3.0 says `minimum: 1, exclusiveMinimum: true`, JSON Schema `exclusiveMinimum: 1`.
fn exclusive(fields: &Map<String, Value>, out: &mut Map<String, Value>) {
    for (limit, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        if fields.get(exclusive) == Some(&Value::Bool(true))
            && let Some(value) = out.remove(limit)
        {
            out.insert(exclusive.into(), value);
        }
    }
}

/// `nullable: true`: the same, or null.
fn or_null(mut out: Map<String, Value>) -> Value {
    if let Some(Value::Array(values)) = out.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    let composed =
        ["$ref", "allOf", "anyOf", "oneOf", "not", "const", "if"].iter().any(|keyword| out.contains_key(*keyword));
    if composed {
        return json!({"anyOf": [Value::Object(out), {"type": "null"}]});
    }
    match out.get("type").cloned() {
        Some(Value::String(name)) if name != "null" => drop(out.insert("type".into(), json!([name, "null"]))),
        Some(Value::Array(mut names)) if !names.contains(&json!("null")) => {
            names.push(json!("null"));
            out.insert("type".into(), Value::Array(names));
        }
        _ => {}
    }
    Value::Object(out)
}

fn is_short(value: &Value) -> bool {
    value.to_string().len() <= bound::OPENAPI_VALUE_BYTES_MAX
}

fn is_names(value: &Value) -> bool {
    value.as_array().is_some_and(|names| names.iter().all(Value::is_string))
}

/// A string with a pattern, an enumeration: as short as a reference to it.
fn is_small(schema: &Value) -> bool {
    schema.as_object().is_some_and(|fields| {
        fields.len() <= 8
            && !fields.contains_key("$ref")
            && fields.values().all(|value| match value {
                Value::Object(_) => false,
                Value::Array(items) => {
                    items.len() <= 32 && items.iter().all(|item| !item.is_object() && !item.is_array())
                }
                _ => true,
            })
    })
}

/// Puts small definitions in the place of references to them.
fn place(schema: &mut Value, small: &Map<String, Value>) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(|item| place(item, small)),
        Value::Object(fields) => {
            let meant = fields.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix("#/$defs/"));
            if let Some(Value::Object(meant)) = meant.and_then(|name| small.get(name)) {
                fields.remove("$ref");
                let own = std::mem::take(fields);
                let conflict = own.keys().any(|key| key != "description" && meant.contains_key(key));
                if conflict {
                    fields.insert("allOf".into(), json!([meant, own]));
                } else {
                    fields.extend(meant.clone());
                    fields.extend(own);
                }
            }
            fields.values_mut().for_each(|value| place(value, small));
        }
        _ => {}
    }
}
