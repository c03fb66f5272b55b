//! Access control by policy: who may do what, what a change of it does to those who are here, and what it tells nobody.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Installation, Server, text, write};

fn tools(server: &Server) -> Vec<String> {
    let listed = server.modern("tools/list", json!({})).message()["result"]["tools"].clone();
    listed.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn uris(server: &Server) -> Vec<String> {
    let listed = server.modern("resources/list", json!({})).message()["result"]["resources"].clone();
    listed.as_array().unwrap().iter().map(|item| item["uri"].as_str().unwrap().to_owned()).collect()
}

/// The entries about one operation, oldest first.
fn entries_of(installation: &Installation, operation: &str) -> Vec<Value> {
    installation.entries().into_iter().filter(|entry| entry["operation"] == operation).collect()
}

const CLOSED: &str = r#"@id("closed")
@reason("reading is closed")
forbid (
    principal in Sekisho::Role::"reader",
    action == Sekisho::Action::"read_document",
    resource
);
"#;

#[test]
fn a_policy_that_appears_takes_a_tool_away_and_one_that_is_broken_changes_nothing() {
    let installation = Installation::new();
    let policies = installation.data().join("policies");
    let server = installation.serve();
    let mut client = installation.stdio();
    let manual = json!({"library": "manual", "path": "index.md"});
    assert!(tools(&server).contains(&"read_document".to_owned()));
    assert_ne!(server.call("read_document", manual.clone())["isError"], true);

    write(&policies.join("10-closed.cedar"), CLOSED);
    installation.json(&["policy", "reload"]);
    client.hear("notifications/tools/list_changed");
    client.hear("notifications/prompts/list_changed");
    let listed = client.ask("tools/list", json!({}));
    assert!(!listed.to_string().contains("\"read_document\""), "{listed}");
    let left = tools(&server);
    assert!(!left.contains(&"read_document".to_owned()) && left.contains(&"search_documents".to_owned()), "{left:?}");
    let refused = server.modern("tools/call", json!({"name": "read_document", "arguments": manual})).message();
    let refused = refused.to_string();
    assert!(refused.contains("The policy does not allow reader to do read_document on the appliance."), "{refused}");
    assert!(!refused.contains("closed"), "the caller learns nothing of the policies: {refused}");
    let entry = entries_of(&installation, "read_document").pop().unwrap();
    assert_eq!(entry["outcome"], "refused");
    assert!(entry["reason"].as_str().unwrap().contains("denied by 10-closed.cedar#closed"), "{entry}");

    write(&policies.join("20-broken.cedar"), "forbid (principal, action,\n    resorce);");
    let output = installation.run(&["policy", "reload"]);
    assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("20-broken.cedar:2:"), "{}", text(&output.stderr));
    assert_eq!(tools(&server), left, "the old set stays");
    let state = installation.json(&["policy", "list"])["state"].clone();
    assert!(state["error"].as_str().unwrap().contains("20-broken.cedar:2:"), "{state}");
    assert_eq!(state["files"], 1);

    std::fs::remove_file(policies.join("20-broken.cedar")).unwrap();
    std::fs::remove_file(policies.join("10-closed.cedar")).unwrap();
    installation.json(&["policy", "reload"]);
    assert!(tools(&server).contains(&"read_document".to_owned()));

    let changes: Vec<(Value, String)> = entries_of(&installation, "policy")
        .into_iter()
        .map(|entry| (entry["outcome"].clone(), entry["reason"].as_str().unwrap().to_owned()))
        .collect();
    let outcomes: Vec<&Value> = changes.iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, ["done", "done", "failed", "done"], "{changes:?}");
    assert!(changes[0].1.contains("sha256") && changes[0].1.contains("before: none"), "{changes:?}");
    assert!(changes[2].1.contains("20-broken.cedar:2:"), "{changes:?}");
    installation.verify();
}

#[test]
fn a_changed_folder_is_noticed_without_a_command() {
    let mut installation = Installation::new();
    installation.set("POLICY_LOOK_SECONDS", "1");
    let mut client = installation.stdio();
    write(&installation.data().join("policies/a.cedar"), CLOSED);
    client.hear("notifications/tools/list_changed");
    assert!(!client.ask("tools/list", json!({})).to_string().contains("\"read_document\""));
}

#[test]
fn a_server_does_not_start_with_a_wrong_policy_and_says_where_it_is_wrong() {
    let installation = Installation::new();
    let policies = installation.data().join("policies");
    write(&policies.join("a.cedar"), CLOSED);
    let good = installation.run(&["policy", "check"]);
    assert_eq!((good.status.code(), text(&good.stderr)), (Some(0), String::new()));
    write(&policies.join("b.cedar"), "permit (principal, action == Sekisho::Action::\"fly\", resource);");
    let checked = installation.run(&["policy", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked.stdout).contains("b.cedar:1:"), "{}", text(&checked.stdout));
    let checked = installation.run(&["--json", "policy", "check", policies.to_str().unwrap()]);
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((&checked["valid"], &checked["problems"][0]["file"]), (&json!(false), &json!("b.cedar")));
    let refused = installation.run(&["serve"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(text(&refused.stderr).contains("b.cedar:1:"), "{}", text(&refused.stderr));
}

#[test]
fn a_policy_that_forbids_everything_can_be_mended_from_this_machine() {
    let installation = Installation::new();
    let policy = installation.data().join("policies/a.cedar");
    write(&policy, "forbid (principal, action, resource);");
    let server = installation.serve();
    assert!(server.modern("tools/list", json!({})).body.contains("does not allow"), "everything is forbidden");
    assert_eq!(installation.run(&["library", "list"]).status.code(), Some(77), "to the administrator too");
    let explained = installation.run(&["policy", "explain", "role:admin", "library.list", "appliance"]);
    assert!(text(&explained.stdout).contains("a.cedar"), "{}", text(&explained.stdout));
    std::fs::remove_file(&policy).unwrap();
    installation.json(&["policy", "reload"]);
    installation.json(&["library", "list"]);
    assert!(tools(&server).contains(&"read_document".to_owned()));
}

#[test]
fn a_library_above_a_readers_level_is_as_if_it_were_not_there() {
    let installation = Installation::new();
    let folder = installation.add_library("plans", &[("a.md", "# Plan\n\nquokka budget\n")]);
    let server = installation.serve();
    let mut client = installation.stdio();
    let uri = "sekisho://plans/a.md";
    client.ask("resources/subscribe", json!({"uri": uri}));
    assert_eq!(server.call("search_documents", json!({"query": "quokka"}))["structuredContent"]["total"], 1);
    assert!(uris(&server).contains(&uri.to_owned()));
    let entry = entries_of(&installation, "search_documents").pop().unwrap();
    assert_eq!(entry["reason"], "classification internal");

    let said = installation.json(&["library", "classify", "plans", "restricted"]);
    assert_eq!((&said["before"], &said["library"]["classification"]), (&json!("internal"), &json!("restricted")));
    client.hear("notifications/resources/list_changed");
    let searched = |arguments: Value| {
        server.modern("tools/call", json!({"name": "search_documents", "arguments": arguments})).body
    };
    assert_eq!(server.call("search_documents", json!({"query": "quokka"}))["structuredContent"]["total"], 0);
    assert!(!uris(&server).contains(&uri.to_owned()));
    assert!(!server.call("list_libraries", json!({})).to_string().contains("plans"));
    // Name by name the same as one that never was.
    let same = |hidden: String, missing: String| {
        assert_eq!(hidden.replace("plans", "NAME"), missing.replace("nowhere", "NAME"));
    };
    same(
        searched(json!({"query": "quokka", "libraries": ["plans"]})),
        searched(json!({"query": "quokka", "libraries": ["nowhere"]})),
    );
    let read = |library: &str| {
        let arguments = json!({"library": library, "path": "a.md"});
        server.modern("tools/call", json!({"name": "read_document", "arguments": arguments})).body
    };
    same(read("plans"), read("nowhere"));
    let resource =
        |library: &str| server.modern("resources/read", json!({"uri": format!("sekisho://{library}/a.md")})).body;
    same(resource("plans"), resource("nowhere"));
    let prompt = |library: &str| {
        let arguments = json!({"question": "quokka", "library": library});
        server.modern("prompts/get", json!({"name": "answer_from_library", "arguments": arguments})).body
    };
    same(prompt("plans"), prompt("nowhere"));
    let complete = |variable: &str, start: &str| {
        let reference = json!({"type": "ref/resource", "uri": "sekisho://{library}/{path}"});
        let argument = json!({"name": variable, "value": start});
        server.modern("completion/complete", json!({"ref": reference, "argument": argument})).body
    };
    assert!(!complete("library", "p").contains("plans"));
    assert!(!complete("path", "a").contains("a.md"));
    let entry = entries_of(&installation, "read_document").into_iter().find(|entry| entry["target"] == "plans/a.md");
    let reason = entry.unwrap()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("no policy permits it"), "{reason}");

    // Whoever is subscribed hears no more of it.
    write(&folder.join("a.md"), "# Plan\n\nquokka budget, cut\n");
    installation.json(&["library", "sync", "plans"]);
    installation.json(&["library", "classify", "plans", "internal"]);
    client.hear("notifications/resources/list_changed");
    assert!(!client.heard.iter().any(|message| message["params"]["uri"] == uri), "{:?}", client.heard);
    assert_eq!(server.call("search_documents", json!({"query": "quokka"}))["structuredContent"]["total"], 1);

    // The operator at the machine sees it all the time.
    assert!(installation.json(&["library", "list"]).to_string().contains("plans"));
}

#[test]
fn a_policy_opens_one_restricted_library_to_one_principal() {
    let installation = Installation::new();
    installation.add_library("plans", &[("a.md", "# Plan\n\nquokka\n")]);
    installation.json(&["library", "classify", "plans", "restricted"]);
    let permit = r#"permit (
        principal == Sekisho::Principal::"token:quickstart",
        action in Sekisho::Action::"agent",
        resource == Sekisho::Library::"plans"
    );"#;
    write(&installation.data().join("policies/plans.cedar"), permit);
    let server = installation.serve();
    assert_eq!(server.call("search_documents", json!({"query": "quokka"}))["structuredContent"]["total"], 1);
    let entry = entries_of(&installation, "search_documents").pop().unwrap();
    assert_eq!(entry["reason"], "classification restricted");
    let mut client = installation.stdio();
    let found = client.call("search_documents", json!({"query": "quokka"}));
    assert_eq!(found["result"]["structuredContent"]["total"], 0, "not for the other reader");
    let explain = |principal: &str| {
        installation.run(&["--json", "policy", "explain", principal, "search_documents", "library:plans"])
    };
    let opened = explain("token:quickstart");
    assert_eq!(opened.status.code(), Some(0), "{}", text(&opened.stderr));
    let opened: Value = serde_json::from_slice(&opened.stdout).unwrap();
    assert_eq!(opened["policies"][0]["id"], "plans.cedar#1", "{opened}");
    assert_eq!(explain("stdio:1000").status.code(), Some(1));
}

#[test]
fn explain_finds_the_role_of_an_account_and_a_token_and_says_what_keeps_them_out() {
    let installation = Installation::new();
    let word = installation.folder("words").join("word");
    std::fs::write(&word, "correct horse battery").unwrap();
    let added = installation
        .command(&["account", "add", "ann", "--role", "operator"])
        .stdin(std::fs::File::open(&word).unwrap())
        .output()
        .unwrap();
    assert!(added.status.success(), "{}", text(&added.stderr));
    let key = installation.json(&["token", "issue", "ci", "--role", "auditor", "--scope", "tool:read_document"]);
    let explain = |principal: &str, action: &str| -> Value {
        let output = installation.run(&["--json", "policy", "explain", principal, action, "appliance"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
    };
    let of_account = explain("account:ann", "library.add");
    assert_eq!((&of_account["allowed"], &of_account["principal"]["role"]), (&json!(true), &json!("operator")));
    assert_eq!(of_account["note"], Value::Null);
    for name in ["token:ci", &format!("token:{}", key["id"].as_str().unwrap())] {
        let of_token = explain(name, "library.add");
        assert_eq!((&of_token["allowed"], &of_token["principal"]["role"]), (&json!(false), &json!("auditor")));
        assert_eq!(of_token["principal"]["id"], "token:ci");
        assert_eq!(of_token["principal"]["scopes"], json!(["tool:read_document"]));
    }
    installation.json(&["account", "disable", "ann"]);
    installation.json(&["token", "revoke", "ci"]);
    assert!(explain("account:ann", "library.add")["note"].as_str().unwrap().contains("disabled"));
    assert!(explain("token:ci", "library.add")["note"].as_str().unwrap().contains("revoked"));
}

#[test]
fn explain_says_why_for_roles_scopes_and_what_is_not_there() {
    let installation = Installation::new();
    let explain = |arguments: &[&str]| {
        let output = installation.run(&[&["--json", "policy", "explain"], arguments].concat());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), answer["reason"].as_str().unwrap_or_default().to_owned())
    };
    let check = |arguments: &[&str], code: i32, reason: &str| {
        assert_eq!(explain(arguments), (Some(code), reason.to_owned()), "{arguments:?}");
    };
    check(&["role:reader", "search_documents", "library:manual"], 0, "permitted by shipped.cedar#agent-library");
    check(&["role:reader", "library.add", "appliance"], 1, "denied: no policy permits it");
    check(&["account:ann", "library.add", "appliance", "--role", "operator"], 0, "permitted by shipped.cedar#operator");
    let scoped = ["role:reader", "read_document", "library:manual", "--scope", "library:other"];
    check(&scoped, 1, "denied by shipped.cedar#scope-resource");
    let named = ["role:reader", "read_document", "library:x", "--scope", "library:x", "--classification", "restricted"];
    check(&named, 0, "permitted by shipped.cedar#agent-library");
    check(&["role:king", "read_document", "appliance"], 64, "");
    check(&["token:quickstart", "read_document", "appliance", "--role", "admin"], 64, "");
    check(&["account:ann", "read_document", "appliance"], 64, "");
    check(&["role:reader", "fly", "appliance"], 66, "");
    check(&["role:reader", "read_document", "library:nowhere"], 66, "");
}

/// What the conformance suites call beside all that begins with `test_`.
const FIXTURES: [&str; 8] = [
    "confirm_delete",
    "echo",
    "failing_job",
    "greet",
    "json_schema_2020_12_tool",
    "multi_input",
    "protocol_error_job",
    "slow_compute",
];

#[test]
fn the_matrix_of_roles_and_operations() {
    let installation = Installation::new();
    let matrix = installation.json(&["policy", "matrix"]);
    // The fixtures of the conformance suite are in no package, and not in the schema. All others have to be.
    let fixture = |name: &str| {
        let name = name.strip_prefix("prompt:").unwrap_or(name);
        name.starts_with("test_") || FIXTURES.contains(&name)
    };
    let ours = |row: &&Value| !cfg!(feature = "conformance-fixtures") || !fixture(row["action"].as_str().unwrap());
    let rows: Vec<&Value> = matrix["operations"].as_array().unwrap().iter().filter(ours).collect();
    let missing: Vec<&Value> = rows.iter().filter(|row| row["in_schema"] != true).map(|row| &row["action"]).collect();
    assert!(missing.is_empty(), "not in assets/policy/schema.cedarschema, or in another group there: {missing:?}");
    let names: BTreeSet<&str> = rows.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(names.len(), rows.len(), "two operations are one action");
    let shown = installation.run(&["policy", "show", "schema"]);
    let schema = text(&shown.stdout);
    for name in schema
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
    {
        let group = ["agent", "agent_change", "audit_read", "operate", "administer", "protocol"].contains(&name);
        assert!(group || names.contains(name), "{name} is in the schema, and no operation");
    }
    let mut table = String::new();
    for row in rows {
        let cell = |role: &str| match (&row[role]["allowed"], row[role]["libraries"].as_array().unwrap().last()) {
            (Value::Bool(true), Some(level)) => level.as_str().unwrap().to_owned(),
            (Value::Bool(true), None) => "yes".into(),
            _ => "-".into(),
        };
        let [reader, operator, auditor, admin] = ["reader", "operator", "auditor", "admin"].map(cell);
        let (action, group) = (row["action"].as_str().unwrap(), row["group"].as_str().unwrap());
        table.push_str(&format!("{action:<28} {group:<11} {reader:<11} {operator:<11} {auditor:<11} {admin}\n"));
    }
    insta::assert_snapshot!(table);
}
