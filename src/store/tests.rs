//! The store on a real file: creating, copying for a backup, removing ranges, urgent batches, and its health.

use std::fs;
use std::path::{Path, PathBuf};

use futures::executor::block_on;

use super::no_log::NoLog;
use super::*;

fn new_store(directory: &Path) -> (PathBuf, Store) {
    let path = directory.join("sekisho.redb");
    Store::create(&path, &[]).unwrap();
    let store = Store::open(&path).unwrap().start(Box::new(NoLog)).unwrap();
    (path, store)
}

fn row(number: u8) -> Put {
    Put::new(Table::Documents, [b'k', number], vec![number; 100])
}

fn removal(from: u8, to: u8, rows_max: usize) -> Removal {
    Removal { table: Table::Documents, from: vec![b'k', from], to: vec![b'k', to], rows_max }
}

/// The numbers of the rows that are there.
fn rows(store: &Store) -> Vec<u8> {
    let found = store.read(|snapshot| snapshot.scan(Table::Documents, b"k", b"l", usize::MAX));
    found.map_err(|error: StoreError| error).unwrap().iter().map(|(key, _)| key[1]).collect()
}

#[test]
fn after_prefix_is_the_first_key_beyond() {
    assert_eq!(after_prefix(b"ab"), b"ac");
    assert_eq!(after_prefix(&[1, 0xff]), [2]);
    assert!(after_prefix(&[0xff]) > vec![0xff, 0xff]);
}

#[test]
fn create_leaves_an_existing_database_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sekisho.redb");
    Store::create(&path, &[]).unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(Store::create(&path, &[]), Err(StoreError::Exists(_))));
    assert_eq!(before, fs::read(&path).unwrap());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "something was left behind");
}

#[test]
fn what_is_no_database_is_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sekisho.redb");
    assert!(matches!(Store::open(&path), Err(StoreError::Missing(_))));
    for content in [&b""[..], b"hello", &[0; 8192]] {
        fs::write(&path, content).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. } | StoreError::File { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[test]
fn the_second_that_opens_is_told_that_it_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = new_store(directory.path());
    assert!(matches!(Store::open(&path), Err(StoreError::InUse(_))));
    block_on(store.close());
    Store::open(&path).unwrap();
}

#[test]
fn a_removal_takes_the_first_rows_of_its_range_and_says_how_many() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store) = new_store(directory.path());
    block_on(store.commit(Batch::puts((0..100).map(row).collect()))).unwrap();
    let removed = |removal| block_on(store.commit(Batch::removal(removal))).unwrap().removed_rows;
    assert_eq!(removed(removal(10, 20, 4)), 4);
    assert_eq!(removed(removal(10, 20, usize::MAX)), 6);
    assert_eq!(removed(removal(10, 20, usize::MAX)), 0);
    assert_eq!(removed(removal(20, 10, usize::MAX)), 0);
    assert_eq!(removed(removal(30, 90, 0)), 0);
    assert_eq!(rows(&store), (0..10).chain(20..100).collect::<Vec<_>>());
}

#[test]
fn a_removal_comes_before_the_rows_of_its_own_batch() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store) = new_store(directory.path());
    block_on(store.commit(Batch::puts((0..10).map(row).collect()))).unwrap();
    let batch = Batch { puts: vec![row(3)], ..Batch::removal(removal(0, 10, usize::MAX)) };
    assert_eq!(block_on(store.commit(batch)).unwrap().removed_rows, 10);
    assert_eq!(rows(&store), [3]);
}

#[test]
fn a_removal_never_takes_more_than_its_bound() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store) = new_store(directory.path());
    let many = u32::try_from(bound::REMOVAL_ROWS_MAX).unwrap() + 10;
    let puts = (0..many).map(|number| Put::new(Table::Bodies, number.to_be_bytes(), Vec::new())).collect();
    block_on(store.commit(Batch::puts(puts))).unwrap();
    let all = || Removal { table: Table::Bodies, from: Vec::new(), to: vec![u8::MAX; 5], rows_max: usize::MAX };
    let removed = || block_on(store.commit(Batch::removal(all()))).unwrap().removed_rows;
    assert_eq!((removed(), removed(), removed()), (u64::from(many) - 10, 10, 0));
}

#[test]
fn a_copy_made_while_others_write_is_sound_and_has_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = new_store(directory.path());
    let copy = directory.path().join("copy.redb");
    let copied = block_on(async {
        store.commit(Batch::puts((0..50).map(row).collect())).await.unwrap();
        // Queued around the copy.
        let (_, copied, _) = futures::join!(
            store.commit(Batch::puts(vec![row(50)])),
            store.copy_to(&copy),
            store.commit(Batch::puts(vec![row(51)]))
        );
        copied.unwrap()
    });
    assert_eq!(rows(&store), (0..52).collect::<Vec<_>>());
    assert_eq!(copied.bytes, fs::metadata(&copy).unwrap().len());
    Store::is_sound(&copy).unwrap();
    let copied = Store::open_copy(&copy).unwrap().start(Box::new(NoLog)).unwrap();
    assert_eq!(rows(&copied), (0..51).collect::<Vec<_>>());
    let error = block_on(store.copy_to(&copy)).unwrap_err();
    assert!(matches!(error, StoreError::Exists(_)), "{error}");
    assert!(matches!(block_on(store.copy_to(&path)), Err(StoreError::Exists(_))));
}

#[test]
fn a_copy_into_nowhere_is_an_error_and_the_store_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store) = new_store(directory.path());
    let error = block_on(store.copy_to(&directory.path().join("no/such/folder"))).unwrap_err();
    assert!(matches!(error, StoreError::File { .. }), "{error}");
    assert!(block_on(store.is_writable()));
}

#[test]
fn a_damaged_copy_is_not_sound() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store) = new_store(directory.path());
    let copy = directory.path().join("copy.redb");
    block_on(async {
        store.commit(Batch::puts((0..50).map(row).collect())).await.unwrap();
        store.copy_to(&copy).await.unwrap();
    });
    let sound = fs::read(&copy).unwrap();
    // Somewhere in a value that is certainly there.
    let at = sound.windows(100).position(|window| window == [42; 100]).unwrap();
    let mut damaged = sound.clone();
    damaged[at] ^= 1;
    for content in [&damaged[..], &sound[..sound.len() / 2], b""] {
        fs::write(&copy, content).unwrap();
        let error = Store::is_sound(&copy).unwrap_err();
        assert!(matches!(error, StoreError::Unsound { .. }), "{error}");
    }
    fs::remove_file(&copy).unwrap();
    assert!(matches!(Store::is_sound(&copy), Err(StoreError::Unsound { .. })));
}

#[test]
fn a_store_that_is_closed_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (_, store) = new_store(directory.path());
    block_on(store.close());
    assert!(matches!(block_on(store.commit(Batch::default())), Err(StoreError::Closed)));
    assert!(matches!(block_on(store.probe()), Err(StoreError::Closed)));
    let read = store.read(|snapshot| snapshot.get(Table::Meta, b"schema"));
    assert!(matches!(read, Err(StoreError::Closed)));
}

#[test]
fn a_new_store_is_writable_and_keeps_blocks_aside() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = new_store(directory.path());
    assert_eq!(*store.health().borrow(), Health::Writable);
    assert_eq!(block_on(store.probe()).unwrap(), Health::Writable);
    assert!(FileDisk::new(&path).has_ballast().unwrap());
}

#[test]
fn what_was_removed_can_be_given_back_to_the_file_system() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = new_store(directory.path());
    for chunk in 0..16_u8 {
        let rows = (0..8).map(|n| Put::new(Table::Documents, [b'k', chunk, n], vec![n; 100_000])).collect();
        block_on(store.commit(Batch::puts(rows))).unwrap();
    }
    let full = fs::metadata(&path).unwrap().len();
    block_on(store.commit(Batch::removal(removal(0, u8::MAX, bound::REMOVAL_ROWS_MAX)))).unwrap();
    assert!(block_on(store.compact()).unwrap());
    let left = fs::metadata(&path).unwrap().len();
    assert!(left < full / 2, "{full} bytes became {left}");
    block_on(store.commit(Batch::puts(vec![row(1)]))).unwrap();
    assert_eq!(rows(&store), [1]);
    // Whoever reads for long is not disturbed, and nothing is moved.
    let refused = store.read(|_| Ok::<_, StoreError>(block_on(store.compact()))).unwrap();
    assert!(matches!(refused, Err(StoreError::Reading)), "{refused:?}");
    block_on(store.compact()).unwrap();
}
