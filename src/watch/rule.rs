//! Rules over the audit's live feed: what an entry speaks of, how often it may come in which window, and what follows.

use std::time::Duration;

use super::baseline::Baseline;
use super::event::SecurityEvent;
use super::finding::{Action, Finding, Who};
use super::window::{Recent, Window};
use crate::audit::entry::{Entry, Event, Outcome};
use crate::audit::{Numbered, fold, word};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::config;

/// How often an event may come from one caller, and what follows when it comes more often.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub event: SecurityEvent,
    pub window: Duration,
    pub threshold: u64,
    pub action: Action,
}

/// All rules, with what they counted. Time is that of the entries.
#[derive(Debug)]
pub struct Rules {
    counted: Vec<Counted>,
    baseline: Option<Baseline>,
}

#[derive(Debug)]
struct Counted {
    rule: Rule,
    windows: Recent<String, Window>,
}

impl Rules {
    pub fn new(watch: &config::watch::Watch) -> Self {
        let counted = rules(watch)
            .into_iter()
            .map(|rule| Counted { rule, windows: Recent::new(bound::WATCH_SUBJECTS_MAX) })
            .collect();
        Self { counted, baseline: watch.baseline.map(Baseline::new) }
    }

    /// What an entry makes fire.
    pub fn observe(&mut self, numbered: &Numbered) -> Vec<Finding> {
        let Numbered { sequence, entry, .. } = numbered;
        let personal = numbered.open_personal();
        let mut findings = Vec::new();
        for (event, weight) in signals(entry) {
            let who = Who::of(entry, personal);
            let Some(counted) = self.counted.iter_mut().find(|counted| counted.rule.event == event) else { continue };
            if let Some(count) = counted.count(&who, weight, entry.at) {
                let Rule { window, action, .. } = counted.rule;
                let detail = detail(event, count, window, entry);
                findings.push(Finding { event, who, sequence: Some(*sequence), detail, action });
            }
        }
        if let Some(baseline) = &mut self.baseline {
            findings.extend(baseline.observe(numbered));
        }
        findings
    }

    /// Takes an entry of the past into the baseline, and lets no rule fire.
    pub fn learn(&mut self, numbered: &Numbered) {
        if let Some(baseline) = &mut self.baseline {
            baseline.observe(numbered);
        }
    }
}

impl Counted {
    /// How many there are, if that is enough to fire; then counting begins anew.
    fn count(&mut self, who: &Who, weight: u64, at: Timestamp) -> Option<u64> {
        let Rule { event, window, threshold, .. } = self.rule;
        let key = match (event, &who.session) {
            // A principal may have several sessions, each with a rate of its own.
            (SecurityEvent::RateLimitExceeded, Some(session)) => format!("session:{session}"),
            _ => who.key(),
        };
        let counter = self.windows.see(&key, || Window::new(window));
        let count = counter.add(weight, at);
        (count >= threshold).then(|| {
            counter.clear();
            count
        })
    }
}

fn rules(watch: &config::watch::Watch) -> Vec<Rule> {
    let rule = |event, limit: config::watch::Threshold, action| Rule {
        event,
        window: limit.window,
        threshold: limit.count,
        action,
    };
    let at_once = |event| Rule { event, window: bound::WATCH_AT_ONCE, threshold: 1, action: Action::Alert };
    vec![
        // So many may be tried; one more is too many.
        Rule {
            threshold: watch.rate_limit.count.saturating_add(1),
            ..rule(SecurityEvent::RateLimitExceeded, watch.rate_limit, Action::Block)
        },
        rule(SecurityEvent::SuspiciousPatterns, watch.suspicious_patterns, Action::Block),
        rule(SecurityEvent::AuthenticationFailures, watch.authentication_failures, Action::Alert),
        rule(SecurityEvent::PolicyDenials, watch.policy_denials, Action::Alert),
        at_once(SecurityEvent::SessionHijack),
        at_once(SecurityEvent::EgressRefused),
        at_once(SecurityEvent::Ban),
        at_once(SecurityEvent::StoreFailing),
        at_once(SecurityEvent::VaultUnsealFailed),
        at_once(SecurityEvent::AuditAlarm),
        at_once(SecurityEvent::CheckpointsKept),
        at_once(SecurityEvent::BackupFailed),
        at_once(SecurityEvent::ScanFinding),
        at_once(SecurityEvent::ScanGrave),
        at_once(SecurityEvent::DiskShort),
    ]
}

/// A refusal's reason behind its code.
fn without_code(reason: &str) -> &str {
    let is_code = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    reason.split_once(": ").filter(|(code, _)| is_code(code)).map_or(reason, |(_, rest)| rest)
}

/// What an entry speaks of, and how many it stands for.
fn signals(entry: &Entry) -> Vec<(SecurityEvent, u64)> {
    let reason = entry.reason.as_deref().unwrap_or_default();
    let operation = entry.operation.as_deref().unwrap_or_default();
    let refused = entry.outcome == Outcome::Refused;
    let failed = refused || entry.outcome == Outcome::Failed;
    // Refusals that were only counted stand in the next entry.
    let weight = fold::others(reason).saturating_add(1);
    let mut found = Vec::new();
    // Whoever stands at this machine is not rationed.
    if entry.event == Event::Call
        && entry.outcome != Outcome::Intent
        && matches!(entry.transport.as_str(), "http" | "stdio" | "unix")
    {
        found.push((SecurityEvent::RateLimitExceeded, weight));
    }
    if refused && reason.strip_prefix("invalid: ").is_some_and(|found| found.starts_with(word::SUSPICIOUS_PATTERN)) {
        found.push((SecurityEvent::SuspiciousPatterns, 1));
    }
    // A client that has shown nothing yet asks what it should show: that is no failure.
    if refused && entry.event == Event::Authentication && !without_code(reason).starts_with(word::NO_CREDENTIAL) {
        found.push((SecurityEvent::AuthenticationFailures, weight));
    }
    // A reason may quote what a stranger sent: only its beginning is ours.
    if refused && without_code(reason).starts_with(word::FOREIGN_SESSION) {
        found.push((SecurityEvent::SessionHijack, 1));
    }
    if refused && reason.starts_with("forbidden") {
        found.push((SecurityEvent::PolicyDenials, 1));
    }
    let of_operation = match (entry.event, operation) {
        // What alerts themselves are refused would raise alerts without end.
        (Event::Egress, operation) if refused && !operation.starts_with(word::OWN_EGRESS) => {
            Some(SecurityEvent::EgressRefused)
        }
        (_, "ban.add" | "ban.imposed") if entry.outcome == Outcome::Done => Some(SecurityEvent::Ban),
        (Event::Audit, "store.health") if failed => Some(SecurityEvent::StoreFailing),
        (_, "vault.unseal") if failed => Some(SecurityEvent::VaultUnsealFailed),
        (_, "audit.alarm" | "audit.verify_scheduled") if failed => Some(SecurityEvent::AuditAlarm),
        (_, "audit.export_checkpoint") if failed => Some(SecurityEvent::CheckpointsKept),
        (_, "backup.scheduled" | "backup.verify_scheduled") if failed => Some(SecurityEvent::BackupFailed),
        (_, "scan.finding") if failed => Some(SecurityEvent::ScanFinding),
        (_, "scan.grave") if failed => Some(SecurityEvent::ScanGrave),
        (_, "disk.space") if failed => Some(SecurityEvent::DiskShort),
        _ => None,
    };
    found.extend(of_operation.map(|event| (event, 1)));
    found
}

/// In words. The reason of an entry is in the log in the clear, so nothing in it is personal.
fn detail(event: SecurityEvent, count: u64, window: Duration, entry: &Entry) -> String {
    let mut detail = if window == bound::WATCH_AT_ONCE {
        String::new()
    } else {
        format!("{count} within {} min", window.as_secs().div_ceil(60))
    };
    let quoted = match event {
        // Of thousands of calls the last one says nothing.
        SecurityEvent::RateLimitExceeded => None,
        _ => entry.reason.as_deref(),
    };
    if let Some(reason) = quoted {
        let reason: String = reason.chars().take(bound::ALERT_DETAIL_CHARS_MAX).collect();
        detail.push_str(if detail.is_empty() { "" } else { "; the last: " });
        detail.push_str(&reason);
    }
    detail
}

#[cfg(test)]
mod tests;
