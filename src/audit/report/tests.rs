//! Reports, number by number.

use proptest::prelude::*;

use super::*;
use crate::audit::entry::{Entry, Personal};
use crate::audit::render::text::is_hostile;
use crate::audit::tests_samples::{any_entry, any_personal, bare, entry, personal};

fn of(entries: &[Entry]) -> Summary {
    let mut summary = Summary::default();
    for (sequence, entry) in (100..).zip(entries) {
        summary.add(&Shown { sequence, entry, personal: None });
    }
    summary
}

fn done(operation: &str, duration_ms: u64) -> Entry {
    Entry {
        operation: Some(operation.into()),
        duration_ms,
        outcome: Outcome::Done,
        reason: None,
        intent: None,
        ..entry()
    }
}

#[test]
fn a_report_of_nothing_says_so() {
    let summary = Summary::default();
    let json = summary.to_json();
    assert_eq!((&json["entries"], &json["first"], &json["from"]), (&json!(0), &Value::Null, &Value::Null));
    let expected = "Entries                 0\nTime                    none\nCalls                   0\n\
        Intents without outcome 0\nWithout personal part   0\n";
    assert_eq!(summary.to_text(), expected);
}

#[test]
fn a_report_as_text() {
    let mut later = done("docs.read", 700);
    later.at = Timestamp(later.at.0 + 2 * 3_600_000);
    let summary = of(&[bare(), entry(), done("docs.search", 3), done("docs.search", 5), later]);
    let expected = "\
Entries                 5 (100 to 104)
Time                    2026-09-21T14:13:20.123Z to 2026-09-21T16:13:20.123Z
Calls                   4
Intents without outcome 0
Without personal part   5

By event   entries
call             4
lifecycle        1

By outcome  entries
done              4
refused           1

By operation  entries
docs.search         3
docs.read           1

By role  entries
reader         4

By transport  entries
http                4
internal            1

Refusals           entries
too_many_requests        1

Subjects   calls
p1-c0ffee      4

Durations in ms  runs  50 %  95 %  99 %  max
docs.search         2     3     5     5    5
docs.read           1   700   700   700  700

Calls by hour, from       calls
2026-09-21T14:00:00.000Z      3  ########################################
2026-09-21T16:00:00.000Z      1  #############
";
    assert_eq!(summary.to_text(), expected);
}

#[test]
fn a_report_as_json() {
    let summary = of(&[bare(), entry(), done("docs.search", 3)]);
    let expected = json!({
        "entries": 3, "first": 100, "last": 102,
        "from": "2026-09-21T14:13:20.123Z", "to": "2026-09-21T14:13:20.123Z",
        "calls": 2, "without_personal": 3, "intents_open": {"count": 0, "sequences": []},
        "events": {"call": 2, "lifecycle": 1}, "outcomes": {"done": 2, "refused": 1},
        "operations": {"rows": [{"name": "docs.search", "count": 2}], "others": 0, "error_max": 0},
        "roles": {"rows": [{"name": "reader", "count": 2}], "others": 0, "error_max": 0},
        "transports": {"rows": [{"name": "http", "count": 2}, {"name": "internal", "count": 1}], "others": 0, "error_max": 0},
        "refusals": {"rows": [{"name": "too_many_requests", "count": 1}], "others": 0, "error_max": 0},
        "subjects": {"rows": [{"name": "p1-c0ffee", "count": 2}], "others": 0, "error_max": 0},
        "durations": [{"operation": "docs.search", "count": 1, "p50_ms": 3, "p95_ms": 3, "p99_ms": 3, "max_ms": 3}],
        "periods": {"hours": 1, "rows": [{"from": "2026-09-21T14:00:00.000Z", "calls": 2}]},
    });
    assert_eq!(summary.to_json(), expected);
}

#[test]
fn an_intent_without_an_outcome_is_told() {
    let intent = Entry { outcome: Outcome::Intent, intent: None, ..entry() };
    let closes = |sequence| Entry { intent: Some(sequence), ..done("audit.prune", 1) };
    let open = |entries: &[Entry]| of(entries).to_json()["intents_open"].clone();
    assert_eq!(open(&[intent.clone(), intent.clone()]), json!({"count": 2, "sequences": [100, 101]}));
    assert_eq!(open(&[intent.clone(), intent.clone(), closes(100)]), json!({"count": 1, "sequences": [101]}));
    // It was begun before the first entry of this report.
    assert_eq!(open(&[intent, closes(7)]), json!({"count": 1, "sequences": [100]}));
}

#[test]
fn an_intent_and_its_outcome_are_one_call() {
    let intent = Entry { outcome: Outcome::Intent, intent: None, ..entry() };
    let summary = of(&[intent, Entry { intent: Some(100), ..done("docs.search", 1) }]);
    let json = summary.to_json();
    assert_eq!(
        (&json["entries"], &json["calls"], &json["operations"]["rows"][0]["count"]),
        (&json!(2), &json!(1), &json!(1))
    );
}

#[test]
fn intents_beyond_what_is_remembered_are_counted() {
    let mut summary = Summary::default();
    let intent = Entry { outcome: Outcome::Intent, intent: None, ..entry() };
    let many = bound::REPORT_INTENTS_MAX as u64 + 5;
    (0..many).for_each(|sequence| summary.add(&Shown { sequence, entry: &intent, personal: None }));
    assert_eq!(summary.intents.count(), many);
    for closed in (0..many).rev() {
        let closes = Entry { intent: Some(closed), ..done("x", 1) };
        summary.add(&Shown { sequence: many * 2 - closed, entry: &closes, personal: None });
    }
    assert_eq!(summary.intents.count(), 0);
}

#[test]
fn a_subject_goes_by_its_name_where_that_is_open() {
    let mut summary = Summary::default();
    let stranger = Personal { principal: None, ..personal() };
    for person in [Some(&personal()), Some(&stranger), None] {
        summary.add(&Shown { sequence: 1, entry: &entry(), personal: person });
    }
    let names: Vec<_> = summary.subjects.rows(9).into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["p1-c0ffee", "peer:192.0.2.7", "token:ci"]);
    assert_eq!(summary.to_json()["without_personal"], 1);
}

#[test]
fn names_that_were_refused_take_no_room_for_durations() {
    let made_up = (0..2000).map(|number| Entry { operation: Some(format!("made.up.{number}")), ..entry() });
    let entries: Vec<_> = made_up.chain([done("docs.search", 3)]).collect();
    let summary = of(&entries);
    assert_eq!(summary.durations.len(), 1);
    assert_eq!(summary.other_durations.count(), 0);
}

#[test]
fn operations_beyond_the_bound_share_a_row() {
    let many = bound::REPORT_OPERATIONS_MAX + 3;
    let entries: Vec<_> = (0..many).map(|number| done(&format!("operation.{number}"), 3)).collect();
    let summary = of(&entries);
    assert_eq!(summary.durations.len(), bound::REPORT_OPERATIONS_MAX);
    assert_eq!(summary.durations().last().map(|(name, histogram)| (*name, histogram.count())), Some(("(others)", 3)));
}

#[test]
fn a_clock_that_went_back_does_not_turn_the_range() {
    let earlier = Entry { at: Timestamp(0), ..entry() };
    let json = of(&[entry(), earlier]).to_json();
    assert_eq!((&json["from"], &json["to"]), (&json!("1970-01-01T00:00:00.000Z"), &json!("2026-09-21T14:13:20.123Z")));
}

proptest! {
    #[test]
    fn hostile_entries_make_a_harmless_report(
        entries in proptest::collection::vec((any_entry(), any_personal(), any::<u64>()), 0..40)
    ) {
        let mut summary = Summary::default();
        for (entry, personal, sequence) in &entries {
            summary.add(&Shown { sequence: *sequence, entry, personal: personal.as_ref() });
        }
        let text = summary.to_text();
        prop_assert!(!text.contains(|char| char != '\n' && is_hostile(char)), "{:?}", text);
        let json = summary.to_json();
        prop_assert!(!json.to_string().contains(is_hostile));
        prop_assert_eq!(&json["entries"], &json!(entries.len()));
        let events: u64 = summary.events.values().sum();
        let outcomes: u64 = summary.outcomes.values().sum();
        prop_assert_eq!((events, outcomes), (entries.len() as u64, entries.len() as u64));
    }
}
