//! Profiles are read whole or refused with file and line, and those that are shipped are whole.

use super::*;

const GOOD: &str = r#"name = "tea"
title = "Tea"
about = "About tea."
languages = ["en"]
[[sites]]
path = '^(.*)\.md$'
address = "https://tea.example/$1"
read = '^(?:https://tea\.example/)?([^:]*)$'
files = ["{}.md"]
[tools.search]
name = "search_documents"
title = "Search"
about = "Searches."
"#;

fn check(files: &[(&str, &str)], expect: &[&str]) {
    let read = Profile::read(&Files::of(files));
    let told: Vec<String> = read.err().into_iter().flatten().map(|mistake| mistake.to_string()).collect();
    assert_eq!(told.len(), expect.len(), "{told:#?}");
    for (told, expect) in told.iter().zip(expect) {
        assert!(told.starts_with(expect), "{told}\nshould begin with {expect}");
    }
}

#[test]
fn a_mistake_is_told_with_its_file_and_line() {
    check(&[("profile.toml", GOOD)], &[]);
    check(&[], &["profile.toml:1: there is no such file"]);
    let broken = |from: &str, to: &str| GOOD.replace(from, to);
    check(&[("profile.toml", &broken("about = \"About tea.\"", "abuot = \"x\""))], &["profile.toml:3: unknown field"]);
    check(
        &[("profile.toml", &broken("path = '^(.*)", "path = '^(.*"))],
        &["profile.toml:6: \"^(.*\\\\.md$\" is no pattern"],
    );
    check(&[("profile.toml", &broken("\"tea\"", "\"Tea\""))], &["profile.toml:1: \"Tea\" is no name"]);
    check(&[("profile.toml", &broken("languages = [", "languages = 3 #"))], &["profile.toml:4: invalid type"]);
    let boosted = format!("boosts = [{{ facet = \"colour\", value = \"green\", factor = 2.0 }}]\n{GOOD}");
    check(&[("profile.toml", &boosted)], &["profile.toml:1: there is no facet \"colour\""]);
}

#[test]
fn a_tool_and_its_data_belong_together() {
    let errors = "types = []\nerrors = []\n";
    check(&[("profile.toml", GOOD), ("errors.toml", errors)], &["errors.toml:1: no tool uses this"]);
    let with_tool = format!("{GOOD}[tools.diagnosis]\nname = \"diagnose\"\ntitle = \"D\"\nabout = \"D.\"\n");
    check(&[("profile.toml", &with_tool)], &["profile.toml:14: this tool needs errors.toml"]);
    check(&[("profile.toml", &with_tool), ("errors.toml", errors)], &[]);
    let odd =
        "types = [\"brew\"]\n[[errors]]\nid = \"e\"\npatterns = []\ntypes = [\"boil\"]\ncause = \"c\"\nsteps = []\n";
    check(
        &[("profile.toml", &with_tool), ("errors.toml", odd)],
        &["errors.toml:3: the error \"e\" is of the type \"boil\""],
    );
    let prompts = "[[prompts]]\nname = \"p\"\ntitle = \"P\"\nabout = \"P.\"\narguments = []\ntext = \"Say {what}.\"\n";
    check(
        &[("profile.toml", GOOD), ("prompts.toml", prompts)],
        &["prompts.toml:6: the prompt \"p\" has no argument \"what\""],
    );
}

/// All of these were called whole.
#[test]
fn what_could_not_work_is_told() {
    let says = |from: &str, to: &str, expect: &str| {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let told = Profile::read(&Files::of(&[("profile.toml", &text)])).unwrap_err();
        assert!(told.iter().any(|mistake| mistake.to_string().contains(expect)), "{told:#?} lacks {expect}");
    };
    let address = "\"https://tea.example/$1\"";
    says(address, "\"https://tea.example/$7\"", "the group \"7\"");
    says(address, "\"javascript:alert(1)\"", "no address on the web");
    says("[\"{}.md\"]", "[]", "files is empty");
    says("[\"{}.md\"]", "[\"a.md\"]", "has no {}");
    says("([^:]*)$'", "[^:]*$'", "no group \"1\"");
    let tool = "[tools.search]";
    let with = |table: &str| format!("{table}\n{tool}");
    let facet = |more: &str| format!("[[facets]]\nname = \"kind\"\nabout = \"k\"\nvalues = [\"old\"]\n{more}");
    says(tool, &with(&facet("default = [\"new\"]")), "no value \"new\"");
    says(tool, &with(&facet("rules = [{ path = '.', values = [\"mid\"] }]")), "no value \"mid\"");
    says(tool, &with(&facet("rules = [{ path = '(a)', values = [\"$2\"] }]")), "no group \"2\"");
    says(tool, &with(&[facet(""), facet("")].concat()), "two facets have the name \"kind\"");
    let fold = "[fold]\npath = '.'\nfacet = \"kind\"\nprefer = [\"newest\"]\n";
    says(tool, &with(&[facet("").as_str(), fold].concat()), "is never \"newest\"");
    for factor in ["nan", "-1.0", "0.0", "inf"] {
        says(tool, &with(&format!("[[boosts]]\npath = '.'\nfactor = {factor}")), "above 0");
    }
    says(tool, &with("[[boosts]]\nfactor = 2.0"), "a boost is of no page");
    says(tool, &with("[sources]\nhosts = [\"http://x y\"]"), "no host");
    says(tool, &with("[sources]\nstart = [\"ftp://no\"]"), "no address on the web");
    let resource = "[[resources]]\nkind = \"document\"\ntemplate = \"docs/{path}\"\ntitle = \"t\"\nabout = \"a\"\n";
    says(tool, &with(&[resource, resource].concat()), "two resources begin with");
    let no_tool = format!("{}[tools]\n", GOOD.split(tool).next().unwrap());
    check(&[("profile.toml", &no_tool)], &["profile.toml:10: the profile has no tool"]);
}

/// A certificate was told as a capability, and with much confidence.
#[test]
fn a_provisioning_profile_lacks_what_the_message_says() {
    let (profiles, _) = Profiles::open(None);
    let profile = profiles.get("expo").unwrap();
    let of = |what: &str| {
        let message = format!("error: Provisioning profile \"*[expo] com.acme.app AdHoc 1\" doesn't {what}.");
        let found = profile.errors.as_ref().unwrap().diagnose(&message, None, None);
        found.into_iter().map(|it| it.error.id.clone()).collect::<Vec<_>>()
    };
    let certificate = "include signing certificate \"Apple Distribution: Acme (ABCDE12345)\"";
    assert_eq!(of(certificate), ["profile-without-certificate"]);
    assert_eq!(of("include the currently selected device \"Tea phone\""), ["profile-without-device"]);
    assert_eq!(of("include the aps-environment entitlement"), ["capability-missing"]);
    assert_eq!(of("support the Push Notifications capability"), ["capability-missing"]);
}

#[test]
fn a_template_must_fit_its_schema() {
    let tool = format!("{GOOD}[tools.template]\nname = \"t\"\ntitle = \"T\"\nabout = \"T.\"\n");
    let templates = "[context]\nname = \"A\"\nplatforms = [\"ios\"]\nversion = '^(\\d+)$'\nversion_default = \"1\"\nversion_is = \"$1\"\nversion_newest = \"1\"\n\
        [[templates]]\nfile = \"a.json\"\nabout = \"a\"\nbody = \"b.json\"\nschema = \"s.json\"\n";
    let files = |body: &'static str| {
        vec![
            ("profile.toml", tool.as_str()),
            ("templates.toml", templates),
            ("b.json", body),
            ("s.json", "{\"required\": [\"name\"]}"),
        ]
    };
    check(&files("{\"name\": \"{{name}}\"}"), &[]);
    check(&files("{\"title\": \"{{name}}\"}"), &["b.json:1: what it makes does not fit"]);
    check(&files("{\n\"name\": }"), &["b.json:2: expected value"]);
    check(&files("{}")[..2], &["templates.toml:11: the profile has no file \"b.json\""]);
}

#[test]
fn shipped_profiles_are_whole() {
    let (profiles, told) = Profiles::open(None);
    assert!(told.is_empty(), "{told:#?}");
    assert_eq!(profiles.all().len(), Files::shipped().len());
    assert!(profiles.all().len() >= 2);
}

#[test]
fn a_profile_from_disk_takes_the_place_of_a_shipped_one_and_a_broken_one_is_told() {
    let directory = tempfile::tempdir().unwrap();
    for (folder, text) in [("tea", GOOD.to_owned()), ("bad", "name = 3\n".to_owned())] {
        std::fs::create_dir(directory.path().join(folder)).unwrap();
        std::fs::write(directory.path().join(folder).join("profile.toml"), text).unwrap();
    }
    let (profiles, told) = Profiles::open(Some(directory.path()));
    assert_eq!(profiles.get("tea").unwrap().manifest.title, "Tea");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("bad/profile.toml:1: "), "{told:?}");
    let (_, told) = Profiles::open(Some(&directory.path().join("nowhere")));
    assert!(told[0].contains("cannot be read"), "{told:?}");
}

/// The invariant of this room: what is special about a set of documents is data.
#[test]
fn the_program_names_no_subject_of_a_profile() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let subjects = ["expo-", "expo_", "expo.dev", "\"expo\"", "react.dev", "react_", "\"react\"", "snack", "\"eas"];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|ending| ending != "rs") || name.starts_with("tests") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.find("#[cfg(test)]\nmod ").map_or(text.as_str(), |at| &text[..at]);
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let found = subjects.iter().find(|subject| line.to_lowercase().contains(**subject));
                assert!(found.is_none(), "{}: {found:?} in {line}", path.display());
            }
        }
    }
}
