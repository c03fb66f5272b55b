//! Opens files of a source, and only plain ones: no link is followed, and no pipe or device is waited for.
//!
//! Whoever may write into a folder may put a pipe where a document was: to open it would wait for ever.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;

use cap_std::fs::{Dir, OpenOptionsExt as _};
use rustix::fs::OFlags;

fn flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

fn refused() -> io::Error {
    io::Error::other("it is no plain file; links are not followed")
}

/// Opens the file at an absolute path.
pub(super) fn open(path: &str) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(flags()).open(path).map_err(told)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused()) }
}

/// Opens a file below a folder.
pub(super) fn open_in(folder: &Dir, path: &str) -> io::Result<cap_std::fs::File> {
    let mut options = cap_std::fs::OpenOptions::new();
    let file = folder.open_with(path, options.read(true).custom_flags(flags())).map_err(told)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused()) }
}

/// What the system says of a link is "too many levels of symbolic links".
fn told(error: io::Error) -> io::Error {
    let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    if is_link { refused() } else { error }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use cap_std::ambient_authority;

    use super::*;

    /// A pipe in the place of a document stopped all syncs: to open it waits until somebody writes. Here somebody could,
    /// so that a failure of this test is one and no standstill.
    #[test]
    fn only_plain_files_are_opened_and_pipes_are_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(at("plain.md"), "x").unwrap();
        std::fs::create_dir(at("folder.md")).unwrap();
        symlink("plain.md", at("link.md")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe.md"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let writer = File::options().read(true).write(true).open(at("pipe.md")).unwrap();
        let folder = Dir::open_ambient_dir(directory.path(), ambient_authority()).unwrap();
        for name in ["pipe.md", "folder.md", "link.md"] {
            let error = open(&at(name)).unwrap_err();
            assert!(error.to_string().contains("no plain file"), "{name}: {error}");
            let error = open_in(&folder, name).unwrap_err();
            assert!(error.to_string().contains("no plain file"), "{name}: {error}");
        }
        drop(writer);
        let (mut one, mut other) = (String::new(), String::new());
        open(&at("plain.md")).unwrap().read_to_string(&mut one).unwrap();
        open_in(&folder, "plain.md").unwrap().read_to_string(&mut other).unwrap();
        assert_eq!((one.as_str(), other.as_str()), ("x", "x"));
        assert_eq!(open(&at("none.md")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
