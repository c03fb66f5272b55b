//! The operation `status`: what runs here, for `sekisho doctor`.

use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::policy;
use super::prune::CleanUp;
use super::request::{output_of, written};
use super::scan::Survey;
use crate::auth::policy::ask::ActionGroup;
use crate::base::clock::Timestamp;
use crate::base::refusal::Refusal;
use crate::operation::{About, Cx, Kind, Operation, Outcome, Output};

/// Gathers the facts; injected by `app`, which alone sees every room.
pub trait Look: Survey + CleanUp {
    fn look(&self) -> BoxFuture<'_, Result<State, Refusal>>;
}

/// What a look shows; other facts may stand beside these.
#[derive(Debug, Serialize, JsonSchema)]
pub struct State {
    pub version: &'static str,
    pub process: u32,
    pub data_directory: String,
    /// The version of the database's tables.
    pub schema: u32,
    pub store_bytes: u64,
    pub store_health: String,
    pub store_writable: bool,
    pub vault: Value,
    pub checkpoints_leave_the_file: bool,
    pub alarm: Option<String>,
    pub core_dumps: bool,
    pub sizes: Sizes,
    /// How large everything was, once a day, the oldest first.
    pub history: Vec<Sizes>,
    /// Why there is too little room on the disk.
    pub disk_warning: Option<String>,
    /// Whether the token in the file opens anything; null where there is none.
    pub http_token_known: Option<bool>,
    pub index_bytes: u64,
    pub index_passages: u64,
    pub libraries: usize,
    pub audit_entries: u64,
    pub policy: policy::State,
    pub sessions: usize,
    /// No new call begins, and the server ends when none is under way.
    pub draining: bool,
    /// Nothing but health and the audit log is served.
    pub frozen: bool,
    pub since_start: Value,
}

/// How large the parts of an installation are.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sizes {
    /// When, in milliseconds since 1970.
    #[schemars(with = "u64")]
    pub at: Timestamp,
    pub database_bytes: u64,
    pub index_bytes: u64,
    pub log_bytes: u64,
    /// Pages of web sites.
    pub mirror_bytes: u64,
    /// The folder of scheduled backups.
    pub backup_bytes: u64,
    /// What else lies in the data directory.
    pub other_bytes: u64,
}

pub struct Status {
    about: About,
    look: Arc<dyn Look>,
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Status")
    }
}

impl Status {
    pub fn new(look: Arc<dyn Look>) -> Self {
        let input = json!({"type": "object", "properties": {}, "additionalProperties": false});
        let mut about = About::reading(Kind::Admin, "status", "Status", "What runs here and how it is.", input);
        about.action_group = ActionGroup::Operate;
        (about.urgent, about.in_freeze) = (true, true);
        about.output = Some(output_of::<State>());
        Self { about, look }
    }
}

impl Operation for Status {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, _cx: &'a Cx, _arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async { Ok(Outcome::Done(Output::structured(written(&self.look.look().await?)?, String::new()))) })
    }
}
