//! The crates of this program, out of the lock file that it was built with.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use serde::Deserialize;

use super::Crate;

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Manifest {
    dependencies: BTreeMap<String, toml::Value>,
}

/// All crates that this program can have been built from: those of other systems too, for the lock file does not tell
/// them apart; those of tests and benchmarks are left out.
pub fn crates() -> Vec<Crate> {
    // A test reads both: what does not parse never ships.
    of(include_str!("../../../Cargo.toml"), include_str!("../../../Cargo.lock")).unwrap_or_default()
}

fn of(manifest: &str, lock: &str) -> Option<Vec<Crate>> {
    let manifest: Manifest = toml::from_str(manifest).ok()?;
    let Lock { package } = toml::from_str(lock).ok()?;
    let root = package.iter().find(|package| package.name == env!("CARGO_PKG_NAME"))?;
    let wanted = |dependency: &&String| manifest.dependencies.contains_key(name_of(dependency));
    let mut waiting: Vec<&str> = root.dependencies.iter().filter(wanted).map(String::as_str).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(dependency) = waiting.pop() {
        if !seen.insert(dependency) {
            continue;
        }
        let mut parts = dependency.split(' ');
        let (name, version) = (parts.next().unwrap_or_default(), parts.next());
        // The version stands there only where there are several.
        let is_meant =
            |package: &&Package| package.name == name && version.is_none_or(|version| package.version == version);
        for package in package.iter().filter(is_meant) {
            found.push(Crate { name: package.name.clone(), version: Version::parse(&package.version).ok()? });
            waiting.extend(package.dependencies.iter().map(String::as_str));
        }
    }
    found.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    found.dedup();
    Some(found)
}

fn name_of(dependency: &str) -> &str {
    dependency.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_knows_its_own_crates_and_not_those_of_its_tests() {
        let crates = crates();
        let has = |name: &str| crates.iter().any(|own| own.name == name);
        assert!(crates.len() > 200, "{}", crates.len());
        for name in ["redb", "tantivy", "rustls", "aes-gcm"] {
            assert!(has(name), "{name}");
        }
        // It is reached by our own dependencies' dependencies.
        assert!(has("hashbrown"));
        assert!(!has("rusqlite") && !has("sekisho"));
    }

    #[test]
    fn what_several_versions_are_there_of_is_told_apart() {
        let manifest = "[dependencies]\na = \"1\"\n";
        let lock = r#"
            [[package]]
            name = "sekisho"
            version = "0.1.0"
            dependencies = ["a", "t"]
            [[package]]
            name = "a"
            version = "1.0.0"
            dependencies = ["b 2.0.0"]
            [[package]]
            name = "b"
            version = "1.0.0"
            [[package]]
            name = "b"
            version = "2.0.0"
            dependencies = ["a"]
            [[package]]
            name = "t"
            version = "1.0.0"
            dependencies = ["b 1.0.0"]
        "#;
        let found: Vec<String> =
            of(manifest, lock).unwrap().into_iter().map(|own| format!("{} {}", own.name, own.version)).collect();
        assert_eq!(found, ["a 1.0.0", "b 2.0.0"]);
    }
}
