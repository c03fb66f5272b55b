//! Checks of what is reached over a network: TLS, its certificate, and the listeners.

use std::net::SocketAddr;
use std::path::Path;

use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::mend;
use crate::base::bound::scan as bound;
use crate::config::raw::Authentication;
use crate::crypto::tls::certificate::{Certificate, KeyKind, Standing};

/// Puts another certificate where the server looks for it, for the same names.
fn new_certificate(facts: &Facts) -> String {
    let Some(tls) = &facts.config.http.tls else { return mend::sekisho(facts, "tls init") };
    let Some(directory) = &facts.machine.tls_directory else {
        let put = |mode: &str, renewed: &str, file: &Path| {
            format!("install {} -m {mode} {renewed} {}", mend::owner(facts), mend::path(file))
        };
        let (key, chain) = (put("600", "RENEWED-KEY", &tls.key), put("644", "RENEWED-CERTIFICATE", &tls.certificate));
        return format!("{key} && {chain}   # from the authority that clients trust");
    };
    let mut command = format!("tls init --replace --directory {}", mend::path(directory));
    let names: Vec<&str> = match certificate(facts) {
        Some(certificate) => certificate.names.iter().filter_map(|name| Some(name.split_once(':')?.1)).collect(),
        // It cannot be read, and clients reach it by these.
        None => {
            let hosts = facts.config.http.allowed_hosts.iter().map(String::as_str);
            hosts.filter(|host| !host.contains(['*', ':'])).collect()
        }
    };
    // These three are in each of them.
    for name in names.into_iter().filter(|name| !["localhost", "127.0.0.1", "::1"].contains(name)) {
        command = format!("{command} --name {}", mend::quoted(name));
    }
    mend::sekisho(facts, &command)
}

fn certificate_place(facts: &Facts) -> String {
    facts.config.http.tls.as_ref().map_or_else(String::new, |tls| tls.certificate.display().to_string())
}

fn certificate(facts: &Facts) -> Option<&Certificate> {
    facts.machine.certificate.as_ref()?.as_ref().ok()
}

pub(super) fn tls_files(facts: &Facts) -> Vec<Finding> {
    let Some(Err(error)) = &facts.machine.certificate else { return Vec::new() };
    let why = format!("a server that starts now cannot serve TLS: {error}");
    vec![Finding::new(Severity::High, certificate_place(facts), why, new_certificate(facts))]
}

pub(super) fn tls_expiry(facts: &Facts) -> Vec<Finding> {
    let Some(certificate) = certificate(facts) else { return Vec::new() };
    let (severity, why) = match certificate.standing(facts.now) {
        Standing::Valid => return Vec::new(),
        Standing::Expiring(days) => (Severity::Medium, format!("the certificate expires in {days} days")),
        Standing::Expired => {
            (Severity::High, format!("the certificate expired at {}", certificate.not_after.rfc3339()))
        }
        Standing::NotYet => {
            (Severity::High, format!("the certificate is valid only from {} on", certificate.not_before.rfc3339()))
        }
    };
    vec![Finding::new(severity, certificate_place(facts), why, new_certificate(facts))]
}

pub(super) fn tls_strength(facts: &Facts) -> Vec<Finding> {
    let Some(certificate) = certificate(facts) else { return Vec::new() };
    let mut why = Vec::new();
    match certificate.key {
        KeyKind::Rsa(bits) if bits < bound::RSA_BITS_MIN => {
            why.push(format!("its RSA key has {bits} bits, fewer than {}", bound::RSA_BITS_MIN));
        }
        KeyKind::Elliptic(bits) if bits < bound::EC_BITS_MIN => {
            why.push(format!("its elliptic key has {bits} bits, fewer than {}", bound::EC_BITS_MIN));
        }
        _ => {}
    }
    if certificate.is_signed_weakly {
        why.push("it is signed over MD5 or SHA-1, which can be forged".to_owned());
    }
    if why.is_empty() {
        return Vec::new();
    }
    let mend = new_certificate(facts);
    vec![Finding::new(Severity::High, certificate_place(facts), why.join("; "), mend)]
}

fn is_exposed(address: SocketAddr) -> bool {
    !address.ip().is_loopback()
}

pub(super) fn cleartext(facts: &Facts) -> Vec<Finding> {
    let http = &facts.config.http;
    if !is_exposed(http.listen) || http.tls.is_some() {
        return Vec::new();
    }
    let why = "other machines reach this listener without TLS: whoever is on the way reads and changes everything";
    let mend = mend::default_of(&facts.config, "http.listen");
    vec![Finding::new(Severity::High, format!("the listener {}", http.listen), why, mend)]
}

pub(super) fn exposed(facts: &Facts) -> Vec<Finding> {
    let http = &facts.config.http;
    let mut found = Vec::new();
    if !is_exposed(http.listen) {
        return found;
    }
    let place = format!("the listener {}", http.listen);
    if http.authentication == Authentication::None {
        let why = "other machines reach it and need no credential";
        let mend = mend::default_of(&facts.config, "http.authentication");
        found.push(Finding::new(Severity::Critical, place.clone(), why, mend));
    }
    if http.listen.ip().is_unspecified() {
        let why = "it listens on every address of the machine, also on those that come later";
        let mend = mend::set(&facts.config, "http.listen", "\"ADDRESS:PORT\"");
        found.push(Finding::new(Severity::Low, place.clone(), why, mend));
    }
    if facts.config.raw.admin.http {
        let why = "administration is answered there too, for accounts of operators, auditors and administrators";
        let mend = mend::set(&facts.config, "admin.http", "false");
        found.push(Finding::new(Severity::Low, format!("{place} with /admin"), why, mend));
    }
    found
}

pub(super) fn metrics(facts: &Facts) -> Vec<Finding> {
    let Some(listen) = facts.config.metrics.listen.filter(|listen| is_exposed(*listen)) else { return Vec::new() };
    let why = "other machines read the figures without a credential and without TLS";
    let mend = mend::default_of(&facts.config, "metrics.listen");
    vec![Finding::new(Severity::Medium, format!("the listener {listen}"), why, mend)]
}
