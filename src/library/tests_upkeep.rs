//! Libraries in a store: what the index lacks is put in, what cannot be read spoils nothing, and who waits holds nothing.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::ask::Query;
use super::report::SyncReport;
use super::web::{Asked, Got, Site};
use super::*;
use crate::base::clock::ManualClock;
use crate::base::secret::Secret;
use crate::crypto::digest::Hash;
use crate::crypto::sign::SigningKey;
use crate::sandbox::{Reply, Worker};
use crate::store::after_prefix;
use crate::store::no_log::NoLog;

struct Nobody;

impl Changes for Nobody {
    fn documents(&self, _: &LibraryRecord, _: &[String], _: bool) {}

    fn libraries(&self) {}
}

struct Reader;

impl Worker for Reader {
    fn work(&mut self, _: &str, question: &[u8], body: Vec<u8>) -> Result<Reply, String> {
        foreign::work(question, &body)
    }
}

/// A profile whose rules change.
#[derive(Default)]
struct Rules(AtomicU8);

impl Shape for Rules {
    fn mark(&self, _: &str) -> Option<Hash> {
        Some([self.0.load(Ordering::Relaxed); 32])
    }

    fn facets(&self, _: &str, _: &str, _: &BTreeMap<String, Vec<String>>) -> Vec<(String, Vec<String>)> {
        vec![("rules".into(), vec![self.0.load(Ordering::Relaxed).to_string()])]
    }
}

struct World {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    rules: Arc<Rules>,
    store: Store,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sekisho.redb");
        Store::create(&path, &[]).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp(1)));
        let store = Store::open(&path).unwrap().start_with_clock(Box::new(NoLog), clock.clone()).unwrap();
        Self { directory, clock, rules: Arc::default(), store }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn folder(&self, name: &str) -> Source {
        let root = self.at(name).display().to_string();
        Source::Folder { root, include: Vec::new(), exclude: Vec::new() }
    }

    /// The libraries over the index in this folder, with what the index says that it holds.
    fn libraries(&self, index: &str) -> (Arc<Libraries>, BTreeMap<String, u64>) {
        let opened = Index::open(&self.at(index)).unwrap();
        let (clock, rules) = (Arc::clone(&self.clock) as Arc<dyn Clock>, Arc::clone(&self.rules) as Arc<dyn Shape>);
        let sandbox = Arc::new(Sandbox::off(|| Box::new(Reader)));
        let libraries =
            Libraries::new(self.store.clone(), Arc::new(opened.index), clock, Arc::new(Nobody), rules, sandbox);
        (Arc::new(libraries.mirrored_in(self.at("mirrors"))), opened.marks)
    }
}

async fn add(libraries: &Arc<Libraries>, name: &str, source: Source) {
    libraries.add(name, source, Classification::Public, Some("rules".into())).await.unwrap();
}

async fn sync(libraries: &Arc<Libraries>, name: &str) -> Result<SyncReport, LibraryError> {
    libraries.sync(name, CancellationToken::new(), |_| {}).await
}

async fn paths(libraries: &Arc<Libraries>, text: &str) -> Vec<String> {
    let query = Query { text: text.into(), limit: 10, ..Query::default() };
    libraries.search(query).await.unwrap().hits.into_iter().map(|hit| hit.path).collect()
}

/// The store had the new documents and the index's commit failed (a full disk): the next sync of another library wrote
/// into the index that it had them, and then nothing ever put them there.
#[tokio::test]
async fn what_the_index_lacks_is_put_in_by_the_next_sync() {
    let world = World::new();
    world.write("a/a.md", "# A\n\nzebra\n");
    world.write("b/b.md", "# B\n\nyak\n");
    let (libraries, _) = world.libraries("index");
    for name in ["a", "b"] {
        add(&libraries, name, world.folder(name)).await;
        sync(&libraries, name).await.unwrap();
    }
    drop(libraries);
    // As after a commit of the index that failed: the store knows more than it does.
    let (libraries, marks) = world.libraries("other");
    assert!(marks.is_empty());
    world.write("b/c.md", "# C\n\nibis\n");
    sync(&libraries, "b").await.unwrap();
    assert_eq!(
        (paths(&libraries, "yak").await, paths(&libraries, "ibis").await),
        (vec!["b.md".into()], vec!["c.md".into()])
    );
    assert!(paths(&libraries, "zebra").await.is_empty());
    let (_, marks) = world.libraries("other");
    assert_eq!(marks.keys().collect::<Vec<_>>(), ["b"], "of a it holds nothing, and must not say so");
    let report = sync(&libraries, "a").await.unwrap();
    assert_eq!((report.unchanged, report.changed), (1, 0));
    assert_eq!(paths(&libraries, "zebra").await, ["a.md"]);
    drop(libraries);
    let (libraries, marks) = world.libraries("other");
    assert_eq!(libraries.catch_up(marks).await.unwrap(), 0, "now the index lacks nothing");
}

/// What was removed went into an index that a failed sync then dropped, with the rows that said so gone already.
#[tokio::test]
async fn what_was_removed_is_not_found_although_the_sync_that_noticed_fails() {
    let world = World::new();
    world.write("a/a.md", "# A\n\nzebra\n");
    world.write("a/b.md", "# B\n\nyak\n");
    let (libraries, _) = world.libraries("index");
    add(&libraries, "demo", world.folder("a")).await;
    sync(&libraries, "demo").await.unwrap();
    drop(libraries);
    // The index as it stays where its next commit fails.
    std::fs::create_dir(world.at("older")).unwrap();
    for file in std::fs::read_dir(world.at("index")).unwrap().flatten() {
        std::fs::copy(file.path(), world.at("older").join(file.file_name())).unwrap();
    }
    let (libraries, marks) = world.libraries("index");
    libraries.marks.lock().unwrap().clone_from(&marks);
    std::fs::remove_file(world.at("a/a.md")).unwrap();
    world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(sync(&libraries, "demo").await.unwrap().removed, 1);
    let key = record::document_key("demo", "a.md", libraries.get("demo").unwrap().generation);
    let tombstone = codec::encode(&record::DocumentRecord::tombstone()).unwrap();
    world.store.commit(Batch::puts(vec![Put::new(Table::Documents, key, tombstone)])).await.unwrap();
    drop(libraries);

    let (libraries, marks) = world.libraries("older");
    libraries.marks.lock().unwrap().clone_from(&marks);
    std::fs::rename(world.at("a"), world.at("away")).unwrap();
    sync(&libraries, "demo").await.unwrap_err();
    std::fs::rename(world.at("away"), world.at("a")).unwrap();
    sync(&libraries, "demo").await.unwrap();
    assert!(paths(&libraries, "zebra").await.is_empty());
    assert_eq!(paths(&libraries, "yak").await, ["b.md"]);
}

#[tokio::test]
async fn what_a_failed_import_left_goes_and_what_may_be_taken_back_to_stays() {
    let world = World::new();
    world.write("a/a.md", "# A\n\nzebra\n");
    let (libraries, _) = world.libraries("index");
    add(&libraries, "demo", world.folder("a")).await;
    sync(&libraries, "demo").await.unwrap();
    let origin = record::Origin {
        library: "demo".into(),
        source: String::new(),
        serial: 1,
        made: Timestamp(1),
        digest: [0; 32],
        signer: String::new(),
    };
    let now = libraries.get("demo").unwrap();
    let now = record::LibraryRecord { source: Source::Bundle(Box::new(origin)), ..now };
    let document = codec::encode(&libraries.document("demo", "a.md").unwrap().0).unwrap();
    // The generation before has another document of this path; a later one was never shown.
    let before = record::LibraryRecord { generation: now.generation - 1, ..now.clone() };
    let row =
        |generation| Put::new(Table::Documents, record::document_key("demo", "a.md", generation), document.clone());
    let mut puts = vec![row(before.generation), row(now.generation + 9)];
    puts.push(Put::new(Table::Libraries, "demo", codec::encode(&now).unwrap()));
    puts.push(bundle::before_row(&before, None).unwrap());
    world.store.commit(Batch::puts(puts)).await.unwrap();
    for (delete, count) in [(false, 1), (true, 1), (true, 0)] {
        let found = libraries.leftovers(delete).await.unwrap();
        assert_eq!(found.iter().map(|(_, count)| count).sum::<usize>(), count);
    }
    let rows = world.store.read(|snapshot| snapshot.scan(Table::Documents, &[], &[u8::MAX; 4], 10)).unwrap();
    let generations: Vec<u64> = rows.iter().map(|(key, _)| record::parse_document_key(key).unwrap().2).collect();
    assert_eq!(generations, [before.generation, now.generation]);
}

/// The removal of a library was written, its index's commit failed, and another one came under the same name.
#[tokio::test]
async fn what_a_removed_library_left_in_the_index_is_not_found_under_its_name() {
    let world = World::new();
    world.write("a/a.md", "# A\n\nzebra\n");
    world.write("b/b.md", "# B\n\nyak\n");
    let (libraries, _) = world.libraries("index");
    add(&libraries, "demo", world.folder("a")).await;
    sync(&libraries, "demo").await.unwrap();
    let gone = vec![Put::delete(Table::Libraries, "demo")];
    world.store.commit(Batch::puts(gone)).await.unwrap();
    add(&libraries, "demo", world.folder("b")).await;
    sync(&libraries, "demo").await.unwrap();
    assert_eq!(paths(&libraries, "yak").await, ["b.md"]);
    assert!(paths(&libraries, "zebra").await.is_empty());
}

/// One text that could not be read kept the whole server from starting once its index was lost.
#[tokio::test]
async fn a_damaged_text_does_not_keep_a_server_from_starting() {
    let world = World::new();
    world.write("a/a.md", "# A\n\nzebra\n");
    world.write("a/b.md", "# B\n\nyak\n");
    let (libraries, _) = world.libraries("index");
    add(&libraries, "demo", world.folder("a")).await;
    sync(&libraries, "demo").await.unwrap();
    let from = record::path_prefix("demo", "a.md");
    let body = world.store.read(|snapshot| snapshot.scan(Table::Bodies, &from, &after_prefix(&from), 10)).unwrap();
    assert_eq!(body.len(), 1);
    let puts = body.into_iter().map(|(key, _)| Put::delete(Table::Bodies, key)).collect();
    world.store.commit(Batch::puts(puts)).await.unwrap();
    drop(libraries);
    let (libraries, marks) = world.libraries("other");
    assert_eq!(libraries.catch_up(marks).await.unwrap(), 1);
    assert_eq!(paths(&libraries, "yak").await, ["b.md"]);
    assert!(paths(&libraries, "zebra").await.is_empty());
    let report = sync(&libraries, "demo").await.unwrap();
    assert_eq!((report.unchanged, report.changed), (1, 1), "it is read again, although the file did not change");
    assert_eq!(paths(&libraries, "zebra").await, ["a.md"]);
    assert_eq!(libraries.document("demo", "a.md").unwrap().1, "# A\n\nzebra\n");
}

#[tokio::test]
async fn old_generations_leave_nothing_behind() {
    let world = World::new();
    let (libraries, _) = world.libraries("index");
    for text in ["one", "two", "three"] {
        world.write("a/a.md", text);
        if text == "one" {
            add(&libraries, "demo", world.folder("a")).await;
        }
        sync(&libraries, "demo").await.unwrap();
    }
    for table in [Table::Documents, Table::Bodies] {
        let rows = world.store.read(|snapshot| snapshot.scan(table, &[], &[u8::MAX; 4], 10)).unwrap();
        assert_eq!(rows.len(), 1, "{table:?}");
    }
}

/// The file of an API did not change, so its operations kept the facets of the profile before.
#[tokio::test]
async fn another_profile_shapes_the_pages_of_an_api_too() {
    let world = World::new();
    let zoo = "openapi: 3.1.0\ninfo: {title: Zoo, version: '2'}\npaths:\n  /animals:\n    get: {operationId: listAnimals, responses: {'200': {description: x}}}\n";
    world.write("a/openapi.yaml", zoo);
    let (libraries, _) = world.libraries("index");
    add(&libraries, "demo", world.folder("a")).await;
    sync(&libraries, "demo").await.unwrap();
    world.rules.0.store(7, Ordering::Relaxed);
    sync(&libraries, "demo").await.unwrap();
    for path in ["openapi.yaml", "openapi.yaml/listAnimals"] {
        let facets = libraries.document("demo", path).unwrap().0.facets;
        assert!(facets.contains(&("rules".into(), "7".into())), "{path}: {facets:?}");
    }
    assert_eq!(sync(&libraries, "demo").await.unwrap().unchanged, 2);
}

/// A web site that answers when it is let.
#[derive(Default)]
struct Gate {
    opened: CancellationToken,
}

impl Fetch for Gate {
    fn get<'a>(&'a self, _: &'a Site, asked: Asked) -> BoxFuture<'a, Result<Got, String>> {
        Box::pin(async move {
            self.opened.cancelled().await;
            let status = if asked.url.ends_with("/robots.txt") { 404 } else { 200 };
            Ok(Got { status, content_type: "text/html".into(), body: b"<p>zebra".to_vec(), ..Got::default() })
        })
    }

    fn wait(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn site(name: &str) -> Source {
    let site = Site { start: format!("https://{name}.example/"), refresh_hours: 24, ..Site::default() };
    Source::Web(site.checked().unwrap())
}

/// Each sync held one of the threads that searches, passwords and names wait for, for as long as a site is large.
#[test]
fn syncs_that_wait_hold_no_blocking_thread() {
    let threads =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(2).enable_all().build();
    threads.unwrap().block_on(async {
        let world = World::new();
        let (libraries, _) = world.libraries("index");
        let gate = Arc::new(Gate::default());
        libraries.reach(Arc::clone(&gate) as Arc<dyn Fetch>);
        let mut syncs = Vec::new();
        let index = libraries.index_writer.lock().await;
        for number in 0..3 {
            world.write(&format!("folder{number}/a.md"), "x");
            add(&libraries, &format!("site{number}"), site(&format!("site{number}"))).await;
            add(&libraries, &format!("folder{number}"), world.folder(&format!("folder{number}"))).await;
            for name in [format!("site{number}"), format!("folder{number}")] {
                let libraries = Arc::clone(&libraries);
                syncs.push(tokio::spawn(async move { sync(&libraries, &name).await.unwrap().added }));
            }
        }
        let look = async {
            while libraries.busy.lock().unwrap().len() < 6 {
                tokio::task::yield_now().await;
            }
            tokio::task::spawn_blocking(|| {}).await.unwrap();
        };
        tokio::time::timeout(Duration::from_secs(60), look).await.expect("a thread is free");
        drop(index);
        gate.opened.cancel();
        for sync in syncs {
            assert_eq!(sync.await.unwrap(), 1);
        }
    });
}

/// A site that was down was asked again each minute.
#[tokio::test]
async fn a_site_whose_sync_failed_is_left_alone_for_an_hour() {
    let world = World::new();
    let (libraries, _) = world.libraries("index");
    let gate = Arc::new(Gate::default());
    gate.opened.cancel();
    libraries.reach(Arc::clone(&gate) as Arc<dyn Fetch>);
    add(&libraries, "demo", site("demo")).await;
    sync(&libraries, "demo").await.unwrap();
    assert!(libraries.due().unwrap().is_empty());
    world.clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(libraries.due().unwrap(), ["demo"]);
    // The folder of the mirror is in the way: nothing of it can be written.
    std::fs::remove_dir_all(world.at("mirrors")).unwrap();
    std::fs::write(world.at("mirrors"), "x").unwrap();
    sync(&libraries, "demo").await.unwrap_err();
    assert!(libraries.due().unwrap().is_empty());
    world.clock.advance(Duration::from_secs(bound::web::WEB_RETRY_SECONDS));
    assert_eq!(libraries.due().unwrap(), ["demo"]);
}

/// The documents of `from`, in a file that is imported as `carried`; `hear` is called while they are read.
async fn carry(
    from: &Arc<Libraries>,
    to: &Arc<Libraries>,
    path: PathBuf,
    hear: impl Fn() + Send + Sync + 'static,
) -> bundle::Imported {
    let key = SigningKey::new("example.com/library-bundles", &Secret::new([7; 32])).unwrap();
    let trusted = vec![key.verifying_key().clone()];
    from.export("docs", path.clone(), key, CancellationToken::new(), |_| {}).await.unwrap();
    let checked = to.check_bundle(&path, Some("carried".into()), trusted, CancellationToken::new()).await.unwrap();
    let how = bundle::How::default();
    to.import(checked, how, CancellationToken::new(), move |_| hear()).await.unwrap()
}

#[tokio::test]
async fn an_import_whose_index_fails_after_the_flip_says_so_and_is_made_up_for() {
    for by_start in [true, false] {
        let (source, world) = (World::new(), World::new());
        source.write("a/a.md", "# A\n\nzebra\n");
        let ((from, _), (to, _)) = (source.libraries("index"), world.libraries("index"));
        from.add("docs", source.folder("a"), Classification::Public, None).await.unwrap();
        sync(&from, "docs").await.unwrap();
        carry(&from, &to, source.at("first"), || {}).await;
        assert_eq!(paths(&to, "zebra").await, ["a.md"]);

        source.write("a/a.md", "# A\n\nokapi\n");
        source.clock.advance(Duration::from_secs(1));
        sync(&from, "docs").await.unwrap();
        // What a commit of the index writes last cannot be put into its place from now on.
        let (meta, aside) = (world.at("index/meta.json"), world.at("aside.json"));
        let (inner, away) = (meta.clone(), aside.clone());
        let imported = carry(&from, &to, source.at("second"), move || {
            std::fs::rename(&inner, &away).unwrap();
            std::fs::create_dir_all(inner.join("in the way")).unwrap();
        });
        let report = imported.await.report;
        let warned: Vec<&str> = report.warned.iter().map(|warned| warned.reason.as_str()).collect();
        assert!(warned.len() == 1 && warned[0].contains("until the next start or import"), "{warned:?}");
        // The documents are the new ones, and a search finds nothing wrong.
        assert!(to.document("carried", "a.md").unwrap().1.contains("okapi"));
        assert!(paths(&to, "okapi").await.is_empty(), "the index does not have it, as was said");

        std::fs::remove_dir_all(&meta).unwrap();
        std::fs::rename(&aside, &meta).unwrap();
        let to = if by_start {
            drop(to);
            let (libraries, marks) = world.libraries("index");
            assert_eq!(libraries.catch_up(marks).await.unwrap(), 1);
            libraries
        } else {
            source.write("a/b.md", "# B\n\nibis\n");
            sync(&from, "docs").await.unwrap();
            assert!(carry(&from, &to, source.at("third"), || {}).await.report.warned.is_empty());
            assert_eq!(paths(&to, "ibis").await, ["b.md"]);
            to
        };
        assert_eq!(paths(&to, "okapi").await, ["a.md"]);
        assert!(paths(&to, "zebra").await.is_empty());
    }
}

/// Its documents lost their URLs with the mirror's state until the next crawl that came to its end.
#[tokio::test]
async fn documents_keep_their_urls_although_their_mirror_forgot_its_pages() {
    let world = World::new();
    let (libraries, _) = world.libraries("index");
    let gate = Arc::new(Gate::default());
    gate.opened.cancel();
    libraries.reach(Arc::clone(&gate) as Arc<dyn Fetch>);
    add(&libraries, "demo", site("demo")).await;
    sync(&libraries, "demo").await.unwrap();
    let known = libraries.known_urls("demo").unwrap();
    assert_eq!(known.values().collect::<Vec<_>>(), ["https://demo.example/"]);
    std::fs::write(world.at("mirrors/demo/.state.json"), "{").unwrap();
    let report = sync(&libraries, "demo").await.unwrap();
    assert_eq!((report.documents, report.removed, libraries.known_urls("demo").unwrap()), (1, 0, known));
    assert!(report.failed.len() == 1 && report.failed[0].reason.contains("could not be read"), "{:?}", report.failed);
    assert!(sync(&libraries, "demo").await.unwrap().failed.is_empty());
}
