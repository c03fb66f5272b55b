//! The table of budgets as it is written: what one call of an agent may use.
#![allow(clippy::doc_markdown, reason = "these comments are shown to people as they are")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ToolExecution {
    /// Hold each call of an agent to the budgets below, and read PDF, DOCX, archives and OpenAPI documents in a process of their own that can open no file and no connection. The time of a call is bounded either way.
    pub sandboxing_enabled: bool,
    /// Documents, requests and answers that one call may hold in memory, in MiB.
    pub max_memory_mb: u64,
    /// How many documents one call may open.
    pub max_file_reads: u64,
    /// How many requests one call may send to other machines, repetitions included.
    pub max_network_requests: u64,
    /// How long a call of a connector may take, in milliseconds, waiting and repeating included: the other machine has its own pace.
    pub connector_timeout_ms: u64,
}

impl Default for ToolExecution {
    fn default() -> Self {
        Self {
            sandboxing_enabled: true,
            max_memory_mb: 128,
            max_file_reads: 50,
            max_network_requests: 25,
            connector_timeout_ms: 30_000,
        }
    }
}
