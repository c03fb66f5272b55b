//! Who may do what with what: roles and an operator's policies in Cedar, asked before anything is done.

pub mod ask;
mod engine;
pub mod keep;
pub(super) mod scope;
pub mod source;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;

use crate::base::bound;
use crate::base::classification::Classification;
use crate::base::clock::{Clock, Timestamp};
use crate::base::principal::{Principal, Role, Scheme};
use ask::{Action, ActionGroup, Circumstances, Resource};
use engine::{Engine, Failed, Hour};
pub use engine::{PolicyFact, Verdict};
use source::{File, Fingerprint, PolicyError, Problem};

/// What an administrator at this machine can always do: see what the policies are, and put better ones in force.
const REPAIRS: [&str; 5] = ["policy.list", "policy.explain", "policy.matrix", "policy.reload", "status"];

/// The policies that are in force, and the folder that they come from.
#[derive(Debug)]
pub struct Policy {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    /// Replaced as a whole, and the decisions with it. Held to clone the `Arc`, never across an await.
    current: RwLock<Arc<InForce>>,
    /// Held for a look-up, never across an await.
    seen: Mutex<Seen>,
    /// Counts reloads.
    generation: watch::Sender<u64>,
}

/// A set and what it decided so far.
#[derive(Debug)]
struct InForce {
    engine: Engine,
    since: Timestamp,
    /// Held for a look-up, never across an await.
    decisions: RwLock<HashMap<Question, Arc<Verdict>>>,
}

/// What was last found in the folder.
#[derive(Debug, Default)]
struct Seen {
    fingerprint: Fingerprint,
    /// Why what lies there is not in force.
    error: Option<String>,
}

/// All that a decision depends on. The time and the address only where a policy looks at them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    principal: Arc<str>,
    role: Role,
    scheme: Scheme,
    scopes: Arc<[String]>,
    action: Action,
    resource: Resource,
    transport: &'static str,
    is_tls: bool,
    peer: Option<IpAddr>,
    time: Option<Hour>,
}

/// The state of the policies, for `status` and the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub directory: PathBuf,
    /// Files of the operator's; the shipped one is not counted.
    pub files: usize,
    pub policies: usize,
    /// SHA-256 of the set, in hexadecimal.
    pub sha256: String,
    pub since: Timestamp,
    /// Why what lies in the folder now is not in force.
    pub error: Option<String>,
    pub warnings: Vec<Problem>,
}

/// Compiles what lies in `directory`, and says what is doubtful about it.
pub fn check(directory: &Path) -> Result<Summary, PolicyError> {
    check_with(directory, None)
}

/// As [`check`], with one more file, which takes the place of its namesake in the folder.
pub fn check_with(directory: &Path, draft: Option<File>) -> Result<Summary, PolicyError> {
    let mut files = source::read(directory)?;
    if let Some(draft) = draft {
        files.retain(|file| file.name != draft.name);
        files.push(draft);
    }
    let engine = compiled(directory, files)?;
    Ok(summary(directory, &engine, Timestamp::default(), None))
}

/// The actions that the schema lists in `group` itself.
pub fn listed_actions(group: ActionGroup) -> Vec<String> {
    Engine::listed(group)
}

fn compile(directory: &Path) -> Result<Engine, PolicyError> {
    compiled(directory, source::read(directory)?)
}

fn compiled(directory: &Path, files: Vec<File>) -> Result<Engine, PolicyError> {
    Engine::compile(files).map_err(|failed| match failed {
        Failed::Problems(problems) => PolicyError::Wrong { directory: directory.to_owned(), problems },
        Failed::Error(error) => error,
    })
}

fn summary(directory: &Path, engine: &Engine, since: Timestamp, error: Option<String>) -> Summary {
    Summary {
        directory: directory.to_owned(),
        files: engine.files,
        policies: engine.policies.len(),
        sha256: engine.sha256.clone(),
        since,
        error,
        warnings: engine.warnings.clone(),
    }
}

impl Policy {
    /// Puts the policies of `directory` in force, beside the shipped ones.
    pub fn open(directory: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, PolicyError> {
        // Looked at before it is read: what changes in between is found by the next look.
        let fingerprint = source::fingerprint(&directory);
        let engine = compile(&directory)?;
        let current = RwLock::new(Arc::new(InForce { engine, since: clock.now(), decisions: RwLock::default() }));
        let seen = Mutex::new(Seen { fingerprint, error: None });
        Ok(Self { directory, clock, current, seen, generation: watch::channel(0).0 })
    }

    /// Puts in force what lies in the folder now, or, where any of it is wrong, nothing of it.
    pub fn reload(&self) -> Result<Summary, PolicyError> {
        let fingerprint = source::fingerprint(&self.directory);
        let compiled = compile(&self.directory);
        let error = compiled.as_ref().err().map(ToString::to_string);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen { fingerprint, error };
        let engine = compiled?;
        let changed = engine.sha256 != self.in_force().engine.sha256;
        if changed {
            let fresh = InForce { engine, since: self.clock.now(), decisions: RwLock::default() };
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
            self.generation.send_modify(|generation| *generation += 1);
        }
        Ok(self.summary())
    }

    /// Whether the folder looks different from when it was last read.
    pub fn is_stale(&self) -> bool {
        let now = source::fingerprint(&self.directory);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).fingerprint != now
    }

    /// Hears of each set that comes into force.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    pub fn summary(&self) -> Summary {
        let error = self.seen.lock().unwrap_or_else(PoisonError::into_inner).error.clone();
        let in_force = self.in_force();
        summary(&self.directory, &in_force.engine, in_force.since, error)
    }

    /// All policies in force, by id.
    pub fn policies(&self) -> Vec<PolicyFact> {
        self.in_force().engine.policies.values().cloned().collect()
    }

    /// The policies of these ids.
    pub fn named(&self, ids: &[String]) -> Vec<PolicyFact> {
        let in_force = self.in_force();
        ids.iter().filter_map(|id| in_force.engine.policies.get(id).cloned()).collect()
    }

    /// What the policies say. The same question is answered from memory until another set comes into force.
    pub fn decide(
        &self,
        principal: &Principal,
        action: &Action,
        resource: &Resource,
        how: &Circumstances,
    ) -> Arc<Verdict> {
        let in_force = self.in_force();
        let time = hour_of(self.clock.now());
        let question = Question {
            principal: Arc::clone(&principal.id),
            role: principal.role,
            scheme: principal.scheme,
            scopes: Arc::clone(&principal.scopes),
            action: action.clone(),
            resource: resource.clone(),
            transport: how.transport,
            is_tls: how.is_tls,
            peer: how.peer.filter(|_| in_force.engine.looks_at_peer),
            time: Some(time).filter(|_| in_force.engine.looks_at_time),
        };
        let known = in_force.decisions.read().unwrap_or_else(PoisonError::into_inner).get(&question).cloned();
        if let Some(verdict) = known {
            return verdict;
        }
        let verdict = Arc::new(in_force.engine.ask(principal, action, resource, how, time));
        let mut decisions = in_force.decisions.write().unwrap_or_else(PoisonError::into_inner);
        if decisions.len() >= bound::POLICY_DECISIONS_MAX {
            // Rare, and filled again by those who are here now.
            decisions.clear();
        }
        decisions.insert(question, Arc::clone(&verdict));
        verdict
    }

    fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// 1970-01-01 was a Thursday.
fn hour_of(now: Timestamp) -> Hour {
    let hours = now.0 / 3_600_000;
    let small = |number: u64| u8::try_from(number).unwrap_or_default();
    Hour { hour: small(hours % 24), weekday: small((hours / 24 + 3) % 7 + 1) }
}

/// One caller's question, of which only the resource is open: what an operation is given to find out what it may touch.
#[derive(Clone, Debug)]
pub struct Access {
    policy: Arc<Policy>,
    principal: Principal,
    how: Circumstances,
    action: Action,
    /// The highest rank that was touched, plus one.
    touched: Arc<AtomicU8>,
}

impl Access {
    pub fn new(policy: Arc<Policy>, principal: Principal, how: Circumstances, action: Action) -> Self {
        Self { policy, principal, how, action, touched: Arc::default() }
    }

    /// The same caller with another action.
    pub fn with_action(&self, action: &Action) -> Self {
        Self { action: action.clone(), ..self.clone() }
    }

    pub fn decide(&self, resource: &Resource) -> Arc<Verdict> {
        let verdict = self.policy.decide(&self.principal, &self.action, resource, &self.how);
        if !verdict.is_allowed && self.is_repair() {
            return Arc::new(Verdict { is_allowed: true, policies: vec!["repair".into()], fault: None });
        }
        verdict
    }

    pub fn may(&self, resource: &Resource) -> bool {
        self.decide(resource).is_allowed
    }

    /// For the caller, who learns which rule it met, and nothing of the policies.
    pub fn denial(&self, resource: &Resource) -> String {
        let role = self.principal.role.as_str();
        format!("The policy does not allow {role} to do {} on {}.", self.action.name, resource.describe())
    }

    /// Something of this level was read or changed.
    pub fn touch(&self, classification: Classification) {
        self.touched.fetch_max(classification.rank() + 1, Ordering::Relaxed);
    }

    /// The highest level that was touched.
    pub fn touched(&self) -> Option<Classification> {
        Classification::of_rank(self.touched.load(Ordering::Relaxed).checked_sub(1)?)
    }

    /// A wrong policy may shut everybody out; the administrator at this machine can still mend it.
    fn is_repair(&self) -> bool {
        self.principal.role == Role::Admin
            && self.principal.scheme == Scheme::Local
            && REPAIRS.contains(&&*self.action.name)
    }
}
