//! The operations `incident.open`, `.list`, `.show`, `.note`, `.close` and `.export`.

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Rooms;
use super::alert::{Alerts, Announced};
use super::configuration::settings;
use super::request::{Request, about, parse};
use super::search::write_bundle_since;
use crate::audit::Audit;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::filter::time;
use crate::auth::policy::ask::ActionGroup;
use crate::auth::policy::keep::PolicyKeeper;
use crate::base::bound::incident as most;
use crate::base::id::{hex, random_bytes};
use crate::base::refusal::{Code, Refusal, sentence};
use crate::base::severity::Severity;
use crate::config::Config;
use crate::custody::{Custody, CustodyError};
use crate::incident::evidence::{Files, OPERATION};
use crate::incident::{self, IncidentError, IncidentRecord, New, Phase};
use crate::operation::{About, Catalog, Cx, Effect};
use crate::schema::NotASchema;
use crate::store::Batch;
use crate::store::migrate::SCHEMA;

/// Held while a record is changed: two notes at once would lose one.
pub(super) type One = tokio::sync::Mutex<()>;

pub(super) fn register(catalog: &Catalog, rooms: &Rooms<'_>, one: &Arc<One>) -> Result<(), NotASchema> {
    let desk = Arc::new(Desk {
        audit: rooms.audit.clone(),
        custody: Arc::clone(rooms.custody),
        policies: rooms.policies.clone(),
        alerts: Arc::clone(rooms.alerts),
        config: Arc::clone(rooms.config),
        one: Arc::clone(one),
    });
    let own = Arc::clone(&desk);
    let mut open = of_incidents::<Open>("incident.open", "Open an incident", Effect::Changes);
    open.argument_bytes_max += 6 * most::TEXT_BYTES_MAX;
    catalog.add(Arc::new(Request::new(open, move |cx, arguments| {
        let desk = Arc::clone(&own);
        Box::pin(async move { desk.open(cx, parse(arguments)?).await })
    })))?;
    let own = Arc::clone(&desk);
    let list = of_incidents::<Before>("incident.list", "List the incidents", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(list, move |_, arguments| {
        let items = parse(arguments).and_then(|Before { before }| {
            let page = own.audit.store().read(|snapshot| incident::page(snapshot, before));
            let (found, older) = page.map_err(Refusal::internal)?;
            Ok(json!({"items": found.iter().map(IncidentRecord::summary).collect::<Vec<_>>(), "older": older}))
        });
        Box::pin(async { items })
    })))?;
    let own = Arc::clone(&desk);
    let show = of_incidents::<ById>("incident.show", "Show an incident", Effect::ReadOnly);
    catalog.add(Arc::new(Request::new(show, move |_, arguments| {
        let found = parse(arguments).and_then(|ById { id }| own.get(id));
        Box::pin(async { Ok(found?.to_json()) })
    })))?;
    let own = Arc::clone(&desk);
    let mut note = of_incidents::<Noted>("incident.note", "Write down what was found or done", Effect::Changes);
    note.argument_bytes_max += 6 * most::TEXT_BYTES_MAX;
    catalog.add(Arc::new(Request::new(note, move |cx, arguments| {
        let desk = Arc::clone(&own);
        Box::pin(async move {
            let Noted { id, text, phase } = parse(arguments)?;
            let phase = phase.map(|name| Phase::named(&name).ok_or(IncidentError::Phase(name)));
            let phase = phase.transpose().map_err(refused)?;
            desk.change(cx, id, |incident, by| incident.note(&text, phase, by, desk.audit.now())).await
        })
    })))?;
    let own = Arc::clone(&desk);
    let title = "Close an incident, with what was learnt and who was told";
    let mut close = of_incidents::<Close>("incident.close", title, Effect::Changes);
    close.argument_bytes_max += 6 * most::TEXT_BYTES_MAX;
    catalog.add(Arc::new(Request::new(close, move |cx, arguments| {
        let desk = Arc::clone(&own);
        Box::pin(async move {
            let Close { id, lessons, notified } = parse(arguments)?;
            desk.change(cx, id, |incident, by| incident.close(&lessons, &notified, by, desk.audit.now())).await
        })
    })))?;
    let title = "Write the evidence of an incident into a file";
    let mut export = of_incidents::<Export>("incident.export", title, Effect::Changes);
    export.argument_bytes_max *= 4;
    export.at_machine = true;
    catalog.add(Arc::new(Request::new(export, move |_, arguments| {
        let desk = Arc::clone(&desk);
        Box::pin(async move { desk.export(parse(arguments)?).await })
    })))
}

/// Incidents go on while everything is frozen, that is what it is frozen for, and on a full disk, which may be one.
fn of_incidents<A: JsonSchema>(name: &str, title: &str, effect: Effect) -> About {
    let mut about = about::<A>(name, title, effect).in_group(ActionGroup::Operate);
    (about.in_freeze, about.urgent) = (true, true);
    about
}

pub(super) fn refused(error: IncidentError) -> Refusal {
    let code = match &error {
        IncidentError::Unknown(_) => Code::NotFound,
        IncidentError::Closed(_) | IncidentError::TooMany | IncidentError::TooManyNotes(_) => Code::Conflict,
        IncidentError::Length { .. } | IncidentError::Lines(_) | IncidentError::Phase(_) => Code::Invalid,
        IncidentError::Store(_) => return Refusal::internal(error),
    };
    Refusal::new(code, sentence(&error))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Open {
    #[schemars(length(max = 200))]
    title: String,
    severity: Severity,
    /// What kind it is, such as `credential_leak`.
    #[serde(rename = "type")]
    #[schemars(length(max = 200))]
    kind: String,
    /// What it concerns.
    #[serde(default)]
    #[schemars(length(max = 50))]
    affected_systems: Vec<String>,
    #[serde(default)]
    #[schemars(length(max = 750))]
    description: String,
    /// The alert that it begins with.
    #[serde(default)]
    alert: Option<u64>,
    /// Nothing happened: it is practised, and nobody is told.
    #[serde(default)]
    drill: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Before {
    /// Those with a lower number; without it the newest.
    #[serde(default)]
    before: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ById {
    id: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Noted {
    id: u64,
    #[schemars(length(max = 3000))]
    text: String,
    /// The phase that begins with it: detection, containment, investigation, remediation, recovery, post-incident.
    #[serde(default)]
    #[schemars(length(max = 16))]
    phase: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Close {
    id: u64,
    /// What is done otherwise from now on.
    #[schemars(length(max = 3000))]
    lessons: String,
    /// Who was told; nobody, where nobody had to be.
    #[schemars(length(max = 50))]
    notified: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Export {
    id: u64,
    /// An absolute path of a new file on the server's machine.
    #[schemars(length(max = 4096), extend("x-sekisho-field" = "other"))]
    path: String,
    /// Entries from this time on; without it from a day before the incident was opened.
    #[serde(default)]
    #[schemars(length(max = 64))]
    from: Option<String>,
}

struct Desk {
    audit: Audit,
    custody: Arc<Custody>,
    policies: PolicyKeeper,
    alerts: Arc<dyn Alerts>,
    config: Arc<Config>,
    one: Arc<One>,
}

impl Desk {
    fn get(&self, id: u64) -> Result<IncidentRecord, Refusal> {
        self.audit.store().read(|snapshot| incident::get(snapshot, id)).map_err(refused)
    }

    async fn open(&self, cx: &Cx, open: Open) -> Result<Value, Refusal> {
        let new = New {
            title: open.title,
            severity: open.severity,
            kind: open.kind,
            systems: open.affected_systems,
            description: open.description,
            alert: open.alert,
            is_drill: open.drill,
        };
        if let Some(alert) = new.alert
            && !self.alerts.list(None, Severity::Low)?.iter().any(|known| known["id"] == alert)
        {
            let public = format!("There is no alert {alert}; `sekisho alert list` lists those there are.");
            return Err(Refusal::new(Code::NotFound, public));
        }
        let one = self.one.lock().await;
        let id = self.audit.store().read(incident::next).map_err(refused)?;
        let record = IncidentRecord::new(id, new, &cx.principal.id, self.audit.now()).map_err(refused)?;
        self.keep(&record).await?;
        drop(one);
        cx.meter.note(format!("incident {id}"));
        // Who is to hear of it hears of it at once, by the ways that alerts take.
        if !record.is_drill && record.severity >= Severity::High {
            let (kind, systems) = (record.kind.clone(), record.systems.clone());
            let (title, description) = (format!("incident {id}: {}", record.title), record.description.clone());
            let announced = Announced { severity: record.severity, kind, systems, title, description };
            self.alerts.announce(announced).await;
        }
        Ok(record.to_json())
    }

    async fn change(
        &self,
        cx: &Cx,
        id: u64,
        change: impl FnOnce(&mut IncidentRecord, &str) -> Result<(), IncidentError>,
    ) -> Result<Value, Refusal> {
        let _one = self.one.lock().await;
        let mut record = self.get(id)?;
        change(&mut record, &cx.principal.id).map_err(refused)?;
        self.keep(&record).await?;
        cx.meter.note(format!("incident {id}"));
        Ok(record.to_json())
    }

    async fn keep(&self, record: &IncidentRecord) -> Result<(), Refusal> {
        let row = record.row().map_err(Refusal::internal)?;
        self.audit.store().commit(Batch::puts(vec![row]).urgent()).await.map(drop).map_err(Refusal::internal)
    }

    async fn export(&self, export: Export) -> Result<Value, Refusal> {
        let path = PathBuf::from(&export.path);
        let invalid = |text: String| Refusal::new(Code::Invalid, text);
        if !path.is_absolute() || path.file_name().is_none() {
            return Err(invalid(format!("The path must be that of a file, and absolute; found {:?}.", export.path)));
        }
        if path.exists() {
            let public = format!("{} exists already; it was left as it is.", path.display());
            return Err(Refusal::new(Code::Conflict, public));
        }
        let record = self.get(export.id)?;
        let from = match &export.from {
            Some(from) => time::parse_time(from, self.audit.now()).map_err(|error| invalid(format!("{error}.")))?,
            None => {
                let before = Duration::from_secs(most::EVIDENCE_BEFORE_SECONDS).as_millis();
                crate::base::clock::Timestamp(record.opened.0.saturating_sub(u64::try_from(before).unwrap_or(u64::MAX)))
            }
        };
        let files =
            Files::new(&record.to_json(), &settings(&self.config)?, &self.versions()).map_err(Refusal::internal)?;
        // The log names the files, so that its signature holds for them too.
        let mut draft = Draft::new(Event::Audit, "internal", self.audit.now());
        draft.operation = Some(OPERATION.to_owned());
        draft.target = Some(format!("incident {}", record.id));
        let failed = |error| Refusal::from(CustodyError::from(error));
        let named = self.audit.append_urgent(draft, Outcome::Done, Some(files.reason())).await.map_err(failed)?;
        let note = self.custody.keeper().checkpoint_now().await.map_err(failed)?;
        let keys = self.custody.keeper().keys().map_err(failed)?;
        let audit = self.audit.clone();
        let work = move || {
            let bundle = beside(&path)?;
            let written = write_bundle_since(&audit, from, named + 1, &bundle, &note, &keys);
            let written = written.and_then(|written| evidence(&files, &bundle, &path).map(|()| written));
            // Named only while this ran.
            std::fs::remove_file(&bundle).ok();
            let written = written?;
            Ok(json!({
                "path": path.display().to_string(),
                "incident": record.id,
                "first": written["first"],
                "entries": written["entries"],
                "verifying_keys": written["verifying_keys"],
            }))
        };
        tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?
    }

    fn versions(&self) -> Value {
        let policies = self.policies.policy().summary();
        json!({
            "sekisho": env!("CARGO_PKG_VERSION"),
            "schema": SCHEMA,
            "system": std::env::consts::OS,
            "architecture": std::env::consts::ARCH,
            "policies": {"sha256": policies.sha256, "files": policies.files, "policies": policies.policies},
            "log": self.custody.keeper().origin(),
        })
    }
}

/// A name of its own: beside the file may lie what is not ours.
fn beside(path: &Path) -> Result<PathBuf, Refusal> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", hex(&random_bytes::<8>().map_err(Refusal::internal)?)));
    Ok(path.with_file_name(name))
}

/// Half of it is no evidence: the file has its name only when all is in it.
fn evidence(files: &Files, bundle: &Path, path: &Path) -> Result<(), Refusal> {
    let at = |error: std::io::Error| Refusal::new(Code::Unavailable, format!("{}: {error}.", path.display()));
    let draft = beside(path)?;
    let write = || {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let mut out = BufWriter::new(file);
        files.write(bundle, &mut out)?;
        out.get_ref().sync_all()?;
        std::fs::rename(&draft, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|error| {
        std::fs::remove_file(&draft).ok();
        at(error)
    })
}
