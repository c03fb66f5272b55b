//! A disk that is really full: a small file system of its own, where this test may mount one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sekisho::audit::log::LogHook;
use sekisho::audit::verify::{Against, verify};
use sekisho::base::bound;
use sekisho::base::clock::ManualClock;
use sekisho::store::table::Table;
use sekisho::store::{Batch, Health, Put, Removal, Store, StoreError, after_prefix};
use tokio::time::timeout;

use crate::harness::{Installation, PATIENCE, text};
use crate::strongroom::{check, until};
use crate::timed::{Timed, clock};

const SIZE_MIB: u64 = 24;

/// A tmpfs, unmounted when dropped.
struct SmallDisk {
    path: PathBuf,
    _directory: Option<tempfile::TempDir>,
}

impl SmallDisk {
    /// `None` where one may not mount.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        Self::mounted(&path).then_some(Self { path, _directory: Some(directory) })
    }

    /// In the place of a folder that is somebody else's to remove.
    fn mount_at(path: &Path) -> Option<Self> {
        Self::mounted(path).then(|| Self { path: path.to_owned(), _directory: None })
    }

    fn mounted(path: &Path) -> bool {
        fs::create_dir(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={SIZE_MIB}m,mode=0700"), "tmpfs"]).arg(path);
        let status = mount.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, should a failed test still have the database open.
        Command::new("umount").arg("-l").arg(&self.path).status().ok();
    }
}

/// Takes all room, down to the last page.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for piece in [64 << 10, 4 << 10] {
        while std::io::Write::write_all(&mut file, &vec![1; piece]).is_ok() {}
    }
}

fn entry(number: u64) -> Batch {
    let put = Put::new(Table::Bodies, [&b"row/"[..], &number.to_be_bytes()].concat(), vec![5; 20_000]);
    Batch { puts: vec![put], ..Batch::leaf(format!("entry {number}").into_bytes()) }
}

#[test]
fn a_full_disk_takes_the_alarm_and_the_prune_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("no file system can be mounted here: a full disk is tried with the simulated one only");
        return;
    };
    let path = disk.path.join("sekisho.redb");
    Store::create(&path, &[]).unwrap();
    let opened = Store::open(&path).unwrap();
    let ballast = disk.path.join("sekisho.redb.ballast");
    assert!(ballast.exists());
    let hook = Box::new(LogHook::of(&opened).unwrap());
    let clock = Arc::new(ManualClock::default());
    let store = opened.start_with_clock(hook, clock).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let work = async {
        let mut acknowledged = Vec::new();
        for number in 0..50 {
            acknowledged.push(store.commit(entry(number)).await.unwrap().sequence.unwrap());
        }
        fill(&disk.path.join("filler"));
        let refused = loop {
            match store.commit(entry(acknowledged.len() as u64)).await {
                Ok(acknowledgement) => acknowledged.push(acknowledgement.sequence.unwrap()),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
        store.health().wait_for(|health| *health == Health::Full).await.unwrap();
        assert!(!ballast.exists());
        // The room that the ballast gave back is not for everybody.
        assert!(matches!(store.commit(entry(1_000_000)).await, Err(StoreError::Full { .. })));
        let alarm = store.commit(Batch::leaf(b"the disk is full".to_vec()).urgent()).await.unwrap();
        let removal = Removal {
            table: Table::Bodies,
            from: b"row/".to_vec(),
            to: after_prefix(b"row/"),
            rows_max: bound::REMOVAL_ROWS_MAX,
        };
        let pruned = store.commit(Batch::removal(removal).urgent()).await.unwrap();
        assert!(pruned.removed_rows >= 50, "{pruned:?}");
        // The file does not shrink: there is no room yet.
        assert_eq!(store.probe().await.unwrap(), Health::Full);
        fs::remove_file(disk.path.join("filler")).unwrap();
        assert_eq!(store.probe().await.unwrap(), Health::Writable);
        assert!(ballast.exists());
        let after = store.commit(entry(2_000_000)).await.unwrap();
        let leaves = store
            .read(|snapshot| snapshot.scan(Table::AuditEntries, &[], &[u8::MAX; 9], usize::MAX))
            .map_err(|error: StoreError| error.to_string())
            .unwrap();
        for (number, sequence) in acknowledged.iter().enumerate() {
            assert_eq!(leaves[usize::try_from(*sequence).unwrap()].1, format!("entry {number}").into_bytes());
        }
        assert!(after.sequence > alarm.sequence);
        assert!(verify(&store, &Against::default()).unwrap().is_sound());
        store.close().await;
    };
    runtime.block_on(async { timeout(PATIENCE, work).await.expect("the store hangs") });
    // Opened on a disk that is full, it opens within what it has or what the ballast gives back.
    fill(&disk.path.join("filler"));
    let opened = Store::open(&path).unwrap();
    let hook = Box::new(LogHook::of(&opened).unwrap());
    let store = opened.start(hook).unwrap();
    runtime.block_on(async {
        let alarm = || Batch::leaf(b"full again".to_vec()).urgent();
        if let Err(error) = store.commit(alarm()).await {
            // The ballast was still there, and goes now.
            assert!(matches!(error, StoreError::Full { .. }), "{error}");
            store.health().wait_for(|health| *health == Health::Full).await.unwrap();
            store.commit(alarm()).await.unwrap();
        }
        store.close().await;
    });
}

/// Whoever fills the disk must not keep anybody from answering for it.
#[test]
fn on_a_full_disk_an_incident_is_opened_contained_and_everything_frozen() {
    let installation = Installation::bare();
    let Some(disk) = SmallDisk::mount_at(&installation.data()) else {
        eprintln!("no file system can be mounted here: incidents on a full disk are not tried");
        return;
    };
    check(&installation.run(&["init"]), 0, &[]);
    let server = installation.serve();
    fill(&disk.path.join("filler"));
    // Until a commit is refused: pages that the file has already are used up first.
    until("a refused commit", || {
        let issued = installation.run(&["token", "issue", "more"]);
        (!issued.status.success()).then_some(())
    });
    let id = installation.json(&["incident", "open", "The disk is full", "--severity", "low"])["id"].to_string();
    installation.json(&["incident", "note", &id, "somebody fills it"]);
    installation.json(&["contain", "--principal", "token:somebody", "--anyway", "--incident", &id]);
    assert_eq!(installation.json(&["freeze"])["frozen"], true);
    assert_eq!(installation.json(&["unfreeze"])["frozen"], false);
    let shown = installation.json(&["incident", "show", &id]);
    assert_eq!(shown["notes"].as_array().unwrap().len(), 2, "{shown}");
    fs::remove_file(disk.path.join("filler")).unwrap();
    drop(server);
}

#[test]
fn on_a_full_disk_what_upkeep_finds_is_told_once_and_not_at_each_look() {
    let installation = Installation::bare();
    let data = installation.data();
    let Some(_disk) = SmallDisk::mount_at(&data) else {
        eprintln!("no file system can be mounted here: a full disk is tried with the simulated one only");
        return;
    };
    let made = installation.run(&["init"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let clock = clock();
    let timed = Timed::start(&installation, &clock);
    timed.look_after();
    fill(&data.join("filler"));
    let folder = installation.folder("large");
    let words: String = (0..200_000).map(|number| format!("word{} ", number * 7919 % 100_003)).collect();
    crate::harness::write(&folder.join("a.md"), &format!("# A\n\n{words}\n"));
    let refused = installation.run(&["library", "add", "large", folder.to_str().unwrap()]);
    assert!(!refused.status.success(), "there is no room");
    // Nobody can commit now but who is urgent; and there is something new to find.
    fs::set_permissions(data.join("http-token"), PermissionsExt::from_mode(0o644)).unwrap();
    clock.advance(Duration::from_hours(24));
    for _ in 0..5 {
        timed.look_after();
    }
    fs::remove_file(data.join("filler")).unwrap();
    until("calls are taken again", || {
        clock.advance(Duration::from_secs(2));
        installation.run(&["library", "list"]).status.success().then_some(())
    });
    let entries = installation.entries();
    let count = |operation: &str| entries.iter().filter(|entry| entry["operation"] == operation).count();
    assert!(count("store.health") > 0, "it was full: {entries:?}");
    assert_eq!((count("scan.grave"), count("disk.space")), (1, 1), "{entries:?}");
    timed.stop();
}

#[test]
fn another_disk_for_backups_is_watched_for_itself() {
    let mut installation = Installation::new();
    let folder = installation.folder("mounts").join("backups");
    let Some(disk) = SmallDisk::mount_at(&folder) else {
        eprintln!("no file system can be mounted here: there is no other disk");
        return;
    };
    installation.set("BACKUP_DIRECTORY", folder.to_str().unwrap());
    installation.set("UPKEEP_DISK_FREE_BYTES_MIN", &(4u64 << 20).to_string());
    installation.set("UPKEEP_DISK_FREE_PERCENT_MIN", "0");
    let clock = clock();
    let timed = Timed::start(&installation, &clock);
    let told = || {
        let entries = installation.entries();
        let of_disk = entries.into_iter().filter(|entry| entry["operation"] == "disk.space");
        of_disk
            .map(|entry| format!("{} {}", text(entry["outcome"].as_str().unwrap().as_bytes()), entry["reason"]))
            .collect::<Vec<_>>()
    };
    timed.look_after();
    assert_eq!(told(), [] as [&str; 0]);
    fill(&folder.join("filler"));
    timed.look_after();
    timed.look_after();
    let short = told();
    assert!(
        short.len() == 1 && short[0].starts_with("failed") && short[0].contains("the disk of the backups: "),
        "{short:?}"
    );
    check(&installation.run(&["doctor"]), 1, &["the disk of the backups"]);
    fs::remove_file(folder.join("filler")).unwrap();
    timed.look_after();
    timed.look_after();
    let well = told();
    assert!(well.len() == 2 && well[1].contains("there is enough room on the disk of the backups again"), "{well:?}");
    // One that is taken away is short of nothing; the backups that cannot be made are another finding.
    fill(&folder.join("filler"));
    timed.look_after();
    assert_eq!(told().len(), 3);
    drop(disk);
    timed.look_after();
    assert_eq!(told().len(), 3);
    let doctor = installation.run(&["doctor"]);
    assert!(!text(&doctor.stdout).contains("the disk of the backups: "), "{}", text(&doctor.stdout));
    timed.stop();
}
