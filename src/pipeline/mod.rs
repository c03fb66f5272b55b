//! The one path of every request: identify, admit, inspect, authorize, dispatch, redact, record.
//!
//! Each step takes the ticket of the step before and gives the next one; their fields are private to
//! their rooms, so a control cannot be skipped: it does not compile.

pub mod admit;
pub mod authorize;
pub mod dispatch;
pub mod identify;
pub mod inspect;
pub mod ran;
pub mod record;
pub mod redact;
pub mod request;

use std::sync::Arc;

use crate::audit::Audit;
use crate::audit::entry::{Draft, Event, Outcome};
use crate::auth::policy::ask::Resource;
use crate::auth::policy::{Access, Policy};
use crate::auth::quota::Quota;
use crate::auth::session::{Handle, Sessions};
use crate::auth::{Authenticator, Evidence};
use crate::base::principal::Principal;
use crate::base::refusal::Refusal;
use crate::config::Config;
use crate::crypto::aead::{AeadError, SealingKey};
use crate::operation::{Catalog, Kind, Output};
use crate::store::Store;
use crate::telemetry::metric::Metrics;
use identify::Known;
use record::Recorded;
use request::{Asked, Via};

/// What the steps need. Built once, shared by all transports.
#[derive(Debug)]
pub struct Pipeline {
    audit: Audit,
    authenticator: Authenticator,
    sessions: Sessions,
    quota: Quota,
    policy: Arc<Policy>,
    catalog: Arc<Catalog>,
    metrics: Arc<Metrics>,
    config: Arc<Config>,
    /// Seals the state of an `Ask`; it lives as long as the process.
    ask_key: SealingKey,
    asks: dispatch::Asks,
}

impl Pipeline {
    pub fn new(
        store: &Store,
        audit: Audit,
        policy: Arc<Policy>,
        catalog: Arc<Catalog>,
        metrics: Arc<Metrics>,
        config: Arc<Config>,
        clock: &Arc<dyn crate::base::clock::Clock>,
    ) -> Result<Self, AeadError> {
        Ok(Self {
            audit,
            authenticator: Authenticator::new(store.clone(), config.http.authentication),
            sessions: Sessions::new(Arc::clone(clock), config.session, config.limits),
            quota: Quota::new(config.rate, Arc::clone(clock)),
            policy,
            catalog,
            metrics,
            config,
            ask_key: SealingKey::ephemeral()?,
            asks: dispatch::Asks::default(),
        })
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Recognises a caller. A refusal is recorded (folded) before it is given.
    pub async fn identify(&self, evidence: &Evidence, via: &Via) -> Result<Known, Refusal> {
        match identify::identify(&self.authenticator, evidence, via).await {
            Ok(known) => Ok(known),
            Err(refusal) => {
                let draft = self.draft(Event::Authentication, via);
                self.refuse_early(draft, &refusal).await?;
                Err(refusal)
            }
        }
    }

    /// Takes one call from the caller's bucket ahead of [`Pipeline::run`], where the transport wants to
    /// answer "too many" in its own way.
    pub async fn meter(&self, known: Known) -> Result<Known, Refusal> {
        match admit::meter(&self.quota, known) {
            Ok(known) => Ok(known),
            Err((known, refusal)) => {
                let mut draft = self.draft(Event::Call, known.via());
                record::describe(&mut draft, known.principal());
                self.refuse_early(draft, &refusal).await?;
                Err(refusal)
            }
        }
    }

    /// The whole way from a recognised caller to something that may be sent.
    pub async fn run(&self, known: Known, asked: Asked) -> Recorded {
        known.settle();
        let event = if asked.kind == Kind::Admin { Event::Administration } else { Event::Call };
        let mut draft = self.draft(event, known.via());
        record::describe(&mut draft, known.principal());
        draft.operation = Some(asked.label());
        draft.target = asked.target();
        // On a full disk whoever stands at this machine makes room; nobody else uses up what was kept for that.
        draft.urgent = known.via().is_at_this_machine()
            && self.catalog.get(asked.kind, &asked.name).is_some_and(|registered| registered.about.urgent);
        let access = self.access(&known, asked.kind, &asked.name);
        let result = self.steps(known, access.clone(), asked, &mut draft).await;
        let note = access.and_then(|access| access.touched()).map(|level| format!("classification {level}"));
        record::record(&self.audit, &self.metrics, self.config.audit.all, draft, note, result).await
    }

    /// What the policy lets a caller touch by an operation; `None` if there is no such operation.
    fn access(&self, known: &Known, kind: Kind, name: &str) -> Option<Access> {
        let action = self.catalog.get(kind, name)?.action.clone();
        let how = known.via().circumstances();
        Some(Access::new(Arc::clone(&self.policy), known.principal().clone(), how, action))
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
    ) -> Result<record::Finished, record::Stopped> {
        let admitted = admit::admit(&self.sessions, &self.quota, known, asked)?;
        draft.session = Some(admitted.session().short().to_owned());
        self.record_turn(&admitted, draft).await?;
        let checked = inspect::inspect(&self.catalog, admitted, |bytes, is_secret| {
            draft.argument_bytes = bytes.len() as u64;
            if !is_secret {
                draft.argument_digest = self.audit.digest(bytes);
                draft.personal.arguments = self.config.audit.arguments.then(|| record::cut(bytes));
            }
        })?;
        let allowed = authorize::authorize(checked, access)?;
        if allowed.wants_intent() {
            let intent = self.audit.append(draft.clone(), Outcome::Intent, None).await;
            draft.intent = Some(intent.map_err(|error| record::unavailable(&error))?);
        }
        let shared = dispatch::Shared {
            catalog: &self.catalog,
            key: &self.ask_key,
            asks: &self.asks,
            limits: self.config.limits,
        };
        let ran = dispatch::dispatch(&shared, allowed).await?;
        let clean = redact::redact(ran, self.config.limits.output_bytes_max);
        draft.output_bytes = clean.bytes() as u64;
        Ok(clean)
    }

    /// A session that began or was renewed is an event of its own.
    async fn record_turn(&self, admitted: &admit::Admitted, draft: &Draft) -> Result<(), Refusal> {
        let Some(note) = admitted.turn_note() else { return Ok(()) };
        let mut session = draft.clone();
        session.event = Event::Session;
        session.operation = None;
        session.target = None;
        let written = self.audit.append(session, Outcome::Done, Some(note)).await;
        written.map(drop).map_err(|error| record::unavailable(&error))
    }

    /// Ends what has timed out, and writes that down.
    pub async fn sweep_sessions(&self) {
        for ended in self.sessions.sweep() {
            let mut draft = Draft::new(Event::Session, "internal", self.audit.now());
            draft.personal.principal = Some(ended.principal.to_string());
            draft.session = Some(ended.id.short().to_owned());
            if let Err(error) = self.audit.append(draft, Outcome::Done, Some(format!("ended: {}", ended.why))).await {
                tracing::error!(%error, "the end of a session could not be recorded");
            }
        }
    }

    /// A connection is gone; its session goes with it.
    pub async fn leave(&self, principal: &Principal, handle: &Handle, via: &Via) {
        let Some(id) = self.sessions.leave(principal, handle) else { return };
        let mut draft = self.draft(Event::Session, via);
        record::describe(&mut draft, principal);
        draft.session = Some(id.short().to_owned());
        if let Err(error) = self.audit.append(draft, Outcome::Done, Some("ended: the client left".into())).await {
            tracing::error!(%error, "the end of a session could not be recorded");
        }
    }

    /// Cleans and records what a task made, before it is kept for its owner.
    pub async fn finish_task(&self, owner: &Principal, result: Result<Output, Refusal>) -> Result<Output, Refusal> {
        let mut draft = Draft::new(Event::Call, "task", self.audit.now());
        record::describe(&mut draft, owner);
        draft.operation = Some("task".into());
        let (outcome, reason, result) = match result {
            Ok(output) => (Outcome::Done, None, Ok(redact::redact_late(output, self.config.limits.output_bytes_max))),
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
            record::describe(&mut draft, known.principal());
        }
        draft.operation = operation;
        self.metrics.refused();
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
        self.metrics.refused();
        let reason = format!("{}: {}", refusal.code.as_str(), refusal.private);
        self.audit.append_folded(draft, reason).await.map_err(|error| record::unavailable(&error))
    }
}
