//! The operations `scan.run`, `advisories.import` and `advisories.show`: the installation's own audit.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::{Nothing, Request, absolute, answering, parse, written};
use crate::auth::policy::ask::ActionGroup;
use crate::base::refusal::{Code, Refusal, sentence};
use crate::operation::{Catalog, Effect};
use crate::scan::advisory::{Database, DatabaseError};
use crate::scan::facts::{Advisories, Facts};
use crate::scan::finding::{Finding, Severity};
use crate::scan::{self, CHECKS};
use crate::schema::NotASchema;

/// Looks at the whole installation; injected by `app`, which alone sees every room.
pub trait Survey: Send + Sync {
    fn survey(&self) -> BoxFuture<'_, Result<Facts, Refusal>>;

    /// Takes a newer database of advisories, signed with `vkey` or with the configured key.
    fn import_advisories(
        &self,
        file: PathBuf,
        vkey: Option<String>,
    ) -> BoxFuture<'_, Result<Result<Database, DatabaseError>, Refusal>>;
}

pub(super) fn register(catalog: &Catalog, surveyor: &Arc<dyn Survey>) -> Result<(), NotASchema> {
    let own = Arc::clone(surveyor);
    let title = "Look for weaknesses of this installation";
    let mut run = answering::<Nothing, Scanned>("scan.run", title, Effect::ReadOnly).in_group(ActionGroup::AuditRead);
    // It tells what the files of the machine are open to.
    run.at_machine = true;
    catalog.add(Arc::new(Request::new(run, move |_, _| {
        let own = Arc::clone(&own);
        Box::pin(async move { written(&Scanned::of(&own.survey().await?)) })
    })))?;
    let own = Arc::clone(surveyor);
    let title = "Say how old the database of advisories is, and what it holds";
    let show = answering::<Nothing, Shown>("advisories.show", title, Effect::ReadOnly).in_group(ActionGroup::AuditRead);
    catalog.add(Arc::new(Request::new(show, move |_, _| {
        let own = Arc::clone(&own);
        Box::pin(async move {
            let facts = own.survey().await?;
            written(&Shown::of(&facts))
        })
    })))?;
    let own = Arc::clone(surveyor);
    let title = "Take a newer database of advisories about crates";
    let mut import =
        answering::<Import, Shown>("advisories.import", title, Effect::Changes).in_group(ActionGroup::Operate);
    import.at_machine = true;
    import.argument_bytes_max *= 4;
    catalog.add(Arc::new(Request::new(import, move |_, arguments| {
        let own = Arc::clone(&own);
        Box::pin(async move {
            let Import { path, verifier } = parse(arguments)?;
            own.import_advisories(absolute(&path)?.to_owned(), verifier).await?.map_err(refused)?;
            let facts = own.survey().await?;
            written(&Shown::of(&facts))
        })
    })))
}

fn refused(error: DatabaseError) -> Refusal {
    let code = match &error {
        DatabaseError::File { error, .. } if error.kind() == std::io::ErrorKind::NotFound => Code::NotFound,
        DatabaseError::Older { .. } => Code::Conflict,
        DatabaseError::Note(_) | DatabaseError::NoKey | DatabaseError::Digest { .. } => Code::Forbidden,
        _ => Code::Invalid,
    };
    Refusal::new(code, sentence(&error))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// An absolute path on the server's machine.
    #[schemars(length(max = 4096), extend("x-sekisho-field" = "other"))]
    path: String,
    /// The verifying key (name+hexid+base64) whose signature counts; the configured one, where it is left out.
    #[serde(default)]
    #[schemars(length(max = 512), extend("x-sekisho-field" = "other"))]
    verifier: Option<String>,
}

/// What a scan found.
#[derive(Serialize, JsonSchema)]
struct Scanned {
    /// When it was made.
    made: String,
    version: &'static str,
    /// How many checks were made.
    checks: usize,
    /// How many findings there are of each severity, the gravest first.
    counts: Vec<Count>,
    /// The gravest severity; null where nothing was found.
    worst: Option<Severity>,
    findings: Vec<Finding>,
}

#[derive(Serialize, JsonSchema)]
struct Count {
    severity: Severity,
    findings: usize,
}

impl Scanned {
    fn of(facts: &Facts) -> Self {
        let findings = scan::run(facts);
        let count = |severity: Severity| Count {
            severity,
            findings: findings.iter().filter(|finding| finding.severity == severity).count(),
        };
        Self {
            made: facts.now.rfc3339(),
            version: env!("CARGO_PKG_VERSION"),
            checks: CHECKS.len(),
            counts: Severity::ALL.into_iter().rev().map(count).collect(),
            worst: scan::worst(&findings),
            findings,
        }
    }
}

/// What is known of the database of advisories.
#[derive(Serialize, JsonSchema)]
struct Shown {
    /// "there", "missing" or "broken".
    state: &'static str,
    made: Option<String>,
    /// How many it holds.
    advisories: usize,
    /// Names of those who signed it.
    signers: Vec<String>,
    /// Why it cannot be used.
    fault: Option<String>,
    /// The crates in this program.
    crates: usize,
    /// How many advisories speak of them.
    affecting: usize,
}

impl Shown {
    fn of(facts: &Facts) -> Self {
        let crates = facts.machine.crates.len();
        let none = Self {
            state: "missing",
            made: None,
            advisories: 0,
            signers: Vec::new(),
            fault: None,
            crates,
            affecting: 0,
        };
        match &facts.machine.advisories {
            Advisories::Missing => none,
            Advisories::Broken(error) => Self { state: "broken", fault: Some(error.clone()), ..none },
            Advisories::There(database) => {
                let speaks = |own| database.advisories.iter().filter(|advisory| advisory.affects(own)).count();
                Self {
                    state: "there",
                    made: Some(database.made.rfc3339()),
                    advisories: database.advisories.len(),
                    signers: database.signers.clone(),
                    affecting: facts.machine.crates.iter().map(speaks).sum(),
                    ..none
                }
            }
        }
    }
}
