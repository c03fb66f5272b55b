//! Full-text search over passages of documents: the only room that knows tantivy.
//!
//! What is put in comes back by `Index::search`; everything here can be deleted and built again from the library.

mod analyze;
mod choice;
mod compound;
mod cut;
mod edition;
mod facet;
mod find;
mod fold;
mod index;
mod language;
mod markdown;
mod page;
mod query;
mod rank;
mod reading;
mod schema;
mod scope;
mod script;
mod snippet;
mod spelling;
mod stop;
mod synonym;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_disk;
#[cfg(test)]
mod tests_words;

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;

pub use crate::search::choice::{Choice, Choices};
pub use crate::search::facet::Counts;
pub use crate::search::index::{Index, Opened, Writer};
pub use crate::search::synonym::Synonyms;

/// One section of a document, as the library cuts it; what is indexed and what is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Position in its document.
    pub ordinal: u32,
    /// Of the document.
    pub title: String,
    /// Headings from the top.
    pub trail: Vec<String>,
    pub anchor: String,
    /// Markdown of the section, code fences included.
    pub text: String,
}

#[derive(Clone, Copy, Debug)]
pub struct DocumentKey<'a> {
    pub library: &'a str,
    pub path: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub text: &'a str,
    /// What may be seen; empty finds nothing.
    pub libraries: &'a [String],
    /// Only documents whose path begins so, to the byte. The whole path of a document searches within it, and then
    /// all its passages may be hits.
    pub path_prefix: Option<&'a str>,
    /// All names must match, by any of their values. A name without values matches nothing.
    pub facets: &'a BTreeMap<String, Vec<String>>,
    /// Hits wanted, at most `HITS_MAX`.
    pub limit: usize,
    /// Hits to skip; beyond `RANKED_HITS_MAX` there are none.
    pub offset: usize,
    /// Whether each hit says what its score is made of.
    pub explain: bool,
}

/// One page of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Passages that match, before folding: there may be more of them than hits to page through, because a ranking
    /// has at most `DOCUMENT_HITS_MAX` passages of one document and `RANKED_HITS_MAX` hits.
    pub total: u64,
    pub hits: Vec<Hit>,
    /// The query was longer than its bound and only its beginning was looked for.
    pub partial: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub library: String,
    pub path: String,
    pub title: String,
    pub trail: Vec<String>,
    pub anchor: String,
    pub ordinal: u32,
    /// Comparable within one answer only.
    pub score: f32,
    /// Markdown as written, white space collapsed.
    pub snippet: String,
    /// Byte ranges in `snippet`, on character boundaries, sorted, disjoint.
    pub highlights: Vec<Range<usize>>,
    pub facets: Vec<(String, String)>,
    /// Where the document is from, on the web. The index does not know: who has the records fills it in.
    pub url: Option<String>,
    /// What the score is made of, largest first; empty unless asked for.
    pub shares: Vec<Share>,
}

/// A part of a hit's score. All parts of a hit add up to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Of the query, folded; empty where no single word is meant.
    pub word: String,
    pub how: How,
    /// `text` (prose or code), `title`, `headings` or `document`.
    pub field: &'static str,
    pub score: f32,
}

/// Why a word of the query and a passage fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The passage has the word, or another form of it.
    Word,
    /// Two neighbours of the query are neighbours there.
    Neighbours,
    /// Two neighbours of the query are one word there.
    Joined,
    /// One word of the query is two there.
    Split,
    /// The passage has a word that begins so.
    Ending,
    /// The passage has a word that differs by a letter or two.
    Typo,
    /// The library calls it so too.
    Synonym,
    /// What the document as a whole says of the query.
    Document,
    /// Added or taken away so that what has the words themselves comes first.
    Order,
}

impl How {
    /// As people and agents read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Neighbours => "neighbours",
            Self::Joined => "joined",
            Self::Split => "split",
            Self::Ending => "ending",
            Self::Typo => "typo",
            Self::Synonym => "synonym",
            Self::Document => "document",
            Self::Order => "order",
        }
    }
}

/// What searching and indexing can suffer. A query is never an error.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("the index is already being written; wait until that sync is over")]
    Busy,
    #[error("a document's library and path must be 1 to {max} bytes without NUL, found {found} bytes: shorten them")]
    Key { found: usize, max: usize },
    #[error("the index directory cannot be used ({0}); check its owner, its permissions and the free space")]
    Directory(#[source] std::io::Error),
    #[error(
        "the search index failed ({0}); stop the server and delete the index directory: it is rebuilt from the library"
    )]
    Engine(#[source] Box<dyn Error + Send + Sync>),
}

impl From<tantivy::TantivyError> for SearchError {
    fn from(error: tantivy::TantivyError) -> Self {
        match error {
            tantivy::TantivyError::LockFailure(..) => Self::Busy,
            other => Self::Engine(Box::new(other)),
        }
    }
}
