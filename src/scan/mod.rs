//! The installation's own audit: checks over facts that were gathered beforehand, and what they find.
//!
//! **Invariant:** a check is a pure function. Only [`gather`] looks at the machine, and it changes nothing.

pub mod advisory;
pub mod checklist;
pub mod facts;
pub mod finding;
pub mod gather;
mod dependency;
mod files;
mod identity;
mod keep;
mod mend;
mod network;
mod secrets;
mod settings;
mod unit;

use facts::Facts;
use finding::{Finding, Severity};

/// One thing that is looked at.
#[derive(Clone, Copy)]
pub struct Check {
    pub id: &'static str,
    /// One line, for people: what is well where it finds nothing.
    pub about: &'static str,
    find: fn(&Facts) -> Vec<Finding>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Check").field(&self.id).finish()
    }
}

const fn check(id: &'static str, about: &'static str, find: fn(&Facts) -> Vec<Finding>) -> Check {
    Check { id, about, find }
}

/// All of them. The manual's table is this list.
pub const CHECKS: [Check; 33] = [
    check("files.data_directory", "Only its user may look into the data directory", files::data_directory),
    check(
        "files.secrets",
        "Nobody else reads the vault's secret, keys of TLS, the token, the database",
        files::secrets,
    ),
    check("files.configuration", "Nobody else changes configuration, policies, certificates", files::configuration),
    check("files.logs", "Nobody else reads the log", files::logs),
    check("files.sockets", "Nobody else opens the sockets", files::sockets),
    check("files.kept", "Nobody else changes backups and checkpoints", files::kept),
    check("files.owner", "All of these files belong to the user that Sekisho runs as", files::owners),
    check("secrets.configuration", "No secret stands in the configuration file", secrets::configuration),
    check("secrets.environment", "No secret stands in the environment", secrets::environment),
    check("settings.loosened", "No setting guards less than its default", settings::loosened),
    check(
        "settings.preset",
        "Where other machines can call, the values of the production preset hold",
        settings::preset,
    ),
    check("tls.files", "The configured certificate and key can be served", network::tls_files),
    check("tls.expiry", "The certificate is valid, and for longer than a month", network::tls_expiry),
    check("tls.strength", "The certificate's key and signature are strong", network::tls_strength),
    check("listeners.cleartext", "No other machine reaches a listener without TLS", network::cleartext),
    check("listeners.exposed", "What other machines reach is needed, and asks for credentials", network::exposed),
    check("listeners.metrics", "Only this machine reads the metrics", network::metrics),
    check("tokens.endless", "Every API key expires", identity::tokens_without_end),
    check("tokens.unused", "Every valid API key and JWT is used", identity::tokens_unused),
    check("tokens.spent", "Revoked and expired tokens are gone", identity::tokens_spent),
    check("accounts.unused", "Every account that is not disabled is used", identity::accounts_unused),
    check("keys.age", "Data keys are rotated in time", identity::keys),
    check("vault.secret", "The vault's secret does not lie beside the database", keep::vault_key),
    check("backups.made", "Backups are made, in time, and on another disk", keep::backups),
    check("backups.verified", "The newest backup was opened and checked, lately", keep::backups_verified),
    check("audit.checkpoints", "Signed checkpoints leave the disk of the database", keep::checkpoints),
    check("audit.sound", "The audit log is sound, and was verified lately", keep::audit),
    check("policy.loaded", "The policies in the folder are in force", keep::policies),
    check("disk.space", "There is room on the disk", keep::disk),
    check("unit.hardening", "Units of systemd confine the service", unit::hardening),
    check("unit.user", "The service does not run as root", unit::user),
    check("process.cores", "No core of the process can be written", unit::core_dumps),
    check("dependencies.advisories", "No advisory speaks of a crate in this program", dependency::all),
];

/// What all checks found, the gravest first.
pub fn run(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> = CHECKS
        .iter()
        .flat_map(|check| {
            (check.find)(facts).into_iter().map(|finding| Finding { check: check.id.to_owned(), ..finding })
        })
        .collect();
    // Stable: within one severity they keep the order of the checks.
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

/// The gravest severity there is.
pub fn worst(found: &[Finding]) -> Option<Severity> {
    found.iter().map(|finding| finding.severity).max()
}

#[cfg(test)]
mod tests;
