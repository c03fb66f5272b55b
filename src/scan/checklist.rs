//! The guides' checklists, with what a scan can answer already answered. The lists are data: `assets/scan/checklists.toml`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::finding::{Finding, Severity};

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Monthly,
    Quarterly,
    Development,
    Deployment,
    Runtime,
    Data,
}

impl Name {
    pub const ALL: [Self; 6] =
        [Self::Monthly, Self::Quarterly, Self::Development, Self::Deployment, Self::Runtime, Self::Data];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
            Self::Development => "development",
            Self::Deployment => "deployment",
            Self::Runtime => "runtime",
            Self::Data => "data",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    list: Vec<List>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    name: String,
    title: String,
    item: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    text: String,
    #[serde(default)]
    checks: Vec<String>,
    how: String,
}

/// How an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The scan found nothing against it.
    Done,
    /// The scan found something.
    Open,
    /// A person has to look.
    ByHand,
}

#[derive(Clone, Debug, Serialize)]
pub struct Answered {
    pub text: String,
    pub standing: Standing,
    /// How a person looks.
    pub how: String,
    pub findings: Vec<Finding>,
}

/// A list with its answers.
#[derive(Clone, Debug, Serialize)]
pub struct Checklist {
    pub name: &'static str,
    pub title: String,
    pub items: Vec<Answered>,
}

fn lists() -> Vec<List> {
    // A test reads it: what does not parse never ships.
    toml::from_str::<Lists>(include_str!("../../assets/scan/checklists.toml"))
        .map(|lists| lists.list)
        .unwrap_or_default()
}

/// The list of this name, answered by what a scan found.
pub fn answered(name: Name, found: &[Finding]) -> Checklist {
    let list = lists().into_iter().find(|list| list.name == name.as_str());
    let (title, items) = list.map_or_else(Default::default, |list| (list.title, list.item));
    let items = items.into_iter().map(|item| answer(item, found)).collect();
    Checklist { name: name.as_str(), title, items }
}

fn answer(item: Item, found: &[Finding]) -> Answered {
    // A statement about one thing is false as soon as a check of it finds anything; the whole may have what is low.
    let is_asked = |finding: &&Finding| {
        let is_asked = |check: &String| match check.as_str() {
            "*" => finding.severity > Severity::Low,
            check => finding.severity > Severity::Info && check == finding.check,
        };
        item.checks.iter().any(is_asked)
    };
    let findings: Vec<Finding> = found.iter().filter(is_asked).cloned().collect();
    // A check that had nothing to look at has not said that all is well.
    let unlooked = found.iter().any(|finding| {
        finding.severity == Severity::Info && item.checks.contains(&finding.check) && finding.check != "tokens.spent"
    });
    let standing = match findings.as_slice() {
        _ if item.checks.is_empty() => Standing::ByHand,
        [] if unlooked => Standing::ByHand,
        [] => Standing::Done,
        _ => Standing::Open,
    };
    Answered { text: item.text, standing, how: item.how, findings }
}

impl Checklist {
    /// As Markdown, for a review that is printed and signed.
    pub fn to_markdown(&self, made: &str, version: &str) -> String {
        let mut text = format!("# {}\n\nMade by Sekisho {version} at {made}.\n\n", self.title);
        for item in &self.items {
            let (mark, note) = match item.standing {
                Standing::Done => ("x", "checked by the scan".to_owned()),
                Standing::Open => (" ", format!("open: {} findings", item.findings.len())),
                Standing::ByHand => (" ", format!("by hand: `{}`", item.how)),
            };
            // Writing to a String cannot fail.
            writeln!(text, "- [{mark}] {} ({note})", item.text).unwrap_or_default();
            for finding in &item.findings {
                let Finding { check, severity, place, why, mend } = finding;
                writeln!(text, "  - {severity}, `{check}`: {place}: {why}. Mend it: `{mend}`").unwrap_or_default();
            }
        }
        text.push_str("\nReviewed by: ____________________  Date: ____________\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::CHECKS;

    fn finding(check: &str, severity: Severity) -> Finding {
        Finding { check: check.into(), ..Finding::new(severity, "here", "so", "do") }
    }

    #[test]
    fn every_list_is_there_and_names_only_checks_that_there_are() {
        let lists = lists();
        assert_eq!(lists.iter().map(|list| list.name.as_str()).collect::<Vec<_>>(), Name::ALL.map(Name::as_str));
        for list in lists {
            assert!(list.item.len() >= 5, "{}", list.name);
            for check in list.item.iter().flat_map(|item| &item.checks) {
                assert!(check == "*" || CHECKS.iter().any(|known| known.id == check), "{}: {check}", list.name);
            }
        }
    }

    #[test]
    fn an_item_is_ticked_only_where_its_checks_looked_and_found_nothing_grave() {
        let standing = |found: &[Finding], text: &str| {
            let list = answered(Name::Monthly, found);
            list.items.iter().find(|item| item.text.starts_with(text)).unwrap().standing
        };
        assert_eq!(standing(&[], "Certificates"), Standing::Done);
        assert_eq!(standing(&[finding("tls.expiry", Severity::Medium)], "Certificates"), Standing::Open);
        assert_eq!(standing(&[finding("tokens.endless", Severity::Medium)], "Tokens that"), Standing::Done);
        assert_eq!(standing(&[finding("tokens.spent", Severity::Info)], "Tokens that"), Standing::Done);
        assert_eq!(standing(&[finding("accounts.unused", Severity::Low)], "Accounts"), Standing::Open);
        assert_eq!(standing(&[finding("audit.checkpoints", Severity::Low)], "Signed checkpoints"), Standing::Open);
        assert_eq!(standing(&[finding("backups.verified", Severity::Info)], "A backup"), Standing::ByHand);
        assert_eq!(standing(&[finding("files.logs", Severity::Low)], "The installation's own"), Standing::Done);
        assert_eq!(standing(&[finding("dependencies.advisories", Severity::Info)], "Dependencies"), Standing::ByHand);
        assert_eq!(standing(&[], "The system that"), Standing::ByHand);
        assert_eq!(standing(&[finding("files.logs", Severity::Medium)], "The installation's own"), Standing::Open);
    }

    #[test]
    fn what_only_a_person_can_attest_is_never_ticked() {
        for begin in [
            "Every account, its role",
            "Policies still say",
            "Policies are tested",
            "The recovery key is",
            "Roles of accounts",
            "Classifications of",
            "Whoever is on call",
        ] {
            let lists = Name::ALL.map(|name| answered(name, &[]).items);
            let mut items = lists.iter().flatten().filter(|item| item.text.starts_with(begin)).peekable();
            assert!(items.peek().is_some(), "{begin}");
            assert!(items.all(|item| item.standing == Standing::ByHand), "{begin}");
        }
    }

    #[test]
    fn a_backup_that_was_opened_is_so_wherever_it_lies() {
        let list = answered(Name::Monthly, &[finding("backups.made", Severity::Low)]);
        let item = list.items.iter().find(|item| item.text.starts_with("A backup was opened")).unwrap();
        assert_eq!(item.standing, Standing::Done);
    }

    #[test]
    fn markdown_has_a_box_for_each_item() {
        let list = answered(Name::Data, &[finding("keys.age", Severity::Medium)]);
        let text = list.to_markdown("2026-11-22", "0.1.0");
        assert_eq!(text.matches("- [").count(), list.items.len());
        assert!(text.contains("- [x] ") && text.contains("- [ ] Data at rest"), "{text}");
        assert!(text.contains("  - medium, `keys.age`: here: so. Mend it: `do`"), "{text}");
    }
}
