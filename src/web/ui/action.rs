//! What the forms of the dashboard do: each asks for one operation, with the fields that it has.

use std::sync::Arc;

use ::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use futures::StreamExt as _;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;

use super::super::{Answer, api, token};
use super::form::Form;
use super::{Visit, redirect, room, show, written};
use crate::base::refusal::{Code, Refusal};
use crate::operation::Kind;

/// A form's path, and the operation that it stands for.
#[derive(Debug)]
struct Action {
    /// Below `/ui/`; its first segment is the place that the browser goes back to.
    path: &'static str,
    operation: &'static str,
    fields: &'static [(&'static str, Take)],
    /// The key below `said` of what the page then says.
    said: &'static str,
}

/// How a field becomes an argument of the same name.
#[derive(Clone, Copy, Debug)]
enum Take {
    Text,
    /// Left out where the field is empty.
    Filled,
    Number,
    /// Words with spaces or commas between them.
    Words,
    /// The values of all fields of this name, such as ticked boxes.
    All,
    Flag,
}

const fn action(
    path: &'static str,
    operation: &'static str,
    fields: &'static [(&'static str, Take)],
    said: &'static str,
) -> Action {
    Action { path, operation, fields, said }
}

/// All forms, but those of login, logout and look, and the few below that show more than that it was done.
const ACTIONS: &[Action] = &[
    action("overview/acknowledge", "alert.acknowledge", &[("id", Take::Number)], "acknowledged"),
    action("sessions/end", "session.end", &[("session", Take::Text)], "ended"),
    action(
        "bans/add",
        "ban.add",
        &[("kind", Take::Text), ("name", Take::Text), ("minutes", Take::Number), ("reason", Take::Text)],
        "banned",
    ),
    action("bans/lift", "ban.lift", &[("kind", Take::Text), ("name", Take::Text)], "lifted"),
    action("libraries/sync", "library.sync", &[("name", Take::Text)], "synced"),
    action(
        "connectors/approve",
        "connector.approve",
        &[("name", Take::Text), ("digest", Take::Text), ("accept", Take::All)],
        "approved",
    ),
    action("connectors/reject", "connector.reject", &[("name", Take::Text), ("digest", Take::Text)], "rejected"),
    action("connectors/enable", "connector.enable", &[("name", Take::Text), ("operations", Take::Words)], "enabled"),
    action("connectors/disable", "connector.disable", &[("name", Take::Text), ("operations", Take::Words)], "disabled"),
    action(
        "accounts/add",
        "account.add",
        &[("name", Take::Text), ("role", Take::Text), ("value", Take::Text)],
        "account_added",
    ),
    action("accounts/passwd", "account.passwd", &[("name", Take::Text), ("value", Take::Text)], "password_set"),
    action("accounts/role", "account.role", &[("name", Take::Text), ("role", Take::Text)], "role_set"),
    action("accounts/disable", "account.disable", &[("name", Take::Text)], "account_disabled"),
    action("accounts/enable", "account.enable", &[("name", Take::Text)], "account_enabled"),
    action("accounts/remove", "account.remove", &[("name", Take::Text)], "account_removed"),
    action("accounts/revoke", "token.revoke", &[("id", Take::Text)], "revoked"),
    action("policy/reload", "policy.reload", &[], "reloaded"),
    action("backups/make", "backup.now", &[], "backed_up"),
];

const ISSUE: &[(&str, Take)] = &[
    ("name", Take::Text),
    ("role", Take::Filled),
    ("scopes", Take::Words),
    ("expires_days", Take::Number),
    ("jwt", Take::Flag),
];

/// Does what a form asks for, and sends the browser on.
pub(super) async fn run(visit: Visit, form: &Form) -> Response<Answer> {
    let place = visit.path.split('/').next().unwrap_or_default().to_owned();
    match visit.path.as_str() {
        "accounts/issue" => return issue(&visit, form).await,
        "audit/verify" => {
            let shown = room::audit::verified(&visit).await;
            return show::answered(&visit, "audit", shown);
        }
        _ => {}
    }
    let Some(action) = ACTIONS.iter().find(|action| action.path == visit.path) else {
        return visit.refused(&place, &Refusal::new(Code::NotFound, "There is no such form."));
    };
    let arguments = match arguments(form, action.fields) {
        Ok(arguments) => arguments,
        Err(refusal) => return visit.refused_from(&place, &again(&place, form, action.path), &refusal),
    };
    if visit.accepts_lines {
        return lines(visit, action.operation, arguments);
    }
    match visit.read(action.operation, arguments).await {
        Err(refusal) => visit.refused_from(&place, &again(&place, form, action.path), &refusal),
        Ok(_) => redirect(&back(&place, form, action.said)),
    }
}

/// The page where the form was, which says what was done.
fn back(place: &str, form: &Form, said: &str) -> String {
    let mut query = Serializer::new(String::new());
    // The page of one connector.
    if place == "connectors" && !form.text("name").is_empty() {
        query.append_pair("name", form.text("name"));
    }
    let query = query.append_pair("said", said).finish();
    if place == "overview" { format!("/ui/?{query}") } else { format!("/ui/{place}?{query}") }
}

/// The page with the form that was refused, which it fills in again. Passwords are typed anew.
fn again(place: &str, form: &Form, action: &str) -> String {
    let mut query = Serializer::new(String::new());
    match action {
        "bans/add" | "accounts/add" | "accounts/issue" => {
            query.append_pair("form", action);
            for name in ["kind", "name", "minutes", "reason", "role", "scopes", "expires_days", "jwt"] {
                if !form.text(name).is_empty() {
                    query.append_pair(name, form.text(name));
                }
            }
        }
        _ if place == "connectors" => {
            query.append_pair("name", form.text("name"));
        }
        _ => {}
    }
    let query = query.finish();
    match (place, query.is_empty()) {
        ("overview", _) => "/ui/".to_owned(),
        (_, true) => format!("/ui/{place}"),
        (_, false) => format!("/ui/{place}?{query}"),
    }
}

fn arguments(form: &Form, fields: &[(&'static str, Take)]) -> Result<Value, Refusal> {
    let mut arguments = Map::new();
    for (name, take) in fields {
        let text = form.text(name);
        let value = match take {
            Take::Text => text.into(),
            Take::Filled | Take::Number if text.trim().is_empty() => continue,
            Take::Filled => text.trim().into(),
            Take::Number => text.trim().parse::<u64>().map(Value::from).map_err(|_| {
                Refusal::new(Code::Invalid, format!("{name}: expected a whole number, found {text:?}."))
            })?,
            Take::Words => {
                let words = text.split([' ', ',', '\t', '\n', '\r']).filter(|word| !word.is_empty());
                words.map(Value::from).collect()
            }
            Take::All => form.all(name).map(Value::from).collect(),
            Take::Flag => (!text.is_empty()).into(),
        };
        arguments.insert((*name).to_owned(), value);
    }
    Ok(Value::Object(arguments))
}

/// The new token is on this page and nowhere else.
async fn issue(visit: &Visit, form: &Form) -> Response<Answer> {
    let issued = match arguments(form, ISSUE) {
        Ok(arguments) => visit.read("token.issue", arguments).await,
        Err(refusal) => Err(refusal),
    };
    match issued {
        Ok(mut issued) => {
            token::join(&mut issued);
            show::answered(visit, "accounts", room::accounts::issued(visit, &issued))
        }
        Err(refusal) => visit.refused_from("accounts", &again("accounts", form, "accounts/issue"), &refusal),
    }
}

/// How an operation goes on, for the page's script.
fn lines(visit: Visit, operation: &str, arguments: Value) -> Response<Answer> {
    let pipeline = Arc::clone(&visit.web.pipeline);
    let lines = api::run_as(Kind::Admin, pipeline, visit.known.clone(), operation.to_owned(), arguments);
    let frames = lines.map(|line| Ok(Frame::data(Bytes::from(format!("{line}\n")))));
    let mut response = written(StatusCode::OK, Ok(String::new()));
    *response.body_mut() = BodyExt::boxed(StreamBody::new(frames));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_become_arguments_of_their_kind() {
        let fields = &[
            ("text", Take::Text),
            ("none", Take::Filled),
            ("number", Take::Number),
            ("no_number", Take::Number),
            ("words", Take::Words),
            ("all", Take::All),
            ("on", Take::Flag),
            ("off", Take::Flag),
        ];
        let form = Form::read(b"text=+a&none=+&number=+5&words=a,+b++c&all=one+1&all=two&on=yes&other=x");
        let expect = json!({
            "text": " a", "number": 5, "words": ["a", "b", "c"], "all": ["one 1", "two"], "on": true, "off": false,
        });
        assert_eq!(arguments(&form, fields).unwrap(), expect);
        assert!(arguments(&Form::read(b"number=5x"), fields).is_err());
    }

    #[test]
    fn the_browser_goes_back_to_where_it_was() {
        assert_eq!(back("overview", &Form::default(), "acknowledged"), "/ui/?said=acknowledged");
        assert_eq!(back("bans", &Form::read(b"name=1.2.3.4"), "lifted"), "/ui/bans?said=lifted");
        assert_eq!(
            back("connectors", &Form::read(b"name=a%26b"), "approved"),
            "/ui/connectors?name=a%26b&said=approved"
        );
    }

    #[test]
    fn a_form_that_was_refused_is_filled_in_again_but_for_its_password() {
        let form = Form::read(b"proof=abc&name=ann&role=operator&value=correct+horse&minutes=");
        assert_eq!(again("accounts", &form, "accounts/add"), "/ui/accounts?form=accounts%2Fadd&name=ann&role=operator");
        assert_eq!(again("accounts", &form, "accounts/passwd"), "/ui/accounts");
        assert_eq!(again("connectors", &form, "connectors/approve"), "/ui/connectors?name=ann");
    }
}
