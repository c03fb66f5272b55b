//! The tool `list_libraries`: which libraries there are, and what is in them.

use std::fmt::Write as _;
use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{result_schema_of, schema_of, to_json};
use crate::base::refusal::Refusal;
use crate::library::Libraries;
use crate::library::record::LibraryRecord;
use crate::operation::{About, Cx, Kind, Operation, Outcome, Output};

#[derive(Debug)]
pub struct ListLibraries {
    about: About,
    libraries: Arc<Libraries>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {}

#[derive(Serialize, JsonSchema)]
struct Listed {
    libraries: Vec<Library>,
}

#[derive(Serialize, JsonSchema)]
struct Library {
    /// The name to use in `search_documents` and `read_document`.
    name: String,
    documents: u64,
    sections: u64,
    /// When its documents were last brought up to date, RFC 3339; null if never.
    synced: Option<String>,
}

impl ListLibraries {
    pub fn new(libraries: Arc<Libraries>) -> Self {
        let description = "Lists the document libraries that can be searched and read here, with their sizes and when each was last synced.";
        let mut about =
            About::reading(Kind::Tool, "list_libraries", "List libraries", description, schema_of::<Arguments>());
        about.output = Some(result_schema_of::<Listed>());
        Self { about, libraries }
    }
}

impl Operation for ListLibraries {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, _arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async {
            let libraries: Vec<Library> = self.libraries.seen_by(&cx.access).list()?.into_iter().map(library).collect();
            let mut text = String::new();
            for library in &libraries {
                // Writing to a String cannot fail.
                writeln!(text, "- {}: {} documents, {} sections", library.name, library.documents, library.sections)
                    .unwrap_or_default();
            }
            if libraries.is_empty() {
                text.push_str("There are no libraries yet. An operator adds one with `sekisho library add NAME PATH`.");
            }
            Ok(Outcome::Done(Output::structured(to_json(&Listed { libraries })?, text)))
        })
    }
}

fn library(record: LibraryRecord) -> Library {
    Library {
        name: record.name,
        documents: record.documents,
        sections: record.sections,
        synced: record.synced.map(super::super::base::clock::Timestamp::rfc3339),
    }
}
