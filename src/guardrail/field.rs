//! Which field of a call's arguments is what: prose that is data, a name that reaches an interpreter, or neither.

use serde_json::Value;

/// What a text in the arguments is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldClass {
    /// A query, a message, a prompt's argument: data, whatever it speaks about.
    FreeText,
    /// A path, a URI, a name, a glob: it chooses something, and could reach an interpreter.
    Path,
    /// Cursors, levels, values of filters.
    Other,
}

impl FieldClass {
    pub const ALL: [Self; 3] = [Self::FreeText, Self::Path, Self::Other];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::FreeText => "free_text",
            Self::Path => "path",
            Self::Other => "other",
        }
    }
}

/// What a property is: a text of a class, or an object whose keys are names of filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Text(FieldClass),
    Filter,
}

/// The annotation in a property's JSON Schema: `free_text`, `path`, `other` or `filter`.
pub const ANNOTATION: &str = "x-sekisho-field";

const PATHS: [&str; 34] = [
    "uri",
    "uris",
    "url",
    "urls",
    "path",
    "paths",
    "path_prefix",
    "prefix",
    "name",
    "names",
    "library",
    "libraries",
    "file",
    "files",
    "filename",
    "file_name",
    "folder",
    "directory",
    "include",
    "exclude",
    "resource",
    "resources",
    "connector",
    "credential",
    "operation",
    "variable",
    "host",
    "hosts",
    "id",
    "key_file",
    "target",
    "collection",
    "index",
    "start",
];

const PROSE: [&str; 14] = [
    "query",
    "question",
    "q",
    "context",
    "message",
    "text",
    "prompt",
    "note",
    "description",
    "reason",
    "title",
    "content",
    "code",
    "error",
];

/// What the property `name` is: as its schema says, else by its name, else as `outer`, the field that it stands in.
pub fn field_of(name: &str, schema: &Value, outer: FieldClass) -> Field {
    match schema.get(ANNOTATION).and_then(Value::as_str) {
        Some("free_text") => return Field::Text(FieldClass::FreeText),
        Some("path") => return Field::Text(FieldClass::Path),
        Some("other") => return Field::Text(FieldClass::Other),
        Some("filter") => return Field::Filter,
        _ => {}
    }
    let name = name.to_ascii_lowercase();
    if matches!(name.as_str(), "facets" | "facet" | "filters" | "filter") {
        Field::Filter
    } else if PATHS.contains(&name.as_str()) {
        Field::Text(FieldClass::Path)
    } else if PROSE.contains(&name.as_str()) {
        Field::Text(FieldClass::FreeText)
    } else {
        Field::Text(outer)
    }
}

/// Filter names that need no declaration: `^[a-zA-Z0-9_]+$`.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_says_more_than_a_name_and_a_name_more_than_its_place() {
        let check =
            |name: &str, schema: Value, outer, expect| assert_eq!(field_of(name, &schema, outer), expect, "{name}");
        check("path", json!({}), FieldClass::Other, Field::Text(FieldClass::Path));
        check("path", json!({"x-sekisho-field": "free_text"}), FieldClass::Other, Field::Text(FieldClass::FreeText));
        check("query", json!({}), FieldClass::Other, Field::Text(FieldClass::FreeText));
        check("level", json!({}), FieldClass::Other, Field::Text(FieldClass::Other));
        check("topic", json!({}), FieldClass::FreeText, Field::Text(FieldClass::FreeText));
        check("facets", json!({}), FieldClass::Other, Field::Filter);
    }

    #[test]
    fn filter_names_are_words() {
        assert!(is_plain_name("sdk_version2"));
        for name in ["", "a-b", "a b", "a=b", "é", "a:b", "$where"] {
            assert!(!is_plain_name(name), "{name}");
        }
    }
}
