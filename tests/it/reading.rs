//! Foreign formats and archives: read in a process of their own, hostile ones named, and nothing else lost.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use serde_json::Value;

use crate::harness::{Installation, text, write};

type File<'a> = (&'a str, &'a [u8]);

fn zip(files: &[File<'_>]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar_gz(files: &[File<'_>]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn docx(paragraph: &str) -> Vec<u8> {
    let body = format!("<w:document><w:body><w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p></w:body></w:document>");
    zip(&[("word/document.xml", body.as_bytes())])
}

/// Cut at a block's boundary, or emptied because it was being copied, it took its library with it.
#[test]
fn an_archive_that_was_cut_or_emptied_takes_nothing_with_it() {
    let installation = Installation::new();
    let names: Vec<String> = (0..6).map(|n| format!("{n}.md")).collect();
    let files: Vec<File<'_>> = names.iter().map(|name| (name.as_str(), b"# Tea\n".as_slice())).collect();
    let packed = tar_gz(&files);
    let mut whole = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut whole).unwrap();
    let path = installation.folder("archives").join("c.tar");
    fs::write(&path, &whole).unwrap();
    let added = installation.json(&["library", "add", "c", path.to_str().unwrap()]);
    assert_eq!(added["report"]["added"], 6);
    fs::write(&path, &whole[..3072]).unwrap();
    let report = installation.json(&["library", "sync", "c"])["report"].clone();
    assert_eq!((&report["removed"], &report["documents"]), (&0.into(), &6.into()), "{report}");
    assert_eq!(report["failed"][0]["path"], "c.tar");
    assert!(report["failed"][0]["reason"].as_str().unwrap().contains("breaks off after 3 entries"), "{report}");
    for nothing in [Vec::new(), vec![0; 10_240]] {
        fs::write(&path, nothing).unwrap();
        let refused = installation.run(&["library", "sync", "c"]);
        assert!(!refused.status.success(), "{}", text(&refused.stdout));
        assert_eq!(installation.json(&["library", "show", "c"])["library"]["documents"], 6);
    }
}

/// A PDF of one line, with its table of references made to measure.
fn pdf(line: &str, more: &str) -> Vec<u8> {
    let stream = format!("BT /F1 12 Tf 72 720 Td ({line}) Tj ET");
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>";
    let objects = [
        format!("<< /Type /Catalog /Pages 2 0 R {more} >>"),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        page.to_owned(),
        format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut out = String::from("%PDF-1.4\n");
    let mut references = String::from("xref\n0 6\n0000000000 65535 f \n");
    for (object, number) in objects.iter().zip(1..) {
        references.push_str(&format!("{:010} 00000 n \n", out.len()));
        out.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let start = out.len();
    out.push_str(&format!("{references}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"));
    out.into_bytes()
}

const ZOO: &str = "openapi: 3.1.0
info: {title: Zoo, version: '2'}
paths:
  /animals:
    get: {operationId: listAnimals, summary: Lists the wombats, responses: {'200': {description: x}}}
    post: {operationId: addAnimal, summary: Adds a quokka, responses: {'200': {description: x}}}
";

fn paths(installation: &Installation, query: &str) -> Vec<String> {
    let output = installation.run(&["--json", "search", query, "--library", "demo"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut paths: Vec<String> =
        found["hits"].as_array().unwrap().iter().map(|hit| hit["path"].as_str().unwrap().to_owned()).collect();
    paths.dedup();
    paths
}

fn names<'a>(report: &'a Value, list: &str) -> Vec<&'a str> {
    let mut names: Vec<&str> =
        report["report"][list].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

fn reason<'a>(report: &'a Value, list: &str, path: &str) -> &'a str {
    let all = report["report"][list].as_array().unwrap();
    all.iter().find(|it| it["path"] == path).unwrap_or_else(|| panic!("{path}: {report}"))["reason"].as_str().unwrap()
}

fn folder(installation: &Installation, files: &[File<'_>]) -> std::path::PathBuf {
    let folder = installation.folder("demo");
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn add(installation: &Installation, path: &Path) -> Value {
    installation.json(&["library", "add", "demo", path.to_str().unwrap()])
}

#[test]
fn foreign_formats_are_read_and_found() {
    let installation = Installation::new();
    let notebook = r##"{"nbformat": 4, "cells": [{"cell_type": "markdown", "source": "# Numbat"}], "metadata": {}}"##;
    let files: &[File<'_>] = &[
        ("a.pdf", &pdf("The zebra crosses", "")),
        ("b.docx", &docx("The yak climbs")),
        ("c.ipynb", notebook.as_bytes()),
        ("d.adoc", b"= Ibis\n\nAn *ibis* flies.\n"),
        ("openapi.yaml", ZOO.as_bytes()),
        ("llms.txt", b"# Okapi\n\n> About okapis\n\n## Docs\n\n- [a](https://a.example)\n"),
    ];
    let folder = folder(&installation, files);
    let report = add(&installation, &folder);
    assert_eq!(report["report"]["documents"], 8, "{report}");
    assert_eq!(names(&report, "failed"), [""; 0]);
    for (word, path) in [
        ("zebra", "a.pdf"),
        ("yak", "b.docx"),
        ("numbat", "c.ipynb"),
        ("ibis", "d.adoc"),
        ("quokka", "openapi.yaml/addAnimal"),
        ("okapi", "llms.txt"),
    ] {
        assert_eq!(paths(&installation, word).first().map(String::as_str), Some(path), "{word}");
    }
    let again = installation.json(&["library", "sync", "demo"]);
    assert_eq!(again["report"]["unchanged"], 8, "{again}");
    write(&folder.join("openapi.yaml"), &ZOO.replace("Adds a quokka", "Adds a dingo"));
    let changed = installation.json(&["library", "sync", "demo"]);
    assert_eq!((&changed["report"]["changed"], &changed["report"]["documents"]), (&2.into(), &8.into()), "{changed}");
    assert_eq!(paths(&installation, "dingo").last().map(String::as_str), Some("openapi.yaml/addAnimal"));
    write(&folder.join("openapi.yaml"), &ZOO.replace("addAnimal", "keepAnimal"));
    let renamed = installation.json(&["library", "sync", "demo"]);
    assert_eq!((&renamed["report"]["added"], &renamed["report"]["removed"]), (&1.into(), &1.into()), "{renamed}");
    write(&folder.join("openapi.yaml"), "broken: [");
    let broken = installation.json(&["library", "sync", "demo"]);
    assert_eq!(names(&broken, "failed"), ["openapi.yaml"]);
    assert_eq!(broken["report"]["documents"], 8, "what it was stays: {broken}");
    fs::remove_file(folder.join("openapi.yaml")).unwrap();
    assert_eq!(installation.json(&["library", "sync", "demo"])["report"]["removed"], 3);
}

#[test]
fn hostile_files_are_named_and_nothing_else_is_lost() {
    let installation = Installation::new();
    let bomb = zip(&[("word/document.xml", &vec![b' '; (64 << 20) + 1])]);
    let deep = format!("{{\"a\": {}", "[".repeat(200_000));
    let scripts = pdf("A wombat", "/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>");
    let mut line = vec![b'x'; (16 << 20) + 1];
    line.push(b'\n');
    let files: &[File<'_>] = &[
        ("good.md", b"# Zebra\n"),
        ("bomb.docx", &bomb),
        ("broken.docx", b"PK\x03\x04 no"),
        ("broken.pdf", b"%PDF-1.7\n1 0 obj << /Length 99999999999 >> stream\n"),
        ("scripts.pdf", &scripts),
        ("deep.ipynb", deep.as_bytes()),
        ("deep.openapi.json", deep.as_bytes()),
        ("latin1.adoc", b"= caf\xe9\n"),
        ("line.txt", &line),
        ("good.docx", &docx("A yak")),
    ];
    let report = add(&installation, &folder(&installation, files));
    assert_eq!(
        names(&report, "failed"),
        ["bomb.docx", "broken.docx", "broken.pdf", "deep.ipynb", "deep.openapi.json", "latin1.adoc", "line.txt"],
        "{report}"
    );
    assert!(reason(&report, "failed", "bomb.docx").contains("bomb"), "{report}");
    assert!(reason(&report, "warned", "scripts.pdf").contains("scripts"), "{report}");
    for (word, path) in [("zebra", "good.md"), ("yak", "good.docx"), ("wombat", "scripts.pdf")] {
        assert_eq!(paths(&installation, word), [path]);
    }
}

#[test]
fn archives_are_libraries_and_hostile_entries_are_named() {
    let bomb = vec![b'x'; (16 << 20) + 1];
    let files: &[File<'_>] = &[
        ("docs-1/a.md", b"# Zebra\n"),
        ("docs-1/b.docx", &docx("A yak")),
        ("docs-1/../../up.md", b"# Escaped\n"),
        ("docs-1/bomb.txt", &bomb),
        ("docs-1/latin1.md", b"caf\xe9"),
        ("docs-1/inner.zip", b"PK"),
    ];
    for (name, archive) in [("docs.zip", zip(files)), ("docs.tar.gz", tar_gz(files))] {
        let installation = Installation::new();
        let path = installation.folder("archives").join(name);
        fs::write(&path, archive).unwrap();
        let report = add(&installation, &path);
        assert_eq!(names(&report, "failed"), ["../../up.md", "bomb.txt", "latin1.md"], "{name}: {report}");
        assert_eq!(paths(&installation, "zebra"), ["a.md"], "{name}");
        assert_eq!(paths(&installation, "yak"), ["b.docx"], "{name}");
        assert!(paths(&installation, "escaped").is_empty(), "{name}");
        // The next version, in a folder of another name: what is the same is not indexed again.
        let next: &[File<'_>] = &[("docs-2/a.md", b"# Zebra\n"), ("docs-2/c.md", b"# Numbat\n")];
        fs::write(&path, if name == "docs.zip" { zip(next) } else { tar_gz(next) }).unwrap();
        let report = installation.json(&["library", "sync", "demo"])["report"].clone();
        assert_eq!(
            (&report["unchanged"], &report["added"], &report["removed"]),
            (&1.into(), &1.into(), &1.into()),
            "{name}: {report}"
        );
        fs::write(&path, b"no archive any more, and longer than a header").unwrap();
        let output = installation.run(&["library", "sync", "demo"]);
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains("cannot be read"), "{}", text(&output.stderr));
        assert_eq!(paths(&installation, "numbat"), ["c.md"], "what was there stays");
    }
}

/// Both were put under one key, and an index could not be made of it any more.
#[test]
fn two_documents_of_one_path_are_one_and_the_other_is_named() {
    let api = ZOO.replace("listAnimals", "x.md");
    let files: &[File<'_>] = &[("a-openapi.yaml", api.as_bytes()), ("a-openapi.yaml/x.md", b"# Numbat\n")];
    let installation = Installation::new();
    let path = installation.folder("archives").join("docs.tar.gz");
    fs::write(&path, tar_gz(files)).unwrap();
    let report = add(&installation, &path);
    assert_eq!(names(&report, "failed"), ["a-openapi.yaml/x.md"], "{report}");
    assert_eq!(paths(&installation, "wombat"), ["a-openapi.yaml/x.md"]);
    fs::remove_dir_all(installation.data().join("index")).unwrap();
    assert_eq!(paths(&installation, "wombat"), ["a-openapi.yaml/x.md"], "the index is made anew");
    assert!(paths(&installation, "numbat").is_empty());
}

#[test]
fn of_a_checkout_the_commit_is_recorded() {
    let installation = Installation::new();
    let folder = folder(&installation, &[("a.md", b"# Zebra\n"), (".git/HEAD", b"ref: refs/heads/main\n")]);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    write(&folder.join(".git/refs/heads/main"), commit);
    assert_eq!(add(&installation, &folder)["report"]["revision"], commit);
    assert_eq!(installation.json(&["library", "show", "demo"])["library"]["revision"], commit);
    fs::remove_dir_all(folder.join(".git")).unwrap();
    assert_eq!(installation.json(&["library", "sync", "demo"])["report"]["revision"], Value::Null);
    assert_eq!(installation.json(&["library", "show", "demo"])["library"]["revision"], Value::Null);
}

#[test]
fn a_single_document_is_a_library() {
    let installation = Installation::new();
    let path = installation.folder("one").join("llms-full.txt");
    write(&path, "# Zebra\n\nstripes\n\n## Foal\n\nsmall stripes\n");
    write(&path.with_file_name("other.md"), "# Yak\n");
    let report = add(&installation, &path);
    assert_eq!(report["report"]["documents"], 1, "{report}");
    assert_eq!(report["report"]["sections"], 2, "{report}");
    assert_eq!(paths(&installation, "foal"), ["llms-full.txt"]);
}

#[test]
fn sandboxing_can_be_switched_off_and_reads_the_same() {
    let mut installation = Installation::bare();
    installation.set("TOOL_EXECUTION_SANDBOXING_ENABLED", "false");
    assert!(installation.run(&["init"]).status.success());
    let report =
        add(&installation, &folder(&installation, &[("a.pdf", &pdf("The zebra crosses", "")), ("b.docx", b"no")]));
    assert_eq!(names(&report, "failed"), ["b.docx"]);
    assert_eq!(paths(&installation, "zebra"), ["a.pdf"]);
}

#[test]
fn the_reading_process_is_of_no_use_to_people() {
    let installation = Installation::new();
    let output = installation.run(&["parse-child"]);
    // Its input is empty: it says how it is confined, and ends.
    assert!(text(&output.stdout).contains("landlock"), "{}", text(&output.stdout));
    assert!(!text(&installation.run(&["help"]).stdout).contains("parse-child"));
}
