//! Files that travel as base64 in a body: their names, types and content are checked, and what the log may know of them
//! is noted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::tool::{Property, Shape, Tool};
use super::wire::{SentFile, WireError};
use crate::base::bound::connector as bound;
use crate::crypto::digest::sha256;

const MEDIA_TYPE: &str = "application/octet-stream";

/// Arguments that hold the content of files: no log and no entry has them.
pub fn content_arguments(tool: &Tool) -> Vec<String> {
    properties(tool).filter(|it| it.file || is_content(tool, it)).map(|it| it.argument.clone()).collect()
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
        let Some(text) = arguments.get(&content.argument).and_then(Value::as_str) else { continue };
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

fn is_content(tool: &Tool, property: &Property) -> bool {
    tool.input["properties"][&property.argument]["contentEncoding"] == "base64"
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

/// `type/subtype`, of the characters that RFC 6838, section 4.2, has.
pub(super) fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    text.len() <= 127 && text.split_once('/').is_some_and(|(one, two)| token(one) && token(two))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::id::hex;
    use crate::connector::{shipped, tool};
    use crate::openapi;

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
