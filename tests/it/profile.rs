//! Profiles: a library that is read by one has its tools, which filter, look up, make, check and diagnose as their data says.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Installation, Server, text, write};

const KETTLE: &str = "---\ntitle: Kettle\ndescription: Boils water on the device.\npackageName: expo-kettle\nplatforms: [android*, ios]\n---\n\
# Kettle\n\n`expo-kettle` boils water.\n\n## Configuration in app config\n\n```json app.json\n{\"expo\": {\"plugins\": [\"expo-kettle\"]}}\n```\n\n\
## Usage\n\n```tsx App.tsx\nimport { boil } from 'expo-kettle';\nexport default function App() {\n  boil(95);\n}\n```\n\n\
## Permissions\n\nNeeds `android.permission.STEAM` and NSSteamUsageDescription.\n";

/// Documents in the shape of Expo's, in words of ours.
fn documents() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "guides/brewing.md",
            "---\ntitle: Brewing tea\n---\n# Brewing tea\n\nWarm the pot. See [Kettle](/versions/latest/sdk/kettle/) and [leaves](/guides/leaves/).\n\n## Steeping\n\nSteep the leaves for three minutes.\n",
        ),
        ("build-reference/troubleshooting.md", "# Troubleshooting\n\nRead the log.\n"),
        ("guides/leaves.md", "# Leaves\n\nGreen and black. See [brewing](/guides/brewing/).\n"),
        (
            "guides/pots.md",
            "# Pots\n\nA pot for tea leaves. See [leaves](/guides/leaves/), [Kettle](/versions/latest/sdk/kettle/).\n",
        ),
        ("tutorial/first-cup.md", "# First cup\n\nPour tea into a cup. See [Kettle](/versions/latest/sdk/kettle/).\n"),
        ("versions/v52.0.0/sdk/kettle.md", KETTLE),
        ("versions/v53.0.0/sdk/kettle.md", KETTLE),
        (
            "versions/v53.0.0/sdk/saucer.md",
            "---\ntitle: Saucer\npackageName: react-native-saucer\nplatforms: [web]\n---\n# Saucer\n\nHolds a cup of tea.\n",
        ),
    ]
}

fn tea() -> (Installation, Server) {
    let installation = Installation::new();
    let folder = installation.folder("docs");
    for (path, content) in documents() {
        write(&folder.join(path), content);
    }
    installation.json(&["library", "add", "tea", folder.to_str().unwrap(), "--profile", "expo"]);
    let server = installation.serve();
    (installation, server)
}

/// The structured result of a tool that ends well.
fn good(server: &Server, tool: &str, arguments: Value) -> Value {
    let result = server.call(tool, arguments.clone());
    assert_ne!(result["isError"], true, "{tool} {arguments}: {result}");
    result["structuredContent"].clone()
}

/// Whether a call is refused, whatever the way in which the protocol says so.
fn is_refused(server: &Server, tool: &str, arguments: Value) -> bool {
    let message = server.modern("tools/call", json!({"name": tool, "arguments": arguments})).message();
    message.get("error").is_some() || message["result"]["isError"] == true
}

fn tools(server: &Server) -> Vec<String> {
    let message = server.modern("tools/list", json!({})).message();
    let tools = message["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn paths(result: &Value, list: &str) -> Vec<String> {
    result[list].as_array().unwrap().iter().map(|hit| hit["path"].as_str().unwrap().to_owned()).collect()
}

const TOOLS: [&str; 8] = [
    "expo_code_examples",
    "expo_config_templates",
    "expo_eas_command_builder",
    "expo_error_diagnosis",
    "expo_get_sdk_module",
    "expo_read_document",
    "expo_recommend",
    "expo_search_documents",
];

#[test]
fn tools_come_and_go_with_the_libraries_of_a_profile() {
    let (installation, server) = tea();
    let there = |server: &Server| tools(server).iter().filter(|name| TOOLS.contains(&name.as_str())).count();
    assert_eq!(there(&server), 8);
    assert!(!tools(&server).iter().any(|name| name.starts_with("react_")));
    installation.json(&["library", "profile", "use", "tea", "react"]);
    assert_eq!(there(&server), 0);
    assert!(tools(&server).iter().any(|name| name == "react_get_module"));
    installation.json(&["library", "profile", "use", "tea", "none"]);
    assert!(!tools(&server).iter().any(|name| name.starts_with("react_")));
    installation.json(&["library", "profile", "use", "tea", "expo"]);
    assert_eq!(there(&server), 8);
    installation.json(&["library", "remove", "tea"]);
    assert_eq!(there(&server), 0);
    let refused = installation.run(&["library", "add", "x", "/tmp", "--profile", "nonsense"]);
    assert_eq!(refused.status.code(), Some(66), "{}", text(&refused.stderr));
}

#[test]
fn a_search_filters_counts_and_folds_versions() {
    let (_installation, server) = tea();
    let found = good(&server, "expo_search_documents", json!({"query": "kettle boils water"}));
    let kettles = paths(&found, "hits").iter().filter(|path| path.ends_with("kettle.md")).count();
    assert_eq!(kettles, 1, "{found}");
    assert_eq!(found["hits"][0]["path"], "versions/v53.0.0/sdk/kettle.md");
    let url = found["hits"][0]["url"].as_str().unwrap();
    assert!(url.starts_with("https://docs.expo.dev/versions/v53.0.0/sdk/kettle/"), "{url}");
    assert_eq!(found["facets"]["sdk_version"]["sdk-52"], 1);
    assert_eq!(found["facets"]["module_type"]["core"], 2);
    let old =
        good(&server, "expo_search_documents", json!({"query": "kettle", "filters": {"sdk_version": ["sdk-52"]}}));
    assert_eq!(paths(&old, "hits"), ["versions/v52.0.0/sdk/kettle.md"]);
    let web = good(
        &server,
        "expo_search_documents",
        json!({"query": "tea cup", "filters": {"platform": ["web"], "category": ["api"]}}),
    );
    assert_eq!(paths(&web, "hits"), ["versions/v53.0.0/sdk/saucer.md"], "{web}");
    let tutorials =
        good(&server, "expo_search_documents", json!({"query": "tea", "filters": {"category": ["tutorials"]}}));
    assert_eq!(paths(&tutorials, "hits"), ["tutorial/first-cup.md"]);
    assert!(!is_refused(&server, "expo_search_documents", json!({"query": "a".repeat(500)})));
    assert!(!is_refused(&server, "expo_search_documents", json!({"query": "茶の入れ方: C++ & <tea>?"})));
    for bad in [
        json!({}),
        json!({"query": ""}),
        json!({"query": "a".repeat(501)}),
        json!({"query": "a", "filters": {"platform": ["mars"]}}),
        json!({"query": "a", "filters": {"sdk_version": ["52"]}}),
        json!({"query": "a", "filters": {"colour": ["red"]}}),
        json!({"query": "a", "limit": 3}),
    ] {
        assert!(is_refused(&server, "expo_search_documents", bad.clone()), "{bad}");
    }
}

#[test]
fn a_page_is_read_by_address_uri_and_path() {
    let (_installation, server) = tea();
    for url in [
        "https://docs.expo.dev/versions/latest/sdk/kettle/#usage",
        "expo://docs/versions/v53.0.0/sdk/kettle",
        "sekisho://tea/versions/v53.0.0/sdk/kettle.md",
        "/versions/latest/sdk/kettle",
        "versions/v53.0.0/sdk/kettle.md",
    ] {
        let page = good(&server, "expo_read_document", json!({"url": url}));
        assert_eq!(page["path"], "versions/v53.0.0/sdk/kettle.md", "{url}");
        assert_eq!(page["canonical_url"], "https://docs.expo.dev/versions/v53.0.0/sdk/kettle/");
        assert_eq!((&page["version"], &page["doc_type"]), (&json!("sdk-53"), &json!("api")));
        assert_eq!(page["platforms"], json!(["android", "ios"]));
        assert_eq!(page["front_matter"]["packageName"], json!(["expo-kettle"]));
        assert_eq!(page["table_of_contents"].as_array().unwrap().len(), 4);
        assert!(page["markdown"].as_str().unwrap().contains("boils water") && page["next"].is_null());
    }
    let page = good(&server, "expo_read_document", json!({"url": "guides/brewing", "doc_type": "api"}));
    assert_eq!(page["notes"], json!(["This page is a guide, not a api."]));
    for bad in [
        json!({"url": "https://elsewhere.example/guides/brewing"}),
        json!({"url": "sekisho://manual/index.md"}),
        json!({"url": "../../etc/passwd"}),
        json!({"url": "guides/brewing", "doc_type": "novel"}),
        json!({"url": "guides/brewing", "cursor": "no cursor"}),
    ] {
        assert!(is_refused(&server, "expo_read_document", bad.clone()), "{bad}");
    }
}

#[test]
fn pages_are_recommended_with_reasons() {
    let (_installation, server) = tea();
    let given =
        good(&server, "expo_recommend", json!({"context": "steep the leaves of tea in a pot", "max_results": 3}));
    let recommended = given["recommendations"].as_array().unwrap();
    assert_eq!(recommended.len(), 3, "{given}");
    assert!(recommended.iter().all(|one| !one["reason"].as_str().unwrap().is_empty()));
    assert!(recommended[0]["reason"].as_str().unwrap().contains("speaks of"), "{given}");
    assert!(recommended.iter().any(|one| one["reason"].as_str().unwrap().contains("link to it")), "{given}");
    let one = good(&server, "expo_recommend", json!({"context": "tea", "max_results": 1, "platform": "web"}));
    assert_eq!(one["recommendations"].as_array().unwrap().len(), 1);
    for bad in [
        json!({"context": "a".repeat(1001)}),
        json!({"context": "a", "max_results": 11}),
        json!({"context": "a", "max_results": 0}),
    ] {
        assert!(is_refused(&server, "expo_recommend", bad));
    }
}

#[test]
fn a_module_is_told_from_its_page() {
    let (_installation, server) = tea();
    for name in ["kettle", "expo-kettle", "KETTLE"] {
        let module = good(&server, "expo_get_sdk_module", json!({"module_name": name}));
        assert_eq!(module["package"], "expo-kettle");
        assert_eq!(module["install_command"], "npx expo install expo-kettle");
        assert_eq!(module["platforms"], json!(["android", "ios"]));
        let permissions: Vec<&str> =
            module["permissions"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(permissions, ["STEAM", "NSSteamUsageDescription"]);
        assert_eq!(module["config_plugin"]["name"], "expo-kettle");
        assert_eq!(module["examples"].as_array().unwrap().len(), 1, "{module}");
        assert_eq!(module["version"], "sdk-53");
    }
    let old = good(&server, "expo_get_sdk_module", json!({"module_name": "kettle", "sdk_version": "sdk-52"}));
    assert_eq!(old["path"], "versions/v52.0.0/sdk/kettle.md");
    let near =
        server.modern("tools/call", json!({"name": "expo_get_sdk_module", "arguments": {"module_name": "ketle"}}));
    assert!(near.message().to_string().contains("Near it: kettle"), "{}", near.message());
    for bad in [
        json!({"module_name": "a b"}),
        json!({"module_name": "a/../b"}),
        json!({"module_name": "kettle", "sdk_version": "53"}),
    ] {
        assert!(is_refused(&server, "expo_get_sdk_module", bad));
    }
}

#[test]
fn configuration_is_made_to_fit_and_checked() {
    let (_installation, server) = tea();
    let make = |file: &str, context: Value| {
        good(&server, "expo_config_templates", json!({"template_type": file, "project_context": context}))
    };
    for platforms in [json!(["ios"]), json!(["android", "web"]), json!(["ios", "android", "web"])] {
        for file in ["app.json", "eas.json", "metro.config.js"] {
            let made =
                make(file, json!({"name": "Tea & \"Cups\" 日本", "platforms": platforms, "sdk_version": "sdk-52"}));
            assert_eq!((&made["valid"], &made["errors"]), (&json!(true), &json!([])), "{file} {platforms}");
            let content = made["content"].as_str().unwrap();
            let checked = good(&server, "expo_config_templates", json!({"template_type": file, "content": content}));
            assert_eq!(checked["valid"], true);
            assert!(checked["content"].is_null());
        }
    }
    let made = make("app.json", json!({"name": "Tea & \"Cups\"", "platforms": ["android"]}));
    let app: Value = serde_json::from_str(made["content"].as_str().unwrap()).unwrap();
    assert_eq!((&app["expo"]["name"], &app["expo"]["slug"]), (&json!("Tea & \"Cups\""), &json!("tea-cups")));
    assert_eq!(app["expo"]["android"]["package"], "com.example.teacups");
    assert!(app["expo"].get("ios").is_none() && app["expo"].get("web").is_none());
    let check = |file: &str, content: &str| {
        let checked = good(&server, "expo_config_templates", json!({"template_type": file, "content": content}));
        let errors = checked["errors"].as_array().unwrap();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let app = r#"{"expo": {"name": "a", "slug": "a b", "ios": {"buildNumber": 3}, "android": {"package": "a"}, "oriention": "x"}}"#;
    let mut wrong = check("app.json", app);
    wrong.sort_unstable();
    assert_eq!(wrong, ["/expo", "/expo/android/package", "/expo/ios/buildNumber", "/expo/slug"]);
    assert_eq!(check("eas.json", r#"{"build": {"p": {"distribution": "shop"}}}"#), ["/build/p/distribution"]);
    assert_eq!(
        check("eas.json", r#"{"submit": {"p": {"android": {"releaseStatus": "inProgress"}}}}"#),
        ["/submit/p/android"]
    );
    assert_eq!(check("eas.json", "{"), [""]);
    assert_eq!(check("metro.config.js", "module.exports = {}").len(), 2);
    let long = format!("{{\"expo\": {{\"name\": \"{}\", \"slug\": \"a\"}}}}", "x".repeat(60_000));
    assert!(check("app.json", &long).is_empty());
    for bad in [
        json!({"template_type": "babel.config.js"}),
        json!({"template_type": "app.json", "project_context": {"platforms": ["tv"]}}),
        json!({"template_type": "app.json", "project_context": {"name": "x".repeat(101)}}),
    ] {
        assert!(is_refused(&server, "expo_config_templates", bad));
    }
}

#[test]
fn a_command_is_put_together_and_explained() {
    let (_installation, server) = tea();
    let build = |operation: &str, platform: &str| {
        good(&server, "expo_eas_command_builder", json!({"operation": operation, "platform": platform}))
    };
    assert_eq!(build("build", "ios")["command"], "eas build --platform ios --profile development");
    assert_eq!(
        build("credentials", "all")["commands"],
        json!(["eas credentials --platform ios", "eas credentials --platform android"])
    );
    let submit = good(
        &server,
        "expo_eas_command_builder",
        json!({"operation": "submit", "platform": "android", "profile": "production"}),
    );
    assert_eq!(submit["command"], "eas submit --platform android --profile production");
    assert!(submit["flags"].as_array().unwrap().iter().all(|flag| !flag["explanation"].as_str().unwrap().is_empty()));
    assert!(submit["prerequisites"].to_string().contains("service account"));
    for bad in [
        json!({"operation": "build"}),
        json!({"operation": "eat", "platform": "ios"}),
        json!({"operation": "build", "platform": "web"}),
        json!({"operation": "build", "platform": "ios", "profile": "a; rm -rf /"}),
        json!({"operation": "build", "platform": "ios", "profile": "--local"}),
    ] {
        assert!(is_refused(&server, "expo_eas_command_builder", bad.clone()), "{bad}");
    }
}

#[test]
fn code_is_shown_with_its_page_and_where_to_run_it() {
    let (_installation, server) = tea();
    let shown = good(&server, "expo_code_examples", json!({"pattern": "boil kettle", "language": "typescript"}));
    let examples = shown["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 1, "{shown}");
    assert_eq!((&examples[0]["complete"], &examples[0]["file"]), (&json!(true), &json!("App.tsx")));
    let link = examples[0]["run_url"].as_str().unwrap();
    assert!(link.starts_with("https://snack.expo.dev/?name=Kettle&dependencies=expo%2Dkettle&code=import"), "{link}");
    let none = good(&server, "expo_code_examples", json!({"pattern": "boil kettle", "language": "javascript"}));
    assert_eq!(none["examples"], json!([]));
    for bad in
        [json!({"pattern": "a".repeat(101)}), json!({"pattern": "a", "language": "rust"}), json!({"pattern": ""})]
    {
        assert!(is_refused(&server, "expo_code_examples", bad));
    }
}

#[test]
fn an_error_is_diagnosed_by_data_and_by_search() {
    let (_installation, server) = tea();
    let known = good(
        &server,
        "expo_error_diagnosis",
        json!({"error_message": "FAILURE: Gradle build daemon disappeared unexpectedly\n    at java.lang.Thread", "error_type": "build", "platform": "android"}),
    );
    assert_eq!((&known["searched_only"], known["causes"].as_array().unwrap().len()), (&json!(false), 1), "{known}");
    assert!(known["causes"][0]["confidence"].as_f64().unwrap() > 0.8);
    assert_eq!(known["pages"][0]["url"], "https://docs.expo.dev/build-reference/troubleshooting/");
    let unknown = good(&server, "expo_error_diagnosis", json!({"error_message": "The kettle boils no water"}));
    assert_eq!(unknown["searched_only"], true);
    assert_eq!(unknown["pages"][0]["path"], "versions/v53.0.0/sdk/kettle.md");
    // 2,000 characters of Japanese are 6,000 bytes: more than a call usually may have.
    assert!(!is_refused(&server, "expo_error_diagnosis", json!({"error_message": "湯".repeat(2000)})));
    assert!(is_refused(&server, "expo_error_diagnosis", json!({"error_message": "湯".repeat(2001)})));
    assert!(is_refused(&server, "expo_error_diagnosis", json!({"error_message": "x", "error_type": "mood"})));
}

#[test]
fn resources_prompts_and_completions_follow_the_data() {
    let (installation, server) = tea();
    let ask = |method: &str, params: Value| server.modern(method, params).message();
    let templates = ask("resources/templates/list", json!({}));
    for template in [
        "expo://docs/{path}",
        "expo://api/{module}",
        "expo://examples/{category}",
        "expo://config/{type}",
        "expo://eas/{command}",
    ] {
        assert!(templates.to_string().contains(template), "{templates}");
    }
    let read = |uri: &str| ask("resources/read", json!({"uri": uri}));
    let content = |uri: &str| read(uri)["result"]["contents"][0]["text"].as_str().unwrap_or_default().to_owned();
    assert!(content("expo://docs/guides/brewing").contains("Warm the pot"));
    assert!(content("expo://api/kettle").contains("npx expo install expo-kettle"));
    assert!(content("expo://config/app.json").contains("bundleIdentifier"));
    assert!(content("expo://eas/build").contains("eas build --platform all"));
    assert!(read("expo://docs/nothing")["error"].is_object() && read("expo://nothing/at-all")["error"].is_object());
    let complete = |uri: &str, name: &str, value: &str| {
        ask(
            "completion/complete",
            json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": name, "value": value}}),
        )["result"]["completion"]["values"]
            .clone()
    };
    assert_eq!(complete("expo://api/{module}", "module", "k"), json!(["kettle"]));
    assert_eq!(complete("expo://config/{type}", "type", ""), json!(["app.json", "eas.json", "metro.config.js"]));
    assert_eq!(complete("expo://eas/{command}", "command", "s"), json!(["submit"]));
    assert_eq!(complete("expo://docs/{path}", "path", "guides/b"), json!(["guides/brewing"]));
    let prompts = ask("prompts/list", json!({}));
    for prompt in ["expo_setup_helper", "expo_error_helper", "expo_api_helper", "expo_config_analyzer"] {
        assert!(prompts.to_string().contains(prompt), "{prompts}");
    }
    let prompt = ask(
        "prompts/get",
        json!({"name": "expo_api_helper", "arguments": {"module_name": "kettle", "use_case": "boil {module_name}"}}),
    );
    let first = prompt["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(
        first.contains("\"kettle\" for this: boil {module_name}"),
        "what an argument says is no placeholder: {first}"
    );
    assert!(prompt["result"]["messages"].as_array().unwrap().len() > 1);
    let module = ask(
        "completion/complete",
        json!({"ref": {"type": "ref/prompt", "name": "expo_api_helper"}, "argument": {"name": "module_name", "value": "sau"}}),
    );
    assert_eq!(module["result"]["completion"]["values"], json!(["saucer"]));
    let categories = complete("expo://examples/{category}", "category", "a");
    assert_eq!(categories, json!(["audio", "authentication", "animation"]));
    let of_prompt = |prompt: &str, name: &str, value: &str| {
        let asked = json!({"ref": {"type": "ref/prompt", "name": prompt}, "argument": {"name": name, "value": value}});
        ask("completion/complete", asked)["result"]["completion"]["values"].clone()
    };
    assert_eq!(of_prompt("expo_setup_helper", "project_type", "t"), json!(["tabs", "tv"]));
    assert_eq!(
        of_prompt("expo_setup_helper", "target_platforms", "ios,"),
        json!(["ios, android", "ios, android, web", "ios, web"])
    );
    assert_eq!(of_prompt("expo_config_analyzer", "target_environment", "p"), json!(["preview", "production"]));
    installation.json(&["library", "profile", "use", "tea", "none"]);
    assert!(!ask("resources/templates/list", json!({})).to_string().contains("expo://"));
    assert!(!ask("prompts/list", json!({})).to_string().contains("expo_"));
    assert!(read("expo://config/app.json")["error"].is_object());
}

#[test]
fn documents_that_tools_and_resources_open_count_against_the_budget_of_a_call() {
    let mut installation = Installation::new();
    installation.set("TOOL_EXECUTION_MAX_FILE_READS", "1");
    let folder = installation.folder("docs");
    for (path, content) in documents() {
        write(&folder.join(path), content);
    }
    installation.json(&["library", "add", "tea", folder.to_str().unwrap(), "--profile", "expo"]);
    let server = installation.serve();
    for (tool, arguments) in [
        ("expo_search_documents", json!({"query": "tea kettle"})),
        ("expo_recommend", json!({"context": "tea kettle"})),
        ("expo_code_examples", json!({"pattern": "boil kettle"})),
        ("expo_error_diagnosis", json!({"error_message": "The kettle holds no tea"})),
    ] {
        let body = server.modern("tools/call", json!({"name": tool, "arguments": arguments})).body;
        assert!(body.contains("tool_execution.max_file_reads"), "{tool}: {body}");
    }
    let read = |uri: &str| server.modern("resources/read", json!({"uri": uri})).body;
    assert!(
        read("expo://examples/camera").contains("tool_execution.max_file_reads")
            || read("expo://examples/camera").contains("No code")
    );
    // What opens one document goes on.
    good(&server, "expo_read_document", json!({"url": "guides/brewing"}));
    good(&server, "expo_get_sdk_module", json!({"module_name": "kettle"}));
    assert!(read("expo://docs/guides/brewing").contains("Warm the pot"));
    assert!(read("sekisho://tea/guides/brewing.md").contains("Warm the pot"));
    installation.verify();
}

#[test]
fn a_second_profile_has_the_tools_that_its_data_gives() {
    let installation = Installation::new();
    let folder = installation.folder("docs");
    write(
        &folder.join("react-docs-en/reference/react/useTea.md"),
        "---\ntitle: useTea\n---\n\n# useTea\n\nA hook that pours tea.\n\n```js\nconst tea = useTea();\n```\n",
    );
    write(
        &folder.join("react-docs-ja/reference/react/useTea.md"),
        "---\ntitle: useTea\n---\n\n# useTea\n\nお茶を注ぐフックです。\n",
    );
    installation.json(&["library", "add", "hooks", folder.to_str().unwrap(), "--profile", "react"]);
    let server = installation.serve();
    let named: Vec<String> = tools(&server).into_iter().filter(|name| name.starts_with("react_")).collect();
    assert_eq!(
        named,
        ["react_code_examples", "react_get_module", "react_read_document", "react_recommend", "react_search_documents"]
    );
    let ja = good(&server, "react_search_documents", json!({"query": "お茶", "filters": {"language": ["ja"]}}));
    assert_eq!(ja["hits"][0]["url"], "https://ja.react.dev/reference/react/useTea#usetea");
    let page = good(&server, "react_read_document", json!({"url": "https://react.dev/reference/react/useTea"}));
    assert_eq!(page["path"], "react-docs-en/reference/react/useTea.md");
    let module = good(&server, "react_get_module", json!({"module_name": "useTea"}));
    assert_eq!(module["examples"].as_array().unwrap().len(), 1);
    assert!(is_refused(&server, "react_get_module", json!({"module_name": "useTea", "sdk_version": "latest"})));
}

#[test]
fn a_profile_of_an_operator_is_checked_with_file_and_line() {
    let mut installation = Installation::new();
    let folder = installation.folder("profiles").join("tea");
    let good = "name = \"tea\"\ntitle = \"Tea\"\nabout = \"Tea.\"\nlanguages = [\"en\"]\n[[sites]]\npath = '^(.*)\\.md$'\naddress = \"https://tea.example/$1\"\nread = '^([^:]*)$'\nfiles = [\"{}.md\"]\n[tools.search]\nname = \"find\"\ntitle = \"Find\"\nabout = \"Finds.\"\n";
    write(&folder.join("profile.toml"), &good.replace("title = \"Tea\"", "titel = \"Tea\""));
    let refused = installation.run(&["library", "profile", "check", folder.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stdout).contains("profile.toml:2: unknown field `titel`"), "{}", text(&refused.stdout));
    write(&folder.join("profile.toml"), good);
    assert!(installation.run(&["library", "profile", "check", folder.to_str().unwrap()]).status.success());
    let directory = folder.parent().unwrap().to_str().unwrap().to_owned();
    installation.set("PROFILE_DIRECTORY", &directory);
    let docs = installation.folder("docs");
    write(&docs.join("a.md"), "# A\n\nzebra\n");
    installation.json(&["library", "add", "a", docs.to_str().unwrap(), "--profile", "tea"]);
    let listed = installation.json(&["library", "profile", "list"]);
    let tea = listed["profiles"].as_array().unwrap().iter().find(|it| it["name"] == "tea").unwrap();
    assert_eq!(tea["libraries"], json!(["a"]));
    assert!(tools(&installation.serve()).contains(&"tea_find".to_owned()));
    fs::remove_dir_all(&folder).unwrap();
    assert!(
        !tools(&installation.serve()).contains(&"tea_find".to_owned()),
        "without its profile a library is served plainly"
    );
}

/// The lines of a judged collection.
fn judged(file: &str) -> Vec<Value> {
    let path = format!("{}/benches/relevance/{file}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The share of `rows` of which a judged page is among the first three, and the mean reciprocal rank of the first one.
fn hit_at_three(rows: &[Value], split: &str, ask: &dyn Fn(&str) -> Vec<String>) -> (f64, f64) {
    let (mut hits, mut ranks, mut all) = (0.0, 0.0, 0.0);
    for row in rows.iter().filter(|row| row["split"] == split) {
        let found = ask(row["query"].as_str().unwrap());
        let judged = row["pages"].as_array().unwrap();
        let place = found.iter().position(|path| judged.iter().any(|page| page == path));
        hits += f64::from(u8::from(place.is_some_and(|place| place < 3)));
        ranks += place.map_or(0.0, |place| 1.0 / f64::from(u32::try_from(place + 1).unwrap()));
        all += 1.0;
    }
    (hits / all, ranks / all)
}

#[test]
fn judged_questions_find_their_pages_in_the_corpora() {
    let folder = std::env::var("SEKISHO_CORPORA").map(|corpora| format!("{corpora}/expo-docs/md")).unwrap_or_default();
    if !std::path::Path::new(&folder).is_dir() {
        eprintln!("no Expo documentation below SEKISHO_CORPORA: the judged questions were not asked");
        return;
    }
    let mut installation = Installation::new();
    for (key, value) in [
        ("RATE_BURST_LIMIT", "100000"),
        ("RATE_PER_MINUTE", "1000000"),
        ("RATE_PER_SESSION", "1000000"),
        ("RATE_PER_ADDRESS", "1000000"),
    ] {
        installation.set(key, value);
    }
    installation.json(&["library", "add", "expo", &folder, "--profile", "expo"]);
    let server = installation.serve();
    let search = |query: &str| {
        let query: String = query.chars().take(500).collect();
        paths(&good(&server, "expo_search_documents", json!({"query": query})), "hits")
    };
    let diagnose =
        |message: &str| paths(&good(&server, "expo_error_diagnosis", json!({"error_message": message})), "pages");
    let (questions, errors) = (judged("expo-questions.jsonl"), judged("expo-errors.jsonl"));
    assert!(questions.len() >= 120 && errors.len() >= 40);
    for split in ["tune", "report"] {
        let (asked, mrr) = hit_at_three(&questions, split, &search);
        let (diagnosed, mrr_of_errors) = hit_at_three(&errors, split, &diagnose);
        eprintln!(
            "{split}: hit@3 of questions {asked:.3} (MRR {mrr:.3}), of error messages {diagnosed:.3} (MRR {mrr_of_errors:.3})"
        );
        assert!(asked >= 0.9 && diagnosed >= 0.9, "{split}: {asked:.3} {diagnosed:.3}");
    }
}
