//! Behaviour of the real binary: over sockets and pipes, one file per behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    reason = "a test ends where it is surprised, and reads the environment of its runner"
)]

mod admin;
mod api;
mod audit;
mod backup;
mod bans;
mod becoming;
mod bundle;
mod canary;
mod clamav;
mod clamd;
mod cli;
mod clean_up;
mod client;
mod connect;
mod connector;
mod connector_call;
mod controls;
mod crash;
mod credential;
mod cross;
mod crowd;
mod damage;
mod dice;
mod disk;
mod drill;
mod egress;
mod elapsed;
mod fault;
mod follow;
mod foreign;
mod freeze;
mod full;
mod gatekill;
mod golden;
mod harness;
mod http;
mod iconect;
mod identify;
mod incident;
mod inspect;
mod kill;
mod library;
mod library_bundle;
mod library_crash;
mod log;
mod mail;
mod mcp;
mod memory;
mod metrics;
mod mtls;
mod notify;
mod oauth;
mod oauth_crash;
mod oauth_desk;
mod oauth_page;
mod outfit;
mod outside;
mod passwords;
mod policy;
mod profile;
mod profile_pages;
mod rates;
mod reading;
mod rekey;
mod report;
mod retention;
mod scan;
mod search;
mod sessions;
mod setup;
mod snapshot;
mod streams;
mod strongroom;
mod supervised;
mod tamper;
mod timed;
mod transport;
mod ui;
mod ui_unusual;
mod upload;
mod upstream;
mod vault;
mod watch;
mod web;
mod workload;
