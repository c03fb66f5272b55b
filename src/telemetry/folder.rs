//! The folder of the program's log: what its files are called, which are there, and which have to go.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;

/// The name of a log file: `sekisho.2026-11-22.log`, `sekisho.2026-11-22.1.log`, `sekisho.2026-11-22.2.log.sealed`.
/// They sort in the order in which they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogName {
    /// The day, in UTC.
    pub date: Date,
    /// The first one of a day has 0, which is not written.
    pub index: u32,
    pub is_sealed: bool,
}

impl LogName {
    /// `None` for whatever is not ours: such a file is neither read nor removed.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("sekisho.")?;
        let (rest, is_sealed) = match rest.strip_suffix(".log.sealed") {
            Some(rest) => (rest, true),
            None => (rest.strip_suffix(".log")?, false),
        };
        let (date, index) = match rest.split_once('.') {
            Some((date, index)) => (date, index.parse().ok()?),
            None => (rest, 0),
        };
        let name = Self { date: Date::strptime("%Y-%m-%d", date).ok()?, index, is_sealed };
        // Written the same again: one file has one name.
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sekisho.{}", self.date)?;
        if self.index > 0 {
            write!(f, ".{}", self.index)?;
        }
        f.write_str(if self.is_sealed { ".log.sealed" } else { ".log" })
    }
}

/// A log file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFile {
    pub name: LogName,
    pub bytes: u64,
}

/// What stays.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Today's files and those of the days before, so many days in all.
    pub days: usize,
    /// Of all files together; the newest one stays, however large.
    pub total_bytes_max: u64,
}

/// The day of a moment, in UTC.
pub fn day_of(at: Timestamp) -> Date {
    let millisecond = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millisecond).map(|at| at.to_zoned(TimeZone::UTC).date()).unwrap_or_default()
}

/// Makes the folder for this user alone. One that is there keeps the mode that its owner gave it.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Our files, oldest first. A link or a folder that has a name of ours is none.
pub fn list(directory: &Path) -> io::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().and_then(LogName::parse) else { continue };
        // Of the entry itself: a link is not followed. What went away meanwhile is not there.
        if let Ok(metadata) = entry.metadata()
            && metadata.is_file()
        {
            files.push(LogFile { name, bytes: metadata.len() });
        }
    }
    files.sort_by_key(|file| file.name);
    Ok(files)
}

/// Removes what is too old by the date in its name, then the oldest until the rest fits.
pub fn prune(directory: &Path, keep: Keep, today: Date) -> io::Result<()> {
    for file in surplus(directory, keep, today)? {
        fs::remove_file(directory.join(file.name.to_string()))?;
    }
    Ok(())
}

/// What [`prune`] would remove.
pub fn surplus(directory: &Path, keep: Keep, today: Date) -> io::Result<Vec<LogFile>> {
    let days = i64::try_from(keep.days.saturating_sub(1)).unwrap_or(i64::MAX);
    let oldest = Span::new().try_days(days).and_then(|span| today.checked_sub(span)).unwrap_or(Date::MIN);
    let files = list(directory)?;
    let mut total: u64 = files.iter().map(|file| file.bytes).sum();
    // It is being written, unless it is too old, too: then another one is begun with the next line.
    let newest = files.last().map(|file| file.name);
    let mut surplus = Vec::new();
    for file in files {
        if file.name.date < oldest || total > keep.total_bytes_max && Some(file.name) != newest {
            total = total.saturating_sub(file.bytes);
            surplus.push(file);
        }
    }
    Ok(surplus)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> LogName {
        LogName::parse(text).unwrap()
    }

    #[test]
    fn names_sort_in_the_order_of_writing() {
        let ordered = [
            "sekisho.2026-11-21.9.log",
            "sekisho.2026-11-22.log",
            "sekisho.2026-11-22.1.log.sealed",
            "sekisho.2026-11-22.2.log",
            "sekisho.2026-11-22.10.log",
            "sekisho.2026-12-01.log.sealed",
        ];
        let mut names: Vec<LogName> = ordered.iter().rev().map(|text| name(text)).collect();
        names.sort();
        assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ordered);
    }

    #[test]
    fn foreign_names_are_not_ours() {
        for text in [
            "sekisho.log",
            "sekisho.2026-11-22.0.log",
            "sekisho.2026-11-22.01.log",
            "sekisho.2026-13-22.log",
            "sekisho.2026-11-22.log.gz",
            "sekisho.2026-11-22.log.1",
            "other.2026-11-22.log",
            "sekisho.2026-11-22.+1.log",
            "sekisho. 2026-11-22.log",
        ] {
            assert_eq!(LogName::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_name_reads_back(days in 0..40_000_u64, index: u32, is_sealed: bool) {
            let name = LogName { date: day_of(Timestamp(days * 86_400_000)), index, is_sealed };
            prop_assert_eq!(LogName::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn a_hostile_name_is_never_a_panic(text: String) {
            let _any = (LogName::parse(&text), LogName::parse(&format!("sekisho.{text}.log")));
        }
    }

    #[test]
    fn old_files_go_by_their_date_and_foreign_ones_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = |text: &str| folder.path().join(text);
        for text in
            ["sekisho.2026-11-01.log", "sekisho.2026-11-20.log", "sekisho.2026-11-22.log", "notes.2020-01-01.log"]
        {
            fs::write(path(text), "x").unwrap();
        }
        let outside = tempfile::NamedTempFile::new().unwrap();
        symlink(outside.path(), path("sekisho.2020-01-01.log")).unwrap();
        fs::create_dir(path("sekisho.2020-01-02.log")).unwrap();
        prune(folder.path(), Keep { days: 3, total_bytes_max: 100 }, "2026-11-22".parse().unwrap()).unwrap();
        for (text, stays) in [
            ("sekisho.2026-11-01.log", false),
            ("sekisho.2026-11-20.log", true),
            ("sekisho.2026-11-22.log", true),
            ("notes.2020-01-01.log", true),
            ("sekisho.2020-01-01.log", true),
            ("sekisho.2020-01-02.log", true),
        ] {
            assert_eq!(path(text).exists(), stays, "{text}");
        }
        assert!(outside.path().exists());
    }

    #[test]
    fn a_log_in_which_nothing_was_written_for_long_goes_as_well() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("sekisho.2026-11-01.log"), "x").unwrap();
        let keep = Keep { days: 3, total_bytes_max: 100 };
        prune(folder.path(), keep, "2026-11-03".parse().unwrap()).unwrap();
        assert_eq!(list(folder.path()).unwrap().len(), 1);
        prune(folder.path(), keep, "2026-11-04".parse().unwrap()).unwrap();
        assert_eq!(list(folder.path()).unwrap(), []);
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits_and_the_newest_stays() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["sekisho.2026-11-21.log", "sekisho.2026-11-22.log", "sekisho.2026-11-22.1.log"] {
            fs::write(folder.path().join(text), [0; 100]).unwrap();
        }
        let today = "2026-11-22".parse().unwrap();
        let left = |total_bytes_max| {
            prune(folder.path(), Keep { days: 14, total_bytes_max }, today).unwrap();
            list(folder.path()).unwrap().iter().map(|file| file.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(left(300).len(), 3);
        assert_eq!(left(250), ["sekisho.2026-11-22.log", "sekisho.2026-11-22.1.log"]);
        assert_eq!(left(10), ["sekisho.2026-11-22.1.log"]);
    }
}
