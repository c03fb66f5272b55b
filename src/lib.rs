//! Sekisho (関所): the checkpoint between AI agents and what they may see and touch.
//!
//! The map. A module imports only from modules above it in this list; `tests/tidy.rs` holds that.
//!
//! **Invariant:** every request takes one path: identify, admit, inspect, authorize, dispatch, redact, record
//! ([`pipeline`]). The steps' tickets have private fields, so leaving one out does not compile.
//!
//! **Invariant:** no reply leaves without a durable audit entry. The exceptions stand in `ARCHITECTURE.md`.
//!
//! **Invariant:** only [`store`] knows redb, only [`search`] tantivy, only [`crypto`] ciphers, only [`mcp`] rmcp,
//! only [`http`] and [`web`] warp, only [`egress`] connects to other machines; only [`app`] sees everything.
//!
//! **Invariant:** there is no outbound connection that no setting asks for, no static state, no environment read outside
//! of [`config`], no clock outside of [`base::clock`], no default password, key or token, and nothing unbounded
//! ([`base::bound`]).

#![cfg_attr(
    test,
    allow(
        clippy::format_collect,
        clippy::format_push_string,
        clippy::duration_suboptimal_units,
        clippy::unnecessary_wraps,
        clippy::single_range_in_vec_init,
        reason = "tests build texts and times in the plainest way"
    )
)]

pub mod base; // floor 0: words that all share
pub mod config; // 1: what was chosen
pub mod plot; // 1: figures over time as SVG
pub mod client; // 2: programs that use us, and their configuration
pub mod crypto; // 2: the only door to ciphers
pub mod guardrail; // 2: what an attack looks like
pub mod schema; // 2: JSON Schema with bounds
pub mod archive; // 3: one file of several members
pub mod egress; // 3: the only connections to other machines
pub mod openapi; // 3: a document of a REST API, read
pub mod scan; // 3: what is weak in an installation
pub mod sandbox; // 3: processes that read what is not trusted
pub mod search; // 3: tantivy
pub mod store; // 3: redb
pub mod telemetry; // 3: what the program says of itself
pub mod vault; // 4: keys and credentials
pub mod audit; // 5: what happened
pub mod auth; // 6: who asks, and how often
pub mod custody; // 6: keys changed, credentials kept, the database backed up
pub mod incident; // 6: what is on record of an incident, and its evidence
pub mod connector; // 7: REST APIs as tools
pub mod library; // 7: documents
pub mod profile; // 7: what is special about one set of documents, as data
pub mod report; // 7: what happened, for whoever answers for it
pub mod operation; // 8: what can be asked
pub mod tool; // 9: operations for agents
pub mod admin; // 9: operations for operators
pub mod watch; // 9: rules over the audit log, and alerts
#[cfg(feature = "conformance-fixtures")]
pub mod fixture; // 9: operations for the conformance suite
pub mod pipeline; // 10: the one path
pub mod mcp; // 11: rmcp
pub mod web; // 11: what is served beside MCP
pub mod http; // 12: the listeners
pub mod app; // 13: composition
pub mod cli; // 14: the command line
