//! Whether "no such user" and "wrong password" can be told apart by their time: 200 pairs, interleaved, compared by the
//! Mann-Whitney U test.
#![allow(clippy::print_stdout, reason = "a bench speaks to a terminal")]
#![allow(clippy::cast_precision_loss, reason = "counts are small and times are short")]

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sekisho::audit::log::LogHook;
use sekisho::auth::account::AccountRecord;
use sekisho::auth::{Attempt, Authenticator, Evidence};
use sekisho::base::clock::{Clock as _, SystemClock, Timestamp};
use sekisho::base::principal::Role;
use sekisho::base::secret::Secret;
use sekisho::config::Config;
use sekisho::config::raw::Raw;
use sekisho::config::target::Endpoint;
use sekisho::crypto::password::PasswordHash;
use sekisho::egress::{Egress, Purpose, Witness};
use sekisho::store::table::Table;
use sekisho::store::{Batch, Put, Store, codec};
use sekisho::vault::State;
use sekisho::vault::door::Door;

const PAIRS: usize = 200;

/// Nothing goes out here.
struct Unseen;

impl Witness for Unseen {
    fn connected(&self, _: Purpose, _: &Endpoint, _: SocketAddr) {}
    fn refused(&self, _: Purpose, _: &Endpoint, _: &str) {}
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("sekisho.redb");
    Store::create(&path, &[])?;
    let opened = Store::open(&path)?;
    let hook = LogHook::of(&opened)?;
    let store = opened.start(Box::new(hook))?;
    let phc = PasswordHash::of(&Secret::new("correct horse battery"))?.to_phc();
    // An account for each pair: a second failure of one would wait.
    let rows = (0..PAIRS).map(|number| row(&name(number), &phc)).collect::<Result<Vec<_>, _>>()?;
    store.commit(Batch::puts(rows)).await?;
    let clock = Arc::new(SystemClock::default());
    let door = Arc::new(Door::new(State::Absent, clock.clone()));
    let Ok(config) = Config::of(Raw::default()) else { bail!("the defaults are valid") };
    let egress = Arc::new(Egress::new(&config.egress, Vec::new(), Arc::new(Unseen)));
    let authenticator = Authenticator::new(store.clone(), clock, door, &config, &egress)?;

    let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
    for number in 0..PAIRS {
        // Whoever is first in its pair changes with each pair.
        let mut pair = [(format!("nobody-{number:03}"), &mut unknown), (name(number), &mut wrong)];
        if number % 2 == 1 {
            pair.reverse();
        }
        for (name, times) in pair {
            times.push(refused(&authenticator, &name).await.context(name)?);
        }
    }
    store.close().await;
    let median = |times: &[f64]| {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    };
    println!("no such user:   median {:.3} ms of {PAIRS}", median(&unknown));
    println!("wrong password: median {:.3} ms of {PAIRS}", median(&wrong));
    let (u, z, p) = mann_whitney(&unknown, &wrong);
    println!("Mann-Whitney U = {u:.0}, z = {z:.2}, p = {p:.3} (two-sided; below 0.01 they could be told apart)");
    Ok(())
}

fn name(number: usize) -> String {
    format!("person-{number:03}")
}

fn row(name: &str, phc: &str) -> anyhow::Result<Put> {
    let record = AccountRecord {
        name: name.to_owned(),
        role: Role::Reader,
        phc: phc.to_owned(),
        disabled: false,
        made: Timestamp(0),
        changed: Timestamp(0),
        last_used: None,
        failures: 0,
    };
    Ok(Put::new(Table::Accounts, name.as_bytes(), codec::encode(&record)?))
}

/// How long a refusal takes, in milliseconds.
async fn refused(authenticator: &Authenticator, name: &str) -> anyhow::Result<f64> {
    let header = format!("Basic {}", STANDARD.encode(format!("{name}:wrong horse battery")));
    let evidence = Evidence::Http {
        peer: SocketAddr::from(([127, 0, 0, 1], 1)),
        is_private: true,
        authorization: Some(Secret::new(header)),
        certificate: None,
    };
    let watch = SystemClock::default();
    let attempt = authenticator.identify(&evidence).await?;
    let took = watch.monotonic();
    match attempt {
        Attempt::Failed(_) => Ok(took.as_secs_f64() * 1000.0),
        other => bail!("it was not refused: {other:?}"),
    }
}

/// U of the first sample, its distance from what chance gives in standard deviations, and how often chance alone goes
/// as far (normal approximation, good from 20 on each side).
fn mann_whitney(one: &[f64], other: &[f64]) -> (f64, f64, f64) {
    let mut u = 0.0;
    for value in one {
        u += other.iter().filter(|rival| value > *rival).count() as f64;
        u += 0.5 * other.iter().filter(|rival| value.total_cmp(rival).is_eq()).count() as f64;
    }
    let (n, m) = (one.len() as f64, other.len() as f64);
    let z = (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt();
    (u, z, (2.0 * upper_tail(z.abs())).min(1.0))
}

/// Area under the normal curve beyond `z` (Abramowitz and Stegun, 26.2.17; off by at most 7.5e-8).
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let factors = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = factors.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    sum * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
