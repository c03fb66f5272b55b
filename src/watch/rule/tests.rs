//! Rules over made-up entries: what counts, for whom, and when it fires.

use std::sync::Arc;

use super::*;
use crate::audit::Disclosed;
use crate::audit::entry::{Draft, Personal};
use crate::config::Config;
use crate::config::raw::Raw;

/// Makes entries one after the other.
struct Feed {
    rules: Rules,
    at: Timestamp,
    sequence: u64,
}

const START: Timestamp = Timestamp(1_790_000_000_000);

impl Feed {
    fn new(change: impl FnOnce(&mut Raw)) -> Self {
        let mut raw = Raw::default();
        change(&mut raw);
        Self { rules: Rules::new(&Config::of(raw).unwrap().watch), at: START, sequence: 0 }
    }

    /// So many may be tried.
    fn with_attempts(attempts: u64) -> Self {
        Self::new(|raw| {
            raw.watch.rate_limit_attempts = attempts;
            raw.rate.per_session = attempts;
        })
    }

    fn pass(&mut self, span: Duration) {
        self.at = self.at.plus(span);
    }

    /// An entry of `who` (a principal, or `peer:ADDRESS`); gives the events that fire.
    fn see(&mut self, event: Event, outcome: Outcome, who: &str, reason: &str) -> Vec<Finding> {
        self.change(event, outcome, who, reason, |_| {})
    }

    fn change(
        &mut self,
        event: Event,
        outcome: Outcome,
        who: &str,
        reason: &str,
        change: impl FnOnce(&mut Entry),
    ) -> Vec<Finding> {
        let mut personal = Personal { peer: Some("192.0.2.7".into()), ..Personal::default() };
        match who.strip_prefix("peer:") {
            Some(peer) => personal.peer = Some(peer.to_owned()),
            None => personal.principal = Some(who.to_owned()),
        }
        let draft = Draft::new(event, "http", self.at);
        let reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
        let mut entry = crate::audit::entry::of_draft(draft, outcome, reason, self.at);
        entry.operation = Some("search_documents".into());
        entry.session = Some("abc".into());
        change(&mut entry);
        self.sequence += 1;
        let numbered =
            Numbered { sequence: self.sequence, entry: Arc::new(entry), personal: Disclosed::Open(Arc::new(personal)) };
        self.rules.observe(&numbered)
    }
}

fn events(findings: &[Finding]) -> Vec<SecurityEvent> {
    findings.iter().map(|finding| finding.event).collect()
}

#[test]
fn attempts_beyond_the_rate_block_the_session_refused_ones_included() {
    let mut feed = Feed::with_attempts(10);
    for turn in 0..10 {
        let outcome = if turn % 2 == 0 { Outcome::Done } else { Outcome::Refused };
        assert_eq!(feed.see(Event::Call, outcome, "ann", ""), []);
        assert_eq!(feed.see(Event::Call, Outcome::Intent, "ann", ""), [], "an intent is no second attempt");
    }
    let other = feed.change(Event::Call, Outcome::Done, "ann", "", |entry| entry.session = Some("def".into()));
    assert_eq!(other, [], "each session for itself");
    let found = feed.see(Event::Call, Outcome::Done, "ann", "");
    assert_eq!(events(&found), [SecurityEvent::RateLimitExceeded]);
    assert_eq!((found[0].action, found[0].who.session.as_deref()), (Action::Block, Some("abc")));
    assert!(found[0].detail.starts_with("11 within 60 min"), "{}", found[0].detail);
    assert_eq!(feed.see(Event::Call, Outcome::Done, "ann", ""), [], "counting begins anew");
}

#[test]
fn refusals_without_an_entry_of_their_own_count_too() {
    let mut feed = Feed::with_attempts(100);
    let reason = crate::audit::fold::with_others("too_many_requests: x", 100);
    assert_eq!(events(&feed.see(Event::Call, Outcome::Refused, "ann", &reason)), [SecurityEvent::RateLimitExceeded]);
}

#[test]
fn what_is_spread_over_more_than_the_window_does_not_fire() {
    let mut feed = Feed::with_attempts(10);
    for _ in 0..100 {
        assert_eq!(feed.see(Event::Call, Outcome::Done, "ann", ""), []);
        feed.pass(Duration::from_secs(7 * 60));
    }
}

#[test]
fn commands_are_not_rationed() {
    let mut feed = Feed::with_attempts(1);
    let mut seen = |transport: &str| {
        let found = feed.change(Event::Call, Outcome::Done, "local:0", "", |entry| entry.transport = transport.into());
        events(&found)
    };
    assert_eq!(seen("command"), []);
    assert_eq!(seen("unix"), []);
    assert_eq!(seen("unix"), [SecurityEvent::RateLimitExceeded], "agents on a socket are");
}

#[test]
fn five_wrong_credentials_of_one_address_alert_and_a_missing_one_is_none() {
    let mut feed = Feed::new(|_| {});
    for _ in 0..20 {
        assert_eq!(
            feed.see(Event::Authentication, Outcome::Refused, "peer:198.51.100.1", "unauthenticated: no credential"),
            []
        );
    }
    let wrong = "unauthenticated: no such token";
    for _ in 0..4 {
        assert_eq!(feed.see(Event::Authentication, Outcome::Refused, "peer:198.51.100.1", wrong), []);
        assert_eq!(feed.see(Event::Authentication, Outcome::Refused, "peer:198.51.100.2", ""), []);
    }
    let found = feed.see(Event::Authentication, Outcome::Refused, "peer:198.51.100.1", wrong);
    assert_eq!(events(&found), [SecurityEvent::AuthenticationFailures]);
    assert_eq!(found[0].action, Action::Alert, "whoever bans does that by itself");
}

#[test]
fn each_word_of_another_room_is_its_event() {
    use SecurityEvent as Is;
    let check = |event, outcome, operation: &str, reason: &str, expected: &[Is]| {
        let mut feed = Feed::new(|raw| {
            raw.watch.suspicious_patterns = 1;
            raw.watch.policy_denials = 1;
        });
        let found = feed.change(event, outcome, "ann", reason, |entry| entry.operation = Some(operation.into()));
        assert_eq!(events(&found), expected, "{operation} {reason}");
    };
    let refused = Outcome::Refused;
    check(Event::Call, refused, "x", "invalid: suspicious_pattern sql-1 at /path", &[Is::SuspiciousPatterns]);
    check(Event::Call, Outcome::Done, "x", "suspicious_pattern sql-1", &[]);
    check(Event::Call, refused, "mcp", "not_found: session of another principal", &[Is::SessionHijack]);
    check(Event::Call, refused, "mcp", "host session of another principal; call +1 555 0100", &[]);
    check(Event::Call, refused, "mcp", "host x: session of another principal", &[]);
    check(Event::Call, refused, "x", "forbidden: reader may not", &[Is::PolicyDenials]);
    check(Event::Egress, refused, "egress.connector", "it is not in egress.allowed_hosts", &[Is::EgressRefused]);
    check(Event::Egress, refused, "egress.alert", "it is not in egress.allowed_hosts", &[]);
    check(Event::Egress, Outcome::Done, "egress.connector", "", &[]);
    check(Event::Administration, Outcome::Done, "ban.add", "", &[Is::Ban]);
    check(Event::Administration, refused, "ban.add", "", &[]);
    check(Event::Audit, Outcome::Failed, "store.health", "the disk is full", &[Is::StoreFailing]);
    check(Event::Audit, Outcome::Done, "store.health", "", &[]);
    check(Event::Administration, refused, "vault.unseal", "forbidden: x", &[Is::PolicyDenials, Is::VaultUnsealFailed]);
    check(Event::Vault, Outcome::Failed, "vault.unseal", "", &[Is::VaultUnsealFailed]);
    check(Event::Audit, Outcome::Failed, "audit.alarm", "", &[Is::AuditAlarm]);
    check(Event::Audit, Outcome::Failed, "audit.export_checkpoint", "", &[Is::CheckpointsKept]);
    check(Event::Audit, Outcome::Failed, "backup.scheduled", "", &[Is::BackupFailed]);
}

#[test]
fn memory_is_bounded_however_many_callers_come() {
    let mut feed = Feed::new(|_| {});
    for caller in 0..3 * bound::WATCH_SUBJECTS_MAX {
        feed.see(Event::Authentication, Outcome::Refused, &format!("peer:{caller}"), "wrong");
    }
    for counted in &feed.rules.counted {
        assert!(counted.windows.len() <= bound::WATCH_SUBJECTS_MAX, "{:?}", counted.rule.event);
    }
}

/// Calls each ten minutes for the given number of days, `calls` of them with `bytes` each.
fn habit(feed: &mut Feed, days: u64, calls: u64, bytes: u64) -> Vec<SecurityEvent> {
    let mut found = Vec::new();
    for _ in 0..days * 144 {
        for _ in 0..calls {
            found.extend(events(
                &feed.change(Event::Call, Outcome::Done, "ann", "", |entry| entry.output_bytes = bytes),
            ));
        }
        feed.pass(Duration::from_secs(600));
    }
    found
}

#[test]
fn nothing_is_unusual_while_habits_are_learnt_or_kept() {
    let mut feed = Feed::new(|_| {});
    assert_eq!(habit(&mut feed, 8, 5, 1000), []);
}

#[test]
fn much_more_than_usual_is_told_once_in_an_interval() {
    let mut feed = Feed::new(|_| {});
    habit(&mut feed, 8, 5, 1000);
    assert_eq!(habit(&mut feed, 1, 0, 0), [], "a quiet day is no change of habit");
    let mut found = Vec::new();
    for _ in 0..200 {
        found.extend(events(&feed.see(Event::Call, Outcome::Done, "ann", "")));
    }
    assert_eq!(found, [SecurityEvent::BaselineRate]);
    let found = feed.change(Event::Call, Outcome::Done, "ann", "", |entry| entry.output_bytes = 50 << 20);
    assert_eq!(events(&found), [SecurityEvent::BaselineVolume]);
    assert_eq!(found[0].action, Action::Alert);
}

#[test]
fn a_new_operation_and_a_new_address_are_told_once_each() {
    let mut feed = Feed::new(|_| {});
    habit(&mut feed, 8, 1, 10);
    let asked = |feed: &mut Feed| {
        feed.change(Event::Call, Outcome::Done, "ann", "", |entry| entry.operation = Some("read_document".into()))
    };
    assert_eq!(events(&asked(&mut feed)), [SecurityEvent::BaselineOperation]);
    assert_eq!(events(&asked(&mut feed)), []);
    let refused =
        feed.change(Event::Call, Outcome::Refused, "ann", "", |entry| entry.operation = Some("made_up".into()));
    assert_eq!(events(&refused), [], "what was refused is no habit");
}

#[test]
fn the_baseline_can_be_switched_off() {
    let mut feed = Feed::new(|raw| raw.watch.baseline = false);
    habit(&mut feed, 8, 1, 10);
    let found = feed.change(Event::Call, Outcome::Done, "ann", "", |entry| entry.operation = Some("new".into()));
    assert_eq!(events(&found), []);
}

#[test]
fn whoever_keeps_to_a_higher_limit_of_sessions_is_not_shut_out() {
    let mut feed = Feed::new(|raw| {
        raw.watch.rate_limit_attempts = 1;
        raw.rate.per_session = 3;
    });
    for _ in 0..3 {
        assert_eq!(feed.see(Event::Call, Outcome::Done, "ann", ""), []);
    }
    assert_eq!(events(&feed.see(Event::Call, Outcome::Done, "ann", "")), [SecurityEvent::RateLimitExceeded]);
}
