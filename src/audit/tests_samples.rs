//! Entries for the tests of this room.

use proptest::prelude::*;

use super::entry::{EVENTS, Entry, Event, Outcome, Personal};
use crate::base::clock::Timestamp;

const OUTCOMES: [Outcome; 7] = [
    Outcome::Intent,
    Outcome::Done,
    Outcome::Failed,
    Outcome::Refused,
    Outcome::InputRequired,
    Outcome::Deferred,
    Outcome::Undelivered,
];

/// An entry with every field.
pub(super) fn entry() -> Entry {
    Entry {
        at: Timestamp(1_790_000_000_123),
        event: Event::Call,
        outcome: Outcome::Refused,
        reason: Some("too_many_requests: over the rate".into()),
        transport: "http".into(),
        subject: Some("p1-c0ffee".into()),
        role: Some("reader".into()),
        scheme: Some("bearer".into()),
        session: Some("f00dface0001".into()),
        operation: Some("docs.search".into()),
        target: Some("rust-book".into()),
        argument_digest: Some("d1-abcd".into()),
        argument_bytes: 12,
        output_bytes: 345,
        duration_ms: 6,
        intent: Some(41),
        sealed: Some(vec![1, 2, 3]),
    }
}

/// One with as little as there can be.
pub(super) fn bare() -> Entry {
    Entry {
        event: Event::Lifecycle,
        outcome: Outcome::Done,
        reason: None,
        transport: "internal".into(),
        subject: None,
        role: None,
        scheme: None,
        session: None,
        operation: None,
        target: None,
        argument_digest: None,
        argument_bytes: 0,
        output_bytes: 0,
        duration_ms: 0,
        intent: None,
        sealed: None,
        ..entry()
    }
}

pub(super) fn personal() -> Personal {
    Personal {
        principal: Some("token:ci".into()),
        peer: Some("192.0.2.7".into()),
        user_agent: Some("curl/8".into()),
        arguments: Some("{\"query\":\"x\"}".into()),
    }
}

/// Text as somebody hostile would write it.
fn hostile() -> impl Strategy<Value = Option<String>> {
    let pieces = proptest::sample::select(vec![
        "\n",
        "\r\n",
        "\t",
        "\0",
        "\u{1b}[2J",
        "\u{9b}",
        "\u{7f}",
        "\u{2028}",
        "\u{202e}",
        "|",
        "=",
        "\\",
        "\"",
        "'",
        ",",
        ";",
        " ",
        "=1+1",
        "@x",
        "-2",
        "+3",
        "＝",
        " act=done",
        "}",
        "a",
        "検索",
        "\u{feff}",
        "😀",
    ]);
    let text = proptest::collection::vec(prop_oneof![pieces.prop_map(str::to_owned), any::<String>()], 0..6);
    proptest::option::of(text.prop_map(|pieces| pieces.concat()))
}

pub(super) fn any_entry() -> impl Strategy<Value = Entry> {
    let texts = proptest::collection::vec(hostile(), 9);
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<Option<u64>>());
    let words = (proptest::sample::select(&EVENTS[..]), proptest::sample::select(&OUTCOMES[..]));
    (texts, numbers, words, any::<Option<Vec<u8>>>()).prop_map(|(mut texts, numbers, (event, outcome), sealed)| {
        let mut text = || texts.pop().flatten();
        Entry {
            at: Timestamp(numbers.0),
            event,
            outcome,
            reason: text(),
            transport: text().unwrap_or_default(),
            subject: text(),
            role: text(),
            scheme: text(),
            session: text(),
            operation: text(),
            target: text(),
            argument_digest: text(),
            argument_bytes: numbers.1,
            output_bytes: numbers.2,
            duration_ms: numbers.3,
            intent: numbers.4,
            sealed,
        }
    })
}

pub(super) fn any_personal() -> impl Strategy<Value = Option<Personal>> {
    let personal = (hostile(), hostile(), hostile(), hostile());
    proptest::option::of(personal.prop_map(|(principal, peer, user_agent, arguments)| Personal {
        principal,
        peer,
        user_agent,
        arguments,
    }))
}
