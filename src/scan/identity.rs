//! Checks of who may come in: tokens and accounts that nobody uses, and keys that grew old.

use std::time::Duration;

use super::facts::{Facts, Token, days};
use super::finding::{Finding, Severity};
use super::mend;
use crate::base::bound::scan as bound;
use crate::base::clock::Timestamp;

const DAY: Duration = Duration::from_hours(24);

fn is_valid(facts: &Facts, token: &Token) -> bool {
    !token.is_revoked && token.expires.is_none_or(|expires| expires > facts.now)
}

fn place(token: &Token) -> String {
    format!("the {} {}", if token.kind == "jwt" { "JWT" } else { "API key" }, shown(token))
}

/// A JWT is known by its id, for its subject has many.
fn shown(token: &Token) -> &str {
    if token.kind == "jwt" { &token.id } else { &token.name }
}

fn revoke(facts: &Facts, token: &Token) -> String {
    mend::sekisho(facts, &format!("token revoke {}", mend::quoted(shown(token))))
}

/// For how many days it was not used, if that is too many.
fn stale(facts: &Facts, made: Timestamp, last_used: Option<Timestamp>) -> Option<String> {
    let (since, most, what) = match last_used {
        Some(used) => (used, bound::UNUSED_DAYS, "was last used"),
        None => (made, bound::TOKEN_NEVER_USED_DAYS, "was never used since it was made"),
    };
    let age = facts.age(since);
    (age > DAY * u32::try_from(most).unwrap_or(u32::MAX)).then(|| format!("it {what} {} days ago", days(age)))
}

pub(super) fn tokens_without_end(facts: &Facts) -> Vec<Finding> {
    let endless = facts.inside.tokens.iter().filter(|token| is_valid(facts, token) && token.expires.is_none());
    endless
        .map(|token| {
            let severity = if token.role == "reader" { Severity::Low } else { Severity::Medium };
            let why = format!("it is a {}'s and never expires: one that leaked is good for ever", token.role);
            let again = format!("token issue {} --role {} --expires-days 90", mend::quoted(&token.name), token.role);
            let again = mend::sekisho(facts, &again);
            let mend = if token.is_of_file {
                // In the place of the old one, and only once there is one: the file keeps its owner and its mode.
                let file = mend::path(&facts.places.http_token());
                let and_then = "# then connect the clients that have the old one again";
                format!(
                    "{} && token=$({again}) && printf '%s\\n' \"$token\" > {file}   {and_then}",
                    revoke(facts, token)
                )
            } else {
                format!("{} && {again}", revoke(facts, token))
            };
            Finding::new(severity, place(token), why, mend)
        })
        .collect()
}

pub(super) fn tokens_unused(facts: &Facts) -> Vec<Finding> {
    let valid = facts.inside.tokens.iter().filter(|token| is_valid(facts, token));
    valid
        .filter_map(|token| {
            let why = stale(facts, token.made, token.last_used)?;
            Some(Finding::new(Severity::Medium, place(token), why, revoke(facts, token)))
        })
        .collect()
}

pub(super) fn tokens_spent(facts: &Facts) -> Vec<Finding> {
    let spent = facts.inside.tokens.iter().filter(|token| !is_valid(facts, token)).count();
    if spent == 0 {
        return Vec::new();
    }
    let why = format!("{spent} of them are revoked or expired, and still in the list");
    vec![Finding::new(Severity::Info, "API keys and JWTs", why, mend::sekisho(facts, "prune"))]
}

pub(super) fn accounts_unused(facts: &Facts) -> Vec<Finding> {
    let able = facts.inside.accounts.iter().filter(|account| !account.is_disabled);
    able.filter_map(|account| {
        let why = stale(facts, account.made, account.last_used)?;
        let severity = if account.role == "reader" { Severity::Low } else { Severity::Medium };
        let mend = mend::sekisho(facts, &format!("account disable {}", mend::quoted(&account.name)));
        Some(Finding::new(severity, format!("the account {}", account.name), why, mend))
    })
    .collect()
}

pub(super) fn keys(facts: &Facts) -> Vec<Finding> {
    let Some(keys) = &facts.inside.keys else {
        let why = "the vault is sealed: how old its keys are was not looked at";
        return vec![Finding::new(Severity::Info, "the vault", why, mend::sekisho(facts, "vault unseal"))];
    };
    let late = DAY * u32::try_from(bound::ROTATION_LATE_DAYS).unwrap_or(u32::MAX);
    let mut found = Vec::new();
    for key in keys {
        let age = facts.age(key.made);
        let due = facts.config.vault.rotation.filter(|_| !key.keeps_versions).map(|rotation| rotation + late);
        let place = format!("the key for {}", key.purpose);
        let mend = mend::sekisho(facts, &format!("key rotate {}", key.purpose));
        if due.is_some_and(|due| age > due) {
            let why = format!("version {} is {} days old, and vault.rotation_days has passed", key.version, days(age));
            found.push(Finding::new(Severity::Medium, place, why, mend));
        } else if age > DAY * u32::try_from(bound::KEY_DAYS_MAX).unwrap_or(u32::MAX) {
            let why = format!("version {} is {} days old", key.version, days(age));
            found.push(Finding::new(Severity::Low, place, why, mend));
        }
    }
    found
}
