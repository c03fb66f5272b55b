//! Checks of the crates that the program was built from, against the database of advisories.

use super::advisory::{Advisory, Crate, Kind};
use super::facts::{Advisories, Facts, days};
use super::finding::{Finding, Severity};
use super::mend;
use crate::base::bound::scan as bound;

const IMPORT: &str = "advisories import FILE --vkey KEY";

pub(super) fn all(facts: &Facts) -> Vec<Finding> {
    [database(facts), advisories(facts)].concat()
}

fn database(facts: &Facts) -> Vec<Finding> {
    let place = facts.places.advisories().display().to_string();
    let mend = mend::sekisho(facts, IMPORT);
    match &facts.machine.advisories {
        Advisories::Missing => {
            let count = facts.machine.crates.len();
            let why =
                format!("there is no database of advisories: the {count} crates in this program were not checked");
            vec![Finding::new(Severity::Info, place, why, mend)]
        }
        Advisories::Broken(error) => {
            let why = format!("the crates in this program were not checked: {error}");
            vec![Finding::new(Severity::Medium, place, why, mend)]
        }
        Advisories::There(database) => {
            let age = days(facts.age(database.made));
            let severity = match age {
                _ if age > bound::ADVISORIES_DAYS_STALE => Severity::Medium,
                _ if age > bound::ADVISORIES_DAYS_MAX => Severity::Low,
                _ => return Vec::new(),
            };
            vec![Finding::new(severity, place, format!("the database of advisories is {age} days old"), mend)]
        }
    }
}

fn advisories(facts: &Facts) -> Vec<Finding> {
    let Advisories::There(database) = &facts.machine.advisories else { return Vec::new() };
    let mut found = Vec::new();
    for own in &facts.machine.crates {
        let about = database.advisories.iter().filter(|advisory| advisory.affects(own));
        found.extend(about.map(|advisory| finding(advisory, own)));
    }
    found
}

fn finding(advisory: &Advisory, own: &Crate) -> Finding {
    let severity = match advisory.kind {
        Kind::Vulnerability => Severity::High,
        Kind::Unsound => Severity::Medium,
        Kind::Unmaintained => Severity::Low,
        Kind::Notice => Severity::Info,
    };
    let why = format!("{}: {} ({})", advisory.id, advisory.title, advisory.date);
    let mend = if advisory.patched.is_empty() {
        format!("# no version of {} is free of it yet; see https://rustsec.org/advisories/{}", own.name, advisory.id)
    } else {
        let patched = advisory.patched.join(" or ");
        format!(
            "# install a Sekisho that is built with {} {patched}; in its sources: cargo update -p {}",
            own.name, own.name
        )
    };
    // A crate may have several: each is a finding of its own.
    let place = format!("the crate {} {}, {}", own.name, own.version, advisory.id);
    Finding::new(severity, place, why, mend)
}
