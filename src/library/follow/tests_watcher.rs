//! A watcher that fails as the kernel's does: what was too much for its queue, and watches that are used up.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use notify::event::{CreateKind, Flag};
use notify::{ErrorKind, WatcherKind};

use super::*;
use crate::base::classification::Classification;
use crate::base::clock::Timestamp;

/// What the kernel of a test does, and was asked.
#[derive(Default)]
struct Kernel {
    is_used_up: AtomicBool,
    watchers: AtomicUsize,
    watched: Mutex<Vec<PathBuf>>,
    ear: Mutex<Option<Ear>>,
}

struct Fake(Arc<Kernel>);

impl Watcher for Fake {
    fn new<F: EventHandler>(_: F, _: Config) -> notify::Result<Self> {
        Err(notify::Error::generic("it is made with its kernel"))
    }

    fn watch(&mut self, path: &Path, _: RecursiveMode) -> notify::Result<()> {
        if self.0.is_used_up.load(Ordering::Relaxed) {
            return Err(notify::Error::new(ErrorKind::MaxFilesWatch));
        }
        self.0.watched.lock().unwrap().push(path.to_owned());
        Ok(())
    }

    fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
        Ok(())
    }

    fn kind() -> WatcherKind {
        WatcherKind::NullWatcher
    }
}

struct Rig {
    folder: tempfile::TempDir,
    kernel: Arc<Kernel>,
    follower: Follower,
    libraries: Vec<LibraryRecord>,
}

impl Rig {
    /// Two libraries beside the data directory, watched, and at rest.
    fn new(is_used_up: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["data", "one", "two"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let libraries = ["one", "two"].map(|name| LibraryRecord {
            name: name.to_owned(),
            source: Source::Folder {
                root: folder.path().join(name).display().to_string(),
                include: Vec::new(),
                exclude: Vec::new(),
            },
            added: Timestamp(1),
            generation: 1,
            synced: None,
            documents: 0,
            sections: 0,
            bytes: 0,
            classification: Classification::Public,
            profile: None,
            shaped: None,
        });
        let kernel = Arc::new(Kernel::default());
        kernel.is_used_up.store(is_used_up, Ordering::Relaxed);
        let mut follower = Follower::new(&folder.path().join("data"));
        let its = Arc::clone(&kernel);
        follower.make = Arc::new(move |ear| {
            its.watchers.fetch_add(1, Ordering::Relaxed);
            its.ear.lock().unwrap().replace(ear);
            Ok(Box::new(Fake(Arc::clone(&its))))
        });
        let mut rig = Self { folder, kernel, follower, libraries: libraries.into() };
        rig.look();
        rig.follower.unrest = Unrest::default();
        rig
    }

    /// As the server does every few seconds.
    fn look(&mut self) {
        self.follower.watch(&self.libraries);
    }

    /// A look after the time that passes between two tries.
    fn look_later(&mut self) {
        self.follower.tried = Instant::now().checked_sub(Duration::from_millis(bound::FOLLOW_RETRY_MS)).unwrap();
        self.look();
    }

    fn tell(&self, event: notify::Result<Event>) {
        self.kernel.ear.lock().unwrap().as_mut().unwrap().handle_event(event);
    }

    fn created(&self, name: &str) -> notify::Result<Event> {
        let path = fs::canonicalize(self.folder.path()).unwrap().join(name);
        Ok(Event::new(EventKind::Create(CreateKind::File)).add_path(path))
    }

    /// Libraries that will be synced once they rest.
    async fn restless(&mut self) -> Vec<String> {
        // It takes what is told until it has nothing to wait for.
        while let Ok(path) = self.follower.changed.try_recv() {
            self.follower.stir(&path);
        }
        assert!(self.follower.rested(Instant::now()).await.is_empty(), "nothing rests so soon");
        self.follower.unrest.by_library.keys().cloned().collect()
    }
}

#[tokio::test]
async fn what_was_too_much_for_the_kernel_makes_every_library_be_looked_at_and_watched_anew() {
    let overflow = || Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan));
    let failure = || Err(notify::Error::generic("the queue cannot be read"));
    for event in [overflow(), failure()] {
        let mut rig = Rig::new(false);
        assert_eq!(rig.restless().await, [] as [&str; 0]);
        rig.tell(rig.created("one/a.md"));
        assert_eq!(rig.restless().await, ["one"]);
        rig.tell(event);
        assert_eq!(rig.restless().await, ["one", "two"]);
        // Folders that were made meanwhile have no watch: all are given back, though not at every look.
        rig.look();
        assert_eq!(rig.kernel.watchers.load(Ordering::Relaxed), 1);
        rig.look_later();
        assert_eq!((rig.kernel.watchers.load(Ordering::Relaxed), rig.kernel.watched.lock().unwrap().len()), (2, 4));
        rig.look_later();
        assert_eq!(rig.kernel.watchers.load(Ordering::Relaxed), 2, "it is well again");
    }
}

#[tokio::test]
async fn more_changes_than_there_is_room_for_make_every_library_be_looked_at() {
    let mut rig = Rig::new(false);
    for _ in 0..=bound::FOLLOW_EVENTS_MAX {
        rig.tell(rig.created("one/a.md"));
    }
    assert_eq!(rig.restless().await, ["one", "two"]);
    rig.look_later();
    assert_eq!(rig.kernel.watchers.load(Ordering::Relaxed), 1, "the kernel lost nothing, so all watches stay");
}

#[tokio::test]
async fn libraries_for_which_no_watch_is_left_are_followed_once_there_is_one() {
    let mut rig = Rig::new(true);
    let told: Vec<&str> = rig.follower.told.iter().map(String::as_str).collect();
    assert_eq!(told, ["one", "two"], "the log names both");
    let place = rig.follower.watched["one"].clone();
    let why = rig.follower.try_begin(&place).unwrap_err();
    assert!(why.contains("fs.inotify.max_user_watches"), "{why}");
    rig.kernel.is_used_up.store(false, Ordering::Relaxed);
    rig.look();
    assert!(rig.kernel.watched.lock().unwrap().is_empty(), "each try looks at all folders, so it takes its time");
    rig.look_later();
    assert_eq!((rig.kernel.watched.lock().unwrap().len(), rig.follower.told.len()), (2, 0));
    // What changed while nobody watched is found by a sync.
    assert_eq!(rig.restless().await, ["one", "two"]);
}
