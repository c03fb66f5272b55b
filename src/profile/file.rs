//! The files of a profile, from the binary or from a folder, and how a mistake in one is told.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rust_embed::RustEmbed;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base::bound::profile::{PROFILE_FILE_BYTES_MAX, PROFILE_FILES_MAX};

/// The shipped profiles, each in a folder of its name.
#[derive(RustEmbed)]
#[folder = "assets/profiles"]
struct Shipped;

/// What is wrong with a profile, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct Mistake {
    /// Below the profile's folder.
    pub file: String,
    /// From 1.
    pub line: usize,
    pub reason: String,
}

/// All files of one profile, by path below its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    texts: BTreeMap<String, String>,
}

impl Files {
    /// Names of the shipped profiles.
    pub fn shipped() -> Vec<String> {
        let mut names: Vec<String> =
            Shipped::iter().filter_map(|path| Some(path.split_once('/')?.0.to_owned())).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Files of the shipped profile `name`.
    pub fn of_shipped(name: &str) -> Self {
        let prefix = format!("{name}/");
        let mut texts = BTreeMap::new();
        for path in Shipped::iter() {
            let Some(below) = path.strip_prefix(&prefix) else { continue };
            if let Some(file) = Shipped::get(&path) {
                texts.insert(below.to_owned(), String::from_utf8_lossy(&file.data).into_owned());
            }
        }
        Self { texts }
    }

    /// Files in `folder` and the folders in it. Links are not followed.
    pub fn of_folder(folder: &Path) -> Result<Self, Mistake> {
        let whole = |reason: String| Mistake { file: "profile.toml".into(), line: 1, reason };
        let unreadable = |error: &std::io::Error| whole(format!("{} cannot be read: {error}", folder.display()));
        let root = Dir::open_ambient_dir(folder, ambient_authority()).map_err(|error| unreadable(&error))?;
        let mut texts = BTreeMap::new();
        for entry in walkdir::WalkDir::new(folder).max_depth(3) {
            let entry = entry.map_err(|error| unreadable(&error.into()))?;
            let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
            let Some(path) = below.to_str().map(|path| path.replace('\\', "/")) else { continue };
            let known = [".toml", ".json", ".js", ".txt", ".md"].iter().any(|ending| path.ends_with(ending));
            if !entry.file_type().is_file() || !known {
                continue;
            }
            if texts.len() >= PROFILE_FILES_MAX {
                return Err(whole(format!("a profile has at most {PROFILE_FILES_MAX} files; this folder has more")));
            }
            let wrong = |reason: String| Mistake { file: path.clone(), line: 1, reason };
            let file = root.open(&path).map_err(|error| wrong(format!("it cannot be opened: {error}")))?;
            let mut text = String::new();
            let limit = PROFILE_FILE_BYTES_MAX as u64 + 1;
            file.take(limit).read_to_string(&mut text).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
            if text.len() > PROFILE_FILE_BYTES_MAX {
                return Err(wrong(format!("a file of a profile has at most {PROFILE_FILE_BYTES_MAX} bytes")));
            }
            texts.insert(path, text);
        }
        Ok(Self { texts })
    }

    /// Files that somebody else read: not more than a folder may have, of the endings that are known.
    pub fn of_texts(texts: BTreeMap<String, String>) -> Result<Self, Mistake> {
        let wrong = |file: &str, reason: String| Err(Mistake { file: file.to_owned(), line: 1, reason });
        if texts.len() > PROFILE_FILES_MAX {
            return wrong("profile.toml", format!("a profile has at most {PROFILE_FILES_MAX} files"));
        }
        match texts.iter().find(|(_, text)| text.len() > PROFILE_FILE_BYTES_MAX) {
            Some((path, _)) => wrong(path, format!("a file of a profile has at most {PROFILE_FILE_BYTES_MAX} bytes")),
            None => Ok(Self { texts }),
        }
    }

    /// The texts by path.
    pub fn texts(&self) -> &BTreeMap<String, String> {
        &self.texts
    }

    pub fn get(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// The TOML file `path`, or `None` if there is none.
    pub fn toml<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Mistake> {
        let Some(text) = self.get(path) else { return Ok(None) };
        let read = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.mistake(path, at, error.message())
        });
        read.map(Some)
    }

    /// The JSON file `path`, or `None` if there is none.
    pub fn json(&self, path: &str) -> Result<Option<Value>, Mistake> {
        let Some(text) = self.get(path) else { return Ok(None) };
        let wrong =
            |error: serde_json::Error| Mistake { file: path.into(), line: error.line(), reason: error.to_string() };
        serde_json::from_str(text).map(Some).map_err(wrong)
    }

    /// A mistake at byte `at` of `path`.
    pub fn mistake(&self, path: &str, at: usize, reason: impl Into<String>) -> Mistake {
        let before = self.get(path).and_then(|text| text.get(..at)).unwrap_or_default();
        Mistake { file: path.into(), line: before.matches('\n').count() + 1, reason: reason.into() }
    }

    /// A mistake where `word` stands for the first time in `path`.
    pub fn mistake_at(&self, path: &str, word: &str, reason: impl Into<String>) -> Mistake {
        let at = self.get(path).and_then(|text| text.find(word)).unwrap_or_default();
        self.mistake(path, at, reason)
    }
}

#[cfg(test)]
impl Files {
    /// Files as a test writes them.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self { texts: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }
}
