//! The operation `report.make`: what happened between two times, with its evidence, as `report` says.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Rooms;
use super::alert::Alerts;
use super::request::{Request, answering, parse, written};
use super::retention::proof_of;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::filter::time;
use crate::audit::{Audit, AuditError};
use crate::auth::Authenticator;
use crate::auth::change::Reviewed;
use crate::auth::issue::Listed;
use crate::auth::policy::ask::ActionGroup;
use crate::auth::policy::keep::PolicyKeeper;
use crate::base::bound::report as most;
use crate::base::clock::Timestamp;
use crate::base::principal::Role;
use crate::base::refusal::{Code, Refusal};
use crate::config::Config;
use crate::custody::{Custody, CustodyError};
use crate::incident::{self, IncidentRecord};
use crate::operation::{Catalog, Cx, Effect};
use crate::report::evidence::Facts;
use crate::report::gather::{self, Gathered, Range};
use crate::report::{Age, Alert, FORMAT, Log, Report, VERSION, control};
use crate::schema::NotASchema;

pub(super) fn register(catalog: &Catalog, rooms: &Rooms<'_>) -> Result<(), NotASchema> {
    let reporter = Arc::new(Reporter {
        audit: rooms.audit.clone(),
        custody: Arc::clone(rooms.custody),
        authenticator: Arc::clone(rooms.authenticator),
        policies: rooms.policies.clone(),
        alerts: Arc::clone(rooms.alerts),
        config: Arc::clone(rooms.config),
    });
    let title = "Report what happened between two times, and what that is evidence for";
    let make = answering::<Asked, Report>("report.make", title, Effect::ReadOnly).in_group(ActionGroup::AuditRead);
    catalog.add(Arc::new(Request::new(make, move |cx, arguments| {
        let reporter = Arc::clone(&reporter);
        Box::pin(async move { written(&reporter.report(cx, &parse(arguments)?).await?) })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// From this time on: RFC 3339, a date, or a span before now such as 2h or 7d. Without it from the first entry on.
    #[serde(default)]
    #[schemars(length(max = 64))]
    from: Option<String>,
    /// Before this time; without it until now.
    #[serde(default)]
    #[schemars(length(max = 64))]
    to: Option<String>,
}

/// What a report is made from.
struct Reporter {
    audit: Audit,
    custody: Arc<Custody>,
    authenticator: Arc<Authenticator>,
    policies: PolicyKeeper,
    alerts: Arc<dyn Alerts>,
    config: Arc<Config>,
}

fn failed(error: AuditError) -> Refusal {
    CustodyError::from(error).into()
}

impl Reporter {
    async fn report(&self, cx: &Cx, asked: &Asked) -> Result<Report, Refusal> {
        let range = self.range(asked)?;
        let (audit, cancel) = (self.audit.clone(), cx.cancel.clone());
        let raised = self.alerts.between(range.from, range.to)?;
        let times: Vec<Timestamp> = raised.iter().map(|(at, _)| *at).collect();
        let work = move || gather::gather(&audit, range, &times, &|| cancel.is_cancelled());
        let gathered = tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?.map_err(failed)?;
        let mut alerts = told(raised, &gathered)?;
        let reviewed = self.authenticator.review()?;
        let tokens = self.authenticator.tokens()?;
        let mut ages = self.ages(&reviewed, &tokens)?;
        let log = self.log(&gathered).await?;
        let incidents = self.audit.store().read(incident::list).map_err(Refusal::internal)?;
        // A drill is no incident.
        let began = |incident: &&IncidentRecord| !incident.is_drill && incident.opened < range.to;
        let incidents: Vec<&IncidentRecord> = incidents.iter().filter(began).collect();
        let facts = Facts {
            config: &self.config,
            gathered: &gathered,
            alerts: &alerts,
            ages: &ages,
            is_signed: log.checkpoint.is_some(),
            has_proof: log.proof.is_some(),
            leaves_the_file: self.custody.keeper().is_exporting(),
            alarm: self.custody.alarm(),
            is_vault_open: self.custody.is_open(),
            policies: self.policies.policy().summary().policies,
            administrators: administrators(&reviewed, &tokens),
            incidents: incidents.len(),
            incidents_open: incidents.iter().filter(|incident| incident.closed.is_none()).count(),
        };
        let frameworks = control::judged(&facts).map_err(Refusal::internal)?;
        // Judged is what there is; told is what there is room for.
        let left_out = gathered.left_out + cut(&mut alerts, most::ROWS_MAX) + cut(&mut ages, most::AGES_MAX);
        Ok(Report {
            format: FORMAT.to_owned(),
            version: VERSION,
            made: self.audit.now().rfc3339(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            installation: self.custody.keeper().origin().to_owned(),
            period: gathered.period,
            totals: gathered.totals,
            over_time: gathered.over_time,
            operations: gathered.operations,
            principals: gathered.principals,
            refusals: gathered.refusals,
            latency: gathered.latency,
            alerts,
            changes: gathered.changes,
            policies: gathered.policies.rows.into(),
            settings: gathered.settings.rows.into(),
            ages,
            backups: gathered.backups.rows.into(),
            backup_verifications: gathered.backup_verifications.rows.into(),
            restores: gathered.restores.rows.into(),
            verifications: gathered.verifications.rows.into(),
            left_out,
            log,
            frameworks,
        })
    }

    fn range(&self, asked: &Asked) -> Result<Range, Refusal> {
        let now = self.audit.now();
        let at = |text: &String| {
            time::parse_time(text, now).map_err(|error| Refusal::new(Code::Invalid, format!("{error}.")))
        };
        let (from, to) = (asked.from.as_ref().map(at).transpose()?, asked.to.as_ref().map(at).transpose()?);
        // What has not been yet is in no report.
        let to = to.filter(|to| *to < now);
        if from.is_some_and(|from| from >= now) {
            return Err(Refusal::new(
                Code::Invalid,
                "The report would begin in the future: `from` must be before now.",
            ));
        }
        let first = match from {
            Some(from) => self.audit.first_since(from).map_err(failed)?,
            None => self.audit.first().map_err(failed)?,
        };
        let end = match to {
            Some(to) => self.audit.first_since(to).map_err(failed)?,
            None => self.audit.size().map_err(failed)?,
        };
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(Refusal::new(
                Code::Invalid,
                "The report would end before it begins: `from` must be before `to`.",
            ));
        }
        let to = to.unwrap_or(now);
        let began = self.audit.read(first, 1).map_err(failed)?.first().map(|numbered| numbered.entry.at);
        let kept = self.audit.first().map_err(failed)?;
        let kept_since = began.filter(|began| kept > 0 && first == kept && from.is_none_or(|from| from < *began));
        let from = from.or(began).unwrap_or(to).min(to);
        Ok(Range { from, to, first, end: end.max(first), kept_since })
    }

    fn ages(&self, reviewed: &[Reviewed], tokens: &[Listed]) -> Result<Vec<Age>, Refusal> {
        let now = self.audit.now();
        let age = |kind: &str, name: String, since: &str, last_used: Option<&String>, state: &str| Age {
            kind: kind.to_owned(),
            name,
            since: since.to_owned(),
            days: days_since(since, now),
            last_used: last_used.cloned(),
            state: state.to_owned(),
        };
        let mut ages = Vec::new();
        // Nothing can be said of keys while the vault is sealed.
        let keys = if self.custody.is_open() { self.custody.key_status()? } else { Value::Null };
        for key in keys["keys"].as_array().into_iter().flatten() {
            let text = |field: &str| key[field].as_str().unwrap_or_default();
            let name = format!("{}, version {}", text("purpose"), key["version"]);
            ages.push(age("vault key", name, text("made"), None, text("state")));
        }
        for credential in self.custody.credentials()? {
            ages.push(age("credential", credential.name, &credential.updated.rfc3339(), None, "active"));
        }
        for token in tokens {
            let kind = if token.kind == "jwt" { "jwt" } else { "api key" };
            let state = if token.revoked {
                "revoked"
            } else if token.expired {
                "expired"
            } else {
                "active"
            };
            let name = format!("{} ({})", token.name, token.role.as_str());
            ages.push(age(kind, name, &token.made, token.last_used.as_ref(), state));
        }
        for account in reviewed {
            let state = if account.disabled { "disabled" } else { "active" };
            let name = format!("{} ({})", account.name, account.role.as_str());
            ages.push(age("account", name, &account.changed, account.last_used.as_ref(), state));
        }
        Ok(ages)
    }

    /// A checkpoint over all that the report says, and the proof that its last entry is under it.
    async fn log(&self, gathered: &Gathered) -> Result<Log, Refusal> {
        let entries = self.audit.size().map_err(failed)?;
        let keys = self.custody.keeper().keys().map_err(failed)?;
        let checkpoint = match self.custody.keeper().checkpoint_now().await {
            Ok(note) => Some(note),
            // Whoever asks while the vault is sealed gets a report without a signature, and is told so.
            Err(_) if !self.custody.is_open() => None,
            Err(error) => return Err(failed(error)),
        };
        let covers = |note: &String| Checkpoint::open(note, &keys).ok().map(|checkpoint| checkpoint.size());
        let covered = checkpoint.as_ref().and_then(covers);
        let checkpoint =
            checkpoint.filter(|_| covered.zip(gathered.period.last).is_none_or(|(size, last)| last < size));
        let proof = gathered.period.last.filter(|last| covered.is_some_and(|size| *last < size));
        let proof = proof.map(|last| self.audit.store().read(|snapshot| proof_of(snapshot, last))).transpose()?;
        let verifying_keys = keys.iter().map(ToString::to_string).collect();
        Ok(Log { entries, checkpoint, verifying_keys, proof })
    }
}

/// Alerts with who looked at each, as they are now.
fn told(raised: Vec<(Timestamp, Value)>, gathered: &Gathered) -> Result<Vec<Alert>, Refusal> {
    let of_value = |(_, mut value): (Timestamp, Value)| {
        let id = value["id"].as_u64().unwrap_or_default();
        value["acknowledged_by"] = gathered.acknowledged_by.get(&id).cloned().into();
        serde_json::from_value(value).map_err(Refusal::internal)
    };
    raised.into_iter().map(of_value).collect()
}

/// Leaves `rows_max` of them; gives how many it took away.
fn cut<T>(rows: &mut Vec<T>, rows_max: usize) -> u64 {
    let surplus = rows.len().saturating_sub(rows_max);
    rows.truncate(rows_max);
    surplus as u64
}

/// Accounts, and tokens that are not an account's, by which somebody may administer.
fn administrators(reviewed: &[Reviewed], tokens: &[Listed]) -> usize {
    let accounts = reviewed.iter().filter(|account| account.role == Role::Admin && !account.disabled).count();
    let tokens = tokens.iter().filter(|token| token.role == Role::Admin && !token.revoked && !token.expired).count();
    accounts + tokens
}

fn days_since(since: &str, now: Timestamp) -> u64 {
    let at = time::parse_time(since, now).unwrap_or(now);
    now.since(at).as_secs() / 86_400
}
