//! Reports over the real binary: their totals against a count of the log's own entries, who may have one, and the page.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::Client;
use crate::harness::{Installation, Server, base_headers, text};
use crate::strongroom::{check, told, until};

const PASSWORD: &str = "correct horse battery staple";

fn report(installation: &Installation, arguments: &[&str]) -> Value {
    installation.json(&[&["report", "--format", "json"], arguments].concat())
}

/// The holder of a token that the running server issued.
fn issued(installation: &Installation, name: &str) -> Client {
    Client::with(installation.json(&["token", "issue", name])["token"].as_str().unwrap())
}

/// Calls, refusals and failures of several callers, with a policy that changes and a backup.
fn lively(installation: &Installation) -> Server {
    installation.add_library("demo", &[("a.md", "# A\n\nzebra\n")]);
    let server = installation.serve();
    for _ in 0..5 {
        server.call("search_documents", json!({"query": "zebra"}));
    }
    let other = issued(installation, "other");
    assert_eq!(other.call(&server, "list_libraries").status, 200);
    // Refused by the schema, for there is no such argument.
    server.modern("tools/call", json!({"name": "search_documents", "arguments": {"nothing": 1}}));
    assert_eq!(server.raw("POST", "/mcp", &base_headers("Bearer wrong"), "{}").status, 401);
    let policies = installation.data().join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(
        policies.join("own.cedar"),
        "permit (principal == Sekisho::Principal::\"token:x\", action, resource);\n",
    )
    .unwrap();
    // Whether it compiles or not: either way it is a change that somebody tried.
    installation.run(&["policy", "reload"]);
    let backup = installation.folder("backups").join("one.backup");
    installation.json(&["backup", backup.to_str().unwrap()]);
    check(&installation.run(&["audit", "verify"]), 0, &["sound"]);
    server
}

/// By what each entry says, counted here and by nothing of the program.
fn count<'a>(entries: &'a [Value], key: impl Fn(&'a Value) -> Option<&'a str>) -> BTreeMap<&'a str, u64> {
    let mut counts = BTreeMap::new();
    for name in entries.iter().filter_map(key) {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn is_call(entry: &Value) -> bool {
    ["call", "administration"].contains(&entry["event"].as_str().unwrap()) && entry["outcome"] != "intent"
}

#[test]
fn the_totals_of_a_report_are_those_of_the_log() {
    let installation = Installation::new();
    let server = lively(&installation);
    let report = report(&installation, &[]);
    let (first, last) = (report["period"]["first"].as_u64().unwrap(), report["period"]["last"].as_u64().unwrap());
    let mut entries = installation.entries();
    entries.retain(|entry| (first..=last).contains(&entry["sequence"].as_u64().unwrap()));
    assert_eq!((first, entries.len() as u64), (0, last + 1), "the whole log was read");

    assert_eq!(report["totals"]["entries"], entries.len());
    let outcomes = count(&entries, |entry| entry["outcome"].as_str());
    assert_eq!(report["totals"]["outcomes"], json!(outcomes));
    assert_eq!(report["totals"]["events"], json!(count(&entries, |entry| entry["event"].as_str())));
    let calls: Vec<Value> = entries.iter().filter(|entry| is_call(entry)).cloned().collect();
    assert_eq!(report["totals"]["calls"], calls.len());
    let table = |rows: &Value| -> BTreeMap<String, u64> {
        let rows = rows["rows"].as_array().unwrap();
        rows.iter().map(|row| (row["name"].as_str().unwrap().to_owned(), row["count"].as_u64().unwrap())).collect()
    };
    let of = |counts: BTreeMap<&str, u64>| counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    let principals: BTreeMap<String, u64> = of(count(&calls, |entry| entry["principal"].as_str()));
    assert_eq!(table(&report["principals"]), principals);
    let refused: Vec<Value> = entries.iter().filter(|entry| entry["outcome"] == "refused").cloned().collect();
    let reasons: BTreeMap<String, u64> =
        of(count(&refused, |entry| entry["reason"].as_str().unwrap().split(':').next()));
    assert_eq!(table(&report["refusals"]), reasons);
    assert!(reasons.contains_key("invalid") && reasons.contains_key("unauthenticated"), "{reasons:?}");

    let over_time = |key: &str| -> u64 {
        let steps = report["over_time"]["steps"].as_array().unwrap();
        steps.iter().map(|step| step[key].as_u64().unwrap()).sum()
    };
    assert_eq!(over_time("done") + over_time("failed") + over_time("refused"), calls.len() as u64);
    assert_eq!(over_time("refused"), calls.iter().filter(|entry| entry["outcome"] == "refused").count() as u64);
    let searches = report["latency"].as_array().unwrap().iter().find(|row| row["operation"] == "search_documents");
    assert_eq!(searches.unwrap()["count"], 5);
    drop(server);
}

#[test]
fn a_report_tells_of_changes_backups_keys_and_proves_its_last_entry() {
    let installation = Installation::new();
    let server = lively(&installation);
    let report = report(&installation, &["--from", "1h"]);
    let operations = |list: &str| -> Vec<String> {
        let rows = report[list].as_array().unwrap();
        rows.iter()
            .map(|row| format!("{} {}", row["operation"].as_str().unwrap(), row["outcome"].as_str().unwrap()))
            .collect()
    };
    assert!(operations("policies").iter().any(|row| row.starts_with("policy ")), "{report}");
    assert_eq!(operations("backups"), ["backup.make done"]);
    assert_eq!(operations("verifications"), ["audit.verify done"]);
    assert!(report["verifications"][0]["reason"].as_str().unwrap().contains("verdict sound"), "{report}");
    assert_eq!(operations("backup_verifications"), [""; 0]);
    let made = report["changes"].as_array().unwrap().iter().find(|row| row["name"] == "token.issue").unwrap();
    assert_eq!(made["count"], 1);
    let changes = report["changes"].as_array().unwrap();
    assert!(changes.iter().all(|row| row["name"] != "backup.make"), "a backup has a list of its own: {changes:?}");
    let ages = report["ages"].as_array().unwrap();
    for kind in ["vault key", "api key"] {
        assert!(ages.iter().any(|age| age["kind"] == kind && age["days"] == 0), "{kind}");
    }
    // The proof is that of `audit prove`, against the checkpoint that the report carries.
    let last = report["period"]["last"].as_u64().unwrap();
    assert_eq!(report["log"]["proof"]["sequence"], last);
    assert!(report["log"]["proof"]["size"].as_u64().unwrap() > last);
    let note = report["log"]["checkpoint"].as_str().unwrap();
    assert!(note.starts_with(report["installation"].as_str().unwrap()), "{note}");
    let file = installation.folder("given").join("checkpoint.txt");
    std::fs::write(&file, note).unwrap();
    let key = report["log"]["verifying_keys"][0].as_str().unwrap();
    let verified = installation.run(&["audit", "verify", "--vkey", key, "--checkpoint", file.to_str().unwrap()]);
    check(&verified, 0, &["sound"]);
    drop(server);
}

#[test]
fn refusals_that_were_only_counted_when_the_server_stopped_are_in_the_report() {
    let installation = Installation::new();
    let server = installation.serve();
    for _ in 0..7 {
        assert_eq!(server.raw("POST", "/mcp", &base_headers("Bearer wrong"), "{}").status, 401);
    }
    assert_eq!(server.terminate(), Some(0));
    let totals = &report(&installation, &[])["totals"];
    let entries = totals["outcomes"]["refused"].as_u64().unwrap();
    assert_eq!(entries + totals["refusals_without_entry"].as_u64().unwrap(), 7, "{totals}");
}

#[test]
fn a_report_names_who_looked_at_an_alert() {
    let mut installation = Installation::new();
    installation.set("WATCH_AUTHENTICATION_FAILURES", "1");
    let server = installation.serve();
    assert_eq!(server.raw("POST", "/mcp", &base_headers("Bearer wrong"), "{}").status, 401);
    until("an alert", || {
        let alerts = installation.json(&["alert", "list"]);
        alerts["alerts"].as_array().unwrap().first().cloned()
    });
    let before = report(&installation, &[]);
    assert_eq!(before["alerts"][0]["event"], "authentication_failures");
    assert!(before["alerts"][0]["acknowledged_by"].is_null(), "{before}");
    let id = before["alerts"][0]["id"].to_string();
    installation.json(&["alert", "acknowledge", &id]);
    let after = report(&installation, &[]);
    let by = after["alerts"][0]["acknowledged_by"].as_str().unwrap();
    assert!(by.starts_with("local:"), "{by}");
    drop(server);
}

#[test]
fn a_report_of_a_time_has_the_entries_of_that_time_and_no_other() {
    let installation = Installation::new();
    let server = lively(&installation);
    let whole = report(&installation, &[]);
    let entries = installation.entries();
    let middle = &entries[entries.len() / 2];
    let at = middle["at"].as_str().unwrap();
    let (before, after) = (report(&installation, &["--to", at]), report(&installation, &["--from", at]));
    assert!(before["period"]["last"].as_u64().unwrap() < middle["sequence"].as_u64().unwrap());
    assert_eq!(before["period"]["last"].as_u64().unwrap() + 1, after["period"]["first"].as_u64().unwrap());
    assert!(before["totals"]["entries"].as_u64().unwrap() < whole["totals"]["entries"].as_u64().unwrap());
    let nothing = report(&installation, &["--from", "2020-01-01", "--to", "2020-01-02"]);
    assert_eq!((&nothing["totals"]["entries"], &nothing["period"]["last"]), (&json!(0), &Value::Null));
    let turned = installation.run(&["report", "--from", "2020-01-02", "--to", "2020-01-01"]);
    check(&turned, 64, &["before it begins"]);
    // What has not been yet is in no report.
    check(&installation.run(&["report", "--from", "2099-01-01"]), 64, &["in the future"]);
    let ahead = report(&installation, &["--to", "2099-01-01"]);
    assert!(ahead["period"]["to"].as_str().unwrap() < "2099", "{}", ahead["period"]);
    assert!(ahead["period"]["last"].as_u64() > whole["period"]["last"].as_u64());
    drop(server);
}

#[test]
fn the_page_is_one_private_file_that_replaces_nothing() {
    let installation = Installation::new();
    let server = lively(&installation);
    let path = installation.folder("out").join("report.html");
    let path_text = path.to_str().unwrap();
    check(&installation.run(&["report", "--out", path_text]), 0, &["calls", "entries"]);
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "{page}");
    for part in ["token:other", "PCI DSS", "not covered", "164.312(b)", "Art. 17", "CC7.4", "<svg "] {
        assert!(page.contains(part), "{part}");
    }
    for reference in ["src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(reference), "it would fetch or run something: {reference}");
    }
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    check(&installation.run(&["report", "--out", path_text]), 73, &["exists already; it was left as it is"]);
    let shown = installation.run(&["report"]);
    assert!(text(&shown.stdout).starts_with("<!DOCTYPE html>"));
    drop(server);
}

#[test]
fn every_control_of_the_four_frameworks_has_a_state_and_its_reason() {
    let installation = Installation::new();
    let report = report(&installation, &[]);
    let frameworks = report["frameworks"].as_array().unwrap();
    let names: Vec<&str> = frameworks.iter().map(|framework| framework["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["GDPR", "SOC 2", "HIPAA", "PCI DSS"]);
    let mut states = BTreeMap::new();
    for control in frameworks.iter().flat_map(|framework| framework["controls"].as_array().unwrap()) {
        assert!(!control["evidence"].as_array().unwrap().is_empty(), "{control}");
        *states.entry(control["state"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert!(states["covered"] > 0 && states["not_covered"] > 0, "{states:?}");
    let control = |reference: &str| {
        let mut all = frameworks.iter().flat_map(|framework| framework["controls"].as_array().unwrap());
        all.find(|control| control["reference"] == reference).unwrap()["state"].clone()
    };
    // No backup was made, so there is no evidence of one.
    assert_eq!(control("Art. 32(1)(c)"), "missing");
    assert_eq!(control("10.2"), "covered");
    // What is kept for ever is kept for a year and for six, and has no limit.
    assert_eq!((control("10.5"), control("164.316(b)(2)")), (json!("covered"), json!("covered")));
    assert_eq!(control("Art. 5(1)(e)"), "missing");
    assert_eq!(control("CC6.4"), "not_covered");
}

#[test]
fn an_auditor_has_a_report_over_http_and_a_reader_none() {
    let installation = Installation::new();
    let server = installation.serve();
    for (name, role) in [("aude", "auditor"), ("ruth", "reader")] {
        check(&told(&installation, &["account", "add", name, "--role", role], &format!("{PASSWORD}\n")), 0, &[role]);
    }
    let ask = |name: &str| {
        let shown = STANDARD.encode(format!("{name}:{PASSWORD}"));
        let authorization = format!("Basic {shown}");
        let headers = [("Host", "localhost"), ("Authorization", authorization.as_str())];
        server.raw("GET", "/admin/reports?from=1h", &headers, "")
    };
    let given = ask("aude");
    assert_eq!(given.status, 200, "{}", given.body);
    let report: Value = serde_json::from_str(&given.body).unwrap();
    assert_eq!((&report["format"], &report["version"]), (&json!("sekisho-report"), &json!(1)));
    assert_eq!(ask("ruth").status, 403);
    let entries = installation.entries();
    let outcomes: Vec<&str> = entries
        .iter()
        .filter(|entry| entry["operation"] == "report.make")
        .map(|entry| entry["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["done", "refused"]);
}
