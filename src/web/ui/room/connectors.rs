//! The page of connectors: which there are, and of one its operations, its logins and the change that waits.

use askama::Template;
use serde_json::json;

use super::super::fact::{Fact, Part};
use super::super::form::Form;
use super::super::page::{Page, html};
use super::super::{Visit, nothing};
use crate::base::bound::ui as bound;
use crate::base::refusal::Refusal;

#[derive(Template)]
#[template(path = "ui/connectors.html", config = "assets/askama.toml")]
struct Connectors<'a> {
    page: &'a Page<'a>,
    connectors: Fact<'a>,
}

#[derive(Template)]
#[template(path = "ui/connector.html", config = "assets/askama.toml")]
struct Connector<'a> {
    page: &'a Page<'a>,
    connector: Fact<'a>,
    breaker: Fact<'a>,
    operations: Vec<Fact<'a>>,
    /// All that there are; the page may show fewer.
    count: usize,
    /// Whether more fit than are shown.
    is_cut: bool,
    filter: &'a str,
    waiting: Fact<'a>,
    /// Each tool with words that look like an attack, and these. An administrator takes them tool by tool.
    flagged: Vec<(String, Vec<Fact<'a>>)>,
    logins: Vec<Fact<'a>>,
    no_logins: Option<&'a str>,
    may_decide: bool,
    may_switch: bool,
}

pub(in super::super) async fn show(visit: &Visit, query: &Form) -> Result<String, Refusal> {
    let name = query.text("name");
    if !name.is_empty() {
        return one(visit, name, query.text("filter")).await;
    }
    let connectors = visit.read("connector.list", nothing()).await?;
    let page = visit.frame("connectors");
    html(&Connectors { page: &page, connectors: Fact(&connectors) })
}

async fn one(visit: &Visit, name: &str, filter: &str) -> Result<String, Refusal> {
    let named = || json!({"name": name});
    let shown = visit.read("connector.show", named()).await?;
    let fact = Fact(&shown);
    let waiting = if fact.has("connector.waits") { visit.part("connector.diff", named()).await } else { nobody() };
    // A connector without logins has no such operation to ask.
    let logins =
        if fact.has("connector.binding.oauth") { visit.part("connector.auth", named()).await } else { nobody() };
    let page = visit.frame("connectors");
    let all = fact.rows("operations");
    let count = all.len();
    let wanted = filter.trim().to_lowercase();
    let fits = |row: &Fact<'_>| {
        wanted.is_empty() || ["name", "path", "title"].iter().any(|key| row.text(key).to_lowercase().contains(&wanted))
    };
    let mut operations: Vec<Fact<'_>> = all.into_iter().filter(fits).collect();
    let is_cut = operations.len() > bound::UI_ROWS_MAX;
    operations.truncate(bound::UI_ROWS_MAX);
    let mut flagged: Vec<(String, Vec<Fact<'_>>)> = Vec::new();
    for row in waiting.fact().rows("findings.items") {
        let name = row.text("name");
        match flagged.iter_mut().find(|(own, _)| *own == name) {
            Some((_, rows)) => rows.push(row),
            None => flagged.push((name, vec![row])),
        }
    }
    html(&Connector {
        page: &page,
        connector: fact.at("connector"),
        breaker: fact.at("breaker"),
        operations,
        count,
        is_cut,
        filter,
        waiting: waiting.fact(),
        flagged,
        logins: logins.fact().rows("items"),
        no_logins: logins.refused(),
        may_decide: visit.may("connector.approve"),
        may_switch: visit.may("connector.enable"),
    })
}

fn nobody() -> Part {
    Part::of(Ok(nothing()))
}
