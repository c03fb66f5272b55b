//! Policy files: read from a folder, told apart by a fingerprint, their faults named by file, line and column.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::base::bound;
use crate::base::id::hex;
use crate::crypto::digest::sha256;

/// The schema that policies are held against.
pub const SCHEMA: &str = include_str!("../../../assets/policy/schema.cedarschema");
/// The policies that are always in force.
pub const SHIPPED: &str = include_str!("../../../assets/policy/shipped.cedar");
/// Their file's name, which no file of an operator's may have.
pub const SHIPPED_NAME: &str = "shipped.cedar";

/// Why policies are not in force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the policies in {} are wrong, so none of them is in force:{}", directory.display(), list(problems))]
    Wrong { directory: PathBuf, problems: Vec<Problem> },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} has more than {} policy files", _0.display(), bound::POLICY_FILES_MAX)]
    TooMany(PathBuf),
    #[error("{} has more than {} bytes, which is the most that a policy file may have", _0.display(), bound::POLICY_FILE_BYTES_MAX)]
    TooLarge(PathBuf),
    #[error("the shipped schema cannot be read: {0}")]
    Shipped(String),
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("\n  {}", lines.join("\n  "))
}

/// A fault in a policy file, or something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name within the folder.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// A policy file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub text: String,
}

impl File {
    pub(super) fn shipped() -> Self {
        Self { name: SHIPPED_NAME.into(), text: SHIPPED.into() }
    }

    /// A problem at the byte `offset` of this file.
    pub(super) fn problem(&self, offset: usize, message: impl Into<String>) -> Problem {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Problem { file: self.name.clone(), line, column, message: message.into() }
    }
}

/// The policy files of `directory` by name; none where there is no such folder.
pub fn read(directory: &Path) -> Result<Vec<File>, PolicyError> {
    let mut files = Vec::new();
    for path in paths(directory)? {
        let at = |error: io::Error| PolicyError::File { path: path.clone(), error };
        let mut text = String::new();
        let limit = bound::POLICY_FILE_BYTES_MAX as u64 + 1;
        fs::File::open(&path).map_err(at)?.take(limit).read_to_string(&mut text).map_err(at)?;
        if text.len() > bound::POLICY_FILE_BYTES_MAX {
            return Err(PolicyError::TooLarge(path));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push(File { name, text });
    }
    Ok(files)
}

fn paths(directory: &Path) -> Result<Vec<PathBuf>, PolicyError> {
    let at = |error: io::Error| PolicyError::File { path: directory.to_owned(), error };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(at)?.path();
        // Editors leave hidden files behind.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || path.extension().is_none_or(|extension| extension != "cedar") {
            continue;
        }
        if paths.len() >= bound::POLICY_FILES_MAX {
            return Err(PolicyError::TooMany(directory.to_owned()));
        }
        paths.push(path);
    }
    paths.sort();
    Ok(paths)
}

/// Name, length in bytes and time of change in nanoseconds of each file.
pub(super) type Fingerprint = Vec<(PathBuf, u64, u128)>;

/// What a glance at the folder shows. What cannot be looked at is as good as gone; reading it says why.
pub(super) fn fingerprint(directory: &Path) -> Fingerprint {
    let facts = |path: PathBuf| {
        let metadata = fs::metadata(&path).ok()?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Some((path, metadata.len(), changed))
    };
    paths(directory).unwrap_or_default().into_iter().filter_map(facts).collect()
}

/// SHA-256 of the whole set, shipped policies included, in hexadecimal.
pub(super) fn digest(files: &[File]) -> String {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for file in files {
        // With lengths, so that nothing can move from one file to the next unseen.
        parts.push((file.name.len() as u64).to_be_bytes().to_vec());
        parts.push(file.name.clone().into_bytes());
        parts.push((file.text.len() as u64).to_be_bytes().to_vec());
        parts.push(file.text.clone().into_bytes());
    }
    hex(&sha256(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}
