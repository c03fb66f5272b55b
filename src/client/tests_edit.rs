//! Edits of JSON with comments, on every shape that people write.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const SLOT: Slot = Slot { table: "mcpServers", name: "ours", kind: Kind::Member };
const INPUTS: Slot = Slot { table: "inputs", name: "ours", kind: Kind::Element };

fn check(before: &str, after: &str) {
    let put = put(before, SLOT, &json!({"a": 1})).unwrap();
    assert_eq!(put, after, "\n{put}");
}

#[test]
fn an_entry_comes_first_in_the_form_of_the_file() {
    check("", "{\n  \"mcpServers\": {\n    \"ours\": {\n      \"a\": 1\n    }\n  }\n}\n");
    check("// note", "// note\n{\n  \"mcpServers\": {\n    \"ours\": {\n      \"a\": 1\n    }\n  }\n}\n");
    check("{}", "{\n  \"mcpServers\": {\n    \"ours\": {\n      \"a\": 1\n    }\n  }\n}");
    check("{\"x\": 1}", "{\"mcpServers\": {\n    \"ours\": {\n      \"a\": 1\n    }\n  }, \"x\": 1}");
    check(
        "{\r\n\t\"mcpServers\": {\r\n\t\t\"other\": {},\r\n\t},\r\n}\r\n",
        "{\r\n\t\"mcpServers\": {\r\n\t\t\"ours\": {\r\n\t\t\t\"a\": 1\r\n\t\t},\r\n\t\t\"other\": {},\r\n\t},\r\n}\r\n",
    );
    check(
        "{\"mcpServers\": {\"other\": {}}, \"x\": [1]}",
        "{\"mcpServers\": {\"ours\": {\"a\":1}, \"other\": {}}, \"x\": [1]}",
    );
    check(
        "{\n  \"mcpServers\": { // these\n    \"other\": {}\n  }\n}",
        "{\n  \"mcpServers\": { // these\n    \"ours\": {\n      \"a\": 1\n    },\n    \"other\": {}\n  }\n}",
    );
    check("{\n  \"mcpServers\": {}\n}", "{\n  \"mcpServers\": {\n    \"ours\": {\n      \"a\": 1\n    }\n  }\n}");
}

#[test]
fn one_that_is_there_is_replaced_and_nothing_beside_it() {
    let before = "{\"mcpServers\": {\"a\": 1, \"ours\": {\"old\": [true]} /* kept */, \"z\": 2}} // end";
    let after = "{\"mcpServers\": {\"a\": 1, \"ours\": {\"a\":1} /* kept */, \"z\": 2}} // end";
    check(before, after);
    check(after, after);
    assert_eq!(find(before, SLOT).unwrap(), Some("{\"old\": [true]}"));
    // The same name elsewhere is another thing.
    assert_eq!(find("{\"projects\": {\"mcpServers\": {\"ours\": 1}}}", SLOT).unwrap(), None);
}

#[test]
fn an_entry_is_taken_out_from_every_place() {
    for (before, after) in [
        ("{\"mcpServers\": {\"ours\": 1, \"b\": 2}}", "{\"mcpServers\": {\"b\": 2}}"),
        ("{\"mcpServers\": {\"b\": 2, \"ours\": 1}}", "{\"mcpServers\": {\"b\": 2}}"),
        ("{\"mcpServers\": {\"b\": 2, // two\n\"ours\": 1\n}}", "{\"mcpServers\": {\"b\": 2 // two\n}}"),
        ("{\"mcpServers\": {\n\"b\": 2,\n\"ours\": 1,\n}}", "{\"mcpServers\": {\n\"b\": 2,\n}}"),
        ("{\"mcpServers\": {\n  \"ours\": 1\n}}", "{\"mcpServers\": {}}"),
        ("{\"mcpServers\": {\"a\": 1}}", "{\"mcpServers\": {\"a\": 1}}"),
        // A comment ends with its line, and takes nothing along.
        ("{\"mcpServers\": { // these\n\"ours\": 1, \"b\": 2}}", "{\"mcpServers\": { // these\n\"b\": 2}}"),
        ("{\"mcpServers\": { // these\n  \"ours\": 1 }}", "{\"mcpServers\": { // these\n   }}"),
        ("{\"mcpServers\": {\"b\": 2, // two\n  \"ours\": 1 }}", "{\"mcpServers\": {\"b\": 2 // two\n }}"),
        (
            "{\"mcpServers\": {\"b\": 2, // two\n\"ours\": 1, \"c\": 3}}",
            "{\"mcpServers\": {\"b\": 2, // two\n\"c\": 3}}",
        ),
        (
            "{\"u\": \"http://a\", \"mcpServers\": {\n\"ours\": 1, \"c\": 3}}",
            "{\"u\": \"http://a\", \"mcpServers\": { \"c\": 3}}",
        ),
        ("{}", "{}"),
        ("", ""),
    ] {
        assert_eq!(take(before, SLOT).unwrap(), after, "{before}");
    }
}

#[test]
fn elements_of_arrays_are_known_by_their_id() {
    let before = "{\n  \"inputs\": [\n    {\"id\": \"theirs\"}\n  ]\n}";
    let after = put(before, INPUTS, &json!({"id": "ours"})).unwrap();
    assert_eq!(after, "{\n  \"inputs\": [\n    {\n      \"id\": \"ours\"\n    },\n    {\"id\": \"theirs\"}\n  ]\n}");
    assert_eq!(put(&after, INPUTS, &json!({"id": "ours"})).unwrap(), after);
    assert_eq!(take(&after, INPUTS).unwrap(), before);
    assert!(put("{\"x\": 1}", INPUTS, &json!({"id": "ours"})).unwrap().starts_with("{\"inputs\": ["));
}

#[test]
fn what_cannot_be_edited_is_told_with_its_line() {
    let error = put("{\n  \"mcpServers\": {\n    \"a\" 1\n  }\n}", SLOT, &json!(1)).unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
    for text in ["{", "{\"a\": 1,, }", "{'a': 1}", "{a: 1}", "{\"a\": 1 \"b\": 2}", "{} {}", "{\"a\": 0x1}", "nul"] {
        assert!(matches!(put(text, SLOT, &json!(1)), Err(EditError::NotJson(_))), "{text}");
    }
    for text in ["[]", "1", "{\"mcpServers\": []}", "{\"mcpServers\": null}"] {
        assert!(matches!(put(text, SLOT, &json!(1)), Err(EditError::Other { .. })), "{text}");
    }
    for text in ["{\"mcpServers\": {}, \"mcpServers\": {}}", "{\"mcpServers\": {\"ours\": 1, \"ours\": 2}}"] {
        assert!(matches!(put(text, SLOT, &json!(1)), Err(EditError::Twice(_))), "{text}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(put(&format!("{{\"a\": {deep}}}"), SLOT, &json!(1)), Err(EditError::TooDeep));
    // Brackets in words and comments are none.
    let brackets = "[".repeat(1000);
    assert!(put(&format!("{{\"a\": \"\\\"{brackets}\"}} // {brackets}\n/* {brackets} **/"), SLOT, &json!(1)).is_ok());
}

/// Blanks and comments between the parts of a document.
fn filler() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(String::new()),
        3 => Just(" ".to_owned()),
        3 => Just("\n    ".to_owned()),
        1 => Just("\r\n\t".to_owned()),
        1 => Just(" // a, {\"b\"\n".to_owned()),
        1 => Just(" /* c, } */ ".to_owned()),
    ]
}

proptest! {
    /// Whatever stands around the entries: what was put in and taken out leaves each byte as it was.
    #[test]
    fn taking_out_undoes_putting_in(
        fillers in prop::collection::vec(filler(), 12),
        others in 1_usize..4,
        trailing in any::<bool>(),
        value in prop_oneof![Just(json!({"a": [1, "}"]})), Just(json!("text, // {")), Just(json!({}))],
    ) {
        let mut next = fillers.iter().cycle();
        let mut gap = || next.next().cloned().unwrap_or_default();
        let mut text = format!("{}{{{}\"mcpServers\"{}:{}{{", gap(), gap(), gap(), gap());
        for number in 0..others {
            text.push_str(&format!("{}\"s{number}\"{}: {{\"x\": {number}}}{}", gap(), gap(), gap()));
            if trailing || number + 1 < others {
                text.push(',');
            }
        }
        text.push_str(&format!("{}}}{}}}{}", gap(), gap(), gap()));
        let connected = put(&text, SLOT, &value).unwrap();
        prop_assert_eq!(find(&connected, SLOT).unwrap().map(|text| serde_json::from_str(text).unwrap()), Some(value.clone()));
        prop_assert_eq!(&put(&connected, SLOT, &value).unwrap(), &connected);
        prop_assert_eq!(take(&connected, SLOT).unwrap(), text);
    }

    /// However a person laid the file out with our entry in it: it goes, nothing else does, or nothing is changed.
    #[test]
    fn taking_out_by_any_layout_leaves_all_others(
        fillers in prop::collection::vec(filler(), 16),
        others in 0_usize..4,
        place in 0_usize..4,
        trailing in any::<bool>(),
    ) {
        let mut next = fillers.iter().cycle();
        let mut gap = || next.next().cloned().unwrap_or_default();
        let mut names: Vec<String> = (0..others).map(|number| format!("s{number}")).collect();
        names.insert(place.min(others), "ours".to_owned());
        let mut text = format!("{}{{{}\"mcpServers\"{}:{}{{", gap(), gap(), gap(), gap());
        let last = names.len() - 1;
        for (number, name) in names.iter().enumerate() {
            text.push_str(&format!("{}\"{name}\"{}: {{\"x\": \"{name} // {{\"}}{}", gap(), gap(), gap()));
            if trailing || number < last {
                text.push(',');
            }
        }
        text.push_str(&format!("{}}}{}, \"later\": [1]{}}}{}", gap(), gap(), gap(), gap()));
        match take(&text, SLOT) {
            Ok(left) => {
                let all = |text: &str| -> Vec<String> {
                    let read = read(text, SLOT).unwrap();
                    read.table.unwrap().children.into_iter().map(|child| text[child.value].to_owned()).collect()
                };
                let expect: Vec<String> = all(&text).into_iter().filter(|value| !value.contains("ours")).collect();
                prop_assert_eq!(all(&left), expect, "{}", left);
                prop_assert!(left.contains("\"later\": [1]"));
            }
            Err(error) => prop_assert!(matches!(error, EditError::Entangled(_)), "{}", error),
        }
    }

    /// A stranger's bytes are read or refused, and never more.
    #[test]
    fn no_text_brings_it_down(text in "[\\{\\}\\[\\]\",:/*\\\\ \n\ra-z0-9]{0,60}") {
        if let Ok(connected) = put(&text, SLOT, &json!({"a": 1})) {
            prop_assert!(find(&connected, SLOT).unwrap().is_some(), "{}", connected);
            if let Ok(left) = take(&connected, SLOT) {
                prop_assert!(find(&left, SLOT).unwrap().is_none());
            }
        }
    }
}
