//! The page of libraries: what there is, how fresh it is, and why a search ranks its hits as it does.

use askama::Template;
use serde_json::{Value, json};

use super::super::fact::{Fact, Part};
use super::super::form::Form;
use super::super::page::{Page, html};
use super::super::{Visit, nothing};
use crate::base::refusal::Refusal;
use crate::operation::Kind;

#[derive(Template)]
#[template(path = "ui/libraries.html", config = "assets/askama.toml")]
struct Libraries<'a> {
    page: &'a Page<'a>,
    libraries: Fact<'a>,
    may_sync: bool,
    query: &'a str,
    library: &'a str,
    hits: Option<Vec<Hit<'a>>>,
    total: u64,
    no_hits: Option<&'a str>,
}

/// A hit, and its snippet in pieces.
struct Hit<'a> {
    hit: Fact<'a>,
    pieces: Vec<Piece>,
}

/// A piece of a snippet; `true` where it matches.
struct Piece {
    text: String,
    matches: bool,
}

pub(in super::super) async fn show(visit: &Visit, query: &Form) -> Result<String, Refusal> {
    let libraries = visit.read("library.list", nothing()).await?;
    let words = query.text("q").trim();
    let library = query.text("library");
    let found = if words.is_empty() {
        None
    } else {
        let only: Vec<&str> = [library].into_iter().filter(|name| !name.is_empty()).collect();
        let arguments = json!({"query": words, "libraries": only, "limit": 10, "explain": true});
        Some(Part::of(visit.ask(Kind::Tool, "search_documents", arguments).await))
    };
    let page = visit.frame("libraries");
    let answer = found.as_ref().map_or(Fact::nothing(), Part::fact);
    let hits = || answer.rows("hits").into_iter().map(|hit| Hit { hit, pieces: pieces(hit) }).collect();
    html(&Libraries {
        page: &page,
        libraries: Fact(&libraries),
        may_sync: visit.may("library.sync"),
        query: words,
        library,
        hits: found.is_some().then(hits),
        total: answer.count("total"),
        no_hits: found.as_ref().and_then(Part::refused),
    })
}

/// The snippet cut at its matches. `highlights` counts characters.
fn pieces(hit: Fact<'_>) -> Vec<Piece> {
    let characters: Vec<char> = hit.text("snippet").chars().collect();
    let cut = |from: usize, to: usize, matches: bool| Piece {
        text: characters.get(from..to).unwrap_or_default().iter().collect(),
        matches,
    };
    let bound = |range: &Value, index: usize| {
        let place = range[index].as_u64().and_then(|place| usize::try_from(place).ok());
        place.unwrap_or(characters.len()).min(characters.len())
    };
    let (mut pieces, mut at) = (Vec::new(), 0);
    for range in hit.rows("highlights") {
        let (start, end) = (bound(range.0, 0).max(at), bound(range.0, 1));
        if start < end {
            pieces.push(cut(at, start, false));
            pieces.push(cut(start, end, true));
            at = end;
        }
    }
    pieces.push(cut(at, characters.len(), false));
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_cut_at_its_matches() {
        let hit = json!({"snippet": "あask camera", "highlights": [[1, 4], [5, 11], [9, 99]]});
        let shown: Vec<String> = pieces(Fact(&hit))
            .iter()
            .map(|piece| if piece.matches { format!("[{}]", piece.text) } else { piece.text.clone() })
            .collect();
        assert_eq!(shown, ["あ", "[ask]", " ", "[camera]"]);
        assert_eq!(pieces(Fact(&json!({"snippet": "x"}))).len(), 1);
        assert_eq!(pieces(Fact::nothing()).len(), 0);
    }
}
