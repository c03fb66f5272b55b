//! Lists and reads the files of a library's source; nothing outside of its folder can be opened.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use globset::{Glob, GlobSet, GlobSetBuilder};
use rust_embed::RustEmbed;
use tokio::runtime::Handle;

use super::archive::Archive;
use super::parse::Format;
use super::record::Source;
use super::unpack::{Contents, Entry};
use super::{git, plain};
use crate::base::bound;
use crate::sandbox::Sandbox;

/// Sekisho's own manual.
#[derive(RustEmbed)]
#[folder = "assets/manual"]
struct Manual;

/// A file that could be a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Below the source's root, with `/` between its parts.
    pub(super) path: String,
    pub(super) format: Format,
    pub(super) bytes: u64,
    pub(super) modified_ns: u64,
}

/// What a listing gave: files, and what was passed over with the reason.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: Vec<Found>,
    pub(super) passed_over: Vec<(String, String)>,
}

impl Listing {
    /// Whether `path` may still be there, although it was not listed: what could not be looked at is not gone.
    pub(super) fn may_hide(&self, path: &str) -> bool {
        self.passed_over.iter().any(|(unread, _)| {
            unread.is_empty()
                || path.strip_prefix(unread.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// Why a source cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the folder {root} cannot be opened: {error}")]
    Folder { root: String, error: io::Error },
    #[error("{path} cannot be read: {error}")]
    Archive { path: String, error: io::Error },
    #[error("{pattern:?} is not a glob: {reason}; write for example \"guides/**/*.md\"")]
    Glob { pattern: String, reason: String },
    #[error(
        "a library has at most {} files, {root} has more; narrow it with --include or --exclude",
        bound::LIBRARY_FILES_MAX
    )]
    TooMany { root: String },
}

/// A source that is open.
pub(super) enum Opened {
    Folder { root: String, directory: Dir, include: GlobSet, exclude: GlobSet },
    Archive { path: String, archive: Box<Archive>, contents: Contents, include: GlobSet, exclude: GlobSet },
    File { path: String },
    Builtin,
}

impl Opened {
    /// `sandbox` takes archives apart; `mirror` is where the pages of a site are.
    pub(super) fn open(
        source: &Source,
        mirror: Option<&Path>,
        sandbox: &Arc<Sandbox>,
        runtime: &Handle,
    ) -> Result<Self, SourceError> {
        match source {
            Source::Web(_) => {
                let root = mirror.unwrap_or(Path::new("")).display().to_string();
                Self::open(&Source::Folder { root, include: Vec::new(), exclude: Vec::new() }, None, sandbox, runtime)
            }
            Source::Builtin => Ok(Self::Builtin),
            // Whoever syncs was told so before.
            Source::Bundle(origin) => {
                let error = io::Error::other("the documents of a bundle are imported, not read");
                Err(SourceError::Archive { path: origin.source.clone(), error })
            }
            Source::File { path } => Ok(Self::File { path: path.clone() }),
            Source::Archive { path, include, exclude } => {
                let (include, exclude) = (globs(include)?, globs(exclude)?);
                let opened = Archive::open(path, sandbox.session(), runtime);
                let (archive, contents) = opened.map_err(|error| SourceError::Archive { path: path.clone(), error })?;
                Ok(Self::Archive { path: path.clone(), archive: Box::new(archive), contents, include, exclude })
            }
            Source::Folder { root, include, exclude } => {
                let directory = Dir::open_ambient_dir(root, ambient_authority())
                    .map_err(|error| SourceError::Folder { root: root.clone(), error })?;
                Ok(Self::Folder { root: root.clone(), directory, include: globs(include)?, exclude: globs(exclude)? })
            }
        }
    }

    /// The Git commit that a folder stands at.
    pub(super) fn revision(&self) -> Option<String> {
        match self {
            Self::Folder { directory, .. } => git::commit(directory),
            _ => None,
        }
    }

    /// What a report calls the source as a whole.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Archive { path, .. } | Self::File { path } => {
                Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path).to_owned()
            }
            Self::Folder { root, .. } => root.clone(),
            Self::Builtin => String::new(),
        }
    }

    /// All files of a known format, by path.
    pub(super) fn list(&mut self) -> Result<Listing, SourceError> {
        let mut listing = match self {
            Self::Builtin => Listing {
                files: Manual::iter().filter_map(|path| builtin_file(&path)).collect(),
                passed_over: Vec::new(),
            },
            Self::Folder { root, include, exclude, .. } => list_folder(root, include, exclude)?,
            Self::Archive { path, contents, include, exclude, .. } => {
                let Contents { files, passed_over } = std::mem::take(contents);
                let chosen = |entry: &Entry| is_chosen(&entry.path, include, exclude);
                let files: Vec<Found> = files.into_iter().filter(chosen).filter_map(unpacked_file).collect();
                if files.len() > bound::LIBRARY_FILES_MAX {
                    return Err(SourceError::TooMany { root: path.clone() });
                }
                Listing { files, passed_over }
            }
            Self::File { path } => list_file(path)?,
        };
        listing.files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(listing)
    }

    /// The bytes of a file, at most as many as a document may have.
    pub(super) fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        match self {
            Self::Archive { archive, .. } => archive.read(path),
            Self::File { path } => {
                let mut bytes = Vec::new();
                plain::open(path)?.take(bound::DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
            Self::Builtin => {
                Manual::get(path).map(|file| file.data.into_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
            }
            Self::Folder { directory, .. } => {
                let file = plain::open_in(directory, path)?;
                let mut bytes = Vec::new();
                file.take(bound::DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

/// Checks a source before it is kept, as far as that needs no reading.
pub(super) fn check(source: &Source) -> Result<(), SourceError> {
    let (include, exclude) = source.globs();
    globs(include).and_then(|_| globs(exclude))?;
    match source {
        // A site was checked when it was made, and a bundle when it was read.
        Source::Builtin | Source::Web(_) | Source::Bundle(_) => Ok(()),
        Source::Folder { root, .. } => Dir::open_ambient_dir(root, ambient_authority())
            .map(drop)
            .map_err(|error| SourceError::Folder { root: root.clone(), error }),
        Source::Archive { path, .. } | Source::File { path } => {
            plain::open(path).map(drop).map_err(|error| SourceError::Archive { path: path.clone(), error })
        }
    }
}

fn is_chosen(path: &str, include: &GlobSet, exclude: &GlobSet) -> bool {
    (include.is_empty() || include.is_match(path)) && !exclude.is_match(path)
}

/// The times in an archive are the packer's: what changed is seen by content.
fn unpacked_file(entry: Entry) -> Option<Found> {
    Some(Found { format: Format::of_path(&entry.path)?, path: entry.path, bytes: entry.bytes, modified_ns: 0 })
}

fn list_file(path: &str) -> Result<Listing, SourceError> {
    let failed = |error| SourceError::Archive { path: path.to_owned(), error };
    let metadata = plain::open(path).and_then(|file| file.metadata()).map_err(failed)?;
    let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let format =
        Format::of_path(&name).ok_or_else(|| failed(io::Error::other("it is no document of a known format")))?;
    let file = Found { path: name, format, bytes: metadata.len(), modified_ns: modified_ns(&metadata) };
    Ok(Listing { files: vec![file], passed_over: Vec::new() })
}

fn modified_ns(metadata: &std::fs::Metadata) -> u64 {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX)
}

fn globs(patterns: &[String]) -> Result<GlobSet, SourceError> {
    let wrong = |pattern: &str, error: &globset::Error| SourceError::Glob {
        pattern: pattern.to_owned(),
        reason: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(|error| wrong(pattern, &error))?);
    }
    set.build().map_err(|error| wrong(&patterns.join(" "), &error))
}

fn builtin_file(path: &str) -> Option<Found> {
    let file = Manual::get(path)?;
    // Its content is what it is until the binary changes, and then its hash does: no time is needed.
    Some(Found { path: path.to_owned(), format: Format::of_path(path)?, bytes: file.data.len() as u64, modified_ns: 0 })
}

fn list_folder(root: &str, include: &GlobSet, exclude: &GlobSet) -> Result<Listing, SourceError> {
    let mut listing = Listing::default();
    // Links are not followed: what lies outside the folder was not offered.
    let walk = walkdir::WalkDir::new(root)
        .follow_links(false)
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry));
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let below = error.path().map(|path| path.strip_prefix(root).unwrap_or(path));
                let path = below.and_then(portable).unwrap_or_default();
                let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                listing.passed_over.push((path, reason));
                continue;
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let Some(path) = portable(below) else {
            listing.passed_over.push((below.display().to_string(), "its name is not UTF-8".into()));
            continue;
        };
        let Some(format) = Format::of_path(&path) else { continue };
        if !is_chosen(&path, include, exclude) {
            continue;
        }
        if path.len() > bound::DOCUMENT_PATH_BYTES_MAX {
            listing
                .passed_over
                .push((path, format!("its path has more than {} bytes", bound::DOCUMENT_PATH_BYTES_MAX)));
            continue;
        }
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) => {
                listing.passed_over.push((path, error.to_string()));
                continue;
            }
        };
        listing.files.push(Found { path, format, bytes: metadata.len(), modified_ns: modified_ns(&metadata) });
        if listing.files.len() > bound::LIBRARY_FILES_MAX {
            return Err(SourceError::TooMany { root: root.to_owned() });
        }
    }
    Ok(listing)
}

fn is_hidden(entry: &walkdir::DirEntry) -> bool {
    is_hidden_name(&entry.file_name().to_string_lossy())
}

/// Whether nothing of this name is a document, nor anything below it.
pub(super) fn is_hidden_name(name: &str) -> bool {
    name.starts_with('.') || name == "node_modules"
}

fn portable(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.components().map(|part| part.as_os_str().to_str()).collect();
    parts.map(|parts| parts.join("/")).filter(|path| !path.contains('\0'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sandbox::Launch;

    fn opened(source: &Source) -> Result<Opened, SourceError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let nothing = Launch { program: "/bin/false".into(), arguments: Vec::new() };
        Opened::open(source, None, &Arc::new(Sandbox::new(nothing)), runtime.handle())
    }

    fn folder(include: &[&str], exclude: &[&str], root: &Path) -> Source {
        let own = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Source::Folder { root: root.display().to_string(), include: own(include), exclude: own(exclude) }
    }

    #[test]
    fn globs_choose_and_hidden_files_and_links_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("docs");
        for path in ["a.md", "b.txt", "b.bin", "guides/c.mdx", "guides/old/d.md", ".git/e.md", "node_modules/f.md"] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        fs::write(directory.path().join("secret.md"), "s").unwrap();
        std::os::unix::fs::symlink("../secret.md", root.join("link.md")).unwrap();
        let check = |include: &[&str], exclude: &[&str], expect: &[&str]| {
            let listing = opened(&folder(include, exclude, &root)).unwrap().list().unwrap();
            let paths: Vec<_> = listing.files.iter().map(|file| file.path.as_str()).collect();
            assert_eq!(paths, expect, "{include:?} {exclude:?}");
        };
        check(&[], &[], &["a.md", "b.txt", "guides/c.mdx", "guides/old/d.md"]);
        check(&["guides/**"], &[], &["guides/c.mdx", "guides/old/d.md"]);
        check(&[], &["**/old/**", "*.txt"], &["a.md", "guides/c.mdx"]);
        assert!(matches!(opened(&folder(&["{"], &[], &root)), Err(SourceError::Glob { .. })));
        let mut opened = opened(&folder(&[], &[], &root)).unwrap();
        for outside in ["link.md", "../secret.md", "/etc/passwd", "guides/../../secret.md"] {
            opened.read(outside).unwrap_err();
        }
        assert_eq!(opened.read("a.md").unwrap(), b"x");
    }

    /// A library of one file was led out: its path was a link at the next sync.
    #[test]
    fn a_file_or_archive_that_became_a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        fs::write(at("secret.md"), "s").unwrap();
        for (name, source) in [
            ("note.md", Source::File { path: at("note.md") }),
            ("docs.zip", Source::Archive { path: at("docs.zip"), include: Vec::new(), exclude: Vec::new() }),
        ] {
            std::os::unix::fs::symlink("secret.md", at(name)).unwrap();
            let listed = opened(&source).and_then(|mut opened| opened.list().map(drop));
            let error = listed.unwrap_err().to_string();
            assert!(error.contains("links are not followed"), "{name}: {error}");
            assert!(check(&source).is_err(), "{name}");
        }
        let mut opened = opened(&Source::File { path: at("note.md") }).unwrap();
        opened.read("note.md").unwrap_err();
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_gone() {
        let unread =
            |path: &str| Listing { files: Vec::new(), passed_over: vec![(path.to_owned(), "denied".to_owned())] };
        assert!(unread("sub").may_hide("sub/a.md"));
        assert!(unread("sub").may_hide("sub"));
        assert!(!unread("sub").may_hide("subway.md"));
        assert!(unread("").may_hide("a.md"), "not even the root could be read");
        assert!(!Listing::default().may_hide("a.md"));
    }

    #[test]
    fn the_manual_is_built_in() {
        let mut opened = opened(&Source::Builtin).unwrap();
        let files = opened.list().unwrap().files;
        assert!(files.iter().any(|file| file.path == "index.md"), "{files:?}");
        assert!(opened.read("../Cargo.toml").is_err());
    }
}
