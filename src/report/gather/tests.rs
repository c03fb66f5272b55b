//! What entries count as, and what is said of requirements for it.

use super::*;
use crate::audit::entry::{Draft, of_draft};
use crate::config::Config;
use crate::config::raw::Raw;
use crate::report::State;
use crate::report::evidence::{self, Facts};
use crate::report::{Age, Alert};

fn entry(operation: &str, outcome: Outcome, reason: Option<&str>) -> Entry {
    let now = Timestamp(1_790_000_000_000);
    let mut draft = Draft::new(Event::Administration, "internal", now);
    draft.operation = Some(operation.to_owned());
    of_draft(draft, outcome, reason.map(str::to_owned), now)
}

fn gathered(entries: &[Entry]) -> Gathered {
    let mut lists = Lists::default();
    for (sequence, entry) in (0..).zip(entries) {
        lists.add(sequence, entry, None);
    }
    let left_out = lists.left_out();
    let Lists { policies, settings, backups, backup_verifications, restores, verifications, .. } = lists;
    Gathered {
        policies,
        settings,
        backups,
        backup_verifications,
        restores,
        verifications,
        left_out,
        ..Gathered::default()
    }
}

fn judged(name: &str, gathered: &Gathered, alerts: &[Alert], ages: &[Age]) -> (State, String) {
    let mut raw = Raw::default();
    raw.backup.directory = Some("/backups".into());
    let config = Config::of(raw).unwrap();
    let facts = Facts {
        config: &config,
        gathered,
        alerts,
        ages,
        is_signed: true,
        leaves_the_file: true,
        alarm: None,
        is_vault_open: true,
        policies: 1,
        administrators: 1,
        incidents: 0,
        incidents_open: 0,
    };
    let found = evidence::of(name, &facts).unwrap();
    (found.state, found.text)
}

#[test]
fn to_look_at_backups_is_not_to_make_one() {
    let listed = gathered(&[entry("backup.list", Outcome::Done, None), entry("backup.verify", Outcome::Done, None)]);
    assert_eq!((listed.backups.all, listed.backup_verifications.good), (0, 1));
    assert_eq!(judged("backups", &listed, &[], &[]).0, State::Missing);

    let made = ["backup.make", "backup.now", "backup.scheduled"].map(|name| entry(name, Outcome::Done, None));
    let (state, text) = judged("backups", &gathered(&made), &[], &[]);
    assert_eq!(state, State::Covered);
    assert!(text.starts_with("3 backups"), "{text}");
    let failed = [made[0].clone(), entry("backup.scheduled", Outcome::Failed, None)];
    assert_eq!(judged("backups", &gathered(&failed), &[], &[]).0, State::Partly);
    let unsound = [made[0].clone(), entry("backup.verify_scheduled", Outcome::Failed, None)];
    assert_eq!(judged("backups", &gathered(&unsound), &[], &[]).0, State::Partly);
}

#[test]
fn only_a_log_that_was_found_sound_was_verified() {
    let check = |reason| gathered(&[entry("audit.verify", Outcome::Done, reason)]);
    assert_eq!(judged("audit_reviewed", &check(Some("a note; verdict sound")), &[], &[]).0, State::Covered);
    for other in [Some("verdict tampered"), Some("verdict incomplete"), None] {
        assert_eq!(judged("audit_reviewed", &check(other), &[], &[]).0, State::Missing, "{other:?}");
    }
    let scheduled = |outcome| gathered(&[entry("audit.verify_scheduled", outcome, None)]);
    assert_eq!(judged("audit_reviewed", &scheduled(Outcome::Done), &[], &[]).0, State::Covered);
    assert_eq!(judged("audit_reviewed", &scheduled(Outcome::Failed), &[], &[]).0, State::Missing);
    assert_eq!(judged("audit_reviewed", &gathered(&[]), &[], &[]).0, State::Missing);
}

#[test]
fn what_is_cut_is_counted_and_judged_all_the_same() {
    let entries = vec![entry("backup.make", Outcome::Done, None); most::ROWS_MAX + 7];
    let gathered = gathered(&entries);
    assert_eq!((gathered.backups.rows.len(), gathered.left_out), (most::ROWS_MAX, 7));
    assert!(judged("backups", &gathered, &[], &[]).1.starts_with(&format!("{} backups", most::ROWS_MAX + 7)));
    assert_eq!(gathered.backups.rows.back().unwrap().sequence, most::ROWS_MAX as u64 + 6, "the newest are told");
}

#[test]
fn a_stale_jwt_is_as_stale_as_an_api_key() {
    let age = |kind: &str, days| Age {
        kind: kind.into(),
        name: format!("an old {kind}"),
        since: String::new(),
        days,
        last_used: None,
        state: "active".into(),
    };
    for kind in ["account", "api key", "jwt"] {
        let (state, text) = judged("access_reviewed", &Gathered::default(), &[], &[age(kind, most::STALE_DAYS)]);
        assert_eq!(state, State::Missing, "{kind}");
        assert!(text.contains(kind), "{text}");
    }
    let young = age("jwt", most::STALE_DAYS - 1);
    assert_eq!(judged("access_reviewed", &Gathered::default(), &[], &[young]).0, State::Covered);
}
