//! Reads a URL the one way that policies, certificates and requests are made from, and refuses what others could read
//! in another way.

use ::url::{Host, Url as Parsed};

use crate::base::bound::connector::WIRE_URL_BYTES_MAX;
use crate::config::target::{Endpoint, Url, is_name};

/// `https://`, or `http://` to this machine if `cleartext_loopback`. Gives the reason why not.
pub(super) fn parse(text: &str, cleartext_loopback: bool) -> Result<Url, String> {
    let no = |reason: &str| Err(reason.to_owned());
    if text.len() > WIRE_URL_BYTES_MAX {
        return Err(format!("a URL has at most {WIRE_URL_BYTES_MAX} bytes"));
    }
    if text.chars().any(|char| char.is_control() || char.is_whitespace() || char == '\\') {
        return no("a URL has no spaces, control characters or backslashes");
    }
    let written = text.split_once("://").map_or("", |(_, rest)| rest);
    let written = written.split(['/', '?', '#']).next().unwrap_or_default();
    if written.is_empty() {
        return no("expected a URL such as https://api.example.org/");
    }
    if written.contains('@') {
        return no("a URL has no user and no password");
    }
    let parsed = Parsed::parse(text).map_err(|error| error.to_string())?;
    let host = host(&parsed, written)?;
    let port = parsed.port_or_known_default().filter(|port| *port != 0).ok_or("port 0 is none")?;
    let endpoint = Endpoint { host, port };
    let is_tls = match parsed.scheme() {
        "https" => true,
        "http" if !cleartext_loopback => return no("http:// would send in the clear what is said; write https://"),
        "http" if !endpoint.is_loopback() => return no("http:// is for this machine only; write https://"),
        "http" => false,
        _ => return no("expected a URL of https"),
    };
    let path = match parsed.query() {
        Some(query) => format!("{}?{query}", parsed.path()),
        None => parsed.path().to_owned(),
    };
    Ok(Url { is_tls, endpoint, path })
}

/// The host in lower case and ASCII, without the dot at its end.
fn host(parsed: &Parsed, written: &str) -> Result<String, String> {
    // With its port, if it has one.
    let written = written.to_ascii_lowercase();
    match parsed.host() {
        Some(Host::Ipv4(address)) => {
            // 2130706433, 0x7f.1, 0177.0.0.1 and their like: no resolver and no person agrees with another on them.
            let plain = address.to_string();
            let rest = written.strip_prefix(&plain).filter(|rest| rest.is_empty() || rest.starts_with(':'));
            rest.map(|_| plain).ok_or_else(|| "an address is written as four decimal numbers".to_owned())
        }
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        Some(Host::Domain(name)) => {
            let as_written = written.rsplit_once(':').map_or(&*written, |(host, _)| host);
            if as_written.is_ascii() && as_written != name {
                return Err("the host is not read as it is written".into());
            }
            let name = name.strip_suffix('.').unwrap_or(name);
            if name.len() > 253 || !is_name(name) {
                return Err("the host is no name".into());
            }
            Ok(name.to_owned())
        }
        None => Err("a URL has a host".into()),
    }
}
