//! A JSON Schema as rows of a table: name, place, type, whether it is required, description.

use serde_json::{Map, Value};

use super::form::code_span;
use super::one_line;
use crate::base::bound::parse as bound;

/// Rows of one table.
pub(super) struct Rows<'a> {
    definitions: &'a Map<String, Value>,
    rows: Vec<Vec<String>>,
}

impl<'a> Rows<'a> {
    /// `definitions` are what `#/$defs/NAME` means.
    pub(super) fn new(definitions: &'a Map<String, Value>) -> Self {
        Self { definitions, rows: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<Vec<String>> {
        self.rows
    }

    /// One value, and what is inside of it.
    pub(super) fn add(&mut self, name: &str, place: &str, is_required: bool, schema: &'a Value) {
        self.value(name, place, is_required, schema, 0);
    }

    /// The properties of an object, or of the items of an array. Definitions may mean themselves, so `depth` is bounded.
    pub(super) fn properties(&mut self, before: &str, place: &str, schema: &'a Value, depth: usize) {
        if depth >= bound::API_SCHEMA_LEVELS_MAX {
            return;
        }
        let schema = self.resolved(schema);
        if let Some(items) = schema.get("items") {
            return self.properties(&format!("{before}[]"), place, items, depth + 1);
        }
        for part in ["allOf", "oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten() {
            self.properties(before, place, part, depth + 1);
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
            self.value(&path, place, required.contains(&name.as_str()), property, depth);
        }
    }

    fn value(&mut self, name: &str, place: &str, is_required: bool, schema: &'a Value, depth: usize) {
        if self.rows.len() >= bound::API_SCHEMA_ROWS_MAX {
            return;
        }
        let resolved = self.resolved(schema);
        let description = [schema, resolved].into_iter().find_map(|it| it["description"].as_str()).unwrap_or_default();
        let mut description = one_line(description);
        if let Some(values) = resolved["enum"].as_array() {
            let values: Vec<String> = values.iter().take(32).map(|value| code_span(&plain(value))).collect();
            description = one_line(&format!("{description} One of {}.", values.join(", ")));
        }
        if let Some(default) = resolved.get("default") {
            description = one_line(&format!("{description} Default: {}.", code_span(&plain(default))));
        }
        let cells = [name, place, &self.type_of(schema), if is_required { "yes" } else { "" }, &description];
        self.rows.push(cells.map(|cell| one_line(cell).replace('|', "\\|")).to_vec());
        self.properties(name, place, schema, depth + 1);
    }

    fn type_of(&self, schema: &Value) -> String {
        let resolved = self.resolved(schema);
        let named = match &resolved["type"] {
            Value::String(name) => name.clone(),
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
            _ if resolved.get("properties").is_some() => "object".to_owned(),
            _ => String::new(),
        };
        match resolved["format"].as_str() {
            Some(format) if !named.is_empty() => format!("{named} ({format})"),
            _ => named,
        }
    }

    fn resolved<'b>(&self, schema: &'b Value) -> &'b Value
    where
        'a: 'b,
    {
        let mut found = schema;
        for _ in 0..bound::API_SCHEMA_LEVELS_MAX {
            let name = found["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
            match name.and_then(|name| self.definitions.get(&name.replace("~1", "/").replace("~0", "~"))) {
                Some(next) => found = next,
                None => break,
            }
        }
        found
    }
}

fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    one_line(text.get(..text.floor_char_boundary(100)).unwrap_or_default())
}
