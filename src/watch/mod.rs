//! The watch: reads the audit's live feed, lets rules fire, acts on them, keeps their alerts and sends them out. No
//! other room waits for it.

pub mod alert;
pub mod baseline;
pub mod event;
pub mod finding;
pub mod notify;
pub mod rule;
pub mod sanction;
pub mod storm;
pub mod window;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Mutex, broadcast};
use tokio_util::sync::CancellationToken;

use crate::audit::entry::{Draft, Event, Outcome};
use crate::audit::{Audit, AuditError, Numbered};
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::severity::Severity;
use crate::config;
use crate::store::{Batch, Health, Put, Store, StoreError};
use alert::{AlertRecord, OfIncident};
use event::SecurityEvent;
use finding::{Action, Finding, Who};
use notify::Place;
use rule::Rules;
use sanction::Sanctions;
use storm::{Fold, Storm};

/// One per process.
#[derive(Debug)]
pub struct Watch {
    audit: Audit,
    settings: config::watch::Watch,
    sanctions: Arc<dyn Sanctions>,
    places: Vec<Arc<Place>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Sequence of the next row.
    next: u64,
    storm: Storm,
    /// Alerts that the store would not take; they are tried again.
    unsaved: VecDeque<Raised>,
}

/// An alert and whom it is about.
#[derive(Clone, Debug)]
struct Raised {
    alert: AlertRecord,
    who: Who,
}

impl Watch {
    /// Reads how far everything had come. A place that is new is given what comes from now on.
    pub async fn open(
        audit: Audit,
        settings: config::watch::Watch,
        sanctions: Arc<dyn Sanctions>,
        places: Vec<Arc<Place>>,
    ) -> Result<Arc<Self>, StoreError> {
        let store = audit.store().clone();
        let next = store.read(alert::next)?;
        let mut puts = Vec::new();
        for place in &places {
            let cursor = store.read(|snapshot| alert::cursor(snapshot, place.name()))?;
            // A database that was restored may have lost rows that this place had.
            let come = cursor.unwrap_or(next - 1).min(next - 1);
            if cursor != Some(come) {
                puts.push(alert::cursor_row(place.name(), come));
            }
            place.begin(come);
        }
        if !puts.is_empty() {
            store.commit(Batch::puts(puts)).await?;
        }
        let state = State { next, storm: Storm::default(), unsaved: VecDeque::new() };
        Ok(Arc::new(Self { audit, settings, sanctions, places, state: Mutex::new(state) }))
    }

    fn store(&self) -> &Store {
        self.audit.store()
    }

    /// Watches `feed` until `stop`, and sends out what waits. One place that is slow or dead holds up no other.
    pub async fn run(self: Arc<Self>, feed: broadcast::Receiver<Numbered>, stop: CancellationToken) {
        let places = self.places.iter().map(|place| Arc::clone(place).run(Arc::clone(&self), stop.clone()));
        let places: Vec<_> = places.map(tokio::spawn).collect();
        let rules = self.learnt(Rules::new(&self.settings), &stop).await;
        self.follow(rules, feed, &stop).await;
        let mut state = self.state.lock().await;
        self.save(&mut state).await;
        self.tell_grown(&mut state, true).await;
        drop(state);
        // What they sent is written down before the store closes.
        futures::future::join_all(places).await;
    }

    /// The rules with habits learnt from the newest entries there are: habits are in memory, and the log is not.
    async fn learnt(&self, mut rules: Rules, stop: &CancellationToken) -> Rules {
        if self.settings.baseline.is_none() {
            return rules;
        }
        let (audit, stop) = (self.audit.clone(), stop.clone());
        let learning = tokio::task::spawn_blocking(move || {
            let size = audit.size()?;
            let mut next = audit.first()?.max(size.saturating_sub(bound::BASELINE_REPLAY_ENTRIES_MAX));
            while next < size && !stop.is_cancelled() {
                let page = audit.read(next, bound::SCAN_ROWS_MAX)?;
                let Some(last) = page.last() else { break };
                next = last.sequence + 1;
                for numbered in &page {
                    rules.learn(numbered);
                }
            }
            Ok::<_, AuditError>(rules)
        });
        let learnt = learning.await.map_err(|error| error.to_string());
        learnt.and_then(|learnt| learnt.map_err(|error| error.to_string())).unwrap_or_else(|error| {
            tracing::error!(error, "habits could not be learnt from the audit log");
            Rules::new(&self.settings)
        })
    }

    async fn look(&self, rules: &mut Rules, numbered: &Numbered) {
        // An alert about alerts would never end.
        if numbered.entry.event != Event::Alert {
            for finding in rules.observe(numbered) {
                self.raise(finding).await;
            }
        }
    }

    async fn follow(&self, mut rules: Rules, mut feed: broadcast::Receiver<Numbered>, stop: &CancellationToken) {
        let mut health = self.store().health();
        let mut ticks = tokio::time::interval(Duration::from_millis(bound::WATCH_TICK_MS));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    // What a short command did is looked at, too.
                    while let Ok(numbered) = feed.try_recv() {
                        self.look(&mut rules, &numbered).await;
                    }
                    return;
                }
                heard = feed.recv() => match heard {
                    Ok(numbered) => self.look(&mut rules, &numbered).await,
                    Err(RecvError::Lagged(count)) => {
                        let detail = format!("{count} entries were not looked at");
                        self.raise(own(SecurityEvent::WatchLagged, detail)).await;
                    }
                    Err(RecvError::Closed) => return,
                },
                changed = health.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // A full disk gets an entry, and the rule reads that; who cannot write cannot write one.
                    if *health.borrow_and_update() == Health::Failing {
                        let detail = "the store cannot write".to_owned();
                        self.raise(own(SecurityEvent::StoreFailing, detail)).await;
                    }
                }
                _ = ticks.tick() => self.tick().await,
            }
        }
    }

    async fn tick(&self) {
        let mut state = self.state.lock().await;
        if self.save(&mut state).await {
            self.tell_grown(&mut state, false).await;
        }
    }

    /// Writes what could not be written before; false while that still cannot be.
    async fn save(&self, state: &mut State) -> bool {
        while let Some(raised) = state.unsaved.pop_front() {
            if self.keep(&raised, Vec::new()).await.is_err() {
                state.unsaved.push_front(raised);
                return false;
            }
        }
        true
    }

    /// Makes an alert of what a rule found, or folds it into the one that is open for it.
    pub(crate) async fn raise(&self, finding: Finding) {
        let now = self.audit.now();
        let mut state = self.state.lock().await;
        if self.save(&mut state).await {
            self.tell_grown(&mut state, false).await;
        }
        let Finding { event, who, sequence, detail, action } = finding;
        match state.storm.fold(event, &who.key(), who.session.as_deref(), now) {
            Fold::New => {}
            Fold::Elsewhere if action == Action::Block => {
                // A new session is free: whoever goes on in one is stopped as who they are.
                let who = Who { session: None, ..who };
                let done = sanction::block(&*self.sanctions, &who, event, now, self.settings.block).await;
                tracing::warn!(event = event.as_str(), done, "a caller whose session was blocked went on in another");
                return;
            }
            Fold::Same | Fold::Elsewhere => return,
        }
        let action = match action {
            Action::Alert => None,
            Action::Block => Some(sanction::block(&*self.sanctions, &who, event, now, self.settings.block).await),
        };
        let alert = AlertRecord {
            id: state.next,
            event,
            severity: event.severity(),
            first: now,
            last: now,
            count: 1,
            subject: who.pseudonym.clone(),
            entry: sequence,
            detail,
            action,
            acknowledged: None,
            update: false,
            incident: None,
        };
        state.next += 1;
        log(&alert);
        state.storm.open(who.key(), who.session.clone(), alert.clone());
        self.keep_in_order(&mut state, Raised { alert, who }).await;
    }

    /// Makes an alert of an incident that somebody opened: by itself, with nothing folded, for each is another.
    pub async fn announce(&self, severity: Severity, incident: OfIncident) {
        let now = self.audit.now();
        let mut state = self.state.lock().await;
        self.save(&mut state).await;
        let alert = AlertRecord {
            id: state.next,
            event: SecurityEvent::Incident,
            severity,
            first: now,
            last: now,
            count: 1,
            subject: None,
            entry: None,
            detail: incident.line(),
            action: None,
            acknowledged: None,
            update: false,
            incident: Some(incident),
        };
        state.next += 1;
        log(&alert);
        self.keep_in_order(&mut state, Raised { alert, who: Who::default() }).await;
    }

    /// Keeps an alert, now or after those that could not be kept before it: places are told in the order of the
    /// numbers, and one that is written later than a greater number would never be sent.
    async fn keep_in_order(&self, state: &mut State, raised: Raised) {
        if !state.unsaved.is_empty() {
            keep_for_later(state, raised);
        } else if let Err(error) = self.keep(&raised, Vec::new()).await {
            tracing::error!(%error, "an alert could not be kept; it is tried again");
            keep_for_later(state, raised);
        }
    }

    /// Tells of alerts that went on after they were told: with `all` of every one, or else of those that are over.
    async fn tell_grown(&self, state: &mut State, all: bool) {
        for grown in state.storm.close(self.audit.now(), all) {
            let id = grown.id;
            let before = self.store().read(|snapshot| alert::get(snapshot, id)).ok().flatten();
            // What was pruned or never kept stays away.
            let Some(before) = before else { continue };
            let first = AlertRecord { acknowledged: before.acknowledged, ..grown };
            let update = AlertRecord { update: true, ..first.clone() };
            let sequence = state.next;
            state.next += 1;
            log(&update);
            let written = match (alert::row(id, &first), alert::row(sequence, &update)) {
                (Ok(first), Ok(second)) => {
                    let raised = Raised { alert: update, who: Who::default() };
                    self.keep(&raised, vec![first, second]).await
                }
                (Err(error), _) | (_, Err(error)) => Err(error.into()),
            };
            if let Err(error) = written {
                tracing::error!(%error, alert = id, "how an alert went on could not be kept");
            }
        }
    }

    /// Writes an alert with its entry in one commit: `rows`, or its own row.
    async fn keep(&self, raised: &Raised, rows: Vec<Put>) -> Result<(), AuditError> {
        let Raised { alert, who } = raised;
        let rows = if rows.is_empty() { vec![alert::row(alert.id, alert)?] } else { rows };
        let mut batch = self.store().read(|snapshot| alert::append(snapshot, alert.id, rows))?;
        // The alarm of a full disk is what its room was kept aside for.
        batch.urgent = alert.event == SecurityEvent::StoreFailing;
        let mut draft = Draft::new(Event::Alert, "internal", self.audit.now());
        draft.operation = Some(format!("alert.{}", alert.event.as_str()));
        draft.target = Some(format!("alert {}", alert.id));
        draft.session.clone_from(&who.session);
        draft.personal.principal.clone_from(&who.principal);
        draft.personal.peer.clone_from(&who.peer);
        self.audit.append_with(batch, draft, Outcome::Done, Some(alert.line())).await?;
        // Places look for rows whenever they are woken: a permit that is there already is as good as two.
        for place in &self.places {
            place.wake();
        }
        Ok(())
    }

    /// Alerts of at least `severity` that came at or after `since`, newest first.
    pub fn list(&self, since: Option<Timestamp>, severity: Severity) -> Result<Vec<AlertRecord>, StoreError> {
        let rows = self.store().read(|snapshot| alert::after(snapshot, 0, row_count()))?;
        let wanted = |alert: &AlertRecord| {
            !alert.update && alert.severity >= severity && since.is_none_or(|since| alert.last >= since)
        };
        let found = rows.into_iter().rev().map(|(_, alert)| alert).filter(wanted);
        Ok(found.take(bound::ALERT_LIST_MAX).collect())
    }

    /// All alerts that began before `to` and went on until `from` or later, newest first. Bounded by how many are kept
    /// ([`bound::ALERT_ROWS_MAX`]).
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Result<Vec<AlertRecord>, StoreError> {
        let rows = self.store().read(|snapshot| alert::after(snapshot, 0, row_count()))?;
        let wanted = |alert: &AlertRecord| !alert.update && alert.last >= from && alert.first < to;
        Ok(rows.into_iter().rev().map(|(_, alert)| alert).filter(wanted).collect())
    }

    /// Notes that somebody has looked at an alert; `None` where there is none of this id.
    pub async fn acknowledge(&self, id: u64) -> Result<Option<AlertRecord>, StoreError> {
        // Held against an update of the same row.
        let _state = self.state.lock().await;
        let found = self.store().read(|snapshot| alert::get(snapshot, id))?;
        let Some(mut alert) = found.filter(|alert| !alert.update) else { return Ok(None) };
        if alert.acknowledged.is_none() {
            alert.acknowledged = Some(self.audit.now());
            self.store().commit(Batch::puts(vec![alert::row(id, &alert)?])).await?;
        }
        Ok(Some(alert))
    }

    /// Sends a test to every place at once, past the queue; gives what each answered.
    pub async fn test(&self) -> Value {
        let now = self.audit.now();
        let alert = AlertRecord {
            id: 0,
            event: SecurityEvent::Test,
            severity: Severity::Low,
            first: now,
            last: now,
            count: 1,
            subject: None,
            entry: None,
            detail: "this is a test; nothing happened".into(),
            action: None,
            acknowledged: None,
            update: false,
            incident: None,
        };
        log(&alert);
        let answers = self.places.iter().map(|place| async {
            let answer = place.send(&alert).await;
            json!({
                "place": place.name(),
                "target": place.describe(),
                "delivered": answer.is_ok(),
                "answer": answer.unwrap_or_else(|error| error),
            })
        });
        let mut all = vec![json!({"place": "log", "target": "security", "delivered": true, "answer": "written"})];
        all.extend(futures::future::join_all(answers).await);
        Value::Array(all)
    }
}

fn row_count() -> usize {
    usize::try_from(bound::ALERT_ROWS_MAX).unwrap_or(usize::MAX)
}

/// A finding of the watch itself, about nobody.
fn own(event: SecurityEvent, detail: String) -> Finding {
    Finding { event, who: Who::default(), sequence: None, detail, action: Action::Alert }
}

/// The line in the program's log, under the target `security`.
fn log(alert: &AlertRecord) {
    let AlertRecord { id, event, severity, count, subject, entry, detail, action, .. } = alert;
    let (event, severity) = (event.as_str(), severity.as_str());
    let (subject, action) = (subject.as_deref().unwrap_or("-"), action.as_deref().unwrap_or("-"));
    if alert.severity >= Severity::High {
        tracing::error!(target: "security", id, event, severity, count, subject, entry, detail, action, "alert");
    } else {
        tracing::warn!(target: "security", id, event, severity, count, subject, entry, detail, action, "alert");
    }
}

/// Bounded: of thousands the newest say nothing that the first did not. An incident is somebody's word, so another
/// alert makes room for it.
fn keep_for_later(state: &mut State, raised: Raised) {
    let is_incident = |raised: &Raised| raised.alert.event == SecurityEvent::Incident;
    if state.unsaved.len() >= bound::ALERT_BATCH_MAX {
        let other = state.unsaved.iter().rposition(|kept| !is_incident(kept));
        let gone = other.filter(|_| is_incident(&raised)).and_then(|at| state.unsaved.remove(at));
        if gone.is_none() {
            tracing::error!(id = raised.alert.id, "an alert is not kept: too many wait for the store already");
            return;
        }
    }
    state.unsaved.push_back(raised);
}

#[cfg(test)]
mod tests;
