//! `search` and `read`, for people: the same operations that agents call.

use clap::Args;
use serde_json::{Value, json};

use super::exit::{Failure, NO};
use super::reach::Reach;
use super::{Context, print};

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// What to look for, in any words
    #[arg(required = true, allow_negative_numbers = true)]
    query: Vec<String>,
    /// Search this library only (may be given again)
    #[arg(long, value_name = "NAME")]
    library: Vec<String>,
    /// Search documents whose path begins with this
    #[arg(long, value_name = "PREFIX")]
    path: Option<String>,
    /// Search documents with this facet, as name=value (may be given again)
    #[arg(long, value_name = "NAME=VALUE")]
    facet: Vec<String>,
    /// How many hits to show
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=50))]
    limit: u64,
    /// How many hits to skip
    #[arg(long, default_value_t = 0)]
    offset: u64,
    /// Say of each hit what its score is made of
    #[arg(long)]
    explain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Read {
    /// Name of the library
    library: String,
    /// Path of the document, as search shows it, or its address on the web
    path: String,
    /// Anchor of a section: read only that
    #[arg(long)]
    section: Option<String>,
}

pub(super) async fn search(context: &Context, search: Search) -> Result<u8, Failure> {
    let mut facets = json!({});
    for facet in &search.facet {
        let (name, value) = facet
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--facet wants NAME=VALUE, found {facet:?}")))?;
        match facets[name].as_array_mut() {
            Some(values) => values.push(json!(value)),
            None => facets[name] = json!([value]),
        }
    }
    let arguments = json!({
        "query": search.query.join(" "), "libraries": search.library, "path_prefix": search.path,
        "facets": facets, "limit": search.limit, "offset": search.offset, "explain": search.explain,
    });
    let reach = Reach::find(context).await?;
    let result = reach.ask("search_documents", arguments).await;
    reach.close().await;
    let result = result?;
    if context.json {
        print::line(&result.to_string())?;
    } else {
        show(&result, search.offset)?;
    }
    Ok(if result["hits"].as_array().is_none_or(Vec::is_empty) { NO } else { 0 })
}

fn show(result: &Value, offset: u64) -> Result<(), Failure> {
    let hits = result["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    if hits.is_empty() {
        return print::line("Nothing was found. Try other or fewer words, or drop a filter.");
    }
    for (number, hit) in (offset + 1..).zip(hits) {
        let text = |key: &str| print::harmless(hit[key].as_str().unwrap_or_default());
        let trail: Vec<String> =
            hit["trail"].as_array().into_iter().flatten().filter_map(Value::as_str).map(print::harmless).collect();
        let heading = {
            let title = text("title");
            let below = trail.into_iter().skip_while(|first| *first == title);
            std::iter::once(title.clone()).chain(below).collect::<Vec<_>>().join(" > ")
        };
        let anchor = text("anchor");
        let anchor = if anchor.is_empty() { anchor } else { format!("#{anchor}") };
        print::line(&format!("{number:>3}. {}", print::painted(print::TITLE, &heading)))?;
        print::line(&format!(
            "     {}",
            print::painted(print::FAINT, &format!("{}/{}{anchor}", text("library"), text("path")))
        ))?;
        if hit["url"].is_string() {
            print::line(&format!("     {}", print::painted(print::FAINT, &text("url"))))?;
        }
        for reason in hit["explanation"].as_array().into_iter().flatten() {
            print::line(&print::painted(print::FAINT, &explained(reason)))?;
        }
        print::line(&format!("     {}\n", highlighted(hit)))?;
    }
    let more = result["next_offset"].as_u64().map_or_else(String::new, |next| format!(" More: --offset {next}."));
    let text = format!(
        "Matching passages: {}, at most two of a document shown.{more} Read one: sekisho read LIBRARY PATH --section ANCHOR",
        result["total"]
    );
    print::line(&print::painted(print::FAINT, &text))
}

/// One part of a score, such as `  2.31  typo "camra" in the text`.
fn explained(reason: &Value) -> String {
    let text = |key: &str| print::harmless(reason[key].as_str().unwrap_or_default());
    let score = reason["score"].as_f64().unwrap_or_default();
    match (text("how").as_str(), text("word"), text("field")) {
        ("document", ..) => format!("     {score:7.2}  the document as a whole"),
        ("order", ..) => format!("     {score:7.2}  order: what has the words themselves comes first"),
        (how, word, field) => format!("     {score:7.2}  {how} {word:?} in the {field}"),
    }
}

/// The snippet with its matches painted. `highlights` counts characters.
fn highlighted(hit: &Value) -> String {
    let characters: Vec<char> = hit["snippet"].as_str().unwrap_or_default().chars().collect();
    let mut out = String::new();
    let mut at = 0;
    let piece = |from: usize, to: usize| {
        print::harmless(&characters.get(from..to).unwrap_or_default().iter().collect::<String>())
    };
    for range in hit["highlights"].as_array().into_iter().flatten() {
        let bound = |index: usize| {
            range[index]
                .as_u64()
                .and_then(|bound| usize::try_from(bound).ok())
                .unwrap_or(characters.len())
                .min(characters.len())
        };
        let (start, end) = (bound(0).max(at), bound(1));
        if start < end {
            out.push_str(&piece(at, start));
            out.push_str(&print::painted(print::MATCH, &piece(start, end)));
            at = end;
        }
    }
    out.push_str(&piece(at, characters.len()));
    out
}

pub(super) async fn read(context: &Context, read: Read) -> Result<u8, Failure> {
    let reach = Reach::find(context).await?;
    let result = pages(context, &reach, &read).await;
    reach.close().await;
    result
}

async fn pages(context: &Context, reach: &Reach, read: &Read) -> Result<u8, Failure> {
    let mut cursor: Option<String> = None;
    loop {
        let arguments = json!({"library": read.library, "path": read.path, "section": read.section, "tokens_max": 20_000, "cursor": cursor});
        let page = reach.ask("read_document", arguments).await?;
        if context.json {
            print::line(&page.to_string())?;
        } else {
            print::line(print::harmless(page["markdown"].as_str().unwrap_or_default()).trim_end_matches('\n'))?;
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_score_is_said_in_words() {
        let said =
            |how: &str, word: &str| explained(&json!({"how": how, "word": word, "field": "text", "score": 2.314}));
        assert_eq!(said("typo", "camra"), "        2.31  typo \"camra\" in the text");
        assert_eq!(said("document", ""), "        2.31  the document as a whole");
    }

    #[test]
    fn matches_are_painted_and_controls_dropped() {
        let hit = json!({"snippet": "あask\u{1b} camera", "highlights": [[1, 4], [6, 12]]});
        let bold = |text: &str| print::painted(print::MATCH, text);
        assert_eq!(highlighted(&hit), format!("あ{} {}", bold("ask"), bold("camera")));
    }
}
