//! The rolling writer against a clock and a disk that do as they are told.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::*;
use crate::base::clock::{ManualClock, Timestamp};
use crate::base::secret::Secret;
use crate::telemetry::sealed::{Header, LineOpener};

/// 2026-11-22T23:59:00Z.
const EVENING: Timestamp = Timestamp(1_795_391_940_000);
const MINUTE: Duration = Duration::from_secs(60);

struct World {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    dropped: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, clock: Arc::new(ManualClock::at(EVENING)), dropped: Arc::default() }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    fn writer(&self, bytes_max: u64, keys: Option<&Arc<KeySupply>>) -> RollingWriter {
        let keep = Keep { days: 3, total_bytes_max: 1 << 20 };
        let plan = Plan { directory: self.directory(), bytes_max, keep };
        RollingWriter::new(plan, self.clock.clone(), keys.cloned(), Arc::clone(&self.dropped)).unwrap()
    }

    fn files(&self) -> Vec<(String, String)> {
        let named = |file: folder::LogFile| {
            let name = file.name.to_string();
            let text = fs::read_to_string(self.directory().join(&name)).unwrap();
            (name, text)
        };
        folder::list(&self.directory()).unwrap().into_iter().map(named).collect()
    }

    fn check(&self, expected: &[(&str, &str)]) {
        let files = self.files();
        let found: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(found, expected);
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[test]
fn a_new_day_begins_a_new_file() {
    let world = World::new();
    let mut writer = world.writer(1000, None);
    writer.write_all(b"today\n").unwrap();
    world.clock.advance(MINUTE);
    writer.write_all(b"tomorrow\n").unwrap();
    world.check(&[("sekisho.2026-11-22.log", "today\n"), ("sekisho.2026-11-23.log", "tomorrow\n")]);
}

#[test]
fn a_full_file_is_followed_by_another_one_of_the_day() {
    let world = World::new();
    let mut writer = world.writer(10, None);
    for line in ["12345\n", "123\n", "1\n", "a line that is longer than a file\n", "2\n"] {
        writer.write_all(line.as_bytes()).unwrap();
    }
    world.check(&[
        ("sekisho.2026-11-22.log", "12345\n123\n"),
        ("sekisho.2026-11-22.1.log", "1\n"),
        ("sekisho.2026-11-22.2.log", "a line that is longer than a file\n"),
        ("sekisho.2026-11-22.3.log", "2\n"),
    ]);
}

#[test]
fn a_start_goes_on_in_the_last_file_unless_a_kill_cut_it() {
    let world = World::new();
    world.writer(1000, None).write_all(b"one\n").unwrap();
    world.writer(1000, None).write_all(b"two\n").unwrap();
    world.check(&[("sekisho.2026-11-22.log", "one\ntwo\n")]);
    fs::write(world.directory().join("sekisho.2026-11-22.log"), "one\ntw").unwrap();
    world.writer(1000, None).write_all(b"three\n").unwrap();
    world.check(&[("sekisho.2026-11-22.log", "one\ntw"), ("sekisho.2026-11-22.1.log", "three\n")]);
}

#[test]
fn old_files_go_when_a_new_one_begins() {
    let world = World::new();
    let mut writer = world.writer(1000, None);
    for _ in 0..5 {
        writer.write_all(b"x\n").unwrap();
        world.clock.advance(MINUTE * 60 * 24);
    }
    let names: Vec<String> = world.files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["sekisho.2026-11-24.log", "sekisho.2026-11-25.log", "sekisho.2026-11-26.log"]);
}

#[test]
fn a_link_in_the_place_of_a_file_is_not_followed() {
    let world = World::new();
    fs::create_dir(world.directory()).unwrap();
    let outside = world.folder.path().join("outside");
    fs::write(&outside, "").unwrap();
    std::os::unix::fs::symlink(&outside, world.directory().join("sekisho.2026-11-23.log")).unwrap();
    let mut writer = world.writer(1000, None);
    world.clock.advance(MINUTE);
    writer.write_all(b"x\n").unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "");
    assert_eq!(world.dropped(), 1);
}

#[test]
fn files_and_folder_are_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    world.writer(1000, None).write_all(b"x\n").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world.directory()), 0o700);
    assert_eq!(mode(&world.directory().join("sekisho.2026-11-22.log")), 0o600);
}

#[test]
fn a_line_beyond_every_measure_is_cut() {
    let world = World::new();
    let mut writer = world.writer(1 << 20, None);
    writer.write_all(&vec![b'x'; bound::LOG_LINE_BYTES_MAX * 2]).unwrap();
    let (_, text) = world.files().remove(0);
    assert_eq!(text.len(), bound::LOG_LINE_BYTES_MAX + " [cut]\n".len());
}

/// Takes half of what is written while `full`.
struct Disk {
    file: Box<dyn Sink>,
    full: Arc<AtomicBool>,
}

impl Sink for Disk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.append(bytes)
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.file.cut(bytes)
    }
}

fn fill(writer: &mut RollingWriter) -> Arc<AtomicBool> {
    let full = Arc::new(AtomicBool::new(true));
    let of_writer = Arc::clone(&full);
    writer.current = None;
    writer.open =
        Box::new(move |path, new| Ok(Box::new(Disk { file: open_file(path, new)?, full: Arc::clone(&of_writer) })));
    full
}

#[test]
fn a_full_disk_costs_lines_which_are_counted_and_no_more() {
    let world = World::new();
    let mut writer = world.writer(1000, None);
    writer.write_all(b"before\n").unwrap();
    let full = fill(&mut writer);
    writer.write_all(b"lost\n").unwrap();
    world.clock.advance(MINUTE);
    writer.write_all(b"lost too\n").unwrap();
    assert_eq!(world.dropped(), 2);
    full.store(false, Ordering::Relaxed);
    writer.write_all(b"after\n").unwrap();
    world.check(&[("sekisho.2026-11-22.log", "before\n"), ("sekisho.2026-11-23.log", "after\n")]);
    assert_eq!(world.dropped(), 2);
}

#[test]
fn a_folder_that_was_taken_away_is_made_again() {
    let world = World::new();
    let mut writer = world.writer(1000, None);
    fs::remove_dir_all(world.directory()).unwrap();
    world.clock.advance(MINUTE);
    writer.write_all(b"x\n").unwrap();
    world.check(&[("sekisho.2026-11-23.log", "x\n")]);
}

/// Keys of files by their header, as a keyring would give them.
#[derive(Default)]
struct Keyring(Mutex<Vec<(Header, Secret)>>);

impl Keyring {
    fn supply(&self, supply: &KeySupply, key_version: u32) {
        let (id, secret) = sealed::fresh().unwrap();
        let header = Header { id, key_version, wrapped: vec![7; 60] };
        self.0.lock().unwrap().push((header.clone(), secret.clone()));
        supply.put(FileKey { header, secret });
    }

    fn open(&self, text: &str) -> Vec<String> {
        let mut lines = text.lines();
        let header = Header::parse(lines.next().unwrap()).unwrap();
        let keys = self.0.lock().unwrap();
        let (_, secret) = keys.iter().find(|(known, _)| *known == header).unwrap();
        let opener = LineOpener::new(header.id, secret).unwrap();
        lines.map(|line| String::from_utf8(opener.open(line).unwrap().1).unwrap()).collect()
    }
}

#[test]
fn lines_wait_for_a_key_and_nothing_is_written_in_clear() {
    let world = World::new();
    let (keyring, supply) = (Keyring::default(), Arc::new(KeySupply::default()));
    let mut writer = world.writer(1000, Some(&supply));
    writer.write_all(b"before the vault\n").unwrap();
    world.check(&[]);
    keyring.supply(&supply, 1);
    writer.flush().unwrap();
    writer.write_all(b"with the vault\n").unwrap();
    let files = world.files();
    assert_eq!(files[0].0, "sekisho.2026-11-22.log.sealed");
    assert!(!files[0].1.contains("vault"));
    assert_eq!(keyring.open(&files[0].1), ["before the vault", "with the vault"]);
    assert_eq!(world.dropped(), 0);
}

#[test]
fn what_waits_is_bounded_and_what_never_got_a_key_is_counted() {
    let world = World::new();
    let mut writer = world.writer(1000, Some(&Arc::new(KeySupply::default())));
    let line = vec![b'x'; bound::LOG_WAITING_BYTES_MAX / 4];
    for _ in 0..5 {
        writer.write_all(&line).unwrap();
    }
    assert_eq!(world.dropped(), 1);
    drop(writer);
    assert_eq!(world.dropped(), 5);
    world.check(&[]);
}

#[test]
fn after_the_vault_was_sealed_the_file_that_was_open_takes_no_more() {
    let world = World::new();
    let (keyring, supply) = (Keyring::default(), Arc::new(KeySupply::default()));
    let mut writer = world.writer(1000, Some(&supply));
    keyring.supply(&supply, 1);
    keyring.supply(&supply, 1);
    writer.write_all(b"one\n").unwrap();
    supply.clear();
    writer.flush().unwrap();
    assert!(writer.current.is_none(), "the key is still in memory");
    writer.write_all(b"two\n").unwrap();
    assert_eq!(world.files().len(), 1);
    assert_eq!(supply.versions().into_iter().collect::<Vec<_>>(), [1]);
    keyring.supply(&supply, 2);
    writer.flush().unwrap();
    let files = world.files();
    assert_eq!(keyring.open(&files[0].1), ["one"]);
    assert_eq!(keyring.open(&files[1].1), ["two"]);
    assert_eq!(Header::parse(files[1].1.lines().next().unwrap()).unwrap().key_version, 2);
}

#[test]
fn a_full_disk_leaves_no_halves_of_sealed_files() {
    let world = World::new();
    let (keyring, supply) = (Keyring::default(), Arc::new(KeySupply::default()));
    let mut writer = world.writer(1000, Some(&supply));
    let full = fill(&mut writer);
    keyring.supply(&supply, 1);
    for _ in 0..3 {
        writer.write_all(b"lost\n").unwrap();
    }
    world.check(&[]);
    assert_eq!(world.dropped(), 3);
    full.store(false, Ordering::Relaxed);
    writer.write_all(b"kept\n").unwrap();
    full.store(true, Ordering::Relaxed);
    writer.write_all(b"lost\n").unwrap();
    full.store(false, Ordering::Relaxed);
    writer.write_all(b"kept too\n").unwrap();
    assert_eq!(keyring.open(&world.files()[0].1), ["kept", "kept too"]);
}

#[test]
fn each_full_sealed_file_is_followed_by_one_with_another_key() {
    let world = World::new();
    let (keyring, supply) = (Keyring::default(), Arc::new(KeySupply::default()));
    let mut writer = world.writer(300, Some(&supply));
    for number in 0..9 {
        if supply.missing() > 0 {
            keyring.supply(&supply, 1);
        }
        writer.write_all(format!("line {number}\n").as_bytes()).unwrap();
    }
    let files = world.files();
    assert!(files.len() > 2, "{files:?}");
    let lines: Vec<String> = files.iter().flat_map(|(_, text)| keyring.open(text)).collect();
    assert_eq!(lines, (0..9).map(|number| format!("line {number}")).collect::<Vec<_>>());
    let ids: std::collections::BTreeSet<&str> = files.iter().filter_map(|(_, text)| text.lines().next()).collect();
    assert_eq!(ids.len(), files.len());
}
