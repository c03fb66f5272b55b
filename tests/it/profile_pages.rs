//! Which page a profile's tools name: the one that there is, by the name that finds it, and code in any language's words.

use serde_json::{Value, json};

use crate::harness::{Installation, Server, write};

/// As the downloaded documentation lies: all below one folder, with a file that is no page beside it.
fn documents() -> Vec<(&'static str, String)> {
    let module = |title: &str, package: &str| format!("---\ntitle: {title}\npackageName: {package}\n---\n# {title}\n");
    let code = "# Locating a kettle\n\nThe location of a kettle.\n\n```js\nawait getLocation();\n```\n\n```js\nother();\n```\n";
    vec![
        ("SOURCE.txt", "Where this is from.\n".to_owned()),
        ("md/workflow/configuration.md", "# Configuration\n\nOf the app.\n".to_owned()),
        (
            "md/build-reference/troubleshooting.md",
            "# Troubleshooting\n\nThe Gradle build daemon disappeared.\n".to_owned(),
        ),
        ("md/guides/locating.md", code.to_owned()),
        ("md/versions/v53.0.0/sdk/kettle-legacy.md", module("Kettle (legacy)", "expo-kettle")),
        ("md/versions/v53.0.0/sdk/kettle.md", module("Kettle", "expo-kettle")),
        ("md/versions/v53.0.0/sdk/kettle-ui.md", module("Kettle UI", "expo-kettle")),
    ]
}

fn served() -> (Installation, Server) {
    let installation = Installation::new();
    let folder = installation.folder("docs");
    for (path, content) in documents() {
        write(&folder.join(path), &content);
    }
    installation.json(&["library", "add", "expo", folder.to_str().unwrap(), "--profile", "expo"]);
    let server = installation.serve();
    (installation, server)
}

fn good(server: &Server, tool: &str, arguments: Value) -> Value {
    let result = server.call(tool, arguments.clone());
    assert_ne!(result["isError"], true, "{tool} {arguments}: {result}");
    result["structuredContent"].clone()
}

#[test]
fn the_page_of_a_package_is_the_one_with_its_name() {
    let (_installation, server) = served();
    for name in ["expo-kettle", "kettle"] {
        let module = good(&server, "expo_get_sdk_module", json!({"module_name": name}));
        assert_eq!(module["path"], "md/versions/v53.0.0/sdk/kettle.md", "{name}");
    }
    let part = good(&server, "expo_get_sdk_module", json!({"module_name": "kettle-ui"}));
    assert_eq!(part["path"], "md/versions/v53.0.0/sdk/kettle-ui.md");
}

/// They had the paths of the profile's data, which only a library of another shape has.
#[test]
fn pages_that_data_names_can_be_read_and_are_named_once() {
    let (_installation, server) = served();
    let message = "FAILURE: Gradle build daemon disappeared unexpectedly";
    let told = good(&server, "expo_error_diagnosis", json!({"error_message": message}));
    let made = good(&server, "expo_config_templates", json!({"template_type": "app.json"}));
    let command = good(&server, "expo_eas_command_builder", json!({"operation": "build", "platform": "ios"}));
    let named = |result: &Value| result["pages"].as_array().unwrap().clone();
    assert_eq!(named(&told["causes"][0])[0]["path"], "md/build-reference/troubleshooting.md", "{told}");
    assert!(named(&made).iter().any(|page| page["path"] == "md/workflow/configuration.md"), "{made}");
    for page in [named(&told), named(&made), named(&command)].concat() {
        let arguments = json!({"library": "expo", "path": page["path"]});
        assert_ne!(server.call("read_document", arguments)["isError"], true, "{page}");
    }
    let mut urls: Vec<String> = named(&told).iter().map(|page| page["url"].to_string()).collect();
    let all = urls.len();
    urls.sort_unstable();
    urls.dedup();
    assert_eq!(urls.len(), all, "{told}");
}

#[test]
fn code_is_found_by_words_that_only_the_profile_knows() {
    let (_installation, server) = served();
    for pattern in ["GPS", "位置情報", "geolocation"] {
        let shown = good(&server, "expo_code_examples", json!({"pattern": pattern}));
        let first = shown["examples"][0]["code"].as_str().unwrap_or_default();
        assert_eq!(first, "await getLocation();\n", "{pattern}: {shown}");
    }
}

#[test]
fn pages_are_completed_by_the_names_that_their_addresses_have() {
    let (_installation, server) = served();
    let complete = |start: &str| {
        let of = json!({"type": "ref/resource", "uri": "expo://docs/{path}"});
        let asked = json!({"ref": of, "argument": {"name": "path", "value": start}});
        server.modern("completion/complete", asked).message()["result"]["completion"]["values"].clone()
    };
    assert_eq!(complete("guides/"), json!(["guides/locating"]));
    let all = complete("");
    assert_eq!(all[0], "build-reference/troubleshooting", "{all}");
    let uri = format!("expo://docs/{}", all[0].as_str().unwrap());
    let read = server.modern("resources/read", json!({"uri": uri})).message();
    assert!(read["result"]["contents"][0]["text"].as_str().unwrap().contains("Gradle"), "{read}");
}
