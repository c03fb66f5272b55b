//! How long it takes to enter a session that is there, among a hundred thousand, and to leave it again.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{anyhow, ensure};
use sekisho::auth::session::{Handle, Sessions, Whence};
use sekisho::base::bound;
use sekisho::base::clock::SystemClock;
use sekisho::base::id::SessionId;
use sekisho::base::principal::{Principal, Role};
use sekisho::config::Config;
use sekisho::config::raw::Raw;

use crate::common::{Times, Watch};

const SESSIONS: usize = 100_000;
const LOOKUPS: usize = 1_000_000;
const GOAL_P99_NS: u128 = 5_000;
/// Coprime to the number of sessions, and far from one: it visits all of them, and no neighbours in turn.
const STRIDE: usize = 61_803;

pub(crate) fn measure() -> anyhow::Result<()> {
    let config = Config::of(Raw::default()).map_err(|wrong| anyhow!("the default configuration: {wrong:?}"))?;
    let sessions = Sessions::new(Arc::new(SystemClock::default()), config.session, config.limits);
    let whence = Whence { transport: "http", address: None, certificate: None };
    let mut callers = Vec::with_capacity(SESSIONS);
    let watch = Watch::start();
    for number in 0..SESSIONS {
        let caller =
            (Principal::token(&format!("agent-{number}"), Role::Reader), Handle::Connection(SessionId::random()?));
        sessions.enter(&caller.0, &caller.1, &whence)?;
        callers.push(caller);
    }
    let began = watch.elapsed().as_nanos() / SESSIONS as u128;
    let found = sessions.count();
    ensure!(found == SESSIONS, "of {SESSIONS} sessions {found} are there: SESSIONS_MAX is {}", bound::SESSIONS_MAX);
    let mut times = Vec::with_capacity(LOOKUPS);
    for turn in 0..LOOKUPS {
        let Some((principal, handle)) = callers.get(turn * STRIDE % SESSIONS) else { continue };
        let begun = watch.elapsed();
        drop(black_box(sessions.enter(principal, handle, &whence)?));
        times.push(watch.elapsed().saturating_sub(begun));
    }
    let times = Times::of(times);
    let (p50, p99) = (times.ns(50), times.ns(99));
    let met = if p99 < GOAL_P99_NS { "met" } else { "MISSED" };
    println!("\n| sessions | beginning one, ns | look-ups | p50/p99 ns | goal |\n|---|---|---|---|---|");
    println!("| {SESSIONS} | {began} | {LOOKUPS} | {p50}/{p99} | p99 < {GOAL_P99_NS} ns: {met} |");
    Ok(())
}
