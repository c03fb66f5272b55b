//! Checks of what is reached over a network: TLS, its certificate, and the listeners.

use std::net::SocketAddr;

use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::mend;
use crate::base::bound::scan as bound;
use crate::config::raw::Authentication;
use crate::crypto::tls::certificate::{Certificate, KeyKind, Standing};

const NEW_CERTIFICATE: &str = "tls init --replace";

fn certificate_place(facts: &Facts) -> String {
    facts.config.http.tls.as_ref().map_or_else(String::new, |tls| tls.certificate.display().to_string())
}

fn certificate(facts: &Facts) -> Option<&Certificate> {
    facts.machine.certificate.as_ref()?.as_ref().ok()
}

pub(super) fn tls_files(facts: &Facts) -> Vec<Finding> {
    let Some(Err(error)) = &facts.machine.certificate else { return Vec::new() };
    let why = format!("a server that starts now cannot serve TLS: {error}");
    vec![Finding::new(Severity::High, certificate_place(facts), why, mend::sekisho(facts, NEW_CERTIFICATE))]
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
    vec![Finding::new(severity, certificate_place(facts), why, mend::sekisho(facts, NEW_CERTIFICATE))]
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
    let mend = mend::sekisho(facts, NEW_CERTIFICATE);
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
