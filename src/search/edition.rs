//! The same page in several versions of a documentation: which pages are one, and which of them is the newest.
//!
//! `versions/v51.0.0/sdk/camera.md` and `versions/v53.0.0/sdk/camera.md` are editions of one page. A ranking shows one
//! edition of it (see `rank`): the one whose version the query names, else the newest released one.

use crate::search::schema::key_term;

/// What stands in a page's path for its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edition {
    /// Equal for all editions of one page, and for nothing else.
    pub(super) family: u64,
    /// Larger is newer. 0 for what is not released and for pages without versions.
    pub(super) version: u64,
}

/// One step of the first number of a version.
const MAJOR: u64 = 1_000_000_000_000;
const LATEST: u64 = u64::MAX;

impl Edition {
    pub(super) fn of(library: &str, path: &str) -> Self {
        let found = path.split('/').enumerate().find_map(|(place, it)| Some((place, version(it)?)));
        let Some((place, version)) = found else {
            return Self { family: hash(&key_term(library, path)), version: 0 };
        };
        // No path has the byte 1 here: it cannot be mistaken for a page of that name.
        let neutral: Vec<&str> =
            path.split('/').enumerate().map(|(at, it)| if at == place { "\u{1}" } else { it }).collect();
        Self { family: hash(&key_term(library, &neutral.join("/"))), version }
    }
}

/// The first number of a version, as people say it: 53 of 53.0.1.
pub(super) fn major(version: u64) -> Option<u64> {
    (version != LATEST && version >= MAJOR).then_some(version / MAJOR)
}

/// What a part of a path says of its version: `v51.0.0`, `sdk-52`, `5.x`, `latest`, `unversioned`. A number alone is a
/// year or a chapter.
fn version(part: &str) -> Option<u64> {
    let part = part.to_ascii_lowercase();
    match part.as_str() {
        "latest" | "current" | "stable" => return Some(LATEST),
        "unversioned" | "next" | "canary" | "nightly" => return Some(0),
        _ => {}
    }
    let (named, numbers) = match part.strip_prefix("sdk-").or_else(|| part.strip_prefix('v')) {
        Some(rest) => (true, rest.to_owned()),
        None => (false, part),
    };
    if !named && !numbers.contains('.') {
        return None;
    }
    let mut version = 0;
    let mut unit = MAJOR;
    for number in numbers.split('.') {
        let value = if number == "x" && unit < MAJOR { 0 } else { number.parse::<u64>().ok()?.min(999_999) };
        version += value * unit;
        unit /= 1_000_000;
    }
    (version > 0).then_some(version)
}

/// FNV-1a: the same on every machine and with every version of the compiler, for it is kept in the index.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, it| (hash ^ u64::from(it)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_paths() {
        let check = |part: &str, expect: Option<u64>| assert_eq!(version(part), expect, "{part}");
        check("v51.0.0", Some(51 * MAJOR));
        check("sdk-52", Some(52 * MAJOR));
        check("5.x", Some(5 * MAJOR));
        check("1.2.3", Some(MAJOR + 2_000_000 + 3));
        check("latest", Some(LATEST));
        check("unversioned", Some(0));
        for none in ["2024", "sdk", "v", "video", "guide.md", "1..2", "x.1", "", "v0", "3.5.md"] {
            check(none, None);
        }
        assert_eq!((major(52 * MAJOR), major(LATEST), major(0)), (Some(52), None, None));
    }

    #[test]
    fn editions_of_a_page_are_one_family_and_nothing_else_is() {
        let of = |path: &str| Edition::of("expo", path);
        let (old, new) = (of("versions/v51.0.0/sdk/camera.md"), of("versions/v53.0.0/sdk/camera.md"));
        assert_eq!(old.family, new.family);
        assert!(old.version < new.version && new.version < of("versions/latest/sdk/camera.md").version);
        assert_eq!(old.family, of("versions/unversioned/sdk/camera.md").family);
        for other in ["versions/v51.0.0/sdk/audio.md", "sdk/camera.md", "v51.0.0/versions/sdk/camera.md"] {
            assert_ne!(old.family, of(other).family);
        }
        assert_ne!(old.family, Edition::of("other", "versions/v51.0.0/sdk/camera.md").family);
    }
}
