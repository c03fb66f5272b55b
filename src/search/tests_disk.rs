//! What becomes of an index on disk: found again, of another version, damaged.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::search::tests::{passage, put, search};
use crate::search::{Index, Opened};

fn fill(dir: &Path) {
    let Opened { index, marks, rebuilt } = Index::open(dir).unwrap();
    assert_eq!((marks.len(), rebuilt), (0, None));
    let mut writer = index.writer().unwrap();
    put(&mut writer, "a.md", "ios", &[passage(0, "Camera", "x", "the camera")]);
    writer.commit(&BTreeMap::from([("expo".to_owned(), 7)])).unwrap();
}

#[test]
fn an_index_is_found_again_with_its_marks() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made/here");
    fill(&dir);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let Opened { index, marks, rebuilt } = Index::open(&dir).unwrap();
    assert_eq!((marks.get("expo"), rebuilt), (Some(&7), None));
    assert_eq!(search(&index, "camera").total, 1);
}

/// Each file is emptied, cut short, flipped in the middle or removed: the index opens all the same, and says why it
/// is empty or is whole.
#[test]
fn damage_is_seen_and_made_good() {
    let names = |dir: &Path| -> Vec<_> {
        let files = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path());
        let mut files: Vec<_> = files.filter(|it| it.extension().is_some_and(|it| it != "lock")).collect();
        files.sort();
        files
    };
    let template = tempfile::tempdir().unwrap();
    fill(template.path());
    for (number, name) in names(template.path()).iter().enumerate() {
        for kind in 0..4 {
            let dir = tempfile::tempdir().unwrap();
            for file in names(template.path()) {
                fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
            }
            fs::write(dir.path().join("mine.txt"), "keep").unwrap();
            let victim = dir.path().join(name.file_name().unwrap());
            let mut bytes = fs::read(&victim).unwrap();
            match kind {
                0 => bytes.clear(),
                1 => bytes.truncate(bytes.len() / 2),
                2 => {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 0x55;
                }
                _ => fs::remove_file(&victim).unwrap(),
            }
            if kind < 3 {
                fs::write(&victim, bytes).unwrap();
            }
            let Opened { index, marks, rebuilt } = Index::open(dir.path()).unwrap();
            let whole = marks.get("expo") == Some(&7) && search(&index, "camera").total == 1;
            let anew = marks.is_empty() && index.passages() == 0;
            let told = rebuilt.is_some() || victim.ends_with("meta.json");
            assert!((whole && rebuilt.is_none()) || (anew && told), "{number} {kind} {name:?} {rebuilt:?}");
            assert!(dir.path().join("mine.txt").exists());
            drop(index);
            let again = Index::open(dir.path()).unwrap();
            assert_eq!(again.rebuilt, None);
        }
    }
}

#[test]
fn another_version_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let meta = dir.path().join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    fs::write(&meta, text.replace("version\\\":3", "version\\\":999")).unwrap();
    let opened = Index::open(dir.path()).unwrap();
    assert!(opened.rebuilt.is_some_and(|it| it.contains("another version")));
    assert_eq!(opened.index.passages(), 0);
}

/// Found by killing a sync fifty times: what the killed writer had begun stood in the way of every writer after it,
/// because tantivy names its files of deletions by a counter that starts again.
#[test]
fn what_a_killed_writer_left_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let write = |dir: &Path| {
        let index = Index::open(dir).unwrap().index;
        let mut writer = index.writer().unwrap();
        put(&mut writer, "a.md", "ios", &[passage(0, "Camera", "x", "another camera")]);
        writer.commit(&BTreeMap::from([("expo".to_owned(), 8)])).unwrap();
        search(&index, "another").total
    };
    let copy = |from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool| {
        let files = fs::read_dir(from).unwrap().map(|it| it.unwrap().path());
        for file in files.filter(|it| wanted(it)) {
            fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    };
    let index = Index::open(dir.path()).unwrap().index;
    let mut writer = index.writer().unwrap();
    // So many that one deletion is no reason to merge.
    for path in ["a.md", "b.md", "c.md", "d.md", "e.md", "f.md", "g.md", "h.md", "i.md", "j.md"] {
        put(&mut writer, path, "ios", &[passage(0, "Camera", "x", "the camera")]);
    }
    writer.commit(&BTreeMap::from([("expo".to_owned(), 7)])).unwrap();
    drop(index);
    // A second writer does its work in a copy; killed before the last step, it would have left all but `meta.json`.
    let killed = tempfile::tempdir().unwrap();
    copy(dir.path(), killed.path(), &|_| true);
    assert_eq!(write(killed.path()), 1);
    assert!(
        fs::read_dir(killed.path()).unwrap().any(|it| it.unwrap().path().extension().is_some_and(|it| it == "del"))
    );
    copy(killed.path(), dir.path(), &|file| file.file_name().is_some_and(|name| name != "meta.json"));
    assert_eq!(write(dir.path()), 1);
}
