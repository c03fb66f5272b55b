//! A sync tells clients what changed, and only those who want to know.

use serde_json::json;

use crate::harness::{Installation, write};

#[test]
fn a_sync_tells_a_stdio_client_what_changed() {
    let installation = Installation::new();
    let folder = installation.add_library("demo", &[("a.md", "# A\n\nzebra\n"), ("b.md", "# B\n\nyak\n")]);
    let mut client = installation.stdio();
    assert!(client.ask("resources/subscribe", json!({"uri": "sekisho://demo/a.md"}))["result"].is_object());
    write(&folder.join("a.md"), "# A\n\nquokka\n");
    write(&folder.join("b.md"), "# B\n\nibis\n");
    write(&folder.join("c.md"), "# C\n\nwombat\n");
    installation.json(&["library", "sync", "demo"]);
    let updated = client.hear("notifications/resources/updated");
    assert_eq!(updated["params"]["uri"], "sekisho://demo/a.md");
    client.hear("notifications/resources/list_changed");
    assert!(!client.heard.iter().any(|message| message["params"]["uri"] == "sekisho://demo/b.md"), "not subscribed");
    assert!(client.ask("resources/unsubscribe", json!({"uri": "sekisho://demo/a.md"}))["result"].is_object());
    assert_eq!(client.close(), Some(0));
}
