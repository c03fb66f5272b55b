//! Checks of what has to outlive a bad day: the vault's secret, backups, checkpoints, the audit log, room on the disk.

use super::facts::{Facts, days};
use super::finding::{Finding, Severity};
use super::mend;
use crate::base::bound::scan as bound;
use crate::base::clock::Timestamp;

pub(super) fn vault_key(facts: &Facts) -> Vec<Finding> {
    let Some(file) = &facts.machine.key_beside else { return Vec::new() };
    let why = "the vault's secret lies beside the database: whoever copies the folder has both";
    let mend = format!(
        "install -d -m 700 /etc/sekisho && install -m 400 {0} /etc/sekisho/vault-key && {1} && rm {0}",
        mend::path(file),
        mend::set(&facts.config, "vault.key_file", "\"/etc/sekisho/vault-key\"")
    );
    vec![Finding::new(Severity::Low, file.display().to_string(), why, mend)]
}

pub(super) fn backups(facts: &Facts) -> Vec<Finding> {
    let Some(backups) = &facts.machine.backups else {
        let why = "no backup is made by itself";
        let mend = mend::set(&facts.config, "backup.directory", "\"/srv/backup\"");
        return vec![Finding::new(Severity::Low, "the setting backup.directory", why, mend)];
    };
    let place = backups.directory.display().to_string();
    let now = mend::sekisho(
        facts,
        &format!("backup {}", mend::path(&backups.directory.join(format!("sekisho-{}.backup", facts.now.0)))),
    );
    if let Some(error) = &backups.error {
        let why = format!("the folder of scheduled backups cannot be read: {error}");
        return vec![Finding::new(
            Severity::High,
            place,
            why,
            format!("install -d -m 700 {}", mend::path(&backups.directory)),
        )];
    }
    let late = facts.config.backup.every * bound::BACKUP_INTERVALS_MAX;
    let mut found = Vec::new();
    match &backups.newest {
        None => {
            found.push(Finding::new(Severity::Medium, place.clone(), "there is no scheduled backup in it yet", now));
        }
        Some((made, _)) if facts.age(*made) > late => {
            let why = format!("the newest backup was made at {}, longer ago than it should be", made.rfc3339());
            found.push(Finding::new(Severity::Medium, place.clone(), why, now));
        }
        Some(_) => {}
    }
    if backups.is_on_same_disk {
        let why = "backups lie on the disk of the database, and go with it";
        let mend = mend::set(&facts.config, "backup.directory", "\"/mnt/OTHER-DISK/sekisho\"");
        found.push(Finding::new(Severity::Low, format!("{place} on this disk"), why, mend));
    }
    found
}

pub(super) fn backups_verified(facts: &Facts) -> Vec<Finding> {
    let newest = facts.machine.backups.as_ref().and_then(|backups| backups.newest.as_ref());
    let Some((made, path)) = newest else { return Vec::new() };
    let mend = mend::sekisho(facts, &format!("backup --verify {}", mend::path(path)));
    let last = facts.inside.backup.as_ref();
    if let Some((what, fault)) = last.and_then(|last| Some((&last.what, last.fault.as_ref()?))) {
        let why = format!("it was opened and is not good: {fault}");
        return vec![Finding::new(Severity::High, what.clone(), why, mend)];
    }
    // A backup is read back when it is made.
    let verified = last.map_or(*made, |last| last.at.max(*made));
    old(facts, verified).map_or_else(Vec::new, |days| {
        let why = format!("no backup was opened and checked for {days} days");
        vec![Finding::new(Severity::Medium, path.display().to_string(), why, mend)]
    })
}

pub(super) fn checkpoints(facts: &Facts) -> Vec<Finding> {
    let audit = &facts.config.audit;
    let elsewhere = audit.checkpoint_webhook.is_some() || audit.checkpoint_syslog;
    if elsewhere || !facts.machine.checkpoints.is_on_same_disk {
        return Vec::new();
    }
    let why = "signed checkpoints of the audit log go to the disk of the database only: whoever rewrites one can rewrite the other";
    let mend = mend::set(&facts.config, "audit.checkpoint_file", "\"/mnt/OTHER-DISK/checkpoints.log\"");
    vec![Finding::new(Severity::Low, facts.machine.checkpoints.file.display().to_string(), why, mend)]
}

pub(super) fn audit(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let place = "the audit log";
    if let Some(alarm) = &facts.inside.alarm {
        let mend = mend::sekisho(facts, "audit verify");
        found.push(Finding::new(Severity::Critical, place, alarm.clone(), mend));
    }
    match &facts.inside.audit {
        Some(last) if last.fault.is_some() => {
            let why = last.fault.clone().unwrap_or_default();
            found.push(Finding::new(
                Severity::Critical,
                format!("{place} as a whole"),
                why,
                mend::sekisho(facts, "audit verify"),
            ));
        }
        Some(last) => {
            if let Some(days) = old(facts, last.at) {
                let why = format!("the whole log was last verified {days} days ago");
                found.push(Finding::new(Severity::Low, place, why, mend::sekisho(facts, "audit verify")));
            }
        }
        None => {
            let why = "no running server has verified the whole log yet; it does so every upkeep.audit_verify_hours";
            found.push(Finding::new(Severity::Info, place, why, mend::sekisho(facts, "audit verify")));
        }
    }
    found
}

/// Days since then, if they are too many.
fn old(facts: &Facts, then: Timestamp) -> Option<u64> {
    Some(days(facts.age(then))).filter(|days| *days > bound::VERIFIED_DAYS_MAX)
}

pub(super) fn disk(facts: &Facts) -> Vec<Finding> {
    let Some(disk) = facts.machine.disk else { return Vec::new() };
    let Some(why) = facts.config.upkeep.is_short(disk.free_bytes, disk.total_bytes) else { return Vec::new() };
    let place = format!("the disk of {}", facts.places.data.display());
    vec![Finding::new(Severity::Medium, place, why, mend::sekisho(facts, "prune"))]
}

pub(super) fn policies(facts: &Facts) -> Vec<Finding> {
    let Some(error) = &facts.inside.policy_error else { return Vec::new() };
    let directory = facts.config.policy.directory.clone().unwrap_or_else(|| facts.places.policies());
    let why = format!("what is written there is not in force, but what was there before: {error}");
    vec![Finding::new(Severity::Medium, directory.display().to_string(), why, mend::sekisho(facts, "policy check"))]
}
