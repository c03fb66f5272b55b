//! A set of policies that is in force: compiled, held against the schema, and asked. The only file that knows Cedar.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr as _;

use cedar_policy::{
    Authorizer, Context, Decision, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicyId,
    PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;

use super::ask::{Action, ActionGroup, Circumstances, Resource};
use super::scope;
use super::source::{self, File, PolicyError, Problem};
use crate::audit::word::DENIED;
use crate::base::bound;
use crate::base::principal::Principal;

/// What is known of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFact {
    /// `FILE#ID`, where `ID` is the annotation `@id`, or else the policy's number in its file, from 1.
    pub id: String,
    pub permits: bool,
    pub file: String,
    /// Where it begins, from 1.
    pub line: usize,
    /// The annotation `@reason`.
    pub reason: Option<String>,
    pub text: String,
}

/// What the policies say to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub is_allowed: bool,
    /// Ids of the policies that decided. None decided where nothing permits.
    pub policies: Vec<String>,
    /// Why a policy could not be evaluated; such a question is denied.
    pub fault: Option<String>,
}

impl Verdict {
    /// For the audit entry and the log.
    pub fn reason(&self) -> String {
        match (&self.fault, self.policies.as_slice(), self.is_allowed) {
            (Some(fault), _, _) => format!("{DENIED}: a policy could not be evaluated: {fault}"),
            (None, [], _) => format!("{DENIED}: no policy permits it"),
            (None, policies, false) => format!("{DENIED} by {}", policies.join(", ")),
            (None, policies, true) => format!("permitted by {}", policies.join(", ")),
        }
    }

    fn faulty(fault: impl ToString) -> Self {
        Self { is_allowed: false, policies: Vec::new(), fault: Some(fault.to_string()) }
    }
}

/// The time of a question, as far as policies look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hour {
    /// 0 to 23, UTC.
    pub(super) hour: u8,
    /// 1 (Monday) to 7.
    pub(super) weekday: u8,
}

/// A compiled set.
pub(super) struct Engine {
    set: PolicySet,
    authorizer: Authorizer,
    types: Types,
    pub(super) policies: BTreeMap<String, PolicyFact>,
    pub(super) files: usize,
    pub(super) sha256: String,
    /// What validation found doubtful, without being wrong.
    pub(super) warnings: Vec<Problem>,
    /// Whether any policy looks at the time, and at the client's address.
    pub(super) looks_at_time: bool,
    pub(super) looks_at_peer: bool,
}

struct Types {
    role: EntityTypeName,
    principal: EntityTypeName,
    action: EntityTypeName,
    resources: HashMap<&'static str, EntityTypeName>,
}

impl Types {
    fn new() -> Result<Self, PolicyError> {
        let of = |name: &str| {
            EntityTypeName::from_str(&format!("Sekisho::{name}"))
                .map_err(|error| PolicyError::Shipped(error.to_string()))
        };
        let mut resources = HashMap::new();
        for name in ["Appliance", "Library", "Connector", "Credential"] {
            resources.insert(name, of(name)?);
        }
        Ok(Self { role: of("Role")?, principal: of("Principal")?, action: of("Action")?, resources })
    }
}

impl Engine {
    /// Compiles the shipped policies and `files` together. All that is wrong is named, not only the first.
    pub(super) fn compile(files: Vec<File>) -> Result<Self, Failed> {
        let (schema, _) = Schema::from_cedarschema_str(source::SCHEMA)
            .map_err(|error| Failed::Error(PolicyError::Shipped(error.to_string())))?;
        let mut all = vec![File::shipped()];
        let mut problems = Vec::new();
        for file in files {
            if file.name == source::SHIPPED_NAME {
                problems.push(file.problem(0, "this name belongs to the shipped policies; rename the file"));
            } else {
                all.push(file);
            }
        }
        let mut set = PolicySet::new();
        let mut policies = BTreeMap::new();
        for file in &all {
            match parse(file) {
                Err(found) => problems.extend(found),
                Ok(parsed) => {
                    for (policy, fact) in parsed {
                        if let Err(error) = set.add(policy) {
                            problems.push(file.problem(0, error.to_string()));
                        }
                        policies.insert(fact.id.clone(), fact);
                    }
                }
            }
        }
        if policies.len() > bound::POLICIES_MAX {
            let message = format!("there are {} policies; {} may be", policies.len(), bound::POLICIES_MAX);
            problems.push(Problem { file: source::SHIPPED_NAME.into(), line: 1, column: 1, message });
        }
        let result = Validator::new(schema).validate(&set, ValidationMode::default());
        let place = |id: &PolicyId, diagnostic: &dyn Diagnostic| {
            let fact = policies.get::<str>(id.as_ref());
            let file = fact.and_then(|fact| all.iter().find(|file| file.name == fact.file));
            let line = fact.map_or(1, |fact| fact.line);
            match (file, offset(diagnostic)) {
                (Some(file), Some(offset)) => file.problem(offset, text_of(diagnostic)),
                (file, _) => Problem {
                    file: file.map_or_else(String::new, |file| file.name.clone()),
                    line,
                    column: 1,
                    message: text_of(diagnostic),
                },
            }
        };
        // Each policy is looked at for every kind of action and resource: one mistake would be told for all of them.
        let once = |found: &mut Vec<Problem>, problem: Problem| {
            let is_same = |known: &Problem| {
                (&known.file, known.line, known.column) == (&problem.file, problem.line, problem.column)
            };
            if !found.iter().any(is_same) {
                found.push(problem);
            }
        };
        for error in result.validation_errors() {
            once(&mut problems, place(error.policy_id(), error));
        }
        let mut warnings = Vec::new();
        for warning in result.validation_warnings() {
            once(&mut warnings, place(warning.policy_id(), warning));
        }
        if !problems.is_empty() {
            return Err(Failed::Problems(problems));
        }
        // The words alone: to think too often that a policy looks at them costs only places in the cache.
        let mentions = |word: &str| all.iter().any(|file| file.text.contains(word));
        Ok(Self {
            set,
            authorizer: Authorizer::new(),
            types: Types::new().map_err(Failed::Error)?,
            policies,
            files: all.len() - 1,
            sha256: source::digest(&all),
            warnings,
            looks_at_time: mentions("hour") || mentions("weekday"),
            looks_at_peer: mentions("peer"),
        })
    }

    /// Asks all policies. What cannot be evaluated is denied: a `forbid` that fails must not open a door.
    pub(super) fn ask(
        &self,
        principal: &Principal,
        action: &Action,
        resource: &Resource,
        how: &Circumstances,
        time: Hour,
    ) -> Verdict {
        let (request, entities) = match self.question(principal, action, resource, how, time) {
            Ok(question) => question,
            Err(error) => return Verdict::faulty(error),
        };
        let response = self.authorizer.is_authorized(&request, &self.set, &entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Verdict::faulty(error);
        }
        let mut policies: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        policies.sort();
        Verdict { is_allowed: response.decision() == Decision::Allow, policies, fault: None }
    }

    fn question(
        &self,
        principal: &Principal,
        action: &Action,
        resource: &Resource,
        how: &Circumstances,
        time: Hour,
    ) -> Result<(Request, Entities), Box<dyn std::error::Error>> {
        let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
        let uid = |kind: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id));
        let types = &self.types;
        let role = uid(&types.role, principal.role.as_str());
        let who = uid(&types.principal, &principal.id);
        let attributes = HashMap::from([
            ("id".to_owned(), text(&principal.id)),
            ("role".to_owned(), text(principal.role.as_str())),
            ("scheme".to_owned(), text(principal.scheme.as_str())),
            ("scopes".to_owned(), RestrictedExpression::new_set(principal.scopes.iter().map(|scope| text(scope)))),
        ]);
        let mut entities = vec![
            Entity::new_no_attrs(role.clone(), HashSet::new()),
            Entity::new(who.clone(), attributes, HashSet::from([role]))?,
        ];
        let group = uid(&types.action, action.group.as_str());
        let done = uid(&types.action, &action.name);
        let agent = uid(&types.action, ActionGroup::Agent.as_str());
        let is_part = matches!(action.group, ActionGroup::Protocol | ActionGroup::AgentChange);
        let above = if is_part { HashSet::from([agent]) } else { HashSet::new() };
        entities.push(Entity::new_no_attrs(group.clone(), above));
        entities.push(Entity::new_no_attrs(done.clone(), HashSet::from([group])));
        let kind = types.resources.get(resource.kind.entity()).ok_or("a resource of no known type")?;
        let what = uid(kind, &resource.name);
        let attributes = HashMap::from([
            ("name".to_owned(), text(&resource.name)),
            ("classification".to_owned(), text(resource.classification.as_str())),
            (
                "classification_rank".to_owned(),
                RestrictedExpression::new_long(i64::from(resource.classification.rank())),
            ),
        ]);
        entities.push(Entity::new(what.clone(), attributes, HashSet::new())?);
        let scopes = scope::ask(&principal.scopes, action, resource);
        let flag = RestrictedExpression::new_bool;
        let number = |value: u8| RestrictedExpression::new_long(i64::from(value));
        let mut facts = vec![
            ("operation".to_owned(), text(&action.name)),
            ("transport".to_owned(), text(how.transport)),
            ("tls".to_owned(), flag(how.is_tls)),
            ("hour".to_owned(), number(time.hour)),
            ("weekday".to_owned(), number(time.weekday)),
            ("scope_allows_action".to_owned(), flag(scopes.action)),
            ("scope_allows_resource".to_owned(), flag(scopes.resource)),
            ("scope_names_resource".to_owned(), flag(scopes.names_resource)),
        ];
        if let Some(peer) = how.peer {
            facts.push(("peer".to_owned(), RestrictedExpression::new_ip(peer.to_string())));
        }
        let request = Request::new(who, done, what, Context::from_pairs(facts)?, None)?;
        Ok((request, Entities::from_entities(entities, None)?))
    }

    /// Of a file's name and the actions that the schema lists below `group`.
    pub(super) fn listed(group: ActionGroup) -> Vec<String> {
        let Ok((schema, _)) = Schema::from_cedarschema_str(source::SCHEMA) else { return Vec::new() };
        let Ok(entities) = schema.action_entities() else { return Vec::new() };
        let name = |uid: &EntityUid| uid.id().unescaped().to_owned();
        let mut listed: Vec<String> = schema
            .actions()
            .filter(|action| {
                let groups: Vec<String> = entities.ancestors(action).into_iter().flatten().map(name).collect();
                let is_protocol = groups.iter().any(|group| group == ActionGroup::Protocol.as_str());
                groups.iter().any(|found| found == group.as_str()) && (group == ActionGroup::Protocol || !is_protocol)
            })
            .map(name)
            .collect();
        listed.retain(|name| name != ActionGroup::Protocol.as_str());
        listed.sort();
        listed
    }
}

/// Why a set does not compile.
pub(super) enum Failed {
    Problems(Vec<Problem>),
    Error(PolicyError),
}

fn parse(file: &File) -> Result<Vec<(Policy, PolicyFact)>, Vec<Problem>> {
    let set = PolicySet::from_str(&file.text).map_err(|errors| {
        let at = |error: &dyn Diagnostic| file.problem(offset(error).unwrap_or_default(), text_of(error));
        errors.iter().map(|error| at(error)).collect::<Vec<_>>()
    })?;
    if let Some(template) = set.templates().next() {
        let start = file.text.find(&template.to_cedar()).unwrap_or_default();
        return Err(vec![file.problem(start, "templates are not supported: write the principal or resource out")]);
    }
    // Cedar numbers them in the order of the file: policy0, policy1 and so on.
    let mut numbered: Vec<(usize, &Policy)> = set
        .policies()
        .map(|policy| {
            let number = AsRef::<str>::as_ref(policy.id()).trim_start_matches("policy").parse();
            (number.unwrap_or(usize::MAX), policy)
        })
        .collect();
    numbered.sort_by_key(|(number, _)| *number);
    let mut parsed: Vec<(Policy, PolicyFact)> = Vec::new();
    let mut problems = Vec::new();
    let mut from = 0;
    for (number, policy) in numbered {
        let text = policy.to_cedar().unwrap_or_default();
        let start = file.text.get(from..).and_then(|rest| rest.find(&text)).map_or(from, |at| from + at);
        from = start + text.len();
        let line = file.problem(start, "").line;
        let own = policy.annotation("id").map_or_else(|| (number + 1).to_string(), str::to_owned);
        if own.is_empty() || own.chars().count() > bound::POLICY_ID_CHARS_MAX || own.chars().any(char::is_control) {
            let message = format!("@id must have 1 to {} characters", bound::POLICY_ID_CHARS_MAX);
            problems.push(file.problem(start, message));
            continue;
        }
        let id = format!("{}#{own}", file.name);
        if parsed.iter().any(|(_, fact)| fact.id == id) {
            problems.push(file.problem(start, format!("there is a policy {own:?} in this file already")));
            continue;
        }
        let reason = policy.annotation("reason").map(str::to_owned);
        let permits = policy.effect() == Effect::Permit;
        let fact = PolicyFact { id: id.clone(), permits, file: file.name.clone(), line, reason, text };
        parsed.push((policy.new_id(PolicyId::new(id)), fact));
    }
    if problems.is_empty() { Ok(parsed) } else { Err(problems) }
}

/// Where in its file something is.
fn offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
    Some(diagnostic.labels()?.next()?.offset())
}

/// Cedar's message, with what it adds.
fn text_of(diagnostic: &dyn Diagnostic) -> String {
    let mut text = diagnostic.to_string();
    let label = diagnostic.labels().and_then(|mut labels| labels.next()?.label().map(str::to_owned));
    if let Some(label) = label {
        text = format!("{text}: {label}");
    }
    if let Some(help) = diagnostic.help() {
        text = format!("{text} ({help})");
    }
    text.replace('\n', " ")
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}
