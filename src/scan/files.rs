//! Checks of files: who may read and write what, and whose they are.

use super::facts::{Facts, FileFact, What};
use super::finding::{Finding, Severity};
use super::mend;

/// Bits that nobody but the owner should have, and how grave it is where somebody does.
struct Rule {
    what: &'static [What],
    bits: u32,
    severity: Severity,
    why: &'static str,
}

fn judged(facts: &Facts, rules: &[Rule]) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &facts.machine.files {
        let broken = rules.iter().find(|rule| rule.what.contains(&file.what) && file.mode & rule.bits != 0);
        if let Some(rule) = broken {
            let mode = format!("{:o}", file.mode & 0o777);
            let why = format!("its mode is {mode}: {}", rule.why);
            let wanted = format!("{:o}", file.mode & 0o777 & !rule.bits);
            found.push(Finding::new(rule.severity, place(file), why, mend::chmod(&wanted, &file.path)));
        }
    }
    found
}

fn place(file: &FileFact) -> String {
    file.path.display().to_string()
}

pub(super) fn data_directory(facts: &Facts) -> Vec<Finding> {
    let why = "others may look into the data directory, or put something there";
    judged(facts, &[Rule { what: &[What::DataDirectory], bits: 0o077, severity: Severity::High, why }])
}

pub(super) fn secrets(facts: &Facts) -> Vec<Finding> {
    judged(
        facts,
        &[
            Rule {
                what: &[What::VaultKey],
                bits: 0o077,
                severity: Severity::Critical,
                why: "whoever reads it opens the vault",
            },
            // A group of its own may read keys of TLS on many systems, and says so on purpose.
            Rule {
                what: &[What::TlsKey],
                bits: 0o027,
                severity: Severity::Critical,
                why: "whoever reads it can be this server",
            },
            Rule {
                what: &[What::Token],
                bits: 0o077,
                severity: Severity::High,
                why: "whoever reads it can call as this client",
            },
            Rule {
                what: &[What::Database],
                bits: 0o077,
                severity: Severity::High,
                why: "documents and entries in it are not all sealed",
            },
        ],
    )
}

pub(super) fn configuration(facts: &Facts) -> Vec<Finding> {
    let why = "whoever changes it decides what this server does";
    let what = &[What::Configuration, What::Policies, What::Certificate];
    judged(facts, &[Rule { what, bits: 0o022, severity: Severity::High, why }])
}

pub(super) fn logs(facts: &Facts) -> Vec<Finding> {
    let why = "the log tells others who asked for what";
    judged(facts, &[Rule { what: &[What::Logs], bits: 0o077, severity: Severity::Medium, why }])
}

pub(super) fn sockets(facts: &Facts) -> Vec<Finding> {
    let control = "whoever opens the control socket administers this server";
    let http = "users beyond the socket's group may call";
    judged(
        facts,
        &[
            Rule { what: &[What::ControlSocket], bits: 0o077, severity: Severity::High, why: control },
            Rule { what: &[What::HttpSocket], bits: 0o007, severity: Severity::Medium, why: http },
        ],
    )
}

pub(super) fn kept(facts: &Facts) -> Vec<Finding> {
    let what = &[What::Backups, What::Checkpoints];
    let change = "others could replace what you rely on in an emergency";
    let read = "others may read it; it is sealed, and a copy of it can be attacked for years";
    judged(
        facts,
        &[
            Rule { what, bits: 0o022, severity: Severity::Medium, why: change },
            Rule { what: &[What::Backups], bits: 0o055, severity: Severity::Low, why: read },
        ],
    )
}

pub(super) fn owners(facts: &Facts) -> Vec<Finding> {
    let user = facts.machine.user;
    // What root provides, such as a certificate, is not a stranger's.
    let foreign = facts.machine.files.iter().filter(|file| file.owner != user && file.owner != 0);
    foreign
        .map(|file| {
            let why =
                format!("it belongs to user {}, and Sekisho runs as user {user}: its owner can change it", file.owner);
            Finding::new(Severity::Medium, place(file), why, format!("chown {user} {}", mend::path(&file.path)))
        })
        .collect()
}
