//! Checks of what has to outlive a bad day: the vault's secret, backups, checkpoints, the audit log, room on the disk.

use std::path::Path;

use super::facts::{Disk, Facts, Verification, days};
use super::finding::{Finding, Severity};
use super::mend;
use crate::base::bound::scan as bound;
use crate::base::clock::Timestamp;

pub(super) fn vault_key(facts: &Facts) -> Vec<Finding> {
    let beside = &facts.machine.keys_beside;
    let Some(first) = beside.first() else { return Vec::new() };
    let words: Vec<String> = beside.iter().map(|file| mend::path(file)).collect();
    let remove = format!("rm -f {}", words.join(" "));
    let key_file = facts.config.vault.key_file.clone().unwrap_or_else(|| facts.places.vault_key());
    let (why, mend) = if *first == key_file {
        let why = "the vault's secret lies beside the database: whoever copies the folder has both";
        // A folder that is there is others' too, and the file is for whoever the service runs as.
        let mend = format!(
            "mkdir -p -m 755 /etc/sekisho && install {} -m 400 {} /etc/sekisho/vault-key && {} && {remove}",
            mend::owner(facts),
            mend::path(first),
            mend::set(&facts.config, "vault.key_file", "\"/etc/sekisho/vault-key\"")
        );
        (why, mend)
    } else {
        let why =
            "the vault's secret comes from elsewhere, and what was kept beside the database before is still there";
        (why, remove)
    };
    vec![Finding::new(Severity::Low, first.display().to_string(), why, mend)]
}

/// Where a mend has backups made.
const BACKUPS: &str = "/srv/backup/sekisho";

/// Has backups made in `folder`, which a service that is not root could not make itself.
fn made_in(facts: &Facts, folder: &str) -> String {
    let set = mend::set(&facts.config, "backup.directory", &format!("\"{folder}\""));
    format!("{} && {set}", mend::folder(facts, Path::new(folder)))
}

pub(super) fn backups(facts: &Facts) -> Vec<Finding> {
    let Some(backups) = &facts.machine.backups else {
        let why = "no backup is made by itself";
        return vec![Finding::new(Severity::Low, "the setting backup.directory", why, made_in(facts, BACKUPS))];
    };
    let place = backups.directory.display().to_string();
    let now = mend::sekisho(
        facts,
        &format!("backup {}", mend::path(&backups.directory.join(format!("sekisho-{}.backup", facts.now.0)))),
    );
    if let Some(error) = &backups.error {
        let why = format!("the folder of scheduled backups cannot be read: {error}");
        return vec![Finding::new(Severity::High, place, why, mend::folder(facts, &backups.directory))];
    }
    let late = facts.config.backup.every * bound::BACKUP_INTERVALS_MAX;
    let mut found = Vec::new();
    if let Some(path) = &backups.future {
        let why =
            "its name says that it was made in the future: the clock was wrong then, or is now; it is not counted";
        let mend = format!("mv {0} {0}.wrong-clock", mend::path(path));
        found.push(Finding::new(Severity::Medium, path.display().to_string(), why, mend));
    }
    match &backups.newest {
        // A server makes the first one soon after it starts: nobody has to be told of an installation that is new.
        None if facts.machine.since.is_some_and(|since| facts.age(since) < facts.config.backup.every) => {
            let why = "there is no scheduled backup in it yet; a running server makes the first one";
            found.push(Finding::new(Severity::Low, place.clone(), why, now));
        }
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
        let mend = made_in(facts, "/mnt/OTHER-DISK/sekisho");
        found.push(Finding::new(Severity::Low, format!("{place} on this disk"), why, mend));
    }
    found
}

pub(super) fn backups_verified(facts: &Facts) -> Vec<Finding> {
    let backups = facts.machine.backups.as_ref();
    let Some((backups, (made, path))) = backups.and_then(|backups| Some((backups, backups.newest.as_ref()?))) else {
        let why = "there is no scheduled backup that could be opened and checked";
        let mend = mend::sekisho(facts, "backup --verify FILE");
        return vec![Finding::new(Severity::Info, "scheduled backups", why, mend)];
    };
    // Not the file: the next backup has another name, and would be another finding.
    let place = format!("backups in {}", backups.directory.display());
    let mend = mend::sekisho(facts, &format!("backup --verify {}", mend::path(path)));
    match &facts.inside.backup {
        Some(Verification { what, fault: Some(fault), .. }) => {
            let why = format!("it was opened and is not good: {fault}");
            vec![Finding::new(Severity::High, what.clone(), why, mend)]
        }
        // That a newer one was made says nothing: reading back what was just written is no restore.
        Some(last) => old(facts, last.at).map_or_else(Vec::new, |days| {
            let why = format!("no backup was opened and checked for {days} days");
            vec![Finding::new(Severity::Medium, place, why, mend)]
        }),
        None => {
            let every = facts.config.upkeep.backup_verify;
            let (severity, why) = match every {
                None => (Severity::Low, "no backup was ever opened and checked, and none will be by itself"),
                Some(every) if facts.age(*made) > every => (Severity::Low, "no backup was ever opened and checked"),
                Some(_) => (Severity::Info, "no backup was opened and checked yet; a running server will do it"),
            };
            vec![Finding::new(severity, place, why, mend)]
        }
    }
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
    let short =
        |disk: Option<Disk>| disk.and_then(|disk| facts.config.upkeep.is_short(disk.free_bytes, disk.total_bytes));
    let place = |folder: &Path| format!("the disk of {}", folder.display());
    let mut found = Vec::new();
    if let Some(why) = short(facts.machine.disk) {
        let mend = mend::sekisho(facts, "prune");
        found.push(Finding::new(Severity::Medium, place(&facts.places.data), why, mend));
    }
    if let Some(backups) = facts.machine.backups.as_ref().filter(|backups| !backups.is_on_same_disk)
        && let Some(why) = short(backups.disk)
    {
        let mend = mend::set(&facts.config, "backup.keep", "3");
        found.push(Finding::new(Severity::Medium, place(&backups.directory), why, mend));
    }
    found
}

pub(super) fn policies(facts: &Facts) -> Vec<Finding> {
    let Some(error) = &facts.inside.policy_error else { return Vec::new() };
    let directory = facts.config.policy.directory.clone().unwrap_or_else(|| facts.places.policies());
    let why = format!("what is written there is not in force, but what was there before: {error}");
    vec![Finding::new(Severity::Medium, directory.display().to_string(), why, mend::sekisho(facts, "policy check"))]
}
