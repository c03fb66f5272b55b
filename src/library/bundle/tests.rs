//! Bundles made by hand: whole ones read, and no change of one does, signed or not.

use std::fs::File;
use std::io::Write as _;

use proptest::prelude::*;

use super::entry::{Head, Part, is_path};
use super::manifest::{Claims, File as Member, Manifest, Rules};
use super::read::{Facts, through};
use super::*;
use crate::archive::Writer;
use crate::base::classification::Classification;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::crypto::digest::{Hex, sha256};
use crate::crypto::sign::{SigningKey, VerifyingKey};
use crate::library::parse::Format;

fn key(seed: u8) -> SigningKey {
    SigningKey::new("example.com/library-bundles", &Secret::new([seed; 32])).unwrap()
}

fn head(path: &str, text: &str) -> Head {
    Head {
        path: path.to_owned(),
        format: Format::Markdown,
        title: "A title".to_owned(),
        description: None,
        facets: [("kind".to_owned(), vec!["guide".to_owned()])].into(),
        source_bytes: 7,
        source_sha256: Hex([1; 32]),
        bytes: text.len() as u64,
        sha256: Hex(sha256(&[text.as_bytes()])),
        sections: vec![Part { end: text.len() as u64, level: 1, anchor: "a".to_owned(), trail: vec!["A".to_owned()] }],
        anchors: [("b".to_owned(), 0)].into(),
        url: Some("https://docs.example/a".to_owned()),
    }
}

/// What a bundle is made of by hand.
struct Made {
    documents: Vec<(Head, String)>,
    profile: Option<String>,
    claims: fn(&mut Manifest),
    /// After all members.
    surplus: Option<&'static str>,
    seed: u8,
}

impl Made {
    fn of(documents: &[(&str, &str)]) -> Self {
        let documents = documents.iter().map(|(path, text)| (head(path, text), (*text).to_owned())).collect();
        Self { documents, profile: None, claims: |_| {}, surplus: None, seed: 7 }
    }

    /// The file, correctly signed whatever it says.
    fn bytes(&self) -> Vec<u8> {
        let mut documents = Vec::new();
        for (head, text) in &self.documents {
            serde_json::to_writer(&mut documents, head).unwrap();
            documents.extend_from_slice(b"\n");
            documents.extend_from_slice(text.as_bytes());
            documents.extend_from_slice(b"\n");
        }
        let member = |name: &str, bytes: &[u8]| Member {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: Hex(sha256(&[bytes])),
        };
        let mut files = vec![member(README, README_TEXT.as_bytes())];
        files.extend(self.profile.as_ref().map(|profile| member(PROFILE, profile.as_bytes())));
        files.push(member(DOCUMENTS, &documents));
        let mut manifest = Manifest::of(Claims {
            library: "docs",
            serial: 5,
            made: Timestamp(6),
            source: "/srv/docs".to_owned(),
            classification: Classification::Internal,
            profile: self.profile.as_ref().map(|_| Rules { name: "tea".to_owned(), sha256: Hex([2; 32]) }),
            documents: self.documents.len() as u64,
            sections: self.documents.iter().map(|(head, _)| head.sections.len() as u64).sum(),
            bytes: self.documents.iter().map(|(_, text)| text.len() as u64).sum(),
            files,
        });
        (self.claims)(&mut manifest);
        let manifest = manifest.to_bytes().unwrap();
        let note = key(self.seed).sign_note(&Manifest::signed_text(&manifest)).unwrap();
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        let mut put = |name: &str, bytes: &[u8]| writer.member(name, bytes.len() as u64, bytes).unwrap();
        put(README, README_TEXT.as_bytes());
        put(MANIFEST, &manifest);
        put(SIGNATURE, note.as_bytes());
        if let Some(profile) = &self.profile {
            put(PROFILE, profile.as_bytes());
        }
        put(DOCUMENTS, &documents);
        if let Some(name) = self.surplus {
            put(name, b"more");
        }
        writer.end().unwrap();
        out
    }
}

fn read_with(bytes: &[u8], trusted: &[VerifyingKey]) -> Result<(Facts, Vec<String>), LibraryError> {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let mut paths = Vec::new();
    let facts = through(&mut file, trusted, &mut |_, entry| {
        paths.push(entry.found.path.clone());
        Ok(())
    })?;
    Ok((facts, paths))
}

fn read(bytes: &[u8]) -> Result<(Facts, Vec<String>), LibraryError> {
    read_with(bytes, &[key(7).verifying_key().clone()])
}

/// Why the bundle is refused.
fn refusal(made: &Made) -> String {
    match read(&made.bytes()) {
        Ok((facts, paths)) => panic!("it was taken: {facts:?} {paths:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_bundle_made_by_hand_reads() {
    let paths = ["a b/c#?.md", "w\\x.md", "カメラ/撮影.md"];
    let mut made = Made::of(&paths.map(|path| (path, "# Ä\n\nß 日本\n")));
    made.profile = Some("{}".to_owned());
    let (facts, found) = read(&made.bytes()).unwrap();
    assert_eq!(found, paths);
    assert_eq!((facts.manifest.serial, facts.manifest.bytes), (5, 3 * 16));
    assert_eq!(facts.profile.as_deref(), Some(&b"{}"[..]));
    assert_eq!(facts.digest, sha256(&[&made.bytes()]));
    assert!(read(&Made::of(&[]).bytes()).unwrap().1.is_empty());
}

#[test]
fn a_document_goes_through_a_line_and_back() {
    let text = "# A\n\ntext\n";
    let entry = head("a.md", text).checked(text.into()).unwrap();
    let record = entry.record();
    assert_eq!(Head::of("a.md", &record, text), head("a.md", text));
    assert_eq!(record.sections[0].end, text.len() as u64);
    assert_eq!(record.url.as_deref(), Some("https://docs.example/a"));
    for url in ["javascript:alert(1)", "https://user:word@docs.example/", "docs.example/a", "https://a.example/\n"] {
        let head = Head { url: Some(url.to_owned()), ..head("a.md", text) };
        assert!(head.checked(text.into()).is_err(), "{url}");
    }
    // As bundles were before URLs were kept.
    let mut old = serde_json::to_value(head("a.md", text)).unwrap();
    old.as_object_mut().unwrap().remove("url");
    assert_eq!(serde_json::from_value::<Head>(old).unwrap().url, None);
}

#[test]
fn only_a_trusted_key_counts() {
    let bytes = Made::of(&[("a.md", "x")]).bytes();
    let stranger = key(8).verifying_key().clone();
    for trusted in [&[][..], std::slice::from_ref(&stranger)] {
        let error = read_with(&bytes, trusted).unwrap_err();
        assert!(matches!(error, LibraryError::Bundle(BundleError::Untrusted(_))), "{error}");
    }
    let both = [stranger, key(7).verifying_key().clone()];
    assert_eq!(read_with(&bytes, &both).unwrap().0.signer, both[1]);
    let forged = Made { seed: 8, ..Made::of(&[("a.md", "x")]) };
    assert!(refusal(&forged).contains("not signed by a key that you trust"));
}

#[test]
fn a_signature_does_not_make_a_path_lead_out() {
    for path in ["../a.md", "a/../../b.md", "/etc/passwd.md", "a//b.md", ".", "..\\a.md", "a\\..\\b.md", "a\nb.md", ""]
    {
        let reason = refusal(&Made::of(&[(path, "x")]));
        assert!(reason.contains("its path is no name below a folder"), "{path:?}: {reason}");
        assert!(!is_path(path));
    }
    assert!(!is_path(&"a".repeat(1025)) && is_path(&"a".repeat(1024)) && is_path("...") && is_path("a/.b"));
}

#[test]
fn what_is_signed_must_still_fit_together() {
    fn check(change: fn(&mut Made), expect: &str) {
        let mut made = Made::of(&[("a.md", "x\n"), ("b.md", "yy\n")]);
        change(&mut made);
        let reason = refusal(&made);
        assert!(reason.contains(expect), "{expect}: {reason}");
    }
    check(|made| made.documents.swap(0, 1), "in the order of their paths");
    check(|made| made.documents[1].0.path = "a.md".to_owned(), "each once");
    check(|made| made.documents[0].0.sections[0].end = 1, "do not fit its text");
    check(|made| made.documents[0].0.sections[0].end = u64::MAX, "do not fit its text");
    check(|made| made.documents[0].0.anchors = [("x".to_owned(), 99)].into(), "do not fit its text");
    check(|made| made.documents[0].0.title = "\u{1b}[2J".to_owned(), "do not fit its text");
    check(|made| made.documents[0].0.sha256 = Hex([0; 32]), "not the one that was signed");
    check(|made| made.documents[0].0.bytes = 1 << 40, "more than");
    check(|made| made.documents[0].0.bytes = 30 << 20, "expected 31457280 more bytes");
    check(|made| made.documents[1].0.bytes = 2, "not the one that was signed");
    check(|made| made.surplus = Some("more.txt"), "the archive's end");
    check(|made| made.surplus = Some(PROFILE), "the archive's end");
    check(|made| made.claims = |it| it.documents = 1, "more");
    check(|made| made.claims = |it| it.documents = 3, "the end before document 3");
    check(|made| made.claims = |it| it.documents = 1 << 40, "documents");
    check(|made| made.claims = |it| it.sections = 9, "9 sections");
    check(|made| made.claims = |it| it.bytes = 1, "in 1 bytes");
    check(|made| made.claims = |it| it.library = "../x".to_owned(), "the name of a library");
    check(|made| made.claims = |it| it.version = 2, "version 2");
    check(|made| made.claims = |it| it.format = "else".to_owned(), "no library bundle");
    check(|made| made.claims = |it| it.files[1].bytes = 1 << 50, "cut the library");
    check(|made| made.claims = |it| it.files[0].sha256 = Hex([0; 32]), "README.txt with SHA-256");
    check(|made| made.claims = |it| drop(it.files.pop()), "other files");
    check(|made| made.claims = |it| it.files[1].name = "texts.txt".to_owned(), "other files");
    check(|made| made.claims = |it| it.source = "x".repeat(5000), "an origin of 5000 bytes");
    check(|made| made.profile = Some("x".repeat(400 << 10)), "profile.json of at most");
}

/// A header that claims more than there is costs nothing.
#[test]
fn a_member_that_claims_to_be_huge_is_refused_unread() {
    let mut header = tar::Header::new_gnu();
    header.set_path(README).unwrap();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(1 << 60);
    header.set_cksum();
    let error = read(header.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("README.txt of at most"), "{error}");
}

#[test]
fn what_is_no_bundle_is_said_to_be_none() {
    let mut other = Vec::new();
    let mut writer = Writer::new(&mut other);
    writer.member("else.txt", 1, &b"x"[..]).unwrap();
    writer.end().unwrap();
    for bytes in [&other[..], &[0_u8; 1024][..], &[b'x'; 2000][..]] {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains("no library bundle"), "{error}");
    }
    read(b"").unwrap_err();
    let whole = Made::of(&[("a.md", "x")]).bytes();
    read(&[&whole[..], b"x"].concat()).unwrap_err();
}

#[test]
fn no_bit_of_a_bundle_can_be_another_one() {
    let mut bytes = Made::of(&[("a.md", "# A\n\nä\n")]).bytes();
    for at in (0..bytes.len()).step_by(3) {
        let bit = 1 << (at % 8);
        bytes[at] ^= bit;
        assert!(read(&bytes).is_err(), "byte {at}");
        bytes[at] ^= bit;
    }
    for length in (0..bytes.len()).step_by(41) {
        assert!(read(&bytes[..length]).is_err(), "cut at {length}");
    }
    read(&bytes).unwrap();
}

proptest! {
    #[test]
    fn hostile_bytes_are_refused_and_never_a_panic(bytes: Vec<u8>) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn hostile_lines_are_refused_and_never_a_panic(
        path in ".{0,20}",
        text in "[a-zß\n ]{0,60}",
        ends in prop::collection::vec(0_u64..80, 0..6),
        at in 0_u64..80,
        level in 0_u8..9,
    ) {
        let mut head = head(&path, &text);
        head.sections = ends
            .iter()
            .map(|end| Part { end: *end, level, anchor: String::new(), trail: Vec::new() })
            .collect();
        head.anchors = [("x".to_owned(), at)].into();
        if let Ok(entry) = head.checked(text.clone().into_bytes()) {
            // What is taken can be cut where it says.
            for section in &entry.parsed.sections {
                prop_assert!(text.get(section.range.clone()).is_some());
            }
        }
    }
}
