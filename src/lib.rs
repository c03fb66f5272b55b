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
//! only [`http`] and [`web`] warp; only [`app`] sees everything.
//!
//! **Invariant:** there is no outbound connection, no static state, no environment read outside of [`config`],
//! no clock outside of [`base::clock`], no default password, key or token, and nothing unbounded ([`base::bound`]).

pub mod admin; // 9
pub mod app; // 13
pub mod audit; // 5
pub mod auth; // 6
pub mod base; // 0
pub mod cli;
pub mod config; // 1
pub mod crypto; // 2
#[cfg(feature = "conformance-fixtures")]
pub mod fixture; // 9
pub mod http; // 12
pub mod library; // 7
pub mod mcp; // 11
pub mod operation; // 8
pub mod pipeline; // 10
pub mod schema; // 2
pub mod search; // 3
pub mod store; // 3
pub mod telemetry; // 2
pub mod tool; // 9
pub mod web; // 11 // 14
