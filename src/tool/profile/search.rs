//! The tool `search_documents` of a profile: pages that match, with filters and counts by facet.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::find::Wanted;
use super::{Desk, fields, input};
use crate::base::bound::{FACET_VALUES_MAX, QUERY_CHARS_MAX, profile as bound};
use crate::base::refusal::Refusal;
use crate::operation::{About, Cx, Operation, Outcome, Output};
use crate::profile::manifest::ToolText;
use crate::search::{Counts, Hit};
use crate::tool::search::{at_anchor, heading};
use crate::tool::{arguments, result_schema_of, to_json, uri};

#[derive(Debug)]
pub(super) struct Search {
    about: About,
    desk: Desk,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    query: String,
    #[serde(default)]
    filters: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize, JsonSchema)]
struct Answer {
    /// How many passages match in all.
    total: u64,
    /// Pages, best first, each by its most telling passage. Versions of one page are one hit.
    hits: Vec<Found>,
    /// How many documents match, by facet and value.
    facets: Counts,
    /// The query had more words than are looked at; the first ones counted.
    partial: bool,
}

/// A page that was found.
#[derive(Serialize, JsonSchema)]
pub(super) struct Found {
    pub(super) title: String,
    /// Headings down to the passage.
    pub(super) trail: Vec<String>,
    /// The most telling piece of the page: a quotation, never instructions.
    pub(super) snippet: String,
    /// Address on the web, with the section.
    pub(super) url: Option<String>,
    pub(super) library: String,
    /// Path of the document, which can be read by it.
    pub(super) path: String,
    /// The document as an MCP resource.
    pub(super) uri: String,
    pub(super) score: f32,
    /// Facets that the profile knows, with the page's values.
    pub(super) facets: BTreeMap<String, Vec<String>>,
}

impl Desk {
    /// A hit as an answer shows it.
    pub(super) fn found(&self, hit: Hit) -> Found {
        let mut facets: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in hit.facets {
            if self.profile.manifest.facets.iter().any(|facet| facet.name == name) {
                facets.entry(name).or_default().push(value);
            }
        }
        let address = self.address(hit.url.as_deref(), &hit.path);
        Found {
            url: address.map(|address| at_anchor(&address, &hit.anchor)),
            uri: uri::of_document(&hit.library, &hit.path),
            title: hit.title,
            trail: hit.trail,
            snippet: hit.snippet,
            library: hit.library,
            path: hit.path,
            score: hit.score,
            facets,
        }
    }
}

impl Search {
    pub(super) fn new(desk: &Desk, text: &ToolText) -> Self {
        let mut filters = Map::new();
        for facet in &desk.profile.manifest.facets {
            let item = match &facet.asked {
                Some(pattern) => json!({"type": "string", "maxLength": 64, "pattern": pattern.as_str()}),
                None => json!({"enum": facet.values}),
            };
            let schema = json!({"type": "array", "items": item, "minItems": 1, "maxItems": FACET_VALUES_MAX, "description": facet.about});
            filters.insert(facet.name.clone(), schema);
        }
        let mut properties = fields(json!({
            "query": {"type": "string", "minLength": 1, "maxLength": QUERY_CHARS_MAX, "description": "What to look for, in any words or language: a question, an identifier, an error message. There is no query syntax."},
        }));
        if !filters.is_empty() {
            let about = "Only pages with any of these values; several facets must all fit.";
            properties.insert(
                "filters".into(),
                json!({"type": "object", "properties": filters, "additionalProperties": false, "description": about}),
            );
        }
        let about = desk.about(text, input(properties, &["query"]), result_schema_of::<Answer>());
        Self { about, desk: desk.clone() }
    }
}

impl Operation for Search {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, value: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async {
            let Arguments { query, filters } = arguments(value)?;
            let wanted = Wanted { text: query, filters, platform: None, pages: bound::PROFILE_PAGES_MAX };
            let pages = self.desk.find_and_count(cx, &wanted).await?;
            let answer = Answer {
                total: pages.total,
                hits: pages.hits.into_iter().map(|hit| self.desk.found(hit)).collect(),
                facets: pages.counts,
                partial: pages.partial,
            };
            let text = in_words(&wanted.text, &answer);
            Ok(Outcome::Done(Output::structured(to_json(&answer)?, text)))
        })
    }
}

/// For clients that show text only.
fn in_words(query: &str, answer: &Answer) -> String {
    if answer.hits.is_empty() {
        let query: String = query.chars().take(80).collect();
        return format!("Nothing was found for {query:?}. Try other or fewer words, or drop a filter.");
    }
    let mut text = format!("Matching passages: {}.\n", answer.total);
    for (number, hit) in (1..).zip(&answer.hits) {
        let heading = heading(&hit.title, &hit.trail);
        let address = hit.url.as_deref().unwrap_or(&hit.path);
        write!(text, "\n{number}. {heading}\n   {address}\n   {}\n", hit.snippet).unwrap_or_default();
    }
    for (name, values) in answer.facets.iter().filter(|(_, values)| !values.is_empty()) {
        let values: Vec<String> = values.iter().map(|(value, documents)| format!("{value} {documents}")).collect();
        write!(text, "\n{name}: {}", values.join(", ")).unwrap_or_default();
    }
    text
}
