//! Power lost anywhere in an import of a bundle or in taking it back: the library is what it was, or what it was to be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sekisho::audit::log::LogHook;
use sekisho::base::classification::Classification;
use sekisho::base::clock::{Clock, ManualClock, Timestamp};
use sekisho::base::secret::Secret;
use sekisho::crypto::sign::SigningKey;
use sekisho::library::ask::Query;
use sekisho::library::bundle::How;
use sekisho::library::record::{LibraryRecord, Source};
use sekisho::library::shape::Plain;
use sekisho::library::{Changes, Libraries, LibraryError};
use sekisho::sandbox::{Launch, Sandbox};
use sekisho::search::Index;
use sekisho::store::Store;
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::disk::{SimulatedDisk, Tear};
use crate::harness::{is_soak, write};
use crate::workload::formatted;

/// Moments at which the power goes.
fn moments() -> u64 {
    if is_soak() { 400 } else { 24 }
}

struct Nobody;

impl Changes for Nobody {
    fn documents(&self, _library: &LibraryRecord, _changed: &[String], _list_changed: bool) {}
    fn libraries(&self) {}
}

/// An installation as far as libraries go.
struct Site {
    store: Store,
    libraries: Arc<Libraries>,
}

impl Site {
    /// `None` where the power is off.
    async fn open(disk: &SimulatedDisk, index: &Path, clock: &Arc<ManualClock>) -> Option<Self> {
        let opened = Store::open_on(Arc::new(disk.clone())).ok()?;
        let hook = LogHook::of(&opened).ok()?;
        let store = opened.start(Box::new(hook)).ok()?;
        let index = Index::open(index).unwrap();
        let nothing = Launch { program: "/bin/false".into(), arguments: Vec::new() };
        let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
        let sandbox = Arc::new(Sandbox::new(nothing));
        let libraries =
            Libraries::new(store.clone(), Arc::new(index.index), clock, Arc::new(Nobody), Arc::new(Plain), sandbox);
        let libraries = Arc::new(libraries);
        libraries.catch_up(index.marks).await.ok()?;
        Some(Self { store, libraries })
    }

    async fn import(&self, bundle: &Path) -> Result<(), LibraryError> {
        let stay = CancellationToken::new();
        let trusted = vec![key().verifying_key().clone()];
        let checked = self.libraries.check_bundle(bundle, None, trusted, stay.clone()).await?;
        let how = How { allow_older: true, ..How::default() };
        self.libraries.import(checked, how, stay, |_| {}).await.map(drop)
    }

    /// All that is visible, held against what is found.
    async fn content(&self) -> BTreeMap<String, String> {
        let documents = self.libraries.documents("docs", "", None, 1000).unwrap();
        let read = |(path, _): &(String, _)| (path.clone(), self.libraries.document("docs", path).unwrap().1);
        let content: BTreeMap<String, String> = documents.iter().map(read).collect();
        for word in ["zebra", "quokka"] {
            let query =
                Query { text: word.to_owned(), libraries: vec!["docs".to_owned()], limit: 50, ..Query::default() };
            let found = self.libraries.search(query).await.unwrap();
            let mut found: Vec<String> = found.hits.into_iter().map(|hit| hit.path).collect();
            found.sort_unstable();
            found.dedup();
            let expected: Vec<&String> =
                content.iter().filter(|(_, text)| text.contains(word)).map(|(path, _)| path).collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "the index does not know what is stored: {word}");
        }
        let library = self.libraries.get("docs").unwrap();
        assert_eq!(library.documents, content.len() as u64);
        assert_eq!(library.bytes, content.values().map(|text| text.len() as u64).sum::<u64>());
        content
    }

    async fn close(self) {
        self.store.close().await;
    }
}

fn key() -> SigningKey {
    SigningKey::new("example.com/bundles", &Secret::new([7; 32])).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(work)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Two bundles of one library, the second with documents that came, went and changed.
async fn bundles(directory: &Path, clock: &Arc<ManualClock>) -> [PathBuf; 2] {
    let folder = directory.join("docs");
    for number in 0..8 {
        write(&folder.join(format!("stays{number}.md")), &format!("# Stays\n\nnumber {number}\n"));
        write(&folder.join(format!("old{number}.md")), "# Old\n\nzebra\n");
        write(&folder.join(format!("changes{number}.md")), "# Changes\n\nzebra\n");
    }
    let site = Site::open(&formatted(), &directory.join("made"), clock).await.unwrap();
    let source = Source::at(folder.display().to_string(), Vec::new(), Vec::new());
    site.libraries.add("docs", source, Classification::Internal, None).await.unwrap();
    let mut made = Vec::new();
    for round in 0..2 {
        clock.advance(Duration::from_mins(1));
        if round == 1 {
            for number in 0..8 {
                fs::remove_file(folder.join(format!("old{number}.md"))).unwrap();
                write(&folder.join(format!("new{number}.md")), "# New\n\nquokka\n");
                write(&folder.join(format!("changes{number}.md")), "# Changes\n\nquokka\n");
            }
        }
        site.libraries.sync("docs", CancellationToken::new(), |_| {}).await.unwrap();
        let path = directory.join(format!("{round}.bundle"));
        site.libraries.export("docs", path.clone(), key(), CancellationToken::new(), |_| {}).await.unwrap();
        made.push(path);
    }
    site.close().await;
    made.try_into().unwrap()
}

#[test]
fn power_lost_in_an_import_or_a_rollback_leaves_one_of_two_libraries() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp(1_800_000_000_000)));
    block_on(async {
        let [first, second] = bundles(directory.path(), &clock).await;
        let (disk, index) = (formatted(), directory.path().join("before"));
        let site = Site::open(&disk, &index, &clock).await.unwrap();
        site.import(&first).await.unwrap();
        let old = site.content().await;
        site.close().await;
        // Once to its end: what it is to be, and how many moments there are.
        let whole = disk.twin();
        let site = Site::open(&whole, &directory.path().join("whole"), &clock).await.unwrap();
        let opening = whole.changes();
        site.import(&second).await.unwrap();
        let new = site.content().await;
        let imported = whole.changes();
        site.libraries.roll_back("docs").await.unwrap();
        assert_eq!(site.content().await, old);
        let all = whole.changes();
        site.close().await;
        assert_ne!(old, new);

        let mut dice = Dice::of(6);
        let (mut kept, mut taken) = (0, 0);
        for trial in 0..moments() {
            // Spread over both, each at another moment of its stretch.
            let stretch = (all - opening) / moments();
            let moment = opening + trial * stretch + dice.below(stretch.max(1));
            let found = disk.twin();
            found.power_off_at(moment);
            let there = directory.path().join(format!("index{trial}"));
            copy(&index, &there);
            let mut rolled_back = false;
            if let Some(site) = Site::open(&found, &there, &clock).await {
                rolled_back = site.import(&second).await.is_ok() && site.libraries.roll_back("docs").await.is_ok();
                found.power_off();
                site.close().await;
            }
            let found = found.after_power_loss(&mut dice, Tear::Whole);
            let site = Site::open(&found, &there, &clock).await.unwrap();
            let content = site.content().await;
            assert!(content == old || content == new, "power lost at {moment} of {imported} and {all}: {content:?}");
            if rolled_back {
                assert_eq!(content, old, "a rollback that was answered is gone");
            }
            if content == old {
                kept += 1;
            } else {
                taken += 1;
            }
            // Whatever was left over, the next one works.
            site.import(&second).await.unwrap();
            assert_eq!(site.content().await, new);
            site.libraries.roll_back("docs").await.unwrap();
            assert_eq!(site.content().await, content, "what was there before the last import is what is shown");
            site.close().await;
        }
        assert!(kept > 0 && taken > 0, "no moment fell on one of the sides: {kept} and {taken}");
    });
}
