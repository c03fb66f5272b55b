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
fn the_readme_names_each_command() {
    let help = text(&Installation::bare().command(&["--help"]).env("COLUMNS", "200").output().unwrap().stdout);
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let commands =
        commands.take_while(|line| line.starts_with("  ")).map(|line| line.split_whitespace().next().unwrap());
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let rows: Vec<_> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    let missing: Vec<_> = commands
        .filter(|command| *command != "help")
        .filter(|command| {
            let (alone, first) = (format!("`{command}`"), format!("`{command} "));
            !rows.iter().any(|row| row.contains(&alone) || row.contains(&first))
        })
        .collect();
    assert!(missing.is_empty(), "not in the README's table: {missing:?}");
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
