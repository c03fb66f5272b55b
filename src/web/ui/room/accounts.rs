//! The page of accounts and tokens, and the one that shows a new token.

use askama::Template;
use serde_json::Value;

use super::super::fact::{Fact, Part};
use super::super::form::Form;
use super::super::page::{Page, html};
use super::super::{Visit, nothing};
use crate::base::principal::Role;
use crate::base::refusal::Refusal;

#[derive(Template)]
#[template(path = "ui/accounts.html", config = "assets/askama.toml")]
struct Accounts<'a> {
    page: &'a Page<'a>,
    accounts: Vec<Fact<'a>>,
    tokens: Vec<Fact<'a>>,
    no_tokens: Option<&'a str>,
    roles: [&'static str; 4],
    own: &'a str,
    /// A form that was refused, to be filled in again.
    again: &'a Form,
}

impl Accounts<'_> {
    /// What stood in a field of this form.
    fn kept(&self, form: &str, field: &str) -> &str {
        if self.again.text("form") == form { self.again.text(field) } else { "" }
    }
}

pub(in super::super) async fn show(visit: &Visit, query: &Form) -> Result<String, Refusal> {
    let accounts = visit.read("account.review", nothing()).await?;
    let tokens = visit.part("token.list", nothing()).await;
    let page = visit.frame("accounts");
    html(&Accounts {
        page: &page,
        accounts: Fact(&accounts).rows("accounts"),
        tokens: tokens.fact().rows("items"),
        no_tokens: Part::refused(&tokens),
        roles: Role::ALL.map(Role::as_str),
        own: &visit.account,
        again: query,
    })
}

#[derive(Template)]
#[template(path = "ui/issued.html", config = "assets/askama.toml")]
struct Issued<'a> {
    page: &'a Page<'a>,
    issued: Fact<'a>,
}

/// The one page on which a token is ever shown.
pub(in super::super) fn issued(visit: &Visit, issued: &Value) -> Result<String, Refusal> {
    let page = visit.frame("accounts");
    html(&Issued { page: &page, issued: Fact(issued) })
}
