//! The one path of every request: identify, admit, inspect, authorize, dispatch, redact, record.
//!
//! Each step takes the ticket of the step before and gives the next one; their fields are private to
//! their rooms, so a control cannot be skipped: it does not compile.

pub mod admit;
pub mod authorize;
pub mod dispatch;
pub mod freeze;
pub mod identify;
pub mod inspect;
pub mod ran;
pub mod record;
pub mod redact;
pub mod request;
mod browser;
mod drain;
mod report;
mod session;

use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::auth::ban::{Banned, Struck};
use crate::auth::gate::Gate;
use crate::auth::policy::ask::Resource;
use crate::auth::policy::{Access, Policy};
use crate::auth::session::{Handle, Sessions};
use crate::auth::standing::Standing;
use crate::auth::{Authenticator, Evidence};
use crate::base::budget::Meter;
use crate::base::clock::{Clock, Timestamp};
use crate::base::principal::Principal;
use crate::base::refusal::Refusal;
use crate::config::Config;
use crate::config::mask::NotSearchable;
use crate::crypto::aead::{AeadError, SealingKey};
use crate::guardrail::rule::RuleError;
use crate::guardrail::{Finding, Guardrail};
use crate::operation::{Catalog, Job, Kind, Marks, Output, Registered, UsedSecrets};
use crate::store::{Batch, StoreError};
use crate::telemetry::metric::Metrics;
use crate::telemetry::security::SecurityLog;
use identify::Known;
use ran::Ran;
use record::Recorded;
use redact::Redactor;
use request::{Asked, Via};

/// What the steps need. Built once, shared by all transports.
#[derive(Debug)]
pub struct Pipeline {
    audit: Audit,
    authenticator: Arc<Authenticator>,
    gate: Gate,
    clock: Arc<dyn Clock>,
    policy: Arc<Policy>,
    catalog: Arc<Catalog>,
    metrics: Arc<Metrics>,
    security: SecurityLog,
    config: Arc<Config>,
    /// Seals the state of an `Ask`; it lives as long as the process.
    ask_key: SealingKey,
    asks: dispatch::Asks,
    guardrail: Arc<Guardrail>,
    redactor: Arc<Redactor>,
    /// Cancelled once nothing new begins.
    draining: CancellationToken,
    freezer: freeze::Freezer,
}

/// Why there is no pipeline.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error(transparent)]
    Sealing(#[from] AeadError),
    #[error(transparent)]
    Rules(#[from] RuleError),
    #[error(transparent)]
    Mask(#[from] NotSearchable),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a pipeline is made of.
#[derive(Debug)]
pub struct Parts {
    pub authenticator: Arc<Authenticator>,
    pub gate: Gate,
    pub clock: Arc<dyn Clock>,
    pub audit: Audit,
    pub policy: Arc<Policy>,
    pub catalog: Arc<Catalog>,
    pub metrics: Arc<Metrics>,
    pub config: Arc<Config>,
    /// Where refusals go that a watcher of security should see.
    pub security: SecurityLog,
}

impl Pipeline {
    pub fn new(parts: Parts) -> Result<Self, PipelineError> {
        let Parts { authenticator, gate, clock, audit, policy, catalog, metrics, config, security } = parts;
        let guardrail = Arc::new(Guardrail::new(&config.inspect)?);
        let redactor = Arc::new(Redactor::new(&config, Arc::clone(&guardrail))?);
        let freezer = freeze::Freezer::restored(audit.store())?;
        Ok(Self {
            audit,
            authenticator,
            gate,
            clock,
            policy,
            catalog,
            metrics,
            security,
            config,
            ask_key: SealingKey::ephemeral()?,
            asks: dispatch::Asks::default(),
            guardrail,
            redactor,
            draining: CancellationToken::new(),
            freezer,
        })
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    pub fn authenticator(&self) -> &Arc<Authenticator> {
        &self.authenticator
    }

    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.gate.sessions
    }

    /// By the clock that the audit log has.
    pub fn now(&self) -> Timestamp {
        self.audit.now()
    }

    /// What is remembered of callers between their calls.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Recognises a caller. A refusal is recorded (folded) before it is given.
    pub async fn identify(&self, evidence: &Evidence, via: &Via) -> Result<Known, Refusal> {
        let refusal = match self.recognise(evidence, via).await {
            Ok(known) => return Ok(known),
            Err(refusal) => refusal,
        };
        self.refuse_early(self.draft(Event::Authentication, via), &refusal).await?;
        Err(refusal)
    }

    async fn recognise(&self, evidence: &Evidence, via: &Via) -> Result<Known, Refusal> {
        let Gate { sessions, quota, bans, .. } = &self.gate;
        // Before any hash is computed.
        if let Some(address) = via.address() {
            bans.of_address(address).map_or(Ok(()), |banned| Err(admit::banned(&banned)))?;
            quota.take_address(address).map_err(|over| admit::over(&over))?;
        }
        let known = match identify::identify(&self.authenticator, evidence, via).await {
            Ok(known) => {
                self.metrics.attempted(known.principal().scheme.as_str(), "authenticated");
                known
            }
            Err(stranger) => {
                self.metrics.attempted(evidence.shown(), if stranger.has_failed { "failed" } else { "not_attempted" });
                let struck = via.address().filter(|_| stranger.has_failed).and_then(|address| bans.failed(address));
                if let Some(struck) = struck {
                    self.record_ban(via, struck).await?;
                }
                return Err(stranger.refusal);
            }
        };
        if !via.is_at_this_machine() {
            bans.of_principal(known.principal()).map_or(Ok(()), |banned: Banned| Err(admit::banned(&banned)))?;
        }
        if sessions.is_denied(&known.principal().credential) {
            return Err(admit::denied());
        }
        Ok(known)
    }

    /// Whether somebody who was recognised once would be let in now, apart from a freeze: see [`Pipeline::holds`].
    pub fn stands(&self, known: &Known, standing: &mut Standing) -> bool {
        let Gate { sessions, bans, .. } = &self.gate;
        let (principal, via) = (known.principal(), known.via());
        let is_banned = !via.is_at_this_machine()
            && (bans.of_principal(principal).is_some() || via.address().and_then(|at| bans.of_address(at)).is_some());
        // A store that cannot be read vouches for nobody.
        !is_banned
            && !sessions.is_denied(&principal.credential)
            && self.authenticator.still_holds(principal, standing).unwrap_or(false)
    }

    /// Whether the session behind `handle` is shut out.
    pub fn is_shut_out(&self, known: &Known, handle: &Handle) -> bool {
        self.gate.banned_session(known.principal(), handle).is_some()
    }

    /// An address was shut out: an entry of its own, not folded.
    async fn record_ban(&self, via: &Via, struck: Struck) -> Result<(), Refusal> {
        let mut draft = self.draft(Event::Authentication, via);
        draft.operation = Some("ban.add".into());
        let minutes = struck.length.as_secs() / 60;
        let note = format!("the address is banned for {minutes} min after {} failed authentications", struck.failures);
        let batch = Batch::puts(struck.rows);
        let written = self.audit.append_with(batch, draft, Outcome::Done, Some(note)).await;
        written.map(drop).map_err(|error| record::unavailable(&error))
    }

    /// Takes one call from what the caller and its session have ahead of [`Pipeline::run`], where the transport wants
    /// to answer "too many" and "banned" in its own way.
    pub async fn meter(&self, known: Known, handle: &Handle) -> Result<Known, Refusal> {
        let (known, refusal) = match self.gate.banned_session(known.principal(), handle) {
            // Who is shut out is told so, however often it asks.
            Some(found) => (known, admit::banned(&found)),
            None => match admit::meter(&self.gate.quota, known, handle) {
                Ok(known) => return Ok(known),
                Err(refused) => refused,
            },
        };
        let mut draft = self.draft(Event::Call, known.via());
        record::describe(&mut draft, known.principal());
        draft.session = self.gate.sessions.shorts_of(known.principal(), handle).map(|(short, _)| short);
        self.refuse_early(draft, &refusal).await?;
        Err(refusal)
    }

    /// The whole way from a recognised caller to something that may be sent.
    ///
    /// On the heap, for rmcp and the runtime move what they are given half a dozen times.
    pub fn run(&self, known: Known, asked: Asked) -> Pin<Box<dyn Future<Output = Recorded> + Send + '_>> {
        Box::pin(self.whole_way(known, asked))
    }

    async fn whole_way(&self, known: Known, asked: Asked) -> Recorded {
        known.settle();
        let begun = self.clock.monotonic();
        let event = if asked.kind == Kind::Admin { Event::Administration } else { Event::Call };
        let mut draft = self.draft(event, known.via());
        record::describe(&mut draft, known.principal());
        draft.operation = Some(asked.label());
        // On a full disk whoever stands at this machine makes room; nobody else uses up what was kept for that.
        let registered = self.catalog.get(asked.kind, &asked.name);
        // Of what leads elsewhere only where to is told: its arguments may be personal.
        let resource = registered.as_ref().and_then(|registered| registered.about.resource.as_ref());
        draft.target = resource.map_or_else(|| asked.target(), |resource| Some(resource.name.to_string()));
        draft.urgent =
            known.via().is_at_this_machine() && registered.as_ref().is_some_and(|registered| registered.about.urgent);
        let access = registered.as_ref().map(|registered| self.access_to(&known, registered));
        let mut findings = Vec::new();
        // Administration works through whole libraries; what it may use is its administrator's business.
        let budget = self.config.tool_execution.budget.filter(|_| asked.kind != Kind::Admin);
        let meter = Arc::new(Meter::new(budget));
        let result = self.steps(known, access.clone(), asked, &mut draft, &mut findings, &meter).await;
        // A name that somebody made up is no label.
        let operation = registered.as_ref().map_or("unknown", |registered| registered.about.name.as_str());
        if let Err(stopped) = &result {
            self.report(&draft, stopped.refusal());
        }
        let touched = access.and_then(|access| access.touched()).map(|level| format!("classification {level}"));
        let notes = record::Notes { touched, findings, said: meter.notes() };
        let (recorded, outcome) =
            record::record(&self.audit, &self.metrics, self.config.audit.all, draft, notes, result).await;
        self.metrics.called(operation, outcome.as_str(), self.clock.monotonic().saturating_sub(begun));
        recorded
    }

    /// What the policy lets a caller touch by an operation; `None` if there is no such operation.
    fn access(&self, known: &Known, kind: Kind, name: &str) -> Option<Access> {
        Some(self.access_to(known, &*self.catalog.get(kind, name)?))
    }

    fn access_to(&self, known: &Known, registered: &Registered) -> Access {
        let how = known.via().circumstances();
        Access::new(Arc::clone(&self.policy), known.principal().clone(), how, registered.action.clone())
    }

    /// Whether a caller may still ask for `name` on `resource`: of streams that live longer than their request.
    pub fn may(&self, known: &Known, kind: Kind, name: &str, resource: &Resource) -> bool {
        self.access(known, kind, name).is_some_and(|access| access.may(resource))
    }

    async fn steps(
        &self,
        known: Known,
        access: Option<Access>,
        asked: Asked,
        draft: &mut Draft,
        findings: &mut Vec<Finding>,
        meter: &Arc<Meter>,
    ) -> Result<record::Finished, record::Stopped> {
        self.is_open_to(&known)?;
        self.is_thawed_for(&asked)?;
        let standing = authorize::Standing::of(&self.authenticator, &known, asked.kind)?;
        let mut admitted = admit::admit(&self.gate, known, asked)?;
        draft.session = Some(admitted.session().short().to_owned());
        self.record_turn(&mut admitted, draft).await?;
        let look = inspect::Look { catalog: &self.catalog, guardrail: &self.guardrail, settings: &self.config.inspect };
        let mut checked = inspect::inspect(&look, admitted, |measured| {
            draft.argument_bytes = measured.bytes.len() as u64;
            if !measured.is_secret {
                draft.argument_digest = self.audit.digest(measured.bytes);
                draft.personal.arguments = self.config.audit.arguments.then(|| record::cut(measured.kept));
            }
        })?;
        findings.append(&mut checked.findings);
        let quotes = checked.registered.about.quotes;
        let allowed = authorize::authorize(checked, access, standing)?;
        if allowed.wants_intent() {
            let intent = self.audit.append(draft.clone(), Outcome::Intent, None).await;
            draft.intent = Some(intent.map_err(|error| record::unavailable(&error))?);
        }
        let used = Arc::new(UsedSecrets::default());
        let shared = dispatch::Shared {
            catalog: &self.catalog,
            key: &self.ask_key,
            asks: &self.asks,
            limits: self.config.limits,
            redactor: &self.redactor,
            used: &used,
            meter,
        };
        let ran = match dispatch::dispatch(&shared, allowed).await? {
            (kind, Ran::Task(job)) => (kind, Ran::Task(self.searched(job, Arc::clone(&used)))),
            ran => ran,
        };
        let clean = self.redactor.redact(ran, quotes, &used.all());
        draft.output_bytes = clean.bytes() as u64;
        Ok(clean)
    }

    /// The same work, whose result is searched for the secrets that it used: they are gone when it is finished.
    fn searched(&self, job: Job, used: Arc<UsedSecrets>) -> Job {
        let redactor = Arc::clone(&self.redactor);
        Box::new(move |side| Box::pin(async move { Ok(redactor.redact_late(job(side).await?, false, &used.all()).0) }))
    }

    /// Writes what was used since the last time.
    pub async fn flush(&self) {
        if let Err(error) = self.gate.flush().await {
            tracing::error!(%error, "the last use of sessions and rates could not be written");
        }
    }

    /// Cleans and records what a task made, before it is kept for its owner.
    /// `quotes` is what its operation says of itself.
    pub async fn finish_task(
        &self,
        owner: &Principal,
        quotes: bool,
        result: Result<Output, Refusal>,
    ) -> Result<(Output, Marks), Refusal> {
        let mut draft = Draft::new(Event::Call, "task", self.audit.now());
        record::describe(&mut draft, owner);
        draft.operation = Some("task".into());
        let (outcome, reason, result) = match result {
            Ok(output) => (Outcome::Done, None, Ok(self.redactor.redact_late(output, quotes, &[]))),
            Err(refusal) => {
                (Outcome::Failed, Some(format!("{}: {}", refusal.code.as_str(), refusal.private)), Err(refusal))
            }
        };
        self.audit.append(draft, outcome, reason).await.map_err(|error| record::unavailable(&error))?;
        result
    }

    /// Writes down a refusal that the transport made itself (an unknown method, a wrong header).
    pub async fn record_foreign_refusal(
        &self,
        known: Option<&Known>,
        via: &Via,
        operation: Option<String>,
        reason: &str,
    ) {
        let mut draft = self.draft(Event::Call, via);
        if let Some(known) = known {
            known.settle();
            record::describe(&mut draft, known.principal());
        }
        draft.operation = operation;
        self.metrics.refused("transport");
        if let Err(error) = self.audit.append_folded(draft, reason.to_owned()).await {
            tracing::error!(%error, "a refusal could not be recorded");
        }
    }

    fn draft(&self, event: Event, via: &Via) -> Draft {
        let mut draft = Draft::new(event, via.transport(), self.audit.now());
        draft.personal.peer = via.peer();
        draft.personal.user_agent = via.user_agent().map(str::to_owned);
        draft
    }

    async fn refuse_early(&self, draft: Draft, refusal: &Refusal) -> Result<(), Refusal> {
        self.metrics.refused(refusal.code.as_str());
        self.report(&draft, refusal);
        let reason = format!("{}: {}", refusal.code.as_str(), refusal.private);
        self.audit.append_folded(draft, reason).await.map_err(|error| record::unavailable(&error))
    }
}
