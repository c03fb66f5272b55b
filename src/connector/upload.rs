//! Files that travel as base64 in a body: their names, types and content are checked, and what the log may know of them
//! is noted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::media_type::is_media_type;
use super::object::meant;
use super::request::{SentFile, WireError};
use super::tool::{Property, Shape, Tool};
use crate::base::bound::connector as bound;
use crate::crypto::digest::sha256;
use crate::openapi::Media;

const MEDIA_TYPE: &str = "application/octet-stream";

/// Arguments that hold the content of files, however deep in them: no log and no entry has them.
pub fn content_arguments(tool: &Tool) -> Vec<String> {
    let arguments = schemas(tool).filter(|(argument, schema)| is_seen(tool, argument) || has_file(tool, schema));
    arguments.map(|(argument, _)| argument.clone()).collect()
}

/// Whether it takes files that are not taken apart here: deeper in a body than its properties, in a body that is one
/// argument, or in another encoding. Nobody could show them to a scanner.
pub(super) fn has_unseen_files(tool: &Tool) -> bool {
    schemas(tool).any(|(argument, schema)| !is_seen(tool, argument) && has_file(tool, schema))
}

/// A file that an argument holds in base64.
#[derive(Debug)]
pub(super) struct File {
    pub(super) argument: String,
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

impl File {
    /// What the log may know.
    pub(super) fn sent(&self) -> SentFile {
        SentFile { name: self.name.clone(), bytes: self.content.len(), sha256: sha256(&[&self.content]), at: 0..0 }
    }
}

/// Checks the files in the arguments and fills in what stands beside them.
pub(super) fn prepare(tool: &Tool, arguments: &mut Value) -> Result<Vec<File>, WireError> {
    let mut files = Vec::new();
    for content in properties(tool).filter(|it| is_content(tool, it)) {
        let text = match arguments.get(&content.argument) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text,
            // Where the schema does not say that it is a text, a list of files could be sent past whoever looks at them.
            Some(_) => return Err(WireError::refused(&content.argument, "a file's content is one text in base64")),
        };
        // With padding, without line breaks: one content has one form.
        let decoded = STANDARD.decode(text).map_err(|_| {
            WireError::refused(&content.argument, "a file's content is base64 with padding, without line breaks")
        })?;
        let named = beside(tool, &["filename", "name"]);
        let name = named.and_then(|property| arguments.get(&property.argument)).and_then(Value::as_str);
        if let (Some(property), Some(name)) = (named, name)
            && !is_file_name(name)
        {
            return Err(WireError::refused(
                &property.argument,
                "a file's name has 1 to 255 letters, digits, dots, hyphens and underscores, and is not `.` or `..`",
            ));
        }
        let name = name.unwrap_or_default().to_owned();
        if let Some(typed) = beside(tool, &["mimetype", "mediatype", "contenttype"]) {
            match arguments.get(&typed.argument) {
                Some(Value::String(text)) if !is_media_type(text) => {
                    let reason = "a file's media type is such as application/pdf";
                    return Err(WireError::refused(&typed.argument, reason));
                }
                Some(Value::String(_)) => {}
                _ => arguments[&typed.argument] = Value::from(MEDIA_TYPE),
            }
        }
        files.push(File { argument: content.argument.clone(), name, content: decoded });
    }
    Ok(files)
}

fn properties(tool: &Tool) -> impl Iterator<Item = &Property> {
    let shape = tool.body.as_ref().map(|body| &body.shape);
    shape.into_iter().flat_map(|shape| match shape {
        Shape::Object { properties } => properties.as_slice(),
        Shape::Whole { .. } => &[],
    })
}

fn schemas(tool: &Tool) -> impl Iterator<Item = (&String, &Value)> {
    tool.input["properties"].as_object().into_iter().flatten()
}

fn definitions(tool: &Tool) -> Option<&Map<String, Value>> {
    tool.input["$defs"].as_object()
}

/// In OpenAPI 3.0 base64 is the format `byte`.
fn is_content(tool: &Tool, property: &Property) -> bool {
    let (none, schema) = (Map::new(), &tool.input["properties"][&property.argument]);
    let schema = meant(schema, definitions(tool).unwrap_or(&none));
    match schema.get("contentEncoding") {
        Some(encoding) => encoding == "base64",
        None => schema.get("format").is_some_and(|format| format == "byte"),
    }
}

/// Whether an argument is a file, or a list of files, that is checked, noted and shown to a scanner.
fn is_seen(tool: &Tool, argument: &str) -> bool {
    properties(tool).any(|it| it.argument == argument && (it.file || is_content(tool, it)))
}

/// Whether there is a file anywhere in a schema, definitions included.
fn has_file(tool: &Tool, schema: &Value) -> bool {
    let is_multipart = tool.body.as_ref().is_some_and(|body| body.media == Media::Multipart);
    let mut followed: Vec<&str> = Vec::new();
    let mut queue = vec![schema];
    while let Some(schema) = queue.pop() {
        let fields = match schema {
            Value::Object(fields) => fields,
            Value::Array(items) => {
                queue.extend(items);
                continue;
            }
            _ => continue,
        };
        let text = |keyword: &str| fields.get(keyword).and_then(Value::as_str);
        if text("contentEncoding").is_some()
            || text("format").is_some_and(|format| format == "byte" || format == "binary")
            || (is_multipart && text("contentMediaType").is_some())
        {
            return true;
        }
        if let Some(name) = text("$ref").and_then(|it| it.strip_prefix("#/$defs/")).filter(|it| !followed.contains(it))
        {
            followed.push(name);
            queue.extend(definitions(tool).and_then(|all| all.get(name)));
        }
        for (keyword, value) in fields {
            match keyword.as_str() {
                // Names, which may be those of keywords, of schemas.
                "properties" | "patternProperties" | "dependentSchemas" => {
                    queue.extend(value.as_object().into_iter().flat_map(Map::values));
                }
                "enum" | "const" | "default" | "required" | "dependentRequired" => {}
                _ => queue.push(value),
            }
        }
    }
    false
}

/// The property of one of these names, however it is spelt.
fn beside<'a>(tool: &'a Tool, names: &[&str]) -> Option<&'a Property> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    names.iter().find_map(|name| properties(tool).find(|property| plain(&property.name) == *name))
}

/// `^[A-Za-z0-9._-]{1,255}$`, and neither `.` nor `..`.
pub(super) fn is_file_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=bound::FILE_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(good) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::id::hex;
    use crate::connector::{shipped, tool};
    use crate::openapi;

    fn taking(media: &str, is_required: bool, schema: Value) -> Tool {
        let body = json!({"required": is_required, "content": {media: {"schema": schema}}});
        let components = json!({"schemas": {
            "File": {"type": "string", "contentEncoding": "base64"},
            "Node": {"type": "object", "properties": {
                "next": {"$ref": "#/components/schemas/Node"}, "file": {"$ref": "#/components/schemas/File"}}}}});
        let post = json!({"post": {"operationId": "send", "requestBody": body}});
        let text = json!({"openapi": "3.1.0", "paths": {"/a": post}, "components": components}).to_string();
        tool::import("zoo", openapi::read(text.as_bytes()).unwrap()).tools.remove(0)
    }

    #[test]
    fn a_file_that_is_a_property_of_the_body_is_seen_and_one_anywhere_else_is_known_to_be_there() {
        let (json, form) = ("application/json", "multipart/form-data");
        let file = || json!({"type": "string", "contentEncoding": "base64"});
        let object = |name: &str, schema: Value| json!({"type": "object", "properties": {name: schema}});
        let of = |schema: Value| json!({"type": "array", "items": schema});
        let open = json!({"type": "object", "properties": {"a": file()}, "additionalProperties": true});
        let needed = json!({"type": "object", "required": ["a"], "properties": {"a": file()}});
        let link = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        for (media, is_required, schema, is_unseen, content) in [
            (json, true, object("a", file()), false, "a"),
            (json, true, object("a", link("File")), false, "a"),
            (json, true, object("a", json!({"type": "string", "format": "byte"})), false, "a"),
            (form, true, object("a", json!({"type": "string", "format": "binary"})), false, "a"),
            (form, true, object("a", of(json!({"type": "string", "format": "binary"}))), false, "a"),
            // A plain operation, with names and values that only look as if.
            (json, true, object("contentEncoding", json!({"type": "string", "enum": ["base64"]})), false, ""),
            (json, true, object("format", json!({"type": "string", "default": "binary"})), false, ""),
            // One argument is the body.
            (json, false, needed, true, "body"),
            (json, true, open, true, "body"),
            (json, true, of(object("a", file())), true, "body"),
            (json, true, json!({"oneOf": [object("a", file()), object("b", json!({}))]}), true, "body"),
            (json, true, json!({"type": "object", "additionalProperties": file()}), true, "body"),
            (form, true, json!({"oneOf": [object("a", json!({"type": "string", "format": "binary"}))]}), true, "body"),
            // Deeper.
            (json, true, object("a", of(file())), true, "a"),
            (json, true, object("a", of(object("enum", file()))), true, "a"),
            (json, true, object("a", link("Node")), true, "a"),
            (
                form,
                true,
                object("a", object("b", json!({"type": "string", "contentMediaType": "image/png"}))),
                true,
                "a",
            ),
            // In another way.
            (json, true, object("a", json!({"type": "string", "contentEncoding": "base32"})), true, "a"),
            (json, true, object("a", json!({"anyOf": [file(), {"type": "null"}]})), true, "a"),
        ] {
            let tool = taking(media, is_required, schema.clone());
            assert_eq!(has_unseen_files(&tool), is_unseen, "{media} {schema}");
            assert_eq!(content_arguments(&tool).join(","), content, "{media} {schema}");
        }
    }

    #[test]
    fn a_content_that_is_no_text_is_refused() {
        let schema = json!({"type": "object", "properties": {"a": {"contentEncoding": "base64"}}});
        let tool = taking("application/json", true, schema);
        assert_eq!(prepare(&tool, &mut json!({"a": "aGk="})).unwrap().len(), 1);
        assert!(prepare(&tool, &mut json!({"a": null})).unwrap().is_empty());
        for wrong in [json!(["aGk="]), json!({"b": "aGk="}), json!(7)] {
            prepare(&tool, &mut json!({"a": wrong})).unwrap_err();
        }
    }

    fn upload(name: &str, content: &str, media: Option<&str>) -> Result<(Vec<SentFile>, Value), String> {
        let document = openapi::read(shipped::document("iconect").unwrap()).unwrap();
        let tools = tool::import("iconect", document).tools;
        let tool = tools.iter().find(|tool| tool.name == "iconect_upload_file").unwrap();
        assert_eq!(content_arguments(tool), ["fileContent"]);
        let mut arguments = json!({"fileName": name, "fileContent": content});
        if let Some(media) = media {
            arguments["mimeType"] = media.into();
        }
        let files = prepare(tool, &mut arguments).map_err(|error| error.to_string())?;
        Ok((files.iter().map(File::sent).collect(), arguments))
    }

    #[test]
    fn a_file_is_named_measured_and_typed() {
        let (files, arguments) = upload("report-1.pdf", "aGVsbG8=", None).unwrap();
        assert_eq!((files[0].name.as_str(), files[0].bytes), ("report-1.pdf", 5));
        assert_eq!(hex(&files[0].sha256), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(arguments["mimeType"], "application/octet-stream");
        assert_eq!(upload("a", "", Some("text/plain")).unwrap().1["mimeType"], "text/plain");
        upload(&"a".repeat(255), "aGk=", None).unwrap();
        upload("...", "aGk=", None).unwrap();
    }

    #[test]
    fn names_contents_and_types_that_are_none_are_refused() {
        for name in ["", ".", "..", "a/b", "a b", "../x", "é", "a\\b", "a\n", &"a".repeat(256)] {
            assert!(upload(name, "aGk=", None).unwrap_err().contains("fileName"), "{name:?}");
        }
        for content in ["aGk", "aG k=", "aGk=\n", "a-_=", "====", "aGl="] {
            assert!(upload("a", content, None).unwrap_err().contains("fileContent"), "{content:?}");
        }
        for media in ["", "text", "text/", "/x", "text/a b", "text/a;q=1", "text/plain\r\nX: y"] {
            assert!(upload("a", "aGk=", Some(media)).unwrap_err().contains("mimeType"), "{media:?}");
        }
    }
}
