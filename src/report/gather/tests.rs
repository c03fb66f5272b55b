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
    let Lists { changes, policies, settings, backups, backup_verifications, restores, verifications, denials, .. } =
        lists;
    let changes = changes.into_iter().map(|(name, count)| Row { name, count }).collect();
    Gathered {
        changes,
        policies,
        settings,
        backups,
        backup_verifications,
        restores,
        verifications,
        left_out,
        denials,
        ..Gathered::default()
    }
}

fn judged(name: &str, gathered: &Gathered, alerts: &[Alert], ages: &[Age]) -> (State, String) {
    judged_with(name, gathered, alerts, ages, |raw| raw.backup.directory = Some("/backups".into()))
}

fn judged_with(
    name: &str,
    gathered: &Gathered,
    alerts: &[Alert],
    ages: &[Age],
    change: impl FnOnce(&mut Raw),
) -> (State, String) {
    let mut raw = Raw::default();
    change(&mut raw);
    let config = Config::of(raw).unwrap();
    let facts = Facts {
        config: &config,
        gathered,
        alerts,
        ages,
        is_signed: true,
        has_proof: gathered.period.last.is_some(),
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

#[test]
fn what_is_kept_is_held_against_what_each_requirement_asks() {
    let states = |days: u64, bytes: u64| {
        ["kept_a_year", "kept_six_years", "kept_no_longer"].map(|name| {
            judged_with(name, &Gathered::default(), &[], &[], |raw| {
                (raw.audit.retention_days, raw.audit.retention_bytes_max) = (days, bytes);
            })
        })
    };
    let (covered, partly, missing) = (State::Covered, State::Partly, State::Missing);
    for (days, bytes, expected) in [
        (0, 0, [covered, covered, missing]),
        (1, 0, [missing, missing, covered]),
        (364, 0, [missing, missing, covered]),
        (365, 0, [covered, missing, covered]),
        (2190, 0, [covered, covered, covered]),
        (0, 1 << 30, [partly, partly, partly]),
        (2190, 1 << 30, [partly, partly, covered]),
    ] {
        assert_eq!(states(days, bytes).map(|(state, _)| state), expected, "{days} {bytes}");
    }
    for (_, text) in states(1, 0) {
        assert!(text.contains("1 day") && !text.contains("1 days"), "{text}");
    }
}

#[test]
fn what_only_tells_or_writes_a_file_is_no_change() {
    let announced = |name: &&str| Entry { intent: Some(1), ..entry(name, Outcome::Done, None) };
    let mut entries: Vec<Entry> = KEEPING.iter().map(announced).collect();
    entries.push(announced(&"token.issue"));
    let gathered = gathered(&entries);
    let names: Vec<&str> = gathered.changes.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["token.issue"]);
    assert!(judged("change_record", &gathered, &[], &[]).1.starts_with("1 changes"));
}

#[test]
fn only_what_a_role_or_policy_denied_went_beyond_a_role() {
    let refused = |reason| entry("search_documents", Outcome::Refused, Some(reason));
    let gathered = gathered(&[
        refused("forbidden: denied by base-readers"),
        refused("forbidden: administration without an account"),
        refused("not_found: denied: no policy permits it"),
        refused("forbidden: the principal is banned: denied by hand"),
        refused("forbidden: administration over cleartext from another machine"),
    ]);
    let (_, text) = judged("least_privilege", &gathered, &[], &[]);
    assert!(text.contains("3 requests went beyond a role"), "{text}");
}

#[test]
fn what_is_in_the_clear_on_any_listener_or_to_any_receiver_is_told() {
    let judge = |change: &dyn Fn(&mut Raw)| {
        judged_with("encryption_in_transit", &Gathered::default(), &[], &[], |raw| change(raw))
    };
    assert_eq!(judge(&|_| {}).0, State::Covered);
    let (state, text) = judge(&|raw| raw.metrics.listen = "0.0.0.0:3999".into());
    assert!(state == State::Partly && text.contains("metrics.listen"), "{text}");
    let (state, text) = judge(&|raw| raw.watch.syslog = Some("udp://siem.example:514".into()));
    assert!(state == State::Partly && text.contains("watch.syslog"), "{text}");
    for private in ["tls://siem.example:6514", "udp://127.0.0.1:514"] {
        assert_eq!(judge(&|raw| raw.watch.syslog = Some(private.into())).0, State::Covered, "{private}");
    }
    assert_eq!(judge(&|raw| raw.http.listen = "0.0.0.0:3000".into()).0, State::Missing);
}

#[test]
fn a_proof_is_spoken_of_only_where_there_is_one() {
    let (state, text) = judged("audit_integrity", &Gathered::default(), &[], &[]);
    assert!(state == State::Covered && !text.contains("below"), "{text}");
    let period = Period { first: Some(0), last: Some(3), ..Period::default() };
    let with_entries = Gathered { period, ..Gathered::default() };
    assert!(judged("audit_integrity", &with_entries, &[], &[]).1.contains("a proof is below"));
}
