//! The pages of the audit log: a search, one entry with its proof, a check of the whole log, and what was found as a file.

use ::http::{HeaderValue, Response, StatusCode, header};
use askama::Template;
use serde_json::{Map, Value, json};

use super::super::fact::{Fact, Part};
use super::super::form::Form;
use super::super::page::{Page, html};
use super::super::{Answer, Visit, framed, nothing};
use crate::audit::entry::{EVENTS, OUTCOMES};
use crate::base::bound::ui as bound;
use crate::base::refusal::{Code, Refusal};

#[derive(Template)]
#[template(path = "ui/audit.html", config = "assets/askama.toml")]
struct Log<'a> {
    page: &'a Page<'a>,
    asked: &'a Form,
    /// What is wrong with the search.
    problem: Option<&'a str>,
    /// Newest first.
    entries: Vec<Fact<'a>>,
    /// Whether older ones may fit as well.
    is_cut: bool,
    lines_max: u64,
    looked_at: u64,
    verdict: Option<Fact<'a>>,
    events: Vec<&'static str>,
    outcomes: Vec<&'static str>,
    /// The same search as a query, for the export.
    query: String,
}

impl Log<'_> {
    fn chosen(&self, field: &str, value: &str) -> bool {
        self.asked.text(field) == value
    }
}

/// What a search asks for, of the fields that are filled.
fn search(query: &Form, limit: usize) -> Value {
    let mut arguments = Map::new();
    for name in ["from", "to", "operation", "text"] {
        let text = query.text(name).trim();
        if !text.is_empty() {
            arguments.insert(name.into(), text.into());
        }
    }
    for (field, name) in [("subject", "subjects"), ("event", "events"), ("outcome", "outcomes")] {
        let values: Vec<&str> = query.all(field).map(str::trim).filter(|value| !value.is_empty()).collect();
        arguments.insert(name.into(), values.into());
    }
    arguments.insert("limit".into(), limit.into());
    Value::Object(arguments)
}

pub(in super::super) async fn show(visit: &Visit, query: &Form) -> Result<String, Refusal> {
    listed(visit, query, None).await
}

async fn listed(visit: &Visit, query: &Form, verdict: Option<&Value>) -> Result<String, Refusal> {
    let found = visit.lines("audit.search", search(query, bound::UI_ROWS_MAX)).await;
    let problem = found.as_ref().err().filter(|refusal| refusal.code == Code::Invalid).map(|it| it.public.clone());
    let (entries, result) = if problem.is_some() { (Vec::new(), nothing()) } else { found? };
    let page = visit.frame("audit");
    html(&Log {
        page: &page,
        asked: query,
        problem: problem.as_deref(),
        is_cut: entries.len() >= bound::UI_ROWS_MAX,
        lines_max: bound::UI_LINES_MAX as u64,
        entries: entries.iter().rev().map(Fact).collect(),
        looked_at: Fact(&result).count("looked_at"),
        verdict: verdict.map(Fact),
        events: EVENTS.iter().map(|event| event.as_str()).collect(),
        outcomes: OUTCOMES.iter().map(|outcome| outcome.as_str()).collect(),
        query: if visit.is_post { String::new() } else { visit.query.clone() },
    })
}

/// The page after the whole log was checked.
pub(in super::super) async fn verified(visit: &Visit) -> Result<String, Refusal> {
    let verdict = visit.read("audit.verify", nothing()).await?;
    listed(visit, &Form::default(), Some(&verdict)).await
}

#[derive(Template)]
#[template(path = "ui/entry.html", config = "assets/askama.toml")]
struct Entry<'a> {
    page: &'a Page<'a>,
    number: u64,
    /// Names and values, in the order of the log.
    fields: Vec<(String, String)>,
    entry: Fact<'a>,
    proof: Fact<'a>,
    no_proof: Option<&'a str>,
    whole: String,
    before: Option<u64>,
}

/// One entry, and what proves that it is in the log.
pub(in super::super) async fn entry(visit: &Visit, query: &Form) -> Result<String, Refusal> {
    let number = number(query)?;
    let entry = visit.read("audit.entry", json!({"sequence": number})).await?;
    let proof = visit.part("audit.prove", json!({"sequence": number})).await;
    let fields = entry.as_object().into_iter().flatten();
    let fields = fields.map(|(name, value)| (name.clone(), Fact(value).shown())).collect();
    let page = visit.frame("audit");
    let whole = serde_json::to_string_pretty(proof.fact().0).map_err(Refusal::internal)?;
    html(&Entry {
        page: &page,
        number,
        fields,
        entry: Fact(&entry),
        proof: proof.fact(),
        no_proof: Part::refused(&proof),
        whole,
        before: number.checked_sub(1),
    })
}

fn number(query: &Form) -> Result<u64, Refusal> {
    let number = query.text("number");
    let wrong = || Refusal::new(Code::Invalid, format!("Expected the number of an entry, found {number:?}."));
    number.parse().map_err(|_| wrong())
}

/// What proves that an entry is in the log, as a file: what `sekisho audit prove --json` writes.
pub(in super::super) async fn proof(visit: &Visit, query: &Form) -> Response<Answer> {
    let number = match number(query) {
        Ok(number) => number,
        Err(refusal) => return visit.refused("audit", &refusal),
    };
    match visit.read("audit.prove", json!({"sequence": number})).await {
        Err(refusal) => visit.refused("audit", &refusal),
        Ok(proof) => attached(format!("{proof:#}\n"), "application/json", &format!("sekisho-proof-{number}.json")),
    }
}

/// What a search found as JSON Lines, oldest first.
pub(in super::super) async fn export(visit: &Visit, query: &Form) -> Response<Answer> {
    match visit.lines("audit.search", search(query, bound::UI_LINES_MAX)).await {
        Err(refusal) => visit.refused("audit", &refusal),
        Ok((entries, _)) => {
            let lines: Vec<String> = entries.iter().map(|entry| entry.to_string() + "\n").collect();
            attached(lines.concat(), "application/x-ndjson", "sekisho-audit.jsonl")
        }
    }
}

/// A file that the browser saves.
fn attached(text: String, kind: &'static str, name: &str) -> Response<Answer> {
    let mut response = framed(StatusCode::OK, text);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}
