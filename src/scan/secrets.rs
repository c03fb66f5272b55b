//! Checks of places where a secret should not stand: the configuration file and the environment.

use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::mend;

pub(super) fn configuration(facts: &Facts) -> Vec<Finding> {
    let file = facts.config.origins.file();
    let one = |line: &usize| {
        let why = "what looks like a secret stands in the file: copies and repositories of it carry the secret along";
        // The line is emptied once its value is in the vault: were it to go, the numbers of those below it would change.
        let keep = mend::sekisho(facts, "credential set NAME");
        let mend = format!("{keep} && sed -i '{line}s/.*//' {}", mend::path(file));
        Finding::new(Severity::High, format!("{}:{line}", file.display()), why, mend)
    };
    facts.machine.secret_lines.iter().map(one).collect()
}

/// Variables that Sekisho itself takes a secret from, and what is better.
const OWN: [(&str, &str); 3] = [
    ("SEKISHO_VAULT_SECRET", "key passphrase --key-file && unset SEKISHO_VAULT_SECRET"),
    ("MCP_PASSWORD", "account add NAME && unset MCP_USERNAME MCP_PASSWORD"),
    ("MCP_JWT_SECRET", "token issue NAME --jwt && unset MCP_JWT_SECRET"),
];

pub(super) fn environment(facts: &Facts) -> Vec<Finding> {
    let one = |name: &String| {
        let own = OWN.iter().find(|(own, _)| own == name);
        let (severity, why) = if own.is_some() {
            (
                Severity::Medium,
                "the environment of a process is read by its user, by crash reports and by process lists",
            )
        } else {
            (Severity::Low, "what looks like a secret is in the environment, and Sekisho has no use for it")
        };
        let mend = own.map_or_else(
            || format!("unset {}   # where the server is started", mend::quoted(name)),
            |(_, mend)| format!("{}   # where the server is started", mend::sekisho(facts, mend)),
        );
        Finding::new(severity, format!("the variable {name}"), why, mend)
    };
    facts.config.origins.exposed().iter().map(one).collect()
}
