//! The operation `contain`: sessions ended, tokens revoked, bans made, a connector switched off, in one commit with the
//! entry that says so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rooms;
use super::incident::{One, refused as incident_refused};
use super::request::{Request, answering, parse, written};
use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::{Audit, word};
use crate::auth::ban::{BanRecord, Target};
use crate::auth::gate::Gate;
use crate::auth::policy::ask::ActionGroup;
use crate::auth::session::{Ended, SessionError, Which};
use crate::auth::{Authenticator, account, jwt_key, token};
use crate::base::bound;
use crate::base::principal::ANONYMOUS;
use crate::base::refusal::{Code, Refusal};
use crate::connector::registry::Connectors;
use crate::incident::{self, Phase};
use crate::operation::{Catalog, Cx, Effect};
use crate::schema::NotASchema;
use crate::store::{Batch, Put, StoreError};

pub(super) fn register(catalog: &Catalog, rooms: &Rooms<'_>, one: &Arc<One>) -> Result<(), NotASchema> {
    let container = Arc::new(Container {
        audit: rooms.audit.clone(),
        authenticator: Arc::clone(rooms.authenticator),
        gate: rooms.gate.clone(),
        connectors: Arc::clone(rooms.connectors),
        one: Arc::clone(one),
    });
    let title = "End sessions, revoke tokens, ban, and switch a connector off, in one step";
    let mut contain =
        answering::<Contain, Contained>("contain", title, Effect::Destroys).in_group(ActionGroup::Operate);
    (contain.idempotent, contain.in_freeze, contain.urgent) = (true, true, true);
    catalog.add(Arc::new(Request::new(contain, move |cx, arguments| {
        let container = Arc::clone(&container);
        Box::pin(async move { written(&container.contain(cx, parse(arguments)?).await?) })
    })))
}

/// Whom or what to contain: one of the four at the least.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Contain {
    /// Ends its sessions, revokes its tokens, bans it.
    #[serde(default)]
    #[schemars(length(max = 256))]
    principal: Option<String>,
    /// Ends and bans the session with this short id; with a connection's also the credential that would open the next.
    #[serde(default)]
    #[schemars(length(max = 64))]
    session: Option<String>,
    /// Bans an address or a network.
    #[serde(default)]
    #[schemars(length(max = 64))]
    address: Option<String>,
    /// Switches the connector off.
    #[serde(default)]
    #[schemars(length(max = 64))]
    connector: Option<String>,
    /// How long the bans hold; without it until they are lifted.
    #[serde(default)]
    #[schemars(range(min = 1, max = 5_256_000))]
    minutes: Option<u64>,
    /// Bans a principal or a session that nobody knows here, too, such as the subject of another issuer's JWTs.
    #[serde(default)]
    anyway: bool,
    /// The incident whose record says so, too.
    #[serde(default)]
    incident: Option<u64>,
    #[serde(default)]
    #[schemars(length(max = 256))]
    reason: String,
}

#[derive(Serialize, JsonSchema)]
struct Contained {
    /// Short ids.
    ended: Vec<String>,
    /// The beginnings of API keys, and ids of JWTs.
    revoked: Vec<String>,
    /// As `ban lift` takes them.
    banned: Vec<String>,
    /// The connector that was switched off.
    disabled: Option<String>,
    /// Of the entry that says so.
    audit_entry: u64,
    incident: Option<u64>,
}

struct Container {
    audit: Audit,
    authenticator: Arc<Authenticator>,
    gate: Gate,
    connectors: Arc<Connectors>,
    one: Arc<One>,
}

impl Container {
    /// Everything is looked up and prepared first; then one commit, and only then what is in memory follows. Sessions
    /// end in memory before: where the commit fails they are gone all the same, which is the safe side.
    async fn contain(&self, cx: &Cx, asked: Contain) -> Result<Contained, Refusal> {
        let by = &*cx.principal.id;
        let mut targets = targets(&asked)?;
        if !asked.anyway {
            self.must_be_known(&asked)?;
        }
        let returning = asked.session.as_ref().map(|short| self.gate.sessions.returning(&short.to_ascii_lowercase()));
        for credential in returning.into_iter().flatten() {
            targets.push(Target::Credential(credential.to_string()));
        }
        if let Some(name) = &asked.connector {
            super::connector_facts::seen(cx, &self.connectors, name)?;
        }
        let mut rows = Vec::new();
        let bans = self.bans(&targets, &asked, by, &mut rows)?;
        let revoking = match &asked.principal {
            Some(principal) => Some(self.authenticator.revoking(principal).await?),
            None => None,
        };
        let off = asked.connector.as_deref().map(|name| self.connectors.switching_off(name)).transpose()?;
        rows.extend(revoking.iter().flat_map(|revoking| revoking.rows.iter().cloned()));
        rows.extend(off.as_ref().map(|off| off.row.clone()));
        // From the look at the record until it is written: a note of somebody else's would be lost.
        let _one = match asked.incident {
            Some(_) => Some(self.one.lock().await),
            None => None,
        };
        if let Some(id) = asked.incident {
            rows.push(self.noted(id, &asked, &targets, by)?);
        }
        let ended = self.ended(&asked)?;
        let revoked: Vec<String> = revoking.iter().flat_map(|revoking| revoking.revoked.clone()).collect();
        let note = format!(
            "{} sessions ended, {} tokens revoked, {} bans, {} connectors switched off: {}",
            ended.len(),
            revoked.len(),
            bans.len(),
            usize::from(off.is_some()),
            asked.reason
        );
        let audit_entry = self.commit(rows, &ended, &asked, by, note).await?;
        for (target, record) in bans {
            self.gate.bans.added(target, record);
        }
        if let Some(revoking) = revoking {
            revoking.committed();
        }
        if let Some(off) = off {
            off.committed().await;
        }
        Ok(Contained {
            ended: ended.iter().map(|ended| ended.id.short().to_owned()).collect(),
            revoked,
            banned: targets.iter().map(|target| format!("{} {}", target.kind(), target.name())).collect(),
            disabled: asked.connector,
            audit_entry,
            incident: asked.incident,
        })
    }

    /// A slip of the pen must not look as if somebody had been contained.
    fn must_be_known(&self, asked: &Contain) -> Result<(), Refusal> {
        let unknown = |text: String| Err(Refusal::new(Code::NotFound, text));
        if let Some(short) = &asked.session
            && !self.gate.sessions.has(&short.to_ascii_lowercase())
        {
            return unknown(format!(
                "There is no session {short:?}, so nothing was contained; see `sekisho session list`. To ban its id all the same, add --anyway."
            ));
        }
        let Some(principal) = &asked.principal else { return Ok(()) };
        let known = self.known().map_err(Refusal::internal)?;
        if principal == ANONYMOUS || known.contains(principal) || self.gate.sessions.has_of(principal) {
            return Ok(());
        }
        let name = principal.split_once(':').map_or(principal.as_str(), |(_, name)| name);
        let meant = ["token", "account", "jwt"].into_iter().map(|kind| format!("{kind}:{name}"));
        let meant = meant.filter(|meant| known.contains(meant)).collect::<Vec<_>>().join(" or ");
        let meant = if meant.is_empty() { ".".to_owned() } else { format!("; did you mean {meant}?") };
        unknown(format!(
            "Nobody is known here as {principal:?}: no token, no account, no session, so nothing was contained{meant} To ban it all the same, add --anyway."
        ))
    }

    /// Whom tokens and accounts speak for, revoked and disabled ones included.
    fn known(&self) -> Result<BTreeSet<String>, StoreError> {
        let store = self.audit.store();
        let (keys, jwts) = (token::all(store)?, jwt_key::remembered(store)?);
        let accounts = account::all(store)?.into_iter();
        let mut known: BTreeSet<String> = accounts.map(|account| format!("account:{}", account.name)).collect();
        known.extend(keys.into_iter().map(|key| format!("token:{}", key.name)));
        known.extend(jwts.into_iter().map(|(_, jwt)| format!("jwt:{}", jwt.subject)));
        Ok(known)
    }

    fn bans(
        &self,
        targets: &[Target],
        asked: &Contain,
        by: &str,
        rows: &mut Vec<Put>,
    ) -> Result<Vec<(Target, BanRecord)>, Refusal> {
        let length = asked.minutes.map(|minutes| Duration::from_secs(60 * minutes));
        let mut bans = Vec::new();
        for target in targets {
            let (record, row) = self.gate.bans.add(target, &asked.reason, length, by).map_err(super::ban::refused)?;
            rows.push(row);
            bans.push((target.clone(), record));
        }
        Ok(bans)
    }

    /// The record of the incident, with a note of what is done.
    fn noted(&self, id: u64, asked: &Contain, targets: &[Target], by: &str) -> Result<Put, Refusal> {
        let mut incident = self.audit.store().read(|snapshot| incident::get(snapshot, id)).map_err(incident_refused)?;
        let mut what: Vec<String> =
            targets.iter().map(|target| format!("{} {}", target.kind(), target.name())).collect();
        what.extend(asked.connector.iter().map(|name| format!("connector {name}")));
        let text = format!("contained: {}. {}", what.join(", "), asked.reason);
        let phase = incident.phase.max(Phase::Containment);
        incident.note(&text, Some(phase), by, self.audit.now()).map_err(incident_refused)?;
        incident.row().map_err(Refusal::internal)
    }

    fn ended(&self, asked: &Contain) -> Result<Vec<Ended>, Refusal> {
        let session = asked.session.as_ref().map(|short| Which::Short(short.to_ascii_lowercase()));
        let principal = asked.principal.clone().map(Which::Principal);
        let which: Vec<Which> = session.into_iter().chain(principal).collect();
        self.gate.sessions.contain(&which).map_err(|error| match error {
            SessionError::TooManyDenials => Refusal::new(Code::Conflict, format!("{error}.")),
            error => Refusal::internal(error),
        })
    }

    /// One commit, with its entry. Rows of sessions beyond what one commit holds follow in others: they are ended.
    async fn commit(
        &self,
        mut rows: Vec<Put>,
        ended: &[Ended],
        asked: &Contain,
        by: &str,
        note: String,
    ) -> Result<u64, Refusal> {
        for ended in ended {
            self.gate.quota.forget(&ended.handle);
        }
        self.gate.sessions.settled().await;
        let mut of_sessions = ended.iter().flat_map(|ended| ended.rows.iter().cloned());
        rows.extend(of_sessions.by_ref().take(bound::GATE_FLUSH_ROWS_MAX));
        let mut draft = Draft::new(Event::Session, "internal", self.audit.now());
        draft.operation = Some(word::CONTAINED.to_owned());
        draft.target = asked.connector.as_ref().map(|name| format!("connector {name}"));
        draft.session.clone_from(&asked.session);
        // It is about whom it is done to, and sealed with that key; who did it is in the operation's own entry.
        draft.personal.principal = asked.principal.clone().or_else(|| asked.address.is_none().then(|| by.to_owned()));
        draft.personal.peer.clone_from(&asked.address);
        let written = self.audit.append_with(Batch::puts(rows).urgent(), draft, Outcome::Done, Some(note)).await;
        let sequence = written.map_err(Refusal::internal)?;
        // They are ended and their credentials denied, whatever becomes of old rows.
        if let Err(error) = self.gate.delete(of_sessions.collect()).await {
            tracing::warn!(%error, "rows of contained sessions are still there; the next start sweeps them up");
        }
        Ok(sequence)
    }
}

fn targets(asked: &Contain) -> Result<Vec<Target>, Refusal> {
    let named = [("principal", &asked.principal), ("session", &asked.session), ("address", &asked.address)];
    let named = named.into_iter().filter_map(|(kind, name)| name.as_ref().map(|name| Target::parse(kind, name)));
    let targets = named.collect::<Result<Vec<_>, _>>().map_err(super::ban::refused)?;
    if targets.is_empty() && asked.connector.is_none() {
        return Err(Refusal::new(Code::Invalid, "Name a principal, a session, an address or a connector to contain."));
    }
    Ok(targets)
}
