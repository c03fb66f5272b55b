//! JSON Pointers (RFC 6901) and references within a document.

use serde_json::Value;

use crate::base::bound::connector as bound;

/// `pointer/token`, with the token escaped.
pub(super) fn below(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}

/// The pointer in a local reference such as `#/components/schemas/Pet`.
pub(super) fn of_reference(reference: &str) -> Result<String, String> {
    let Some(fragment) = reference.strip_prefix('#') else {
        return Err(format!("it refers to {}, outside of this document; put what is there into it", short(reference)));
    };
    if !fragment.is_empty() && !fragment.starts_with('/') {
        return Err(format!("it refers to the anchor {}; only JSON pointers are followed", short(reference)));
    }
    let decoded = percent_encoding::percent_decode_str(fragment).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| format!("{} is no reference", short(reference)))
}

/// The thing that `value` is or refers to, and its pointer; `None` where nothing refers.
pub(super) fn follow<'a>(root: &'a Value, value: &'a Value, pointer: &str) -> Result<(&'a Value, String), String> {
    let (mut value, mut pointer) = (value, pointer.to_owned());
    for _ in 0..bound::OPENAPI_REFERENCES_MAX {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok((value, pointer)) };
        pointer = of_reference(reference)?;
        value =
            root.pointer(&pointer).ok_or_else(|| format!("it refers to {}, which is not there", short(reference)))?;
    }
    Err("its references go round in a circle".into())
}

/// What a reason quotes of a document.
pub(super) fn short(text: &str) -> String {
    super::clean::line(text, 120)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_followed_within_the_document_only() {
        let root =
            json!({"a/b": {"c d": 1}, "x": {"$ref": "#/y"}, "y": {"$ref": "#/x"}, "z": {"$ref": "#/a~1b/c%20d"}});
        assert_eq!(follow(&root, &root["z"], "/z").unwrap(), (&json!(1), "/a~1b/c d".to_owned()));
        assert!(follow(&root, &root["x"], "/x").unwrap_err().contains("circle"));
        for (reference, with) in [
            ("https://example.com/x.json#/a", "outside"),
            ("other.yaml", "outside"),
            ("file:///etc/passwd", "outside"),
            ("#anchor", "anchor"),
            ("#/none", "not there"),
        ] {
            let error = follow(&root, &json!({"$ref": reference}), "").unwrap_err();
            assert!(error.contains(with), "{error}");
        }
        assert_eq!(below("/paths", "/a~b"), "/paths/~1a~0b");
    }
}
