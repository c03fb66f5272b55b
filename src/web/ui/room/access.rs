//! The pages of credentials, of which only names and ages are told, and of policies.

use askama::Template;
use serde_json::{Map, Value};

use super::super::fact::{Fact, Part};
use super::super::form::Form;
use super::super::page::{Page, html};
use super::super::{Visit, nothing};
use crate::base::classification::{CLASSIFICATIONS, Classification};
use crate::base::principal::Role;
use crate::base::refusal::Refusal;

#[derive(Template)]
#[template(path = "ui/credentials.html", config = "assets/askama.toml")]
struct Credentials<'a> {
    page: &'a Page<'a>,
    credentials: Vec<Fact<'a>>,
}

pub(in super::super) async fn credentials(visit: &Visit) -> Result<String, Refusal> {
    let credentials = visit.read("credential.list", nothing()).await?;
    let page = visit.frame("credentials");
    html(&Credentials { page: &page, credentials: Fact(&credentials).rows("items") })
}

#[derive(Template)]
#[template(path = "ui/policy.html", config = "assets/askama.toml")]
struct Policy<'a> {
    page: &'a Page<'a>,
    state: Fact<'a>,
    policies: Vec<Fact<'a>>,
    may_reload: bool,
    asked: &'a Form,
    roles: [&'static str; 4],
    classifications: [&'static str; 4],
    explained: Option<Fact<'a>>,
    not_explained: Option<&'a str>,
}

/// The policies in force, and what they answer to a question.
pub(in super::super) async fn policy(visit: &Visit, query: &Form) -> Result<String, Refusal> {
    let policies = visit.read("policy.list", nothing()).await?;
    let is_asked = !query.text("principal").is_empty();
    let explained = if is_asked { Some(visit.part("policy.explain", question(query)).await) } else { None };
    let page = visit.frame("policy");
    html(&Policy {
        page: &page,
        state: Fact(&policies).at("state"),
        policies: Fact(&policies).rows("policies"),
        may_reload: visit.may("policy.reload"),
        asked: query,
        roles: Role::ALL.map(Role::as_str),
        classifications: CLASSIFICATIONS.map(Classification::as_str),
        explained: explained.as_ref().filter(|part| part.refused().is_none()).map(Part::fact),
        not_explained: explained.as_ref().and_then(Part::refused),
    })
}

fn question(query: &Form) -> Value {
    let mut arguments = Map::new();
    for name in ["principal", "action", "resource"] {
        arguments.insert(name.into(), query.text(name).trim().into());
    }
    for name in ["role", "classification"] {
        let text = query.text(name).trim();
        if !text.is_empty() {
            arguments.insert(name.into(), text.into());
        }
    }
    Value::Object(arguments)
}
