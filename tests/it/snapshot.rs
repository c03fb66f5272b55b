//! What clients and people see first, as snapshots: a change of it is seen in review (`INSTA_UPDATE=always` writes them).

use serde_json::{Value, json};

use crate::harness::{Installation, text};

#[test]
fn the_help_of_the_command_line() {
    let installation = Installation::bare();
    let help = text(&installation.command(&["--help"]).env("COLUMNS", "100").output().unwrap().stdout);
    insta::assert_snapshot!(help);
}

#[test]
fn the_tools_prompts_and_templates() {
    let installation = Installation::new();
    let server = installation.serve();
    let mut all = json!({});
    for (method, key) in
        [("tools/list", "tools"), ("prompts/list", "prompts"), ("resources/templates/list", "resourceTemplates")]
    {
        let listed = server.modern(method, json!({})).message()["result"][key].clone();
        // The fixtures of the conformance suite are not ours to show.
        let ours = |item: &&Value| {
            ["list_libraries", "search_documents", "read_document", "answer_from_library", "document"]
                .contains(&item["name"].as_str().unwrap())
        };
        all[key] = listed.as_array().unwrap().iter().filter(ours).cloned().collect();
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&all).unwrap());
}
