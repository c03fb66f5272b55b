//! Security events: the closed list of what raises an alert, how grave each is, and what it means.

use serde::{Deserialize, Serialize};

use crate::base::severity::Severity;

/// What was noticed. The order is stored: new ones go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SecurityEvent {
    RateLimitExceeded,
    SuspiciousPatterns,
    AuthenticationFailures,
    SessionHijack,
    PolicyDenials,
    EgressRefused,
    BaselineRate,
    BaselineOperation,
    BaselineAddress,
    BaselineVolume,
    Ban,
    StoreFailing,
    VaultUnsealFailed,
    AuditAlarm,
    CheckpointsKept,
    BackupFailed,
    WatchLagged,
    DeliveryFailing,
    Test,
    ScanFinding,
    ScanGrave,
    DiskShort,
    Incident,
}

/// What is known of one event.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub event: SecurityEvent,
    pub name: &'static str,
    pub severity: Severity,
    /// One line, for people.
    pub about: &'static str,
}

const fn facts(event: SecurityEvent, name: &'static str, severity: Severity, about: &'static str) -> Facts {
    Facts { event, name, severity, about }
}

/// All of them, in the order of the enum. The manual's table is this list.
pub const EVENTS: [Facts; 23] = [
    facts(
        SecurityEvent::RateLimitExceeded,
        "rate_limit_exceeded",
        Severity::High,
        "One caller tried more calls than `rate_limit_attempts` in the window, refused ones included; its session is blocked",
    ),
    facts(
        SecurityEvent::SuspiciousPatterns,
        "suspicious_patterns",
        Severity::High,
        "One caller sent several arguments that look like an attack; its session is blocked",
    ),
    facts(
        SecurityEvent::AuthenticationFailures,
        "authentication_failures",
        Severity::Medium,
        "Several credentials from one address did not hold",
    ),
    facts(
        SecurityEvent::SessionHijack,
        "session_hijack",
        Severity::Critical,
        "A session's id was shown with another principal's credential",
    ),
    facts(
        SecurityEvent::PolicyDenials,
        "policy_denials",
        Severity::Medium,
        "One caller asked again and again for what it may not have",
    ),
    facts(
        SecurityEvent::EgressRefused,
        "egress_refused",
        Severity::High,
        "A connection to another machine was refused by `allowed_hosts`, `blocked_hosts` or its address",
    ),
    facts(
        SecurityEvent::BaselineRate,
        "baseline_rate",
        Severity::Low,
        "A caller calls much more often than it used to",
    ),
    facts(
        SecurityEvent::BaselineOperation,
        "baseline_operation",
        Severity::Low,
        "A caller uses an operation that it never used before",
    ),
    facts(
        SecurityEvent::BaselineAddress,
        "baseline_address",
        Severity::Medium,
        "A caller comes from an address that it never came from before",
    ),
    facts(
        SecurityEvent::BaselineVolume,
        "baseline_volume",
        Severity::Medium,
        "A caller takes much more out than it used to",
    ),
    facts(SecurityEvent::Ban, "ban", Severity::Medium, "An address, a session or a principal was banned"),
    facts(
        SecurityEvent::StoreFailing,
        "store_failing",
        Severity::Critical,
        "The disk is full or the store cannot write: calls are refused",
    ),
    facts(
        SecurityEvent::VaultUnsealFailed,
        "vault_unseal_failed",
        Severity::High,
        "Somebody tried to open the vault with a wrong secret",
    ),
    facts(
        SecurityEvent::AuditAlarm,
        "audit_alarm",
        Severity::Critical,
        "The audit log does not agree with a checkpoint outside of the file: it is older, or was rewritten",
    ),
    facts(
        SecurityEvent::CheckpointsKept,
        "checkpoints_kept",
        Severity::High,
        "Signed checkpoints no longer reach a place outside of the file",
    ),
    facts(SecurityEvent::BackupFailed, "backup_failed", Severity::High, "A scheduled backup could not be made"),
    facts(
        SecurityEvent::WatchLagged,
        "watch_lagged",
        Severity::Medium,
        "Entries came faster than the rules could read them: some were not looked at",
    ),
    facts(
        SecurityEvent::DeliveryFailing,
        "delivery_failing",
        Severity::High,
        "Alerts could not be delivered to one of their places, and were given up there",
    ),
    facts(SecurityEvent::Test, "test", Severity::Low, "Somebody asked for a test with `sekisho alert test`"),
    facts(
        SecurityEvent::ScanFinding,
        "scan_finding",
        Severity::Medium,
        "A scan by schedule found a weakness that was not there before",
    ),
    facts(
        SecurityEvent::ScanGrave,
        "scan_grave",
        Severity::High,
        "A scan by schedule found a high or critical weakness that was not there before",
    ),
    facts(
        SecurityEvent::DiskShort,
        "disk_short",
        Severity::High,
        "There is less room on the disk than `[upkeep]` asks for",
    ),
    facts(
        SecurityEvent::Incident,
        "incident",
        Severity::High,
        "Somebody opened an incident; its own severity counts, and its contacts are told",
    ),
];

impl SecurityEvent {
    /// A row of [`EVENTS`]; a test holds that each event stands at its own place.
    pub fn facts(self) -> &'static Facts {
        const LAST: usize = EVENTS.len() - 1;
        &EVENTS[(self as usize).min(LAST)]
    }

    pub fn as_str(self) -> &'static str {
        self.facts().name
    }

    pub fn severity(self) -> Severity {
        self.facts().severity
    }

    pub fn about(self) -> &'static str {
        self.facts().about
    }

    /// The part of this installation that it is about, for whoever is told.
    pub fn system(self) -> &'static str {
        match self {
            Self::RateLimitExceeded | Self::SuspiciousPatterns | Self::SessionHijack | Self::Ban => "gate",
            Self::BaselineRate | Self::BaselineOperation | Self::BaselineAddress | Self::BaselineVolume => "gate",
            Self::AuthenticationFailures => "authentication",
            Self::PolicyDenials => "policy",
            Self::EgressRefused => "egress",
            Self::StoreFailing => "store",
            Self::VaultUnsealFailed => "vault",
            Self::AuditAlarm | Self::CheckpointsKept => "audit log",
            Self::BackupFailed => "backups",
            Self::WatchLagged | Self::DeliveryFailing | Self::Test => "alerts",
            Self::DiskShort => "store",
            Self::Incident | Self::ScanFinding | Self::ScanGrave => "installation",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_stands_at_its_own_place_and_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = EVENTS.iter().map(|facts| facts.name).collect();
        assert_eq!(names.len(), EVENTS.len());
        for (place, facts) in EVENTS.iter().enumerate() {
            assert_eq!(facts.event as usize, place, "{}", facts.name);
            assert_eq!(facts.event.as_str(), facts.name);
        }
    }

    #[test]
    fn the_manual_lists_exactly_these_events() {
        let manual = include_str!("../../assets/manual/alerts.md");
        let rows: Vec<&str> = manual.lines().filter(|line| line.starts_with("| `")).take(EVENTS.len()).collect();
        let expected: Vec<String> =
            EVENTS.iter().map(|facts| format!("| `{}` | {} | {} |", facts.name, facts.severity, facts.about)).collect();
        assert_eq!(rows, expected);
        assert_eq!(manual.matches("\n| `").count(), EVENTS.len(), "no other table of names may be in the page");
    }
}
