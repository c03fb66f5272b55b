//! Advisories out of a checkout of `RustSec`'s database: Markdown whose first code block is TOML.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use walkdir::WalkDir;

use super::{Advisory, DatabaseError, Kind};
use crate::base::bound::scan as bound;

/// The front matter, as far as it is needed; what else stands there is left alone.
#[derive(Deserialize)]
struct Front {
    advisory: About,
    #[serde(default)]
    affected: Affected,
    #[serde(default)]
    versions: Versions,
}

#[derive(Deserialize)]
struct About {
    id: String,
    package: String,
    date: String,
    withdrawn: Option<String>,
    informational: Option<String>,
    title: Option<String>,
}

#[derive(Default, Deserialize)]
struct Affected {
    #[serde(default)]
    os: Vec<String>,
    #[serde(default)]
    arch: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

/// All advisories about crates below `directory`, by their ids. Those that were withdrawn are left out.
pub fn read(directory: &Path) -> Result<Vec<Advisory>, DatabaseError> {
    let mut found = Vec::new();
    // A checkout has advisories about the toolchain beside them, which no lock file names.
    let crates = directory.join("crates");
    let below = if crates.is_dir() { crates } else { directory.to_owned() };
    for entry in WalkDir::new(&below).follow_links(false).sort_by_file_name() {
        let entry = entry.map_err(|error| DatabaseError::File {
            path: below.display().to_string(),
            error: error.into_io_error().unwrap_or_else(|| std::io::ErrorKind::Other.into()),
        })?;
        let name = entry.file_name().to_string_lossy();
        if !entry.file_type().is_file() || !name.ends_with(".md") || !name.starts_with("RUSTSEC-") {
            continue;
        }
        let path = entry.path();
        let fault = |error| DatabaseError::File { path: path.display().to_string(), error };
        let source = |reason: String| DatabaseError::Source { path: path.display().to_string(), reason };
        if fs::metadata(path).map_err(fault)?.len() > bound::ADVISORY_BYTES_MAX {
            return Err(source(format!("more than {} bytes", bound::ADVISORY_BYTES_MAX)));
        }
        let text = fs::read_to_string(path).map_err(fault)?;
        if let Some(advisory) = parse(&text).map_err(source)? {
            if found.len() >= bound::ADVISORIES_MAX {
                return Err(DatabaseError::TooLarge);
            }
            found.push(advisory);
        }
    }
    found.sort_by(|one: &Advisory, other| one.id.cmp(&other.id));
    Ok(found)
}

/// One advisory; `None` where it was withdrawn.
fn parse(text: &str) -> Result<Option<Advisory>, String> {
    let rest = text.trim_start().strip_prefix("```toml").ok_or("it does not begin with a block of TOML")?;
    let (front, rest) = rest.split_once("\n```").ok_or("its block of TOML does not end")?;
    let Front { advisory, affected, versions } = toml::from_str(front).map_err(|error| error.message().to_owned())?;
    if advisory.withdrawn.is_some() {
        return Ok(None);
    }
    let heading = rest.lines().find_map(|line| line.strip_prefix("# ")).map(|title| title.trim().to_owned());
    let kind = match advisory.informational.as_deref() {
        None => Kind::Vulnerability,
        Some("unsound") => Kind::Unsound,
        Some("unmaintained") => Kind::Unmaintained,
        Some(_) => Kind::Notice,
    };
    Ok(Some(Advisory {
        title: heading.or(advisory.title).unwrap_or_else(|| advisory.id.clone()),
        id: advisory.id,
        package: advisory.package,
        date: advisory.date,
        kind,
        patched: versions.patched,
        unaffected: versions.unaffected,
        os: affected.os,
        arch: affected.arch,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "```toml\n[advisory]\nid = \"RUSTSEC-2026-0007\"\npackage = \"made-up\"\ndate = \"2026-02-03\"\n\
                       keywords = [\"memory\"]\n[affected]\narch = [\"x86_64\"]\n[versions]\npatched = [\">= 1.2.3\"]\n```\n\n# It reads too far\n\nText.\n";

    #[test]
    fn an_advisory_is_read_with_its_title_and_ranges() {
        let advisory = parse(ONE).unwrap().unwrap();
        assert_eq!((advisory.package.as_str(), advisory.title.as_str()), ("made-up", "It reads too far"));
        assert_eq!(
            (advisory.kind, advisory.patched, advisory.arch),
            (Kind::Vulnerability, vec![">= 1.2.3".to_owned()], vec!["x86_64".to_owned()])
        );
    }

    #[test]
    fn kinds_are_told_apart_and_what_was_withdrawn_is_left_out() {
        let with = |line: &str| parse(&ONE.replace("keywords = [\"memory\"]", line)).unwrap();
        assert_eq!(with("informational = \"unmaintained\"").unwrap().kind, Kind::Unmaintained);
        assert_eq!(with("informational = \"unsound\"").unwrap().kind, Kind::Unsound);
        assert_eq!(with("informational = \"notice\"").unwrap().kind, Kind::Notice);
        assert_eq!(with("withdrawn = \"2026-03-01\""), None);
        assert!(parse("# no front matter").is_err());
        assert!(parse("```toml\n[advisory]\n```\n").unwrap_err().contains("id"));
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_ids_and_other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made_up = folder.path().join("crates/made-up");
        std::fs::create_dir_all(&made_up).unwrap();
        std::fs::create_dir_all(folder.path().join("rust/std")).unwrap();
        std::fs::write(made_up.join("RUSTSEC-2026-0009.md"), ONE.replace("0007", "0009")).unwrap();
        std::fs::write(made_up.join("RUSTSEC-2026-0007.md"), ONE).unwrap();
        std::fs::write(made_up.join("README.md"), "nothing").unwrap();
        std::fs::write(folder.path().join("rust/std/RUSTSEC-2026-0001.md"), "nothing").unwrap();
        let ids: Vec<String> = read(folder.path()).unwrap().into_iter().map(|advisory| advisory.id).collect();
        assert_eq!(ids, ["RUSTSEC-2026-0007", "RUSTSEC-2026-0009"]);
        std::fs::write(made_up.join("RUSTSEC-2026-0010.md"), "nothing").unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("RUSTSEC-2026-0010.md"));
    }

    proptest! {
        #[test]
        fn hostile_text_is_never_a_panic(text: String) {
            let _any = (parse(&text), parse(&format!("```toml\n{text}\n```\n# {text}")));
        }
    }
}
