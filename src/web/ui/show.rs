//! Which page a path is.

use ::http::{Response, StatusCode};

use super::super::Answer;
use super::form::Form;
use super::room::{access, accounts, audit, connectors, gate, libraries, overview, running};
use super::{Visit, live, written};
use crate::base::refusal::{Code, Refusal};

/// The page of a path, with what stands in its query.
pub(super) async fn page(visit: &Visit) -> Response<Answer> {
    let query = Form::read(visit.query.as_bytes());
    let path = visit.path.as_str();
    let place = if path.is_empty() { "overview" } else { path.split('/').next().unwrap_or_default() };
    let shown = match path {
        "" | "overview" => overview::show(visit, &query).await,
        "live" => live::show(visit).await,
        "sessions" => gate::sessions(visit).await,
        "bans" => gate::bans(visit, &query).await,
        "audit" => audit::show(visit, &query).await,
        "audit/entry" => audit::entry(visit, &query).await,
        "audit/proof" => return audit::proof(visit, &query).await,
        "audit/export" => return audit::export(visit, &query).await,
        "libraries" => libraries::show(visit, &query).await,
        "connectors" => connectors::show(visit, &query).await,
        "credentials" => access::credentials(visit).await,
        "accounts" => accounts::show(visit, &query).await,
        "policy" => access::policy(visit, &query).await,
        "configuration" => running::configuration(visit, &query).await,
        "backups" => running::backups(visit).await,
        _ => Err(Refusal::new(Code::NotFound, "There is no such page.")),
    };
    answered(visit, place, shown)
}

/// A page, or why there is none.
pub(super) fn answered(visit: &Visit, place: &str, shown: Result<String, Refusal>) -> Response<Answer> {
    match shown {
        Ok(html) => written(StatusCode::OK, Ok(html)),
        Err(refusal) => visit.refused(place, &refusal),
    }
}
