//! What this installation can show for a requirement: one function for each kind of evidence, over facts that others
//! gathered. Each says what was found, in a sentence.

use std::time::Duration;

use super::gather::Gathered;
use super::{Age, Alert, State};
use crate::base::bound::report as most;
use crate::config::Config;
use crate::config::raw::egress::EgressMode;
use crate::config::raw::{Authentication, Mode, PersonalData};
use crate::config::watch::SyslogTransport;

/// What evidence is made of, beside the log.
#[derive(Debug)]
pub struct Facts<'a> {
    pub config: &'a Config,
    pub gathered: &'a Gathered,
    /// All that came in this time, whatever a report has room for.
    pub alerts: &'a [Alert],
    /// All of them.
    pub ages: &'a [Age],
    /// A checkpoint covers the last entry.
    pub is_signed: bool,
    /// The report has the proof of its last entry; none where there is no entry.
    pub has_proof: bool,
    /// Signed checkpoints reach a place outside of the database.
    pub leaves_the_file: bool,
    /// What does not agree with a checkpoint from outside.
    pub alarm: Option<String>,
    pub is_vault_open: bool,
    /// Policies in force.
    pub policies: usize,
    /// Accounts and tokens that may administer.
    pub administrators: usize,
    /// Incidents that began before the end of the report, and how many of them are open still.
    pub incidents: usize,
    pub incidents_open: usize,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub state: State,
    pub text: String,
}

fn found(state: State, text: impl Into<String>) -> Found {
    Found { state, text: text.into() }
}

fn either(holds: bool, yes: impl Into<String>, no: impl Into<String>) -> Found {
    if holds { found(State::Covered, yes) } else { found(State::Missing, no) }
}

type Evidence = fn(&Facts<'_>) -> Found;

/// All kinds, by the names that the table of controls uses.
pub const ALL: &[(&str, Evidence)] = &[
    ("audit_trail", audit_trail),
    ("audit_integrity", audit_integrity),
    ("audit_outside", audit_outside),
    ("audit_reviewed", audit_reviewed),
    ("kept_a_year", kept_a_year),
    ("kept_six_years", kept_six_years),
    ("kept_no_longer", kept_no_longer),
    ("identity", identity),
    ("access_policy", access_policy),
    ("least_privilege", least_privilege),
    ("access_reviewed", access_reviewed),
    ("login_protection", login_protection),
    ("session_timeout", session_timeout),
    ("rate_limits", rate_limits),
    ("encryption_at_rest", encryption_at_rest),
    ("encryption_in_transit", encryption_in_transit),
    ("key_rotation", key_rotation),
    ("minimisation", minimisation),
    ("erasure", erasure),
    ("output_redaction", output_redaction),
    ("input_inspection", input_inspection),
    ("egress_control", egress_control),
    ("monitoring", monitoring),
    ("alerts_handled", alerts_handled),
    ("incidents", incidents),
    ("backups", backups),
    ("change_record", change_record),
];

/// The evidence of this name; none if there is no such kind.
pub fn of(name: &str, facts: &Facts<'_>) -> Option<Found> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, evidence)| evidence(facts))
}

fn audit_trail(facts: &Facts<'_>) -> Found {
    let totals = &facts.gathered.totals;
    let nameless = match totals.without_personal {
        0 => String::new(),
        count => format!("; who it was cannot be read in {count} of them"),
    };
    either(
        totals.entries > 0,
        format!("{} entries for {} calls: who, what, when, and how it ended{nameless}", totals.entries, totals.calls),
        "the log has no entry of this time",
    )
}

fn audit_integrity(facts: &Facts<'_>) -> Found {
    match &facts.alarm {
        Some(alarm) => found(State::Missing, format!("alarm: {alarm}")),
        None => either(
            facts.is_signed,
            if facts.has_proof {
                "entries are leaves of a Merkle tree (RFC 6962); a signed checkpoint covers the last one, and a proof is below"
            } else {
                "entries are leaves of a Merkle tree (RFC 6962), which a signed checkpoint covers; there is no entry of this time"
            },
            "no signed checkpoint covers the last entry: open the vault",
        ),
    }
}

fn audit_outside(facts: &Facts<'_>) -> Found {
    let audit = &facts.config.audit;
    let elsewhere = audit.checkpoint_file.is_some() || audit.checkpoint_syslog || audit.checkpoint_webhook.is_some();
    match (facts.leaves_the_file, elsewhere) {
        (true, true) => found(State::Covered, "signed checkpoints go to a place that the configuration names"),
        (true, false) => {
            found(State::Partly, "signed checkpoints go to a file beside the database only: set audit.checkpoint_file")
        }
        (false, _) => found(State::Missing, "signed checkpoints do not leave the database"),
    }
}

fn audit_reviewed(facts: &Facts<'_>) -> Found {
    let checks = &facts.gathered.verifications;
    match (&checks.last_good, checks.failed) {
        (_, 1..) => found(
            State::Missing,
            format!("{} of {} checks did not find the log sound; the list is below", checks.failed, checks.all),
        ),
        (Some(at), 0) => {
            found(State::Covered, format!("the log was verified and found sound {} times, last at {at}", checks.good))
        }
        (None, 0) => found(State::Missing, "the log was not verified in this time: sekisho audit verify"),
    }
}

fn kept_a_year(facts: &Facts<'_>) -> Found {
    kept_for(facts, most::YEAR_DAYS)
}

fn kept_six_years(facts: &Facts<'_>) -> Found {
    kept_for(facts, most::SIX_YEARS_DAYS)
}

/// For so many days at least, and longer where nothing is pruned.
fn kept_for(facts: &Facts<'_>, least: u64) -> Found {
    let kept = facts.config.audit.retention;
    match (kept.age_max.map(days), kept.bytes_max) {
        (Some(age), _) if age < least => found(
            State::Missing,
            format!("entries are kept for {}, and {least} are asked for (audit.retention_days)", counted_days(age)),
        ),
        // So many bytes may be those of an hour.
        (_, Some(bytes)) => found(
            State::Partly,
            format!(
                "the newest {bytes} bytes of entries are kept, however few days that is (audit.retention_bytes_max)"
            ),
        ),
        (Some(age), None) => found(State::Covered, format!("entries are kept for {}", counted_days(age))),
        (None, None) => found(State::Covered, "entries are kept for ever"),
    }
}

/// What is kept for ever is limited by nothing.
fn kept_no_longer(facts: &Facts<'_>) -> Found {
    let kept = facts.config.audit.retention;
    match (kept.age_max.map(days), kept.bytes_max) {
        (Some(age), _) => found(State::Covered, format!("entries are kept for {} and no longer", counted_days(age))),
        (None, Some(bytes)) => found(
            State::Partly,
            format!("the newest {bytes} bytes of entries are kept, however old (audit.retention_days)"),
        ),
        (None, None) => found(State::Missing, "entries are kept for ever (audit.retention_days)"),
    }
}

fn identity(facts: &Facts<'_>) -> Found {
    either(
        facts.config.http.authentication == Authentication::Required,
        "each request over HTTP shows a credential of its own, and entries name its principal",
        "http.authentication is none: whoever reaches the port is \"anonymous\"",
    )
}

fn access_policy(facts: &Facts<'_>) -> Found {
    found(State::Covered, format!("what no policy permits is denied; {} policies are in force", facts.policies))
}

fn least_privilege(facts: &Facts<'_>) -> Found {
    let refused = facts.gathered.denials;
    let text = format!(
        "agents are readers unless an administrator says more; {} accounts and tokens may administer; {refused} requests went beyond a role",
        facts.administrators
    );
    found(State::Covered, text)
}

fn access_reviewed(facts: &Facts<'_>) -> Found {
    let is_stale = |age: &&Age| {
        matches!(age.kind.as_str(), "account" | "api key" | "jwt")
            && age.state == "active"
            && age.days >= most::STALE_DAYS
            && age.last_used.is_none()
    };
    let stale: Vec<&str> = facts.ages.iter().filter(is_stale).map(|age| age.name.as_str()).take(5).collect();
    either(
        stale.is_empty(),
        "no account or token is older than 90 days and was never used; the list is below",
        format!("older than 90 days and never used: {}", stale.join(", ")),
    )
}

fn login_protection(facts: &Facts<'_>) -> Found {
    match facts.config.ban.failures {
        Some(most) => {
            let minutes = facts.config.ban.length.as_secs() / 60;
            found(
                State::Covered,
                format!(
                    "an address is shut out for {minutes} minutes after {most} failed attempts; passwords are stored with PBKDF2"
                ),
            )
        }
        None => found(State::Missing, "ban.failures is 0: attempts to guess a credential have no end"),
    }
}

fn session_timeout(facts: &Facts<'_>) -> Found {
    let idle = facts.config.session.idle_timeout.as_secs() / 60;
    // PCI DSS 4.0, requirement 8.2.8, names 15 minutes.
    let state = if idle <= 15 { State::Covered } else { State::Partly };
    found(state, format!("a session ends after {idle} minutes without a call"))
}

fn rate_limits(facts: &Facts<'_>) -> Found {
    let rate = &facts.config.rate;
    found(
        State::Covered,
        format!("{} calls a minute for each principal, {} for each address", rate.per_minute, rate.per_address),
    )
}

fn encryption_at_rest(facts: &Facts<'_>) -> Found {
    let logs = if facts.config.log.encrypt {
        "log files are sealed"
    } else {
        "log files are masked, not sealed (log.encrypt)"
    };
    either(
        facts.is_vault_open,
        format!(
            "credentials and what entries hold of persons are sealed with AES-256-GCM; {logs}; documents of libraries are not sealed"
        ),
        "the vault is sealed: what it seals is, and nothing new is sealed",
    )
}

fn encryption_in_transit(facts: &Facts<'_>) -> Found {
    let http = &facts.config.http;
    let port = match (&http.tls, http.listen.ip().is_loopback()) {
        (Some(_), _) => "the port speaks TLS only, 1.2 or newer as configured",
        (None, true) => "the port is on loopback",
        (None, false) => {
            let text = "the port is reached from other machines in the clear: set http.tls_certificate, or put a proxy in front";
            return found(State::Missing, text);
        }
    };
    // Whatever else has a listener or a receiver of its own without TLS.
    let metrics = facts.config.metrics.listen.filter(|listen| !listen.ip().is_loopback());
    let syslog = facts.config.watch.syslog.as_ref();
    let syslog = syslog.filter(|syslog| syslog.transport != SyslogTransport::Tls && !syslog.target.is_loopback());
    let clear: Vec<String> = [
        metrics.map(|listen| format!("metrics, at {listen} (metrics.listen)")),
        syslog.map(|syslog| format!("alerts, to {} (watch.syslog)", syslog.target)),
    ]
    .into_iter()
    .flatten()
    .collect();
    match clear.as_slice() {
        [] => found(
            State::Covered,
            format!("{port}, and no other listener or receiver of alerts is without TLS on a network"),
        ),
        clear => found(State::Partly, format!("{port}; in the clear over a network go {}", clear.join(" and "))),
    }
}

fn key_rotation(facts: &Facts<'_>) -> Found {
    let Some(most) = facts.config.vault.rotation.map(days) else {
        return found(State::Missing, "vault.rotation_days is 0: keys are changed by hand only");
    };
    let old =
        facts.ages.iter().filter(|age| age.kind == "vault key" && age.state == "active" && age.days > most + 1).count();
    match (facts.is_vault_open, old) {
        (false, _) => found(
            State::Partly,
            format!("keys are changed every {most} days; how old they are cannot be seen while the vault is sealed"),
        ),
        (true, 0) => found(State::Covered, format!("keys are changed every {most} days; their ages are below")),
        // Keys of pseudonyms and signatures keep their versions.
        (true, old) => {
            found(State::Partly, format!("keys are changed every {most} days; {old} that keep their version are older"))
        }
    }
}

fn minimisation(facts: &Facts<'_>) -> Found {
    match (facts.config.audit.arguments, facts.config.log.mask_addresses) {
        (false, true) => found(
            State::Covered,
            "entries have a keyed digest of arguments, not the arguments; log files have shortened addresses",
        ),
        (true, _) => {
            found(State::Partly, "entries keep arguments, sealed with the key of whom they are about (audit.arguments)")
        }
        (false, false) => found(State::Partly, "log files have whole addresses (log.mask_addresses)"),
    }
}

fn erasure(facts: &Facts<'_>) -> Found {
    found(
        State::Covered,
        format!(
            "what entries hold of a person is forgotten by destroying its key (sekisho audit erase): {} times in this time",
            facts.gathered.erased
        ),
    )
}

fn output_redaction(facts: &Facts<'_>) -> Found {
    either(
        facts.config.redact.personal_data == PersonalData::Mask,
        "secrets and personal data are masked in results",
        "secrets are masked in results, personal data is not (redact.personal_data)",
    )
}

fn input_inspection(facts: &Facts<'_>) -> Found {
    let inspect = &facts.config.inspect;
    let on = inspect.validate_json_schema && inspect.paths != Mode::Off && inspect.other != Mode::Off;
    either(
        on,
        "arguments are bounded, checked against a schema and looked through for attacks",
        "some inspection of arguments is switched off ([inspect])",
    )
}

fn egress_control(facts: &Facts<'_>) -> Found {
    match facts.config.egress.mode {
        EgressMode::None => found(State::Covered, "no connection to another machine is opened"),
        EgressMode::Listed => found(
            State::Covered,
            "connections are opened only to hosts that settings, connectors and libraries name; each is in the log",
        ),
    }
}

fn monitoring(facts: &Facts<'_>) -> Found {
    let watch = &facts.config.watch;
    let places =
        [watch.webhook.is_some(), watch.smtp.is_some(), watch.syslog.is_some()].into_iter().filter(|set| *set).count();
    match places {
        0 => found(State::Partly, "rules watch the log; their alerts go nowhere but the list and the log ([watch])"),
        places => found(State::Covered, format!("rules watch the log; their alerts go to {places} places")),
    }
}

fn alerts_handled(facts: &Facts<'_>) -> Found {
    let severe = || facts.alerts.iter().filter(|alert| matches!(alert.severity.as_str(), "high" | "critical"));
    let open = severe().filter(|alert| alert.acknowledged.is_none()).count();
    either(
        open == 0,
        format!(
            "{} alerts, {} of them high or critical, all of which somebody looked at",
            facts.alerts.len(),
            severe().count()
        ),
        format!("{open} alerts of high or critical severity wait for somebody to look at them: sekisho alert list"),
    )
}

fn incidents(facts: &Facts<'_>) -> Found {
    let (all, open) = (facts.incidents, facts.incidents_open);
    found(
        State::Partly,
        format!("{all} incidents are on record, {open} of them open; who responds is the organisation's to say"),
    )
}

fn backups(facts: &Facts<'_>) -> Found {
    let (made, failed) = (facts.gathered.backups.good, facts.gathered.backups.failed);
    let checks = &facts.gathered.backup_verifications;
    let checked = match checks.failed {
        0 => format!("{} times one was opened and verified since", checks.good),
        failed => format!("{failed} of {} later verifications failed", checks.all),
    };
    match (facts.config.backup.directory.is_some(), made) {
        (true, 1..) if failed == 0 && checks.failed == 0 => found(
            State::Covered,
            format!("{made} backups, each sealed, read back and compared when it was made; {checked}"),
        ),
        (_, 1..) => found(State::Partly, format!("{made} backups, {failed} failed; {checked}")),
        (true, 0) => {
            found(State::Missing, format!("backups are configured, and none was made in this time; {failed} failed"))
        }
        (false, 0) => {
            found(State::Missing, "no backup was made in this time, and none is configured (backup.directory)")
        }
    }
}

fn change_record(facts: &Facts<'_>) -> Found {
    let found_here = &facts.gathered;
    let changes: u64 = found_here.changes.iter().map(|row| row.count).sum();
    found(
        State::Covered,
        format!(
            "{changes} changes by administrators, {} of policies and {} of settings are in the log, each with who and when",
            found_here.policies.all, found_here.settings.all
        ),
    )
}

fn days(span: Duration) -> u64 {
    span.as_secs() / 86_400
}

fn counted_days(days: u64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}
