//! Where checkpoints go outside of the file: a second file, the system log. Whoever can change the database should not
//! be able to change these.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::base::bound;
use crate::base::clock::Timestamp;

/// One place outside of the database.
#[derive(Debug)]
pub enum Export {
    /// Notes one after the other, with an empty line between them.
    File(PathBuf),
    /// One line each, the note's lines joined by `|`, which no checkpoint holds.
    Syslog(PathBuf),
}

/// `authpriv.notice` (RFC 5424, section 6.2.1): facility 10, severity 5.
const PRIORITY: u8 = 10 * 8 + 5;

/// What a line in the system log has before the note.
const SYSLOG_MARK: &str = "checkpoint: ";

impl Export {
    /// The system log of this machine.
    pub fn syslog() -> Self {
        Self::Syslog(PathBuf::from("/dev/log"))
    }

    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Syslog(path) => format!("the system log at {}", path.display()),
        }
    }

    /// Puts a checkpoint there, durable where the place can promise that.
    pub fn put(&self, note: &str) -> io::Result<()> {
        match self {
            Self::File(path) => append(path, &format!("{note}\n")),
            Self::Syslog(path) => {
                let line = note.trim_end().replace('\n', "|");
                let message = format!("<{PRIORITY}>sekisho[{}]: {SYSLOG_MARK}{line}", std::process::id());
                UnixDatagram::unbound()?.send_to(message.as_bytes(), path).map(drop)
            }
        }
    }
}

/// Appends durably. A file that has grown too long begins anew, beside the one before.
fn append(path: &Path, text: &str) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > bound::EXPORT_FILE_BYTES_MAX) {
        fs::rename(path, before(path))?;
    }
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    match path.parent().filter(|_| is_new) {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

fn before(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".1");
    path.with_file_name(name)
}

/// The file beside the checkpoints that names erased subjects, so that a restored backup forgets them again.
pub fn erasures_beside(checkpoints: &Path) -> PathBuf {
    checkpoints.with_file_name("erasures.log")
}

/// Adds erased pseudonyms, with when they were erased, in milliseconds since 1970.
pub fn put_erasures(path: &Path, at_ms: u64, pseudonyms: &[String]) -> io::Result<()> {
    let lines: Vec<String> = pseudonyms.iter().map(|pseudonym| format!("{at_ms} {pseudonym}\n")).collect();
    append(path, &lines.concat())
}

/// What [`put_erasures`] wrote; a missing file has none, a torn last line is left out.
pub fn erasures_in(path: &Path) -> io::Result<Vec<(u64, String)>> {
    let mut found = Vec::new();
    for path in [before(path), path.to_owned()] {
        let Some(text) = read(&path)? else { continue };
        found.extend(text.lines().filter_map(|line| {
            let (at, pseudonym) = line.split_once(' ')?;
            Some((at.parse().ok()?, pseudonym.to_owned()))
        }));
    }
    Ok(found)
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > 2 * bound::EXPORT_FILE_BYTES_MAX {
        let message = format!("it has {length} bytes, more than {}", 2 * bound::EXPORT_FILE_BYTES_MAX);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(Some(String::from_utf8_lossy(&fs::read(path)?).into_owned()))
}

/// What a restore leaves in the file: checkpoints above it speak of entries that the restored database may not have.
const RESTORED: &str = "# restored ";

/// Says in an exported file that the database was restored from a backup over `entries` entries.
pub fn put_restored(path: &Path, entries: u64, at: Timestamp) -> io::Result<()> {
    append(path, &format!("{RESTORED}{} from a backup over {entries} entries\n\n", at.rfc3339()))
}

/// The checkpoints in an exported file, in lines of a system log, or in a single note.
pub fn checkpoints_in(path: &Path) -> io::Result<Vec<String>> {
    let text = read(path)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(notes(&text))
}

/// What stands below the last mark of a restore.
fn since_restore(text: &str) -> &str {
    let mark = text.rmatch_indices(RESTORED).find(|(at, _)| *at == 0 || text[..*at].ends_with('\n'));
    mark.map_or(text, |(at, _)| &text[at..])
}

/// The newest checkpoints since the last restore, oldest first, as far as the end of the file holds them: enough to
/// tell an old database from the one that wrote them, however long the file is.
pub fn newest_in(path: &Path) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bound::EXPORT_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(bound::EXPORT_TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let recent = since_restore(&text);
    // The first note of a window that begins somewhere in the file may be cut.
    let cut = usize::from(length > bound::EXPORT_TAIL_BYTES && recent.len() == text.len());
    Ok(notes(recent).into_iter().skip(cut).collect())
}

/// Cuts a text into notes: each ends with its lines of signatures. What is torn at the end is left out.
pub fn notes(text: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = String::new();
    let mut signed = false;
    for line in text.lines() {
        if let Some((_, joined)) = line.split_once(SYSLOG_MARK) {
            notes.push(format!("{}\n", joined.replace('|', "\n")));
            continue;
        }
        let signature = line.starts_with("\u{2014} ");
        if signed && !signature {
            notes.push(std::mem::take(&mut note));
            signed = false;
        }
        if note.is_empty() && (line.is_empty() || line.starts_with(RESTORED)) {
            continue;
        }
        note.push_str(line);
        note.push('\n');
        signed = signature;
    }
    if signed {
        notes.push(note);
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = "sekisho.local/x\n7\nAAAA\n\n\u{2014} sekisho.local/x c2ln\n";

    #[test]
    fn what_was_exported_is_read_back_and_a_torn_end_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoints.log");
        let export = Export::File(path.clone());
        export.put(NOTE).unwrap();
        export.put(NOTE).unwrap();
        append(&path, "sekisho.local/x\n8\nAA").unwrap();
        assert_eq!(checkpoints_in(&path).unwrap(), [NOTE, NOTE]);
    }

    #[test]
    fn a_line_of_the_system_log_is_a_note() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        Export::Syslog(path).put(NOTE).unwrap();
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).unwrap();
        let line = String::from_utf8(bytes[..length].to_vec()).unwrap();
        assert!(line.starts_with("<85>sekisho["), "{line}");
        assert_eq!(notes(&format!("Nov 22 03:00:00 host {line}\n")), [NOTE]);
    }

    #[test]
    fn after_a_restore_the_checkpoints_of_before_are_history() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoints.log");
        let export = Export::File(path.clone());
        export.put(NOTE).unwrap();
        put_restored(&path, 5, Timestamp(0)).unwrap();
        export.put(NOTE).unwrap();
        assert_eq!(newest_in(&path).unwrap(), [NOTE]);
        assert_eq!(checkpoints_in(&path).unwrap(), [NOTE, NOTE]);
    }

    #[test]
    fn the_end_of_a_long_file_holds_whole_notes_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoints.log");
        append(&path, &format!("{NOTE}\n").repeat(5000)).unwrap();
        let newest = newest_in(&path).unwrap();
        assert!(newest.len() > 500 && newest.iter().all(|note| note == NOTE), "{}", newest.len());
    }

    #[test]
    fn erasures_are_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = erasures_beside(&directory.path().join("checkpoints.log"));
        assert!(erasures_in(&path).unwrap().is_empty());
        put_erasures(&path, 7, &["p1-a".into(), "p2-b".into()]).unwrap();
        append(&path, "9").unwrap();
        assert_eq!(erasures_in(&path).unwrap(), [(7, "p1-a".to_owned()), (7, "p2-b".to_owned())]);
    }
}
