//! The operations `policy.list`, `.explain`, `.matrix`, `.check`, `.reload`.

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::request::{Nothing, Request, answering, level, parse, written};
use crate::auth::policy::ask::{ActionGroup, Circumstances, Resource, ResourceKind};
use crate::auth::policy::keep::{KeepError, PolicyKeeper};
use crate::auth::policy::source::{File, PolicyError, Problem};
use crate::auth::policy::{self, PolicyFact, Summary};
use crate::auth::{account, token};
use crate::base::bound;
use crate::base::classification::Classification;
use crate::base::clock::Timestamp;
use crate::base::principal::{Principal, Role};
use crate::base::refusal::{Code, Refusal};
use crate::library::{Libraries, LibraryError};
use crate::operation::{Catalog, Cx, Effect, Kind, Registered};
use crate::schema::NotASchema;
use crate::store::Store;
use crate::vault::credential::{self, CredentialName};

/// All groups.
const GROUPS: [ActionGroup; 6] = [
    ActionGroup::Protocol,
    ActionGroup::Agent,
    ActionGroup::AgentChange,
    ActionGroup::AuditRead,
    ActionGroup::Operate,
    ActionGroup::Administer,
];

/// The roles, as the matrix has its columns.
const ROLES: [Role; 4] = [Role::Reader, Role::Operator, Role::Auditor, Role::Admin];

pub(super) fn register(
    catalog: &Catalog,
    libraries: &Arc<Libraries>,
    policies: &PolicyKeeper,
) -> Result<(), NotASchema> {
    let keeper = policies.clone();
    let list = answering::<Nothing, InForce>("policy.list", "List the policies in force", Effect::ReadOnly)
        .in_group(ActionGroup::AuditRead);
    catalog.add(Arc::new(Request::new(list, move |_, _| {
        let policies = keeper.policy().policies().iter().map(Fact::of).collect();
        let answer = written(&InForce { policies, state: State::of(&keeper.policy().summary()) });
        Box::pin(async { answer })
    })))?;
    let (keeper, shelf) = (policies.clone(), Arc::clone(libraries));
    let explain =
        answering::<Explain, Explained>("policy.explain", "Say what the policies answer, and why", Effect::ReadOnly)
            .in_group(ActionGroup::AuditRead);
    catalog.add(Arc::new(Request::new(explain, move |cx, arguments| {
        let explained = parse(arguments).and_then(|asked| explained(cx, &keeper, &shelf, &asked));
        Box::pin(async { explained })
    })))?;
    let keeper = policies.clone();
    let matrix =
        answering::<Nothing, Matrix>("policy.matrix", "Show which role may call which operation", Effect::ReadOnly)
            .in_group(ActionGroup::AuditRead);
    catalog.add(Arc::new(Request::new(matrix, move |cx, _| {
        let listed = GROUPS.map(|group| (group, policy::listed_actions(group)));
        let rows: Vec<Value> = cx.catalog.all().iter().map(|operation| row(&keeper, &listed, operation)).collect();
        Box::pin(async move { written(&Matrix { operations: rows }) })
    })))?;
    let directory = policies.policy().summary().directory;
    let title = "Check the policies in their folder, or with a draft among them, and change nothing";
    let mut check =
        answering::<Check, Checked>("policy.check", title, Effect::ReadOnly).in_group(ActionGroup::AuditRead);
    check.argument_bytes_max = 2 * bound::POLICY_FILE_BYTES_MAX;
    catalog.add(Arc::new(Request::new(check, move |_, arguments| {
        let answer = parse(arguments).and_then(|asked| checked(&directory, asked));
        Box::pin(async { answer })
    })))?;
    let keeper = policies.clone();
    let title = "Put the policies in their folder in force";
    let mut reload = answering::<Nothing, State>("policy.reload", title, Effect::Changes);
    reload.idempotent = true;
    catalog.add(Arc::new(Request::new(reload, move |_, _| {
        let keeper = keeper.clone();
        Box::pin(async move {
            let summary = keeper.reload().await.map_err(|error| match error {
                KeepError::Policy(error) => Refusal::new(Code::Invalid, format!("Nothing was changed: {error}.")),
                KeepError::Audit(error) => Refusal::internal(error),
            })?;
            written(&State::of(&summary))
        })
    })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Explain {
    /// `role:reader`, `token:NAME`, `account:NAME` and so on. Accounts and tokens have the role that is kept of them.
    #[schemars(length(max = 256))]
    principal: String,
    /// An operation: `search_documents`, `prompt:answer_from_library`, `library.add`.
    #[schemars(length(max = 256))]
    action: String,
    /// `appliance`, `library:NAME`, `credential:NAME`, `connector:NAME`.
    #[schemars(length(max = 256))]
    resource: String,
    /// The role of a principal that does not exist here.
    #[serde(default)]
    #[schemars(length(max = 16))]
    role: Option<String>,
    /// Scopes of its credential.
    #[serde(default)]
    #[schemars(length(max = 64))]
    scopes: Vec<String>,
    /// For a resource that is not known here.
    #[serde(default)]
    #[schemars(length(max = 16))]
    classification: Option<String>,
}

fn explained(cx: &Cx, keeper: &PolicyKeeper, libraries: &Libraries, asked: &Explain) -> Result<Value, Refusal> {
    let policy = keeper.policy();
    let operation = cx.catalog.all().into_iter().find(|operation| *operation.action.name == *asked.action);
    let operation = operation.ok_or_else(|| {
        let public = format!("There is no operation {:?}; `sekisho policy matrix` names them all.", asked.action);
        Refusal::new(Code::NotFound, public)
    })?;
    let Known { principal, note } = principal_of(keeper.store(), asked, keeper.now())?;
    let resource = resource_of(keeper.store(), libraries, asked)?;
    let how = Circumstances { transport: "http", is_tls: true, peer: None };
    let verdict = policy.decide(&principal, &operation.action, &resource, &how);
    written(&Explained {
        allowed: verdict.is_allowed,
        reason: verdict.reason(),
        policies: policy.named(&verdict.policies).iter().map(Fact::of).collect(),
        principal: json!({"id": &*principal.id, "role": principal.role, "scopes": &*principal.scopes}),
        note,
        action: json!({"name": &*operation.action.name, "group": operation.action.group}),
        resource: json!({"kind": resource.kind.as_str(), "name": &*resource.name, "classification": resource.classification}),
    })
}

/// Somebody as the policies would see them, and what keeps them from getting so far.
struct Known {
    principal: Principal,
    note: Option<String>,
}

/// Somebody with what is kept of their account or credential, or, where there is none, with what was said of them.
fn principal_of(store: &Store, asked: &Explain, now: Timestamp) -> Result<Known, Refusal> {
    let unknown = |expected: &str| Refusal::new(Code::Invalid, format!("{:?}: {expected}.", asked.principal));
    let (kind, name) = asked
        .principal
        .split_once(':')
        .ok_or_else(|| unknown("write role:reader, token:NAME, account:NAME, local:UID or stdio:UID"))?;
    let of_role = |role: Role| Principal::token(name, role);
    let role = |text: &str| {
        let role = ROLES.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| unknown("the roles are reader, operator, auditor and admin"))
    };
    let mut known = match (kind, stored(store, kind, name, now)?) {
        (_, Some(_)) if asked.role.is_some() => {
            let way_out = "it exists, and has a role: leave --role out, or ask for role:ROLE";
            return Err(unknown(way_out));
        }
        (_, Some(known)) => known,
        (_, None) => {
            let mut principal = match (kind, &asked.role) {
                ("role", _) => of_role(role(name)?),
                (_, Some(said)) => of_role(role(said)?),
                ("local", None) => Principal::local(uid(name)?),
                ("stdio", None) => Principal::stdio(uid(name)?),
                ("account", None) => {
                    return Err(unknown("there is no such account; say the role it would have with --role"));
                }
                ("token", None) => {
                    return Err(unknown("there is no such token; say the role it would have with --role"));
                }
                (_, None) => return Err(unknown("its role is not known here; say it with --role")),
            };
            principal.id = asked.principal.as_str().into();
            Known { principal, note: None }
        }
    };
    if !asked.scopes.is_empty() {
        known.principal.scopes = asked.scopes.clone().into();
    }
    Ok(known)
}

/// An account by its name, an API key by its name or beginning.
fn stored(store: &Store, kind: &str, name: &str, now: Timestamp) -> Result<Option<Known>, Refusal> {
    let known = match kind {
        "account" => account::named(store, name).map_err(Refusal::internal)?.map(|account| Known {
            principal: Principal::account(&account.name, account.role),
            note: account.disabled.then(|| "the account is disabled: nobody gets in by it".to_owned()),
        }),
        "token" => token::named(store, name).map_err(Refusal::internal)?.map(|token| Known {
            note: token.why_not(now).map(|why| format!("{why}: nobody gets in by it")),
            principal: Principal::token(&token.name, token.role).with_scopes(token.scopes),
        }),
        _ => None,
    };
    Ok(known)
}

fn uid(text: &str) -> Result<u32, Refusal> {
    text.parse().map_err(|_| Refusal::new(Code::Invalid, format!("{text:?} is no uid.")))
}

fn resource_of(store: &Store, libraries: &Libraries, asked: &Explain) -> Result<Resource, Refusal> {
    let said = asked.classification.as_deref().map(level).transpose()?;
    let (kind, name) = asked.resource.split_once(':').unwrap_or((&asked.resource, ""));
    let otherwise = said.unwrap_or_default();
    match kind {
        "appliance" => Ok(Resource::appliance()),
        "library" => match (libraries.get(name), said) {
            (Ok(library), None) => Ok(library.resource()),
            (Ok(_) | Err(LibraryError::NoLibrary(_)), Some(level)) => Ok(Resource::library(name, level)),
            (Err(error), _) => Err(error.into()),
        },
        "credential" => {
            let known = match CredentialName::parse(name) {
                Ok(name) => store.read(|snapshot| credential::show(snapshot, &name)).ok(),
                Err(_) => None,
            };
            Ok(Resource::credential(name, said.or(known.map(|record| record.classification)).unwrap_or_default()))
        }
        "connector" => Ok(Resource { kind: ResourceKind::Connector, name: name.into(), classification: otherwise }),
        _ => {
            let public = format!(
                "{:?} is no resource; write appliance, library:NAME, credential:NAME or connector:NAME.",
                asked.resource
            );
            Err(Refusal::new(Code::Invalid, public))
        }
    }
}

/// What each role may do with one operation: on the appliance, and on a library of each classification.
fn row(keeper: &PolicyKeeper, listed: &[(ActionGroup, Vec<String>)], operation: &Registered) -> Value {
    let action = &operation.action;
    let in_schema =
        listed.iter().any(|(group, names)| *group == action.group && names.iter().any(|name| **name == *action.name));
    let how = Circumstances { transport: "http", is_tls: true, peer: None };
    let about = &operation.about;
    let mut row = json!({
        "action": &*operation.action.name,
        "group": operation.action.group,
        "kind": kind_of(about.kind),
        "in_schema": in_schema,
    });
    for role in ROLES {
        let principal = Principal::token("any", role);
        let may =
            |resource: &Resource| keeper.policy().decide(&principal, &operation.action, resource, &how).is_allowed;
        let levels = crate::base::classification::CLASSIFICATIONS
            .into_iter()
            .filter(|level| may(&Resource::library("any", *level)))
            .map(Classification::as_str);
        row[role.as_str()] = json!({
            "allowed": may(&Resource::appliance()),
            "libraries": levels.collect::<Vec<_>>(),
        });
    }
    row
}

fn kind_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Tool => "tool",
        Kind::Prompt => "prompt",
        Kind::Protocol => "protocol",
        Kind::List => "list",
        Kind::Admin => "admin",
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Check {
    /// The name that the draft would have in the folder.
    #[serde(default = "draft_name")]
    #[schemars(length(max = 64), regex(pattern = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.cedar$"))]
    name: String,
    /// Policies that are looked at as if they lay there; without it the folder is checked as it is.
    #[serde(default)]
    #[schemars(extend("x-sekisho-field" = "free_text"))]
    text: Option<String>,
}

fn draft_name() -> String {
    "draft.cedar".into()
}

#[derive(Serialize, JsonSchema)]
struct Checked {
    valid: bool,
    /// The state that a reload would bring; none where something is wrong.
    state: Option<State>,
    problems: Vec<Wrong>,
}

#[derive(Serialize, JsonSchema)]
struct Wrong {
    file: String,
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    message: String,
}

fn checked(directory: &Path, asked: Check) -> Result<Value, Refusal> {
    let Check { name, text } = asked;
    let draft = text.map(|text| File { name, text });
    written(&match policy::check_with(directory, draft) {
        Ok(summary) => Checked { valid: true, state: Some(State::of(&summary)), problems: Vec::new() },
        Err(PolicyError::Wrong { problems, .. }) => {
            let wrong = |Problem { file, line, column, message }| Wrong { file, line, column, message };
            Checked { valid: false, state: None, problems: problems.into_iter().map(wrong).collect() }
        }
        Err(error) => return Err(Refusal::internal(error)),
    })
}

#[derive(Serialize, JsonSchema)]
struct InForce {
    /// The shipped ones are of the file shipped.cedar.
    policies: Vec<Fact>,
    state: State,
}

#[derive(Serialize, JsonSchema)]
struct Explained {
    allowed: bool,
    reason: String,
    /// Those that decided.
    policies: Vec<Fact>,
    principal: Value,
    /// What keeps the principal from getting so far, such as an account that is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    action: Value,
    resource: Value,
}

#[derive(Serialize, JsonSchema)]
struct Matrix {
    /// Name and group of each operation, and for each role whether it may call it, and on libraries of which
    /// classification.
    operations: Vec<Value>,
}

#[derive(Serialize, JsonSchema)]
struct Fact {
    id: String,
    /// permit or forbid.
    effect: String,
    file: String,
    line: usize,
    reason: Option<String>,
    text: String,
}

impl Fact {
    fn of(fact: &PolicyFact) -> Self {
        Self {
            id: fact.id.clone(),
            effect: if fact.permits { "permit" } else { "forbid" }.into(),
            file: fact.file.clone(),
            line: fact.line,
            reason: fact.reason.clone(),
            text: fact.text.clone(),
        }
    }
}

/// The state of the policies, as operators read it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct State {
    directory: String,
    /// Files of the operator's.
    files: usize,
    policies: usize,
    sha256: String,
    /// Since when they are in force, RFC 3339.
    since: String,
    /// Why what lies in the folder now is not in force.
    error: Option<String>,
    warnings: Vec<String>,
}

impl State {
    pub fn of(summary: &Summary) -> Self {
        Self {
            directory: summary.directory.display().to_string(),
            files: summary.files,
            policies: summary.policies,
            sha256: summary.sha256.clone(),
            since: summary.since.rfc3339(),
            error: summary.error.clone(),
            warnings: summary.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}
