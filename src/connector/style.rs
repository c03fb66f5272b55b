//! How values are written into a path, a query, a header or a cookie: the styles of OpenAPI 3.1, section 4.8.12.3.
//!
//! Whatever an agent gives is percent-encoded down to the unreserved characters of RFC 3986, `allowReserved` or not: a
//! server decodes both to the same. Only the delimiters of a style are written as they are.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::request::WireError;
use crate::base::bound::connector as bound;
use crate::openapi::Style;

/// All but `ALPHA / DIGIT / "-" / "." / "_" / "~"`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A value by its parts. Values within values have no form in most styles.
pub(super) enum Parts {
    One(String),
    List(Vec<String>),
    Fields(Vec<(String, String)>),
}

pub(super) fn parts(value: &Value, argument: &str) -> Result<Parts, WireError> {
    Ok(match value {
        Value::Array(items) => Parts::List(items.iter().map(|item| text(item, argument)).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| Ok((name.clone(), text(value, argument)?)));
            Parts::Fields(fields.collect::<Result<_, WireError>>()?)
        }
        plain => Parts::One(text(plain, argument)?),
    })
}

fn text(value: &Value, argument: &str) -> Result<String, WireError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(bool) => Ok(bool.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => {
            Err(WireError::refused(argument, "a list or object within it cannot be written there"))
        }
    }
}

/// A value in a path segment: `simple`, `label` or `matrix`.
pub(super) fn in_path(style: Style, explode: bool, name: &str, parts: Parts) -> String {
    let name = encode(name);
    let pairs = |fields: Vec<(String, String)>, between: &str| {
        let pairs = fields.into_iter().map(|(key, value)| format!("{}{between}{}", encode(&key), encode(&value)));
        pairs.collect::<Vec<_>>()
    };
    let list = |items: Vec<String>| items.iter().map(|item| encode(item)).collect::<Vec<_>>();
    match (style, parts) {
        (Style::Label, Parts::One(text)) => format!(".{}", encode(&text)),
        (Style::Label, Parts::List(items)) => format!(".{}", list(items).join(if explode { "." } else { "," })),
        (Style::Label, Parts::Fields(fields)) if explode => format!(".{}", pairs(fields, "=").join(".")),
        (Style::Label, Parts::Fields(fields)) => format!(".{}", pairs(fields, ",").join(",")),
        (Style::Matrix, Parts::One(text)) => format!(";{name}={}", encode(&text)),
        (Style::Matrix, Parts::List(items)) if explode => {
            format!(";{name}={}", list(items).join(&format!(";{name}=")))
        }
        (Style::Matrix, Parts::List(items)) => format!(";{name}={}", list(items).join(",")),
        (Style::Matrix, Parts::Fields(fields)) if explode => {
            format!(";{}", pairs(fields, "=").join(";"))
        }
        (Style::Matrix, Parts::Fields(fields)) => format!(";{name}={}", pairs(fields, ",").join(",")),
        (_, Parts::One(text)) => encode(&text),
        (_, Parts::List(items)) => list(items).join(","),
        (_, Parts::Fields(fields)) => pairs(fields, if explode { "=" } else { "," }).join(","),
    }
}

/// Pairs of a query, a form or cookies, both sides encoded. `keys` are those that an exploded object may have: they
/// become names of their own, and only the document declares names.
pub(super) fn pairs(
    style: Style,
    explode: bool,
    name: &str,
    value: &Value,
    keys: &[String],
    argument: &str,
) -> Result<Vec<(String, String)>, WireError> {
    let encoded = encode(name);
    if style == Style::DeepObject {
        let mut made = Vec::new();
        deep(&encoded, value, 0, argument, &mut made)?;
        return Ok(made);
    }
    let delimiter = match style {
        Style::SpaceDelimited => "%20",
        Style::PipeDelimited => "%7C",
        _ => ",",
    };
    let all = |items: Vec<String>| items.iter().map(|item| encode(item)).collect::<Vec<_>>();
    Ok(match parts(value, argument)? {
        Parts::One(text) => vec![(encoded, encode(&text))],
        Parts::List(items) if explode => all(items).into_iter().map(|item| (encoded.clone(), item)).collect(),
        Parts::List(items) if items.is_empty() => Vec::new(),
        Parts::List(items) => vec![(encoded, all(items).join(delimiter))],
        Parts::Fields(fields) if explode => {
            if let Some((key, _)) = fields.iter().find(|(key, _)| !keys.contains(key)) {
                return Err(WireError::refused(
                    argument,
                    &format!("{key:?} is no parameter that the operation declares"),
                ));
            }
            fields.into_iter().map(|(key, value)| (encode(&key), encode(&value))).collect()
        }
        Parts::Fields(fields) if fields.is_empty() => Vec::new(),
        Parts::Fields(fields) => {
            let flat = fields.into_iter().flat_map(|(key, value)| [key, value]).collect();
            vec![(encoded, all(flat).join(delimiter))]
        }
    })
}

/// `name[key]=value`, and `name[key][key]=value` as servers that know the style read it.
fn deep(
    name: &str,
    value: &Value,
    depth: usize,
    argument: &str,
    made: &mut Vec<(String, String)>,
) -> Result<(), WireError> {
    if depth > bound::DEEP_OBJECT_DEPTH_MAX {
        return Err(WireError::refused(argument, "it is nested too deep"));
    }
    match value {
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            deep(&format!("{name}%5B{}%5D", encode(key)), value, depth + 1, argument, made)
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(n, value)| deep(&format!("{name}%5B{n}%5D"), value, depth + 1, argument, made)),
        plain => {
            made.push((name.to_owned(), encode(&text(plain, argument)?)));
            Ok(())
        }
    }
}

/// A header: `simple`. Nothing is encoded there, so what would read as two values is refused.
pub(super) fn in_header(explode: bool, parts: Parts, argument: &str) -> Result<String, WireError> {
    let whole = |text: &str| {
        if text.contains([',', '=']) {
            return Err(WireError::refused(argument, "a part of a list in a header has no comma and no equals sign"));
        }
        Ok(())
    };
    let text = match parts {
        Parts::One(text) => text,
        Parts::List(items) => {
            items.iter().try_for_each(|item| whole(item))?;
            items.join(",")
        }
        Parts::Fields(fields) => {
            fields.iter().try_for_each(|(key, value)| whole(key).and_then(|()| whole(value)))?;
            let between = if explode { "=" } else { "," };
            fields.iter().map(|(key, value)| format!("{key}{between}{value}")).collect::<Vec<_>>().join(",")
        }
    };
    let good = |byte: u8| byte == b'\t' || (0x20..0x7f).contains(&byte);
    if text.len() > bound::WIRE_HEADER_BYTES_MAX || !text.bytes().all(good) {
        let reason =
            format!("a header has at most {} bytes, all of them printable ASCII", bound::WIRE_HEADER_BYTES_MAX);
        return Err(WireError::refused(argument, &reason));
    }
    Ok(text.trim_matches([' ', '\t']).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of the specification, with the values encoded.
    #[test]
    fn paths_are_written_as_the_specification_shows() {
        let check = |style, explode, value: Value, expected: &str| {
            let made = in_path(style, explode, "color", parts(&value, "color").unwrap());
            assert_eq!(made, expected, "{style:?} {explode} {value}");
        };
        let (one, list, object) = (json!("blue"), json!(["blue", "black"]), json!({"R": 100, "G": 200}));
        check(Style::Simple, false, one.clone(), "blue");
        check(Style::Simple, false, list.clone(), "blue,black");
        check(Style::Simple, false, object.clone(), "R,100,G,200");
        check(Style::Simple, true, object.clone(), "R=100,G=200");
        check(Style::Label, false, one.clone(), ".blue");
        check(Style::Label, false, list.clone(), ".blue,black");
        check(Style::Label, true, list.clone(), ".blue.black");
        check(Style::Label, false, object.clone(), ".R,100,G,200");
        check(Style::Label, true, object.clone(), ".R=100.G=200");
        check(Style::Matrix, false, one, ";color=blue");
        check(Style::Matrix, false, list.clone(), ";color=blue,black");
        check(Style::Matrix, true, list, ";color=blue;color=black");
        check(Style::Matrix, false, object.clone(), ";color=R,100,G,200");
        check(Style::Matrix, true, object, ";R=100;G=200");
        check(Style::Simple, false, json!(["a,b", "c/d"]), "a%2Cb,c%2Fd");
    }

    #[test]
    fn queries_are_written_as_the_specification_shows() {
        let keys = ["R".to_owned(), "G".to_owned()];
        let check = |style, explode, value: Value, expected: &str| {
            let made = pairs(style, explode, "color", &value, &keys, "color").unwrap();
            let made: Vec<String> = made.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(made.join("&"), expected, "{style:?} {explode} {value}");
        };
        let (list, object) = (json!(["blue", "black"]), json!({"R": 100, "G": 200}));
        check(Style::Form, true, json!("a b&c=é"), "color=a%20b%26c%3D%C3%A9");
        check(Style::Form, true, list.clone(), "color=blue&color=black");
        check(Style::Form, false, list.clone(), "color=blue,black");
        check(Style::Form, true, object.clone(), "R=100&G=200");
        check(Style::Form, false, object.clone(), "color=R,100,G,200");
        check(Style::SpaceDelimited, false, list.clone(), "color=blue%20black");
        check(Style::SpaceDelimited, false, object.clone(), "color=R%20100%20G%20200");
        check(Style::PipeDelimited, false, list.clone(), "color=blue%7Cblack");
        check(Style::PipeDelimited, true, list, "color=blue&color=black");
        check(Style::DeepObject, true, object, "color%5BR%5D=100&color%5BG%5D=200");
        check(Style::DeepObject, true, json!({"a": {"b": [1]}}), "color%5Ba%5D%5Bb%5D%5B0%5D=1");
        check(Style::Form, true, json!([]), "");
        check(Style::Form, true, json!(""), "color=");
        check(Style::Form, true, json!([true, null, 1.5]), "color=true&color=&color=1.5");
    }

    #[test]
    fn an_exploded_object_adds_no_name_that_nobody_declared() {
        assert!(pairs(Style::Form, true, "color", &json!({"admin": true}), &["R".into()], "color").is_err());
        assert!(pairs(Style::Form, true, "color", &json!({"R": {"x": 1}}), &["R".into()], "color").is_err());
    }

    #[test]
    fn a_header_holds_one_line_of_printable_ascii() {
        let made = |value: Value| in_header(true, parts(&value, "h").unwrap(), "h");
        assert_eq!(made(json!(["a", "b"])).unwrap(), "a,b");
        assert_eq!(made(json!({"a": "b"})).unwrap(), "a=b");
        for bad in [
            json!("a\r\nX: y"),
            json!("a\nb"),
            json!("a\u{0}"),
            json!("é"),
            json!(["a,b"]),
            json!({"a=": "b"}),
            json!("x".repeat(5000)),
        ] {
            assert!(made(bad.clone()).is_err(), "{bad}");
        }
    }
}
