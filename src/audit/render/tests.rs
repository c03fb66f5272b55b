//! Every format to its literal bytes, and against hostile contents.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::audit::entry::{EVENTS, Event};
use crate::audit::tests_samples::{any_entry, any_personal, bare, entry, personal};
use crate::base::clock::Timestamp;

const HOSTILE: &str = "a\r\nb\u{1b}[31m\0|c=d\\e\"f,g\t\u{7f}\u{9b}\u{2028}\u{202e}検索";

fn rendered(format: Format, shown: &Shown<'_>) -> String {
    let mut out = Vec::new();
    Renderer::of_version(format, "1.2.3").entry(shown, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn of_entry(format: Format, entry: &Entry) -> String {
    rendered(format, &Shown { sequence: 42, entry, personal: None })
}

#[track_caller]
fn check(format: Format, entry: &Entry, personal: Option<&Personal>, expected: &str) {
    assert_eq!(rendered(format, &Shown { sequence: 42, entry, personal }), expected);
}

#[test]
fn jsonl_of_a_full_entry() {
    let expected = concat!(
        r#"{"sequence":42,"at":"2026-09-21T14:13:20.123Z","event":"call","outcome":"refused","#,
        r#""reason":"too_many_requests: over the rate","transport":"http","subject":"p1-c0ffee","#,
        r#""principal":"token:ci","role":"reader","scheme":"bearer","peer":"192.0.2.7","user_agent":"curl/8","#,
        r#""session":"f00dface0001","operation":"docs.search","target":"rust-book","argument_digest":"d1-abcd","#,
        r#""arguments":"{\"query\":\"x\"}","argument_bytes":12,"output_bytes":345,"duration_ms":6,"intent":41}"#,
        "\n"
    );
    check(Format::Jsonl, &entry(), Some(&personal()), expected);
}

#[test]
fn jsonl_leaves_out_what_is_absent() {
    let expected = concat!(
        r#"{"sequence":42,"at":"2026-09-21T14:13:20.123Z","event":"lifecycle","outcome":"done","transport":"internal","#,
        r#""argument_bytes":0,"output_bytes":0,"duration_ms":0}"#,
        "\n"
    );
    check(Format::Jsonl, &bare(), None, expected);
}

#[test]
fn jsonl_escapes_what_is_hostile_and_loses_nothing() {
    let hostile = Entry { reason: Some(HOSTILE.into()), ..bare() };
    let line = of_entry(Format::Jsonl, &hostile);
    let expected =
        concat!(r#""reason":"a\r\nb\u001b[31m\u0000|c=d\\e\"f,g\t\u007f\u009b\u2028\u202e"#, "検索\",\"transport\"");
    assert!(line.contains(expected), "{line}");
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["reason"], HOSTILE);
}

#[test]
fn cef_of_a_full_entry() {
    let expected = "CEF:0|Sekisho|sekisho|1.2.3|call|Call refused|6|rt=1790000000123 externalId=42 act=refused \
        outcome=failure app=http reason=too_many_requests: over the rate suid=p1-c0ffee suser=token:ci spriv=reader \
        src=192.0.2.7 requestClientApplication=curl/8 in=12 out=345 cs1Label=operation cs1=docs.search \
        cs2Label=target cs2=rust-book cs3Label=session cs3=f00dface0001 cs4Label=argumentDigest cs4=d1-abcd \
        cs5Label=scheme cs5=bearer cs6Label=arguments cs6={\"query\":\"x\"} cn1Label=durationMs cn1=6 cn2Label=intent \
        cn2=41\n";
    check(Format::Cef, &entry(), Some(&personal()), expected);
}

#[test]
fn cef_leaves_out_what_is_absent() {
    let expected = "CEF:0|Sekisho|sekisho|1.2.3|lifecycle|Start or stop done|2|rt=1790000000123 externalId=42 act=done \
        outcome=success app=internal in=0 out=0 cn1Label=durationMs cn1=0\n";
    check(Format::Cef, &bare(), None, expected);
}

#[test]
fn cef_escapes_as_its_specification_says() {
    let hostile = Entry { reason: Some(HOSTILE.into()), ..bare() };
    let line = of_entry(Format::Cef, &hostile);
    let expected = " reason=a\\r\\nb␛[31m␀|c\\=d\\\\e\"f,g␉␡\u{fffd}\u{fffd}\u{fffd}検索 in=0";
    assert!(line.contains(expected), "{line}");
    let mut out = Vec::new();
    let shown = Shown { sequence: 1, entry: &bare(), personal: None };
    Renderer::of_version(Format::Cef, "1|2\\3\n").entry(&shown, &mut out).unwrap();
    assert!(out.starts_with("CEF:0|Sekisho|sekisho|1\\|2\\\\3␊|lifecycle|".as_bytes()));
}

#[test]
fn a_peer_stands_under_the_key_for_such_an_address() {
    for (peer, expected) in [
        ("192.0.2.7", " src=192.0.2.7 "),
        ("::ffff:192.0.2.7", " src=192.0.2.7 "),
        ("2001:db8::1", " c6a2Label=Source IPv6 Address c6a2=2001:db8::1 "),
        ("uid 1000 process 5", " flexString1Label=peer flexString1=uid 1000 process 5 "),
        ("192.0.2.7 src=6.6.6.6", " flexString1Label=peer flexString1=192.0.2.7 src\\=6.6.6.6 "),
    ] {
        let personal = Personal { peer: Some(peer.into()), ..Personal::default() };
        let line = rendered(Format::Cef, &Shown { sequence: 1, entry: &bare(), personal: Some(&personal) });
        assert!(line.contains(expected), "{line}");
    }
}

#[test]
fn cef_cuts_values_to_the_lengths_of_its_dictionary() {
    let long = Some("検".repeat(5000));
    let hostile = Entry { reason: long.clone(), target: long.clone(), transport: "x".repeat(100), ..bare() };
    let fields = parse_cef(&of_entry(Format::Cef, &hostile));
    let length = |key: &str| fields.iter().find(|(name, _)| name == key).unwrap().1.chars().count();
    assert_eq!((length("reason"), length("cs2"), length("app")), (1023, 4000, 31));
    assert!(of_entry(Format::Jsonl, &hostile).contains(&"検".repeat(5000)));
}

#[test]
fn severity_follows_the_outcome() {
    for (outcome, severity, success) in [
        (Outcome::Intent, "2", "unknown"),
        (Outcome::Done, "2", "success"),
        (Outcome::InputRequired, "2", "unknown"),
        (Outcome::Deferred, "2", "unknown"),
        (Outcome::Undelivered, "3", "success"),
        (Outcome::Failed, "5", "failure"),
        (Outcome::Refused, "6", "failure"),
    ] {
        let line = of_entry(Format::Cef, &Entry { outcome, ..bare() });
        assert!(line.contains(&format!("|{severity}|rt=")), "{line}");
        assert!(line.contains(&format!(" act={} outcome={success} ", outcome.as_str())), "{line}");
        let ecs: Value = serde_json::from_str(&of_entry(Format::Ecs, &Entry { outcome, ..bare() })).unwrap();
        assert_eq!(ecs["event"]["outcome"], success);
        assert_eq!(ecs["sekisho"]["outcome"], outcome.as_str());
    }
}

#[test]
fn csv_of_entries_with_their_header() {
    let mut out = Vec::new();
    let renderer = Renderer::new(Format::Csv);
    renderer.heading(&mut out).unwrap();
    renderer.entry(&Shown { sequence: 42, entry: &entry(), personal: Some(&personal()) }, &mut out).unwrap();
    renderer.entry(&Shown { sequence: 43, entry: &bare(), personal: None }, &mut out).unwrap();
    let expected = concat!(
        "sequence,at,event,outcome,reason,transport,subject,principal,role,scheme,peer,user_agent,session,operation,",
        "target,argument_digest,arguments,argument_bytes,output_bytes,duration_ms,intent\r\n",
        "42,2026-09-21T14:13:20.123Z,call,refused,too_many_requests: over the rate,http,p1-c0ffee,token:ci,reader,",
        "bearer,192.0.2.7,curl/8,f00dface0001,docs.search,rust-book,d1-abcd,\"{\"\"query\"\":\"\"x\"\"}\",12,345,6,41\r\n",
        "43,2026-09-21T14:13:20.123Z,lifecycle,done,,internal,,,,,,,,,,,,0,0,0,\r\n",
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn csv_shows_what_is_hostile_and_runs_no_formula() {
    for (text, cell) in [
        (HOSTILE, "a␍␊b␛[31m␀|c=d\\e\"f,g␉␡\u{fffd}\u{fffd}\u{fffd}検索"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'␉=1"),
        ("\r=1", "'␍=1"),
        ("\n=1", "'␊=1"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
        ("a=1", "a=1"),
        ("", ""),
    ] {
        let record = parse_csv(&of_entry(Format::Csv, &Entry { target: Some(text.into()), ..bare() }));
        assert_eq!(&record[14], cell);
    }
}

#[test]
fn ecs_of_a_full_entry() {
    let expected = concat!(
        r#"{"@timestamp":"2026-09-21T14:13:20.123Z","ecs":{"version":"8.11.0"},"event":{"kind":"event","#,
        r#""category":["api"],"type":["access","denied"],"action":"docs.search","outcome":"failure","#,
        r#""reason":"too_many_requests: over the rate","sequence":42,"duration":6000000,"provider":"sekisho","#,
        r#""dataset":"sekisho.audit"},"user":{"name":"token:ci","hash":"p1-c0ffee","roles":["reader"]},"#,
        r#""source":{"address":"192.0.2.7","ip":"192.0.2.7"},"user_agent":{"original":"curl/8"},"#,
        r#""sekisho":{"event":"call","outcome":"refused","transport":"http","scheme":"bearer","#,
        r#""session":"f00dface0001","target":"rust-book","argument_digest":"d1-abcd","#,
        r#""arguments":"{\"query\":\"x\"}","argument_bytes":12,"output_bytes":345,"intent":41}}"#,
        "\n"
    );
    check(Format::Ecs, &entry(), Some(&personal()), expected);
}

#[test]
fn ecs_leaves_out_what_is_absent() {
    let expected = concat!(
        r#"{"@timestamp":"2026-09-21T14:13:20.123Z","ecs":{"version":"8.11.0"},"event":{"kind":"event","#,
        r#""category":["process"],"type":["info"],"action":"lifecycle","outcome":"success","sequence":42,"duration":0,"#,
        r#""provider":"sekisho","dataset":"sekisho.audit"},"#,
        r#""sekisho":{"event":"lifecycle","outcome":"done","transport":"internal","argument_bytes":0,"output_bytes":0}}"#,
        "\n"
    );
    check(Format::Ecs, &bare(), None, expected);
}

#[test]
fn ecs_uses_only_the_types_that_the_schema_expects_of_a_category() {
    let expected = |category: &str| match category {
        "api" => {
            &["access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start"][..]
        }
        "authentication" | "session" => &["start", "end", "info"],
        "configuration" => &["access", "change", "creation", "deletion", "info"],
        "database" => &["access", "change", "info", "error"],
        "intrusion_detection" => &["allowed", "denied", "info"],
        "network" => &["access", "allowed", "connection", "denied", "end", "info", "protocol", "start"],
        "process" => &["access", "change", "end", "info", "start"],
        other => panic!("{other} is no category of ours"),
    };
    for event in EVENTS {
        for outcome in [Outcome::Done, Outcome::Refused] {
            let ecs: Value = serde_json::from_str(&of_entry(Format::Ecs, &Entry { event, outcome, ..bare() })).unwrap();
            let category = ecs["event"]["category"][0].as_str().unwrap();
            for kind in ecs["event"]["type"].as_array().unwrap() {
                assert!(expected(category).contains(&kind.as_str().unwrap()), "{category}: {kind}");
            }
        }
    }
}

#[test]
fn a_peer_that_is_no_address_is_no_ip() {
    let personal = Personal { peer: Some("uid 1000".into()), ..Personal::default() };
    let line = rendered(Format::Ecs, &Shown { sequence: 1, entry: &bare(), personal: Some(&personal) });
    assert!(line.contains(r#""source":{"address":"uid 1000"},"#), "{line}");
}

#[test]
fn without_the_personal_part_nobody_is_named() {
    for format in FORMATS {
        let line = of_entry(format, &entry());
        for name in ["token:ci", "192.0.2.7", "curl", "query"] {
            assert!(!line.contains(name), "{format}: {line}");
        }
        assert!(line.contains("p1-c0ffee"), "{format}: {line}");
    }
}

#[test]
fn the_largest_numbers_are_written() {
    let largest = Entry { at: Timestamp(u64::MAX), duration_ms: u64::MAX, intent: Some(u64::MAX), ..bare() };
    for format in FORMATS {
        let line = rendered(format, &Shown { sequence: u64::MAX, entry: &largest, personal: None });
        assert!(line.contains("18446744073709551615"), "{format}: {line}");
    }
    // Elasticsearch has no larger one.
    let line = of_entry(Format::Ecs, &largest);
    assert!(line.contains(r#""duration":9223372036854775807,"#), "{line}");
}

#[test]
fn formats_are_known_by_their_names() {
    for format in FORMATS {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "xml\u{1b}".parse::<Format>().unwrap_err();
    assert_eq!(error.to_string(), "expected one of the formats jsonl, cef, csv and ecs, found \"xml␛\"");
    let extensions: std::collections::BTreeSet<_> = FORMATS.map(Format::extension).into_iter().collect();
    assert_eq!(extensions.len(), FORMATS.len());
}

fn parse_csv(text: &str) -> ::csv::StringRecord {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let mut records: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 1, "{text:?}");
    records.remove(0)
}

/// The extension's keys and unescaped values. A key is what stands before an equal sign that is not escaped.
fn parse_cef(line: &str) -> Vec<(String, String)> {
    let mut pipes = 0;
    let mut escaped = false;
    let at = line.char_indices().find(|(_, char)| {
        pipes += u32::from(*char == '|' && !escaped);
        escaped = *char == '\\' && !escaped;
        pipes == 7
    });
    let extension = line[at.unwrap().0 + 1..].strip_suffix('\n').unwrap();
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut text = String::new();
    let mut chars = extension.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => text.push(match chars.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                other => other,
            }),
            '=' => {
                let (value, key) = text.rsplit_once(' ').unwrap_or(("", &text));
                if let Some(last) = fields.last_mut() {
                    last.1 = value.to_owned();
                }
                fields.push((key.to_owned(), String::new()));
                text.clear();
            }
            _ => text.push(char),
        }
    }
    fields.last_mut().unwrap().1 = text;
    fields
}

proptest! {
    #[test]
    fn one_entry_is_one_harmless_line(entry in any_entry(), personal in any_personal(), sequence: u64) {
        for format in FORMATS {
            let line = rendered(format, &Shown { sequence, entry: &entry, personal: personal.as_ref() });
            let end = if format == Format::Csv { "\r\n" } else { "\n" };
            let body = line.strip_suffix(end).unwrap();
            prop_assert!(!body.contains(text::is_hostile), "{}: {:?}", format, body);
            prop_assert!(!body.is_empty());
        }
    }

    #[test]
    fn jsonl_and_ecs_read_back_what_was_said(entry in any_entry(), personal in any_personal(), sequence: u64) {
        let shown = Shown { sequence, entry: &entry, personal: personal.as_ref() };
        let person = personal.clone().unwrap_or_default();
        let said = |value: &Value| value.as_str().map(str::to_owned);
        let line: Value = serde_json::from_str(&rendered(Format::Jsonl, &shown)).unwrap();
        let ecs: Value = serde_json::from_str(&rendered(Format::Ecs, &shown)).unwrap();
        prop_assert_eq!(line["sequence"].as_u64(), Some(sequence));
        prop_assert_eq!(ecs["event"]["sequence"].as_u64(), Some(sequence));
        prop_assert_eq!(&line["at"], &ecs["@timestamp"]);
        for (name, field, place) in [
            ("reason", &entry.reason, &ecs["event"]["reason"]),
            ("subject", &entry.subject, &ecs["user"]["hash"]),
            ("role", &entry.role, &ecs["user"]["roles"][0]),
            ("scheme", &entry.scheme, &ecs["sekisho"]["scheme"]),
            ("session", &entry.session, &ecs["sekisho"]["session"]),
            ("target", &entry.target, &ecs["sekisho"]["target"]),
            ("principal", &person.principal, &ecs["user"]["name"]),
            ("peer", &person.peer, &ecs["source"]["address"]),
            ("user_agent", &person.user_agent, &ecs["user_agent"]["original"]),
            ("arguments", &person.arguments, &ecs["sekisho"]["arguments"]),
        ] {
            prop_assert_eq!(&said(&line[name]), field);
            prop_assert_eq!(&said(place), field);
        }
    }

    #[test]
    fn csv_reads_back_as_one_record_that_runs_nothing(entry in any_entry(), personal in any_personal()) {
        let record = parse_csv(&rendered(Format::Csv, &Shown { sequence: 7, entry: &entry, personal: personal.as_ref() }));
        prop_assert_eq!(record.len(), FIELDS.len());
        for cell in &record {
            prop_assert!(!cell.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r', '＝']), "{:?}", cell);
        }
    }

    #[test]
    fn nothing_in_an_entry_becomes_a_cef_key(entry in any_entry(), personal in any_personal()) {
        let fields = parse_cef(&rendered(Format::Cef, &Shown { sequence: 7, entry: &entry, personal: personal.as_ref() }));
        let mut keys: Vec<_> = fields.iter().map(|(key, _)| key.as_str()).collect();
        prop_assert_eq!(&keys[..3], &["rt", "externalId", "act"]);
        prop_assert_eq!(&fields[2].1, entry.outcome.as_str());
        let known = [
            "rt", "externalId", "act", "outcome", "app", "reason", "suid", "suser", "spriv", "src", "c6a2Label", "c6a2",
            "flexString1Label", "flexString1", "requestClientApplication", "in", "out", "cs1Label", "cs1", "cs2Label",
            "cs2", "cs3Label", "cs3", "cs4Label", "cs4", "cs5Label", "cs5", "cs6Label", "cs6", "cn1Label", "cn1",
            "cn2Label", "cn2",
        ];
        prop_assert!(keys.iter().all(|key| known.contains(key)), "{:?}", keys);
        keys.sort_unstable();
        keys.dedup();
        prop_assert_eq!(keys.len(), fields.len());
        let operation = fields.iter().find(|(key, _)| key == "cs1").map(|(_, value)| value.as_str());
        let expected = entry.operation.as_deref().filter(|operation| !operation.is_empty());
        let without = |text: &str| text.replace(|char| text::is_hostile(char) && !matches!(char, '\r' | '\n'), "");
        if let (Some(found), Some(expected)) = (operation, expected) && expected.chars().count() <= 4000 {
            prop_assert_eq!(found.chars().count(), expected.chars().count());
            if without(expected) == expected {
                prop_assert_eq!(found, expected);
            }
        }
    }
}

#[test]
fn every_event_has_a_name_in_words() {
    let names: std::collections::BTreeSet<_> = EVENTS
        .into_iter()
        .map(|event: Event| of_entry(Format::Cef, &Entry { event, ..bare() }).split('|').nth(5).unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), EVENTS.len());
}
