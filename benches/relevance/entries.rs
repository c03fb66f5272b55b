//! Entries of a documentation's own index as queries: whoever wrote them has judged which pages they lead to.
//!
//! A folder of HTML pages that carry their entries as `<meta name="keywords" content="...">` (or `itemprop`), such as the
//! help of `LibreOffice` in any of its languages. The entries are in the head, which a search does not see.

use std::collections::{BTreeMap, HashMap};

use regex::Regex;
use sekisho::library::parse::{Format, parse};

use crate::documents::Page;
use crate::judged::{Collection, Document, Query};

/// One entry in this many is asked: thousands of them say no more than hundreds.
const STRIDE: usize = 5;
const BYTES_MIN: usize = 3;

/// Reads pages and their entries. `None` where no page has any.
pub(crate) fn read(name: String, pages: &[Page]) -> Option<Collection> {
    let keywords = Regex::new(r#"<meta (?:itemprop|name)="keywords" content="([^"]*)""#).expect("a pattern");
    let mut documents = Vec::new();
    let mut entries: BTreeMap<String, HashMap<String, f64>> = BTreeMap::new();
    for page in pages.iter().filter(|page| page.format == Format::Html) {
        let Ok(parsed) = parse(&page.path, page.format, &page.bytes) else { continue };
        let html = String::from_utf8_lossy(&page.bytes);
        for entry in keywords.captures_iter(&html).filter_map(|it| it.get(1)) {
            // `anchors; options` and `anchors,options`: a word and what it is about here.
            let entry = entry.as_str().replace("&amp;", "&").replace([',', ';'], " ");
            let entry = entry.split_whitespace().collect::<Vec<_>>().join(" ");
            if entry.len() >= BYTES_MIN {
                entries.entry(entry).or_default().insert(page.path.clone(), 1.0);
            }
        }
        documents.push(Document { id: page.path.clone(), title: parsed.title, text: parsed.markdown });
    }
    let queries: Vec<_> =
        entries.into_iter().step_by(STRIDE).map(|(text, relevant)| Query { text, relevant }).collect();
    (!queries.is_empty()).then_some(Collection { name, documents, queries })
}
