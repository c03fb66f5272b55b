//! Checks of how the program is run: units of systemd, the user, core dumps.

use std::path::Path;

use super::facts::{Facts, Unit};
use super::finding::{Finding, Severity};
use super::mend;

/// Directives that each unit should have, and what counts as having them. The first group matters most.
const HARDENING: [(&str, &[&str], Severity); 12] = [
    ("NoNewPrivileges", &["yes", "true", "on", "1"], Severity::Medium),
    ("ProtectSystem", &["strict"], Severity::Medium),
    ("ProtectHome", &["yes", "true", "on", "1", "read-only", "tmpfs"], Severity::Medium),
    ("PrivateTmp", &["yes", "true", "on", "1", "disconnected"], Severity::Low),
    ("PrivateDevices", &["yes", "true", "on", "1"], Severity::Low),
    ("ProtectKernelTunables", &["yes", "true", "on", "1"], Severity::Low),
    ("ProtectKernelModules", &["yes", "true", "on", "1"], Severity::Low),
    ("ProtectControlGroups", &["yes", "true", "on", "1", "strict", "private"], Severity::Low),
    ("MemoryDenyWriteExecute", &["yes", "true", "on", "1"], Severity::Low),
    ("LockPersonality", &["yes", "true", "on", "1"], Severity::Low),
    ("RestrictAddressFamilies", &[], Severity::Low),
    ("SystemCallFilter", &[], Severity::Low),
];

/// What a person's own systemd can take away: the rest needs root, and a service that asks for it does not start.
const OF_USER: [&str; 5] =
    ["NoNewPrivileges", "MemoryDenyWriteExecute", "LockPersonality", "RestrictAddressFamilies", "SystemCallFilter"];

/// A folder of drop-ins takes what is missing; the unit itself belongs to its package. Behind what is there already:
/// another finding of the same unit is mended there, too.
fn drop_in(unit: &Unit, lines: &[String]) -> String {
    let folder = format!("{}.d", unit.path.display());
    // A unit below /usr/lib is a package's.
    let folder = folder.replace("/usr/lib/systemd", "/etc/systemd").replace("/lib/systemd", "/etc/systemd");
    let content = format!("[Service]\\n{}\\n", lines.join("\\n"));
    let reload = if unit.is_of_user { "systemctl --user daemon-reload" } else { "systemctl daemon-reload" };
    let (folder, file) = (mend::quoted(&folder), mend::quoted(&format!("{folder}/hardening.conf")));
    format!("mkdir -p {folder} && printf '{content}' >> {file} && {reload}")
}

pub(super) fn hardening(facts: &Facts) -> Vec<Finding> {
    let mut found = absent(facts);
    for unit in &facts.machine.units {
        let lacks = |(name, good, _): &&(&str, &[&str], Severity)| match unit.get(name) {
            _ if unit.is_of_user && !OF_USER.contains(name) => false,
            // It would hide the data from the service.
            _ if *name == "ProtectHome" && is_at_home(&facts.places.data) => false,
            None => true,
            Some(value) => !good.is_empty() && !good.contains(&value.to_ascii_lowercase().as_str()),
        };
        let lacking: Vec<_> = HARDENING.iter().filter(lacks).collect();
        let Some(severity) = lacking.iter().map(|(_, _, severity)| *severity).max() else { continue };
        let names: Vec<&str> = lacking.iter().map(|(name, ..)| *name).collect();
        let lines: Vec<String> = lacking
            .iter()
            .map(|(name, good, _)| match *name {
                "RestrictAddressFamilies" => "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6".to_owned(),
                "SystemCallFilter" => "SystemCallFilter=@system-service @sandbox".to_owned(),
                // Then all but this is read-only.
                "ProtectSystem" if is_plain(&facts.places.data) => {
                    format!("ProtectSystem=strict\\nReadWritePaths={}", facts.places.data.display())
                }
                _ => format!("{name}={}", good.first().unwrap_or(&"yes")),
            })
            .collect();
        let why = format!("a hole in the program reaches further than it must without {}", names.join(", "));
        found.push(Finding::new(severity, unit.path.display().to_string(), why, drop_in(unit, &lines)));
    }
    found
}

/// Whether the data lies below what `ProtectHome=` hides.
fn is_at_home(data: &Path) -> bool {
    ["/home", "/root", "/run/user"].iter().any(|hidden| data.starts_with(hidden))
}

/// Whether neither a shell nor systemd nor printf(1) reads it otherwise than it is.
fn is_plain(path: &Path) -> bool {
    mend::path(path) == path.display().to_string()
}

pub(super) fn user(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for unit in facts.machine.units.iter().filter(|unit| !unit.is_of_user) {
        let dynamic = unit.get("DynamicUser").is_some_and(|value| matches!(value, "yes" | "true" | "on" | "1"));
        let runs_as_root = unit.get("User").is_none_or(|user| matches!(user, "root" | "0"));
        if runs_as_root && !dynamic {
            let why = "the service runs as root: a hole in it is a hole in the machine";
            let lines = ["User=sekisho".to_owned(), "Group=sekisho".to_owned()];
            found.push(Finding::new(
                Severity::High,
                format!("{} as root", unit.path.display()),
                why,
                drop_in(unit, &lines),
            ));
        }
    }
    if facts.machine.user == 0 {
        let why = "the data directory is root's, so the server runs as root";
        let mend = format!("useradd --system sekisho && chown -R sekisho: {}", mend::path(&facts.places.data));
        found.push(Finding::new(Severity::Low, facts.places.data.display().to_string(), why, mend));
    }
    found
}

pub(super) fn core_dumps(facts: &Facts) -> Vec<Finding> {
    if !facts.machine.are_core_dumps_possible {
        return Vec::new();
    }
    let why = "a core of the process could be written, with the vault's keys in it";
    vec![Finding::new(
        Severity::Medium,
        "the process",
        why,
        "ulimit -c 0   # where the server is started, and allow it prctl(2)",
    )]
}

/// Said once, so that nobody takes silence for a check that was made.
fn absent(facts: &Facts) -> Vec<Finding> {
    if !facts.machine.units.is_empty() {
        return Vec::new();
    }
    let why = if facts.machine.has_systemd {
        "no unit for Sekisho is installed"
    } else {
        "systemd does not run this machine"
    };
    vec![Finding::new(
        Severity::Info,
        "units of systemd",
        format!("{why}: its hardening was not looked at"),
        "see the manual's page service",
    )]
}
