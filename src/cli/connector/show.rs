//! What commands about connectors print.

use serde_json::Value;

use super::super::exit::Failure;
use super::super::print;

pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

pub(super) fn list(connectors: &Value) -> Result<(), Failure> {
    if items(connectors).is_empty() {
        return print::line("There are no connectors. Add one: sekisho connector add NAME FILE --base-url URL");
    }
    for connector in items(connectors) {
        let state = match (connector["enabled"] == true, connector["waits"].is_null()) {
            (false, _) => "off",
            (true, true) => "on",
            (true, false) => "on, a change waits",
        };
        let note = format!("{} operations, {state}", connector["document"]["operations"]);
        print::line(&format!(
            "{}  {}  {}",
            print::painted(print::TITLE, &format!("{:<16}", text(connector, "name"))),
            text(connector, "base_url"),
            print::painted(print::FAINT, &note)
        ))?;
    }
    Ok(())
}

pub(super) fn facts(connector: &Value) -> Result<(), Failure> {
    let document = &connector["document"];
    let bound = &connector["binding"];
    let oauth = &bound["oauth"];
    let binding = match bound["name"].as_str() {
        Some(_) if oauth.is_object() => {
            format!("tokens of {} from {}, as {}", text(oauth, "client"), text(oauth, "endpoint"), text(oauth, "grant"))
        }
        Some(name) => format!("the credential {name}, as {}", text(bound, "as")),
        None => "no credential".to_owned(),
    };
    let api = print::harmless(&format!("{} {}", text(document, "title"), text(document, "version")));
    for (key, value) in [
        ("name", text(connector, "name").to_owned()),
        ("calls", text(connector, "base_url").to_owned()),
        ("API", api),
        ("mode", text(connector, "mode").to_owned()),
        ("level", text(connector, "classification").to_owned()),
        ("carries", binding),
        ("document", format!("sha256:{}", text(document, "sha256"))),
    ]
    .into_iter()
    .chain(settings(connector))
    {
        print::line(&format!("{} {value}", print::painted(print::FAINT, &format!("{key:<9}"))))?;
    }
    Ok(())
}

/// Only where there is something to say: most APIs answer.
pub(super) fn breaker(breaker: &Value) -> Result<(), Failure> {
    let said = match text(breaker, "state") {
        "open" => format!("failed repeatedly; nothing is sent to it for {} s", breaker["seconds_left"]),
        "half-open" => "failed repeatedly; the next call tries it again".to_owned(),
        _ if breaker["failures"] != 0 => format!("{} calls in a row failed", breaker["failures"]),
        _ => return Ok(()),
    };
    print::line(&format!("{} {}", print::painted(print::FAINT, "API state"), print::painted(print::WARNING, &said)))
}

pub(super) fn operations(rows: &Value) -> Result<(), Failure> {
    let width = |key: &str, most: usize| {
        let widths = items(rows).iter().map(|row| print::harmless(text(row, key)).chars().count());
        widths.max().unwrap_or_default().min(most)
    };
    let (names, paths) = (width("name", 64), width("path", 48));
    for row in items(rows) {
        let (word, style) = if row["on"] == true { ("on ", print::GOOD) } else { ("off", print::FAINT) };
        let old = if row["deprecated"] == true { " (deprecated)" } else { "" };
        let (name, path) = (text(row, "name"), print::harmless(text(row, "path")));
        let title = print::harmless(text(row, "title"));
        let what = format!("{:<6} {path:<paths$}  {title}{old}", text(row, "method"));
        let (word, name) = (print::painted(style, word), format!("{name:<names$}"));
        print::line(&format!(
            "{word}  {}  {}",
            print::painted(print::TITLE, &name),
            print::painted(print::FAINT, &what)
        ))?;
    }
    Ok(())
}

/// Only what is otherwise than usual.
fn settings(connector: &Value) -> Vec<(&'static str, String)> {
    let settings = &connector["settings"];
    let mut rows = Vec::new();
    let networks: Vec<&str> = items(&connector["networks"]).iter().filter_map(Value::as_str).collect();
    if !networks.is_empty() {
        rows.push(("networks", networks.join(", ")));
    }
    let authorities = &settings["authorities"];
    if !authorities.is_null() {
        rows.push(("trusts", format!("{} authorities, sha256:{}", authorities["count"], text(authorities, "sha256"))));
    }
    let certificate = &settings["client_certificate"];
    if !certificate.is_null() {
        rows.push((
            "shows",
            format!("the certificate {} to {}", text(certificate, "name"), text(certificate, "origin")),
        ));
    }
    if settings["tls_min"] == "1.3" {
        rows.push(("TLS", "1.3 at least".into()));
    }
    for (key, name) in [("proxy", "proxy"), ("scan", "scan")] {
        if let Some(value) = settings[name].as_str() {
            rows.push((key, print::harmless(value)));
        }
    }
    rows
}

/// Words of the document that look like an attack, and how to go on.
pub(super) fn findings(report: &Value) -> Result<(), Failure> {
    let rows = items(&report["items"]);
    for row in rows {
        let line = format!("suspicious: {} {}: {}", text(row, "name"), text(row, "pointer"), text(row, "rule"));
        print::line(&print::painted(print::BAD, &print::harmless(&line)))?;
        if !text(row, "text").is_empty() {
            print::line(&format!("    {}", text(row, "text").escape_debug()))?;
        }
    }
    if report["more"].as_u64().unwrap_or_default() > 0 {
        print::line(&format!("    and {} more", report["more"]))?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    print::line("An agent reads these words. Leave the operations out, or say --accept NAME for each.")
}

pub(super) fn left_out(report: &Value) -> Result<(), Failure> {
    let rows = items(&report["items"]);
    let (operations, details): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| row["operation"] == true);
    for row in &operations {
        let line = format!("left out: {}: {}", text(row, "pointer"), text(row, "reason"));
        print::line(&print::painted(print::WARNING, &print::harmless(&line)))?;
    }
    let details = details.len() as u64 + report["more"].as_u64().unwrap_or_default();
    if details > 0 {
        print::line(&format!("{details} parts of operations were left out as well; --json lists them."))?;
    }
    Ok(())
}

pub(super) fn change(waiting: &Value) -> Result<(), Failure> {
    let diff = &waiting["diff"];
    for (key, word, style) in [("added", "+", print::GOOD), ("removed", "-", print::BAD)] {
        for row in items(&diff[key]) {
            let line = format!(
                "{word} {}  {} {}  {}",
                text(row, "name"),
                text(row, "method"),
                text(row, "path"),
                text(row, "title")
            );
            print::line(&print::painted(style, &print::harmless(&line)))?;
        }
    }
    let security = Some(&diff["security"]).filter(|it| !it.is_null());
    for row in items(&diff["changed"]).iter().chain(security) {
        print::line(&print::painted(print::WARNING, &format!("~ {}", text(row, "name"))))?;
        for change in items(&row["changes"]) {
            let side =
                |key: &str| change[key].as_str().map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
            let line = format!("    {}: {} -> {}", text(change, "pointer"), side("before"), side("after"));
            print::line(&print::harmless(&line))?;
        }
        if row["more"].as_u64().unwrap_or_default() > 0 {
            print::line(&format!("    and {} more", row["more"]))?;
        }
    }
    for name in items(&waiting["would_be_on"]) {
        let is_new = items(&diff["added"]).iter().any(|row| row["name"] == *name);
        let what = if is_new { "new and on at once" } else { "does more than before and is on at once" };
        print::line(&format!("{what}: {}", name.as_str().unwrap_or_default()))?;
    }
    findings(&waiting["findings"])?;
    print::line(&format!("digest {}", text(waiting, "digest")))
}
