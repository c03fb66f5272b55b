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
