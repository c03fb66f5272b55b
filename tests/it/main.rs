//! Behaviour of the real binary: over sockets and pipes, one file per behaviour.

mod audit;
mod cli;
mod crowd;
mod harness;
mod http;
mod kill;
mod library;
mod mcp;
mod notify;
mod search;
mod setup;
mod snapshot;
