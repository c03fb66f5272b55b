//! Archives that are taken apart: documents come out, and what is hostile, cut or empty is told and left there.

use std::io::Write as _;

use super::*;

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar_of(files: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in files {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn contents(unpacker: &mut Unpacker, bytes: Vec<u8>) -> Contents {
    serde_json::from_slice(&unpacker.open(bytes).unwrap().answer).unwrap()
}

fn paths(contents: &Contents) -> Vec<&str> {
    contents.files.iter().map(|entry| entry.path.as_str()).collect()
}

const FILE: tar::EntryType = tar::EntryType::Regular;

#[test]
fn documents_come_out_and_the_versions_folder_goes() {
    let files: &[(&str, &[u8])] = &[("docs-1.2/a.md", b"# A"), ("docs-1.2/b/c.txt", b"c"), ("docs-1.2/d.bin", b"")];
    let tarred: Vec<_> = files.iter().map(|(name, content)| (*name, FILE, *content)).collect();
    for archive in [zip_of(files), tar_of(&tarred), gzipped(&tar_of(&tarred))] {
        let mut unpacker = Unpacker::default();
        let contents = contents(&mut unpacker, archive);
        assert_eq!(paths(&contents), ["a.md", "b/c.txt"]);
        assert!(contents.passed_over.is_empty());
        let index = serde_json::to_vec(&contents.files[1].index).unwrap();
        assert_eq!(unpacker.read(&index).unwrap().body, b"c");
        assert!(unpacker.read(b"99").is_err());
    }
}

#[test]
fn names_that_lead_out_are_told_and_the_rest_is_kept() {
    let files: &[(&str, &[u8])] = &[
        ("../up.md", b"x"),
        ("/etc/abs.md", b"x"),
        ("a/../../b.md", b"x"),
        ("..\\win.md", b"x"),
        ("C:\\drive.md", b"x"),
        ("good.md", b"x"),
        (".git/config.md", b"x"),
        ("w\\good.md", b"x"),
    ];
    let tarred: Vec<_> = files.iter().map(|(name, content)| (*name, FILE, *content)).collect();
    for archive in [zip_of(files), tar_of(&tarred)] {
        let contents = contents(&mut Unpacker::default(), archive);
        assert_eq!(paths(&contents), ["good.md", "w/good.md"]);
        assert_eq!(contents.passed_over.len(), 5, "{contents:?}");
    }
}

#[test]
fn links_and_devices_in_archives_are_no_documents() {
    let archive = tar_of(&[
        ("a.md", tar::EntryType::Symlink, b""),
        ("b.md", tar::EntryType::Link, b""),
        ("c.md", tar::EntryType::Fifo, b""),
        ("d.md", FILE, b"x"),
        ("d.md", FILE, b"y"),
    ]);
    let contents = contents(&mut Unpacker::default(), archive);
    assert_eq!(paths(&contents), ["d.md"]);
    assert_eq!(contents.passed_over.len(), 4, "{contents:?}");
}

#[test]
fn an_entry_that_unpacks_to_too_much_is_refused_and_others_are_read() {
    let bomb = vec![b'x'; bound::DOCUMENT_BYTES_MAX + 1];
    let mut unpacker = Unpacker::default();
    let found = contents(&mut unpacker, zip_of(&[("bomb.txt", &bomb), ("good.md", b"x")]));
    assert_eq!(paths(&found), ["bomb.txt", "good.md"]);
    assert!(unpacker.read(b"0").unwrap_err().contains("bomb"));
    assert_eq!(unpacker.read(b"1").unwrap().body, b"x");
    let found = contents(&mut unpacker, gzipped(&tar_of(&[("bomb.txt", FILE, &bomb), ("good.md", FILE, b"x")])));
    assert_eq!(found.files[0].bytes, bomb.len() as u64, "the sync refuses it by its size");
    assert_eq!(unpacker.read(b"1").unwrap().body, b"x");
}

#[test]
fn broken_archives_are_refused_or_read_as_far_as_they_go() {
    let mut unpacker = Unpacker::default();
    for broken in [&b""[..], b"PK\x03\x04", b"\x1f\x8b\x08", b"no archive at all, whatever its name is"] {
        drop(unpacker.open(broken.to_vec()));
    }
    let archive = tar_of(&[("a.md", FILE, b"x"), ("b.md", FILE, &[b'y'; 2000])]);
    let found = contents(&mut unpacker, archive[..1800].to_vec());
    assert_eq!(paths(&found), ["a.md"]);
    assert!(!found.passed_over.is_empty());
}

/// It was taken for the end, and what would have followed for removed.
#[test]
fn an_archive_that_was_cut_says_so_wherever_it_was_cut() {
    let mut unpacker = Unpacker::default();
    let files: Vec<(String, Vec<u8>)> = (0..3).map(|n| (format!("{n}.md"), vec![b'x'; 700])).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), FILE, text.as_slice())).collect();
    let whole = tar_of(&files);
    let end = 3 * (512 + 1024);
    for at in 0..end {
        for archive in [whole[..at].to_vec(), gzipped(&whole[..at])] {
            let Ok(opened) = unpacker.open(archive) else { continue };
            let found: Contents = serde_json::from_slice(&opened.answer).unwrap();
            assert!(found.passed_over.iter().any(|(name, _)| name.is_empty()), "{at}: {found:?}");
        }
    }
    // One zero block is an end, too.
    for at in end + 512..whole.len() {
        assert!(contents(&mut unpacker, whole[..at].to_vec()).passed_over.is_empty(), "{at}");
    }
}

#[test]
fn an_archive_without_any_entry_is_refused() {
    let nothing = zip_of(&[]);
    for empty in [Vec::new(), vec![0; 10_240], nothing, gzipped(b""), gzipped(&[0; 1024])] {
        Unpacker::default().open(empty).unwrap_err();
    }
    let error = Unpacker::default().open("hello world ".repeat(99).into_bytes()).unwrap_err();
    assert_eq!(error, "expected a zip or tar archive, found neither");
}

#[test]
fn a_tar_archive_that_unpacks_to_too_much_is_not_told_as_broken() {
    let archive = tar_of(&[("a.md", FILE, b"x"), ("large.bin", FILE, &[1; 9000]), ("b.md", FILE, b"y")]);
    let (_, contents) = tar_within(archive.as_slice(), 4096).unwrap();
    assert_eq!(paths(&contents), ["a.md"]);
    assert_eq!(contents.passed_over.len(), 1);
    assert!(contents.passed_over[0].1.contains("unpack it into a folder"), "{contents:?}");
}

#[test]
fn any_change_of_a_byte_is_survived() {
    let mut archive = zip_of(&[("a.md", b"hello hello hello"), ("b.md", b"x")]);
    for at in 0..archive.len() {
        archive[at] ^= 0x41;
        let mut unpacker = Unpacker::default();
        if unpacker.open(archive.clone()).is_ok() {
            drop((unpacker.read(b"0"), unpacker.read(b"1")));
        }
        archive[at] ^= 0x41;
    }
}
