//! The controls of known frameworks, which are data: `assets/report/controls.toml` says which evidence stands for which.

use serde::Deserialize;

use super::evidence::{self, Facts};
use super::{Control, Framework, State};

const TABLE: &str = include_str!("../../assets/report/controls.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    framework: Vec<FrameworkRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameworkRow {
    name: String,
    title: String,
    control: Vec<ControlRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlRow {
    reference: String,
    title: String,
    /// Kinds of evidence; empty where there is none.
    #[serde(default)]
    evidence: Vec<String>,
    /// Why there is none, or what stays with the organisation.
    #[serde(default)]
    not_covered: Option<String>,
}

/// The table that comes with the program cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("the table of controls: {0}")]
    Form(#[from] toml::de::Error),
    #[error("the control {reference} names the evidence {name:?}, which there is not")]
    Evidence { reference: String, name: String },
}

/// Every control of every framework, with what was found for it.
pub fn judged(facts: &Facts<'_>) -> Result<Vec<Framework>, TableError> {
    let table: Table = toml::from_str(TABLE)?;
    let framework = |row: FrameworkRow| {
        let controls = row.control.into_iter().map(|control| judge(control, facts)).collect::<Result<_, _>>()?;
        Ok(Framework { name: row.name, title: row.title, controls })
    };
    table.framework.into_iter().map(framework).collect()
}

/// A control is covered when all of its evidence is there and nothing is left to others, and not covered when it names
/// none.
fn judge(row: ControlRow, facts: &Facts<'_>) -> Result<Control, TableError> {
    let ControlRow { reference, title, evidence, not_covered } = row;
    let mut texts = Vec::new();
    let mut states = Vec::new();
    for name in evidence {
        let Some(found) = evidence::of(&name, facts) else {
            return Err(TableError::Evidence { reference, name });
        };
        states.push(found.state);
        texts.push(found.text);
    }
    let state = match (states.iter().min(), states.iter().max()) {
        // What stays with the organisation is not shown by anything here.
        (Some(State::Covered), _) if not_covered.is_some() => State::Partly,
        (Some(State::Covered), _) => State::Covered,
        (Some(_), Some(State::Missing)) => State::Missing,
        (Some(_), Some(_)) => State::Partly,
        _ => State::NotCovered,
    };
    texts.extend(not_covered);
    Ok(Control { reference, title, state, evidence: texts })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn table() -> Table {
        toml::from_str(TABLE).unwrap()
    }

    #[test]
    fn the_four_frameworks_are_there_and_no_control_twice() {
        let table = table();
        let names: Vec<&str> = table.framework.iter().map(|framework| framework.name.as_str()).collect();
        assert_eq!(names, ["GDPR", "SOC 2", "HIPAA", "PCI DSS"]);
        for framework in &table.framework {
            let references: BTreeSet<&str> =
                framework.control.iter().map(|control| control.reference.as_str()).collect();
            assert_eq!(references.len(), framework.control.len(), "{}", framework.name);
        }
    }

    #[test]
    fn each_control_has_evidence_or_says_why_not() {
        for framework in table().framework {
            for control in framework.control {
                let says = !control.evidence.is_empty() || control.not_covered.is_some();
                assert!(says, "{} {}", framework.name, control.reference);
            }
        }
    }

    #[test]
    fn the_table_and_the_program_name_the_same_evidence() {
        let frameworks = table().framework;
        let named = frameworks.iter().flat_map(|framework| &framework.control).flat_map(|control| &control.evidence);
        let named: BTreeSet<&str> = named.map(String::as_str).collect();
        let known: BTreeSet<&str> = evidence::ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, known);
    }
}
