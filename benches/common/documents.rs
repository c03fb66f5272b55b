//! Documents as a sync gives them to the index, and where the benches find them.
#![allow(dead_code, clippy::expect_used, reason = "each bench uses a part of it, and stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sekisho::library::parse::{Format, Parsed, parse};
use sekisho::search::{Choices, DocumentKey, Index, Passage};

/// The library's name in the index.
pub(crate) const LIBRARY: &str = "bench";

/// A document's file.
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) format: Format,
    pub(crate) bytes: Vec<u8>,
}

/// Documents under one name.
pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    pub(crate) pages: Vec<Page>,
}

impl Corpus {
    pub(crate) fn bytes(&self) -> u64 {
        self.pages.iter().map(|page| page.bytes.len() as u64).sum()
    }
}

/// The folder with the Expo pages, if there is one; where not, that is said, with what `instead` is measured.
pub(crate) fn expo_folder(instead: &str) -> Option<PathBuf> {
    let folder = corpora().join("expo-docs/md");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: there are no Expo pages at {} (SEKISHO_CORPORA says where); {instead}", folder.display());
    None
}

pub(crate) fn manual() -> Corpus {
    Corpus { name: "manual", pages: pages_below(&checkout().join("assets/manual")) }
}

pub(crate) fn expo(folder: &Path) -> Corpus {
    Corpus { name: "expo", pages: pages_below(folder) }
}

/// The Expo pages, else the manual.
pub(crate) fn expo_or_manual() -> Corpus {
    expo_folder("the manual takes their place, and its figures do not compare with theirs.")
        .map_or_else(manual, |folder| expo(&folder))
}

/// Where the test documents are, if they are there.
pub(crate) fn corpora() -> PathBuf {
    #[allow(clippy::disallowed_methods, reason = "where test documents are is no setting of the program")]
    let given = std::env::var_os("SEKISHO_CORPORA").filter(|value| !value.is_empty()).map(PathBuf::from);
    given.unwrap_or_else(|| checkout().join("../shared/corpora"))
}

pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn pages_below(root: &Path) -> Vec<Page> {
    let files = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().flatten();
    let page = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(root).ok()?.to_str()?.to_owned();
        Some(Page { format: Format::of_path(&path)?, bytes: std::fs::read(entry.path()).ok()?, path })
    };
    files.filter(|entry| entry.file_type().is_file()).filter_map(page).collect()
}

/// A parsed document as the index takes it.
pub(crate) struct Document {
    pub(crate) path: String,
    pub(crate) facets: Vec<(String, String)>,
    pub(crate) passages: Vec<Passage>,
}

impl Document {
    /// As a sync does it.
    fn of(page: &Page, parsed: Parsed) -> Self {
        let Parsed { title, description, facets, markdown, sections, .. } = parsed;
        let passages = (0..).zip(sections).map(|(ordinal, section)| {
            let text = &markdown[section.range];
            let described = description.as_deref().filter(|_| ordinal == 0);
            Passage {
                ordinal,
                title: title.clone(),
                trail: section.trail,
                anchor: section.anchor,
                text: described.map_or_else(|| text.to_owned(), |description| format!("{description}\n\n{text}")),
            }
        });
        let passages = passages.collect();
        let facets = facets.into_iter().flat_map(|(name, values)| values.into_iter().map(move |it| (name.clone(), it)));
        Self { path: page.path.clone(), facets: facets.collect(), passages }
    }
}

pub(crate) fn documents(corpus: &Corpus) -> Vec<Document> {
    let parsed = corpus.pages.iter().filter_map(|page| Some((page, parse(&page.path, page.format, &page.bytes).ok()?)));
    parsed.map(|(page, parsed)| Document::of(page, parsed)).collect()
}

/// All documents in one commit of a new index in memory.
pub(crate) fn indexed(documents: &[Document], choices: Choices) -> Index {
    let index = Index::in_memory_by(choices).expect("an index in memory");
    fill(&index, documents);
    index
}

/// All documents in one commit.
pub(crate) fn fill(index: &Index, documents: &[Document]) {
    let mut writer = index.writer().expect("the only writer");
    for document in documents {
        let key = DocumentKey { library: LIBRARY, path: &document.path };
        writer.put(&key, &document.facets, &document.passages).expect("a document that fits");
    }
    writer.commit(&BTreeMap::from([(LIBRARY.to_owned(), 1)])).expect("a commit");
}
