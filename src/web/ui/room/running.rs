//! The pages of the configuration in force and of the backups.

use askama::Template;

use super::super::fact::Fact;
use super::super::form::Form;
use super::super::page::{Page, html};
use super::super::{Visit, nothing};
use crate::base::refusal::Refusal;

#[derive(Template)]
#[template(path = "ui/configuration.html", config = "assets/askama.toml")]
struct Configuration<'a> {
    page: &'a Page<'a>,
    file: String,
    /// Table by table.
    tables: Vec<(String, Vec<Fact<'a>>)>,
    only_changed: bool,
    changed: usize,
}

pub(in super::super) async fn configuration(visit: &Visit, query: &Form) -> Result<String, Refusal> {
    let shown = visit.read("config.show", nothing()).await?;
    let only_changed = query.text("only") == "changed";
    let page = visit.frame("configuration");
    let mut tables: Vec<(String, Vec<Fact<'_>>)> = Vec::new();
    let mut changed = 0;
    for row in Fact(&shown).rows("settings") {
        let is_default = row.0["source"] == "default";
        changed += usize::from(!is_default);
        if only_changed && is_default {
            continue;
        }
        let setting = row.text("setting");
        let table = setting.split('.').next().unwrap_or_default().to_owned();
        match tables.last_mut().filter(|(name, _)| *name == table) {
            Some((_, rows)) => rows.push(row),
            None => tables.push((table, vec![row])),
        }
    }
    html(&Configuration { page: &page, file: Fact(&shown).text("file"), tables, only_changed, changed })
}

#[derive(Template)]
#[template(path = "ui/backups.html", config = "assets/askama.toml")]
struct Backups<'a> {
    page: &'a Page<'a>,
    backups: Fact<'a>,
    may_make: bool,
    may_search: bool,
}

pub(in super::super) async fn backups(visit: &Visit) -> Result<String, Refusal> {
    let backups = visit.read("backup.list", nothing()).await?;
    let page = visit.frame("backups");
    html(&Backups {
        page: &page,
        backups: Fact(&backups),
        may_make: visit.may("backup.now"),
        may_search: visit.may("audit.search"),
    })
}
