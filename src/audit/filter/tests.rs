//! Filters, field by field.

use proptest::prelude::*;

use super::*;
use crate::audit::tests_samples::{entry, personal};

fn none() -> Filter {
    Filter::default()
}

fn operation(pattern: &str) -> Filter {
    Filter { operation: Some(Pattern::parse(pattern).unwrap()), ..none() }
}

fn text(text: &str) -> Filter {
    Filter { text: Some(Needle::new(text)), ..none() }
}

fn subject(name: &str) -> Filter {
    Filter { subjects: vec!["p1-ffff".into(), name.into()], ..none() }
}

#[track_caller]
fn check(filter: &Filter, expected: bool) {
    assert_eq!(filter.matches(&entry(), Some(&personal())), expected, "{filter:?}");
}

#[test]
fn an_empty_filter_takes_every_entry() {
    check(&none(), true);
    assert!(none().matches(&entry(), None));
}

#[test]
fn times_are_from_and_before() {
    let at = entry().at;
    let later = Timestamp(at.0 + 1);
    check(&Filter { from: Some(at), ..none() }, true);
    check(&Filter { from: Some(later), ..none() }, false);
    check(&Filter { to: Some(at), ..none() }, false);
    check(&Filter { to: Some(later), ..none() }, true);
}

#[test]
fn one_of_several_events_or_outcomes_is_enough() {
    check(&Filter { events: vec![Event::Vault, Event::Call], ..none() }, true);
    check(&Filter { events: vec![Event::Vault], ..none() }, false);
    check(&Filter { outcomes: vec![Outcome::Failed, Outcome::Refused], ..none() }, true);
    check(&Filter { outcomes: vec![Outcome::Done], ..none() }, false);
}

#[test]
fn all_that_is_asked_must_hold() {
    let filter = Filter { events: vec![Event::Call], outcomes: vec![Outcome::Done], ..none() };
    check(&filter, false);
    check(&Filter { outcomes: vec![Outcome::Refused], ..filter }, true);
}

#[test]
fn a_subject_is_found_by_pseudonym_and_by_name() {
    check(&subject("p1-c0ffee"), true);
    check(&subject("token:ci"), true);
    check(&subject("token:c"), false);
    check(&subject("TOKEN:CI"), false);
    assert!(subject("p1-c0ffee").matches(&entry(), None));
    assert!(!subject("token:ci").matches(&entry(), None), "a sealed name is not known");
}

#[test]
fn somebody_who_was_not_recognised_is_found_by_address() {
    let stranger = Personal { principal: None, ..personal() };
    assert!(subject("peer:192.0.2.7").matches(&entry(), Some(&stranger)));
    check(&subject("peer:192.0.2.7"), false);
}

#[test]
fn an_operation_is_exact_or_has_asterisks() {
    for (pattern, expected) in [
        ("docs.search", true),
        ("docs.searc", false),
        ("Docs.search", false),
        ("docs.*", true),
        ("*search", true),
        ("*", true),
        ("d*s*h", true),
        ("**", true),
        ("docs.search*", true),
        ("audit.*", false),
        ("docs.searc?", false),
        ("docs.[s]earch*", false),
        ("{docs,audit}.*", false),
        ("docs\\.*", false),
    ] {
        check(&operation(pattern), expected);
    }
    let without = Entry { operation: None, ..entry() };
    assert!(!operation("*").matches(&without, None));
}

#[test]
fn an_asterisk_stands_for_slashes_and_line_breaks_too() {
    let odd = Entry { operation: Some("docs/a\nb".into()), ..entry() };
    assert!(operation("docs*b").matches(&odd, None));
}

#[test]
fn text_is_found_in_all_its_fields_without_regard_to_case() {
    for (needle, expected) in [
        ("rate", true),
        ("TOO_MANY", true),
        ("Docs.Sea", true),
        ("rust-book", true),
        ("f00dface", true),
        ("token:CI", true),
        ("192.0.2", true),
        ("", true),
        ("curl", false),
        ("nowhere", false),
        ("http", false),
    ] {
        check(&text(needle), expected);
    }
    assert!(!text("token:ci").matches(&entry(), None));
    let foreign = Entry { reason: Some("ÄRGER im Büro".into()), ..entry() };
    assert!(text("ärger").matches(&foreign, None));
}

#[test]
fn a_pattern_has_a_length() {
    assert!(matches!(Pattern::parse(""), Err(PatternError::Length { found: 0 })));
    let long = "*a".repeat(bound::FILTER_PATTERN_CHARS_MAX);
    assert!(matches!(Pattern::parse(&long), Err(PatternError::Length { .. })));
}

proptest! {
    #[test]
    fn any_pattern_matches_itself_read_as_a_name(name in "[^*]{1,60}") {
        let named = Entry { operation: Some(name.clone()), ..entry() };
        prop_assert!(operation(&name).matches(&named, None));
        let star = format!("{name}*");
        prop_assert!(operation(&star).matches(&named, None));
    }

    #[test]
    fn hostile_patterns_are_an_error_and_never_a_panic(pattern in r"[*?\[\]{}!\\,a-c-]{1,256}", name: String) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            let named = Entry { operation: Some(name), ..entry() };
            let _any = Filter { operation: Some(pattern), ..none() }.matches(&named, None);
        }
    }
}
