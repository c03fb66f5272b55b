//! What can be asked of Sekisho: one trait for tools, resources, prompts, completions, lists and administration.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::auth::policy::Access;
use crate::auth::policy::ask::{Action, ActionGroup, Resource};
use crate::base::bound;
use crate::base::budget::Meter;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::schema::{NotASchema, Schema};

/// Something that can be asked for. It never sees the transport, and cannot reply by itself: what it
/// returns is an [`Outcome`], which only the pipeline can turn into a reply.
pub trait Operation: Send + Sync + 'static {
    fn about(&self) -> &About;

    /// The schema by which the parts of just these arguments are looked at for attacks, where it says more than that of
    /// [`Operation::about`]: an operation that leads to others has their arguments.
    fn schema_for(&self, _arguments: &Value) -> Option<Value> {
        None
    }

    /// `arguments` fit the schema of [`Operation::about`].
    fn run<'a>(&'a self, cx: &'a Cx, arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>>;

    /// Values for `argument` that begin with `start`; for prompts.
    fn complete<'a>(
        &'a self,
        _cx: &'a Cx,
        _argument: &'a str,
        _start: &'a str,
    ) -> BoxFuture<'a, Result<Vec<String>, Refusal>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Everything that is known of an operation without running it.
#[derive(Clone, Debug)]
pub struct About {
    /// Unique in the catalogue together with `kind`.
    pub name: String,
    pub title: String,
    pub description: String,
    pub kind: Kind,
    /// What policies know it as. An operation of administration is `Administer` until somebody thought about it.
    pub action_group: ActionGroup,
    /// JSON Schema of the arguments, an object.
    pub input: Value,
    /// JSON Schema of the structured result, where there is one.
    pub output: Option<Value>,
    pub effect: Effect,
    /// Asking twice does no more than asking once.
    pub idempotent: bool,
    /// The largest arguments, in bytes of JSON.
    pub argument_bytes_max: usize,
    /// The arguments hold a secret: no entry keeps them, nor a digest of them, and no error quotes them.
    pub secret_arguments: bool,
    /// It runs on a full disk too: with it an operator makes room.
    pub urgent: bool,
    /// It tells its result while it runs, so an entry is written before.
    pub tells: bool,
    /// Its result quotes documents or others' answers: it is marked as content that nobody vouches for.
    pub quotes: bool,
    /// It opens or writes a file that its arguments name, so whoever asks must be on the machine.
    pub at_machine: bool,
    /// It is served while everything else is frozen, as reading the audit log is.
    pub in_freeze: bool,
    /// How long it may work; `None` takes the configured time.
    pub budget: Option<Duration>,
    /// What it always touches: for whoever may not touch that, it is not there.
    pub resource: Option<Resource>,
    /// JSON Pointers to what holds the content of files in the arguments: no entry keeps it.
    pub content_arguments: Vec<String>,
}

impl About {
    /// A read-only operation with the usual bounds.
    pub fn reading(kind: Kind, name: &str, title: &str, description: &str, input: Value) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            description: description.into(),
            kind,
            action_group: if kind == Kind::Admin { ActionGroup::Administer } else { ActionGroup::Agent },
            input,
            output: None,
            effect: Effect::ReadOnly,
            idempotent: true,
            argument_bytes_max: bound::ARGUMENT_BYTES_MAX,
            secret_arguments: false,
            urgent: false,
            tells: false,
            quotes: false,
            at_machine: false,
            in_freeze: false,
            budget: None,
            resource: None,
            content_arguments: Vec::new(),
        }
    }

    pub fn in_group(mut self, action_group: ActionGroup) -> Self {
        self.action_group = action_group;
        self
    }

    /// Whether whoever has `access` may call it: it, and on what it always touches. It is not listed otherwise.
    pub fn is_open_to(&self, access: &Access) -> bool {
        let access = access.with_action(&self.action());
        access.may(&Resource::appliance()) && self.resource.as_ref().is_none_or(|resource| access.may(resource))
    }

    /// The action that policies speak about. A prompt may have a tool's name, so its own is marked.
    pub fn action(&self) -> Action {
        let name = if self.kind == Kind::Prompt { format!("prompt:{}", self.name) } else { self.name.clone() };
        Action { name: name.into(), group: self.action_group }
    }
}

/// How an operation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Tool,
    Prompt,
    /// Protocol requests that are recorded like calls: reading a resource, a completion, a subscription.
    Protocol,
    /// Protocol lists: counted, and recorded only at `audit.level = "all"`.
    List,
    /// For operators.
    Admin,
}

/// What running an operation does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    ReadOnly,
    /// Changes something; an intent entry is written before it runs.
    Changes,
    /// Takes something away.
    Destroys,
}

/// How a run ended, when it was not refused.
pub enum Outcome {
    Done(Output),
    /// The caller is to answer and to call again.
    Ask(Ask),
    /// It goes on after the reply; the caller looks for it by an id.
    Task(Job),
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done(output) => f.debug_tuple("Done").field(output).finish(),
            Self::Ask(ask) => f.debug_tuple("Ask").field(ask).finish(),
            Self::Task(_) => f.write_str("Task"),
        }
    }
}

/// What an operation made. Deliberately not serialisable: only what `redact` has seen is.
#[derive(Clone, Debug)]
pub enum Output {
    Tool { blocks: Vec<Block>, structured: Option<Value>, failed: bool },
    Contents(Vec<Content>),
    Prompt { description: String, messages: Vec<(Speaker, Block)> },
    Completion { values: Vec<String>, total: usize },
    Operations { items: Vec<Arc<About>>, next: Option<String> },
    Resources { items: Vec<ResourceItem>, next: Option<String> },
    Templates { items: Vec<ResourceItem> },
    Nothing,
}

impl Output {
    /// A structured result, with text for clients that only show text.
    pub fn structured(structured: Value, text: String) -> Self {
        Self::Tool { blocks: vec![Block::Text(text)], structured: Some(structured), failed: false }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Tool { blocks: vec![Block::Text(text.into())], structured: None, failed: false }
    }
}

/// What the caller is told of a result beside the result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// It quotes what others wrote: data, never instructions.
    pub untrusted: bool,
    /// Ids of the rules that found hidden instructions in it.
    pub flags: Vec<String>,
}

/// A piece of a tool's or prompt's content.
#[derive(Clone, Debug)]
pub enum Block {
    Text(String),
    /// Base64 and media type.
    Image {
        data: String,
        media_type: String,
    },
    Audio {
        data: String,
        media_type: String,
    },
    Embedded(Content),
}

/// A resource's content.
#[derive(Clone, Debug)]
pub struct Content {
    pub uri: String,
    pub media_type: String,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    Text(String),
    /// Base64.
    Blob(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    User,
    Assistant,
}

/// A resource, or a template of resources, as a list shows it.
#[derive(Clone, Debug, Default)]
pub struct ResourceItem {
    pub uri: String,
    pub name: String,
    pub title: String,
    pub description: Option<String>,
    pub media_type: Option<String>,
    pub bytes: Option<u64>,
}

/// Questions to the caller, and what the operation wants back with the answers.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub questions: Vec<(String, Question)>,
    /// Sealed before it leaves, opened when it comes back.
    pub state: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub enum Question {
    /// A form for the person: JSON Schema of a flat object.
    Form { message: String, schema: Value },
    /// A text for the client's model.
    Sample { prompt: String, tokens_max: u32 },
    /// Which folders the client works in.
    Roots,
    /// An address that the person is to open; what happens there, the client does not see.
    Url { message: String, url: String, id: String },
}

/// Work that goes on as a task.
pub type Job = Box<dyn FnOnce(Arc<dyn JobSide>) -> BoxFuture<'static, Result<Output, Refusal>> + Send>;

/// What a task can do while it runs.
pub trait JobSide: Send + Sync {
    fn cancelled(&self) -> BoxFuture<'_, ()>;
    fn ask(&self, key: &str, question: Question) -> BoxFuture<'_, Result<Value, Refusal>>;
}

/// The caller's side of a running operation: what can be told and asked meanwhile.
pub trait Caller: Send + Sync {
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }
    fn progress(&self, _progress: Progress) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
    fn log(&self, _message: Value) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
    fn ask(&self, _question: Question) -> BoxFuture<'_, Result<Value, Refusal>> {
        Box::pin(async { Err(Refusal::new(Code::MissingCapability, "this client cannot be asked while a call runs")) })
    }
}

/// A caller that is told nothing.
#[derive(Debug)]
pub struct Nobody;

impl Caller for Nobody {}

/// What the client said that it can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    pub tasks: bool,
    pub form: bool,
    pub sampling: bool,
    pub roots: bool,
    /// It shows addresses to its person, and asks before it opens one.
    pub url: bool,
    /// Questions end a call, which is made again with the answers; there are none while it runs.
    pub rounds: bool,
}

/// How far an operation is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    pub done: f64,
    pub total: Option<f64>,
    pub message: Option<String>,
}

/// What an operation is given beside its arguments.
pub struct Cx {
    pub principal: Principal,
    /// Which libraries and credentials this call may touch.
    pub access: Access,
    pub catalog: Arc<Catalog>,
    pub caller: Arc<dyn Caller>,
    pub cancel: CancellationToken,
    /// Answers to the questions of an earlier [`Outcome::Ask`].
    pub answers: Option<Map<String, Value>>,
    /// The state of that `Ask`, opened.
    pub state: Option<Vec<u8>>,
    pub used: Arc<UsedSecrets>,
    /// Counts what this call uses.
    pub meter: Arc<Meter>,
}

/// The secrets that a call has used, so that its result is searched for them. They are wiped with the call.
#[derive(Debug, Default)]
pub struct UsedSecrets {
    /// Held for a push, never across an await.
    secrets: Mutex<Vec<Secret>>,
}

impl UsedSecrets {
    /// Notes a secret. A call that uses more than [`bound::USED_SECRETS_MAX`] is stopped: their results could not be
    /// searched for all of them.
    pub fn note(&self, secret: &Secret) -> Result<(), Refusal> {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if secrets.len() >= bound::USED_SECRETS_MAX {
            return Err(Refusal::internal("a call used more secrets than its result can be searched for"));
        }
        // As it stands in JSON text, where that differs: a result often quotes a value whole.
        if let Ok(text) = std::str::from_utf8(secret.expose_secret())
            && let Ok(quoted) = serde_json::to_vec(text).map(Secret::new)
            && let [b'"', escaped @ .., b'"'] = quoted.expose_secret()
            && escaped != text.as_bytes()
        {
            secrets.push(Secret::new(escaped));
        }
        secrets.push(secret.clone());
        Ok(())
    }

    /// All of them so far.
    pub fn all(&self) -> Vec<Secret> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Cx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cx").field("principal", &self.principal).finish_non_exhaustive()
    }
}

impl Cx {
    pub async fn progress(&self, done: f64, total: Option<f64>, message: Option<String>) {
        self.caller.progress(Progress { done, total, message }).await;
    }
}

/// Something that clients may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Tools,
    Prompts,
    /// Resources came or went: those of this library, or any.
    Resources(Option<Resource>),
    /// This resource, of this library, has another content.
    Resource(String, Resource),
    /// What a question sent somebody's person to a browser for is done.
    Answered {
        /// The id of the question.
        question: String,
        /// Whose client was asked.
        principal: Arc<str>,
    },
}

/// A ready operation: its schema is compiled once.
pub struct Registered {
    pub about: Arc<About>,
    pub action: Action,
    pub operation: Arc<dyn Operation>,
    pub input: Schema,
    /// The input schema as a client gets it: shared, for it is asked for with every call.
    pub input_object: Arc<Map<String, Value>>,
}

impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registered").field(&self.about.name).finish()
    }
}

/// All operations, by kind and name, and the news of changes.
#[derive(Debug)]
pub struct Catalog {
    /// Held for a look-up, never across an await.
    operations: RwLock<BTreeMap<(Kind, String), Arc<Registered>>>,
    changes: broadcast::Sender<Change>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { operations: RwLock::default(), changes: broadcast::channel(bound::CHANGES_MAX).0 }
    }
}

impl Catalog {
    /// Adds an operation, or puts it in the place of one with its name.
    pub fn add(&self, operation: Arc<dyn Operation>) -> Result<(), NotASchema> {
        let about = Arc::new(operation.about().clone());
        let input = Schema::compile(&about.input)?;
        let key = (about.kind, about.name.clone());
        let action = about.action();
        let input_object = Arc::new(about.input.as_object().cloned().unwrap_or_default());
        let registered = Arc::new(Registered { about, action, operation, input, input_object });
        self.operations.write().unwrap_or_else(PoisonError::into_inner).insert(key, registered);
        Ok(())
    }

    pub fn remove(&self, kind: Kind, name: &str) -> bool {
        self.operations.write().unwrap_or_else(PoisonError::into_inner).remove(&(kind, name.to_owned())).is_some()
    }

    pub fn get(&self, kind: Kind, name: &str) -> Option<Arc<Registered>> {
        self.operations.read().unwrap_or_else(PoisonError::into_inner).get(&(kind, name.to_owned())).cloned()
    }

    /// The operations of `kind` that whoever has `access` may call, by name.
    pub fn visible(&self, kind: Kind, access: &Access) -> Vec<Arc<About>> {
        let of_kind = self.all().into_iter().filter(|registered| registered.about.kind == kind);
        let allowed = of_kind.filter(|registered| registered.about.is_open_to(access));
        allowed.map(|registered| Arc::clone(&registered.about)).collect()
    }

    /// All operations, by kind and name.
    pub fn all(&self) -> Vec<Arc<Registered>> {
        self.operations.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub fn announce(&self, change: Change) {
        // Nobody may be listening.
        self.changes.send(change).ok();
    }

    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}
