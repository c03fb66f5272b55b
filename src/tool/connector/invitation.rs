//! What the login page runs for whoever was recognised there: follow one's own invitation, and finish the login.

use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use super::super::{arguments, schema_of};
use crate::base::bound::oauth as bound;
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::connector::oauth::desk::Desk;
use crate::connector::oauth::invite::{ACCEPT, FINISH};
use crate::connector::record::ConnectorRecord;
use crate::connector::registry::Connectors;
use crate::operation::{About, Catalog, Change, Cx, Effect, Kind, Operation, Outcome, Output};
use crate::schema::NotASchema;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Accept {
    #[schemars(length(max = 64))]
    ticket: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Finish {
    #[schemars(length(max = 64))]
    ticket: String,
    /// As the acceptance gave it.
    #[schemars(length(max = 64))]
    login: String,
    /// The query with which the browser came back.
    #[schemars(length(max = 16384), extend("x-sekisho-field" = "other"))]
    answer: String,
}

struct Step {
    about: About,
    connectors: Arc<Connectors>,
    desk: Desk,
}

/// Puts both into the catalogue.
pub fn register(catalog: &Catalog, connectors: &Arc<Connectors>, desk: &Desk) -> Result<(), NotASchema> {
    let mut accept = About::reading(
        Kind::Protocol,
        ACCEPT,
        "Follow an invitation to log in",
        "Sends a browser to the authorization server of a connector.",
        schema_of::<Accept>(),
    );
    let mut finish = About::reading(
        Kind::Protocol,
        FINISH,
        "Finish a login",
        "Takes what the authorization server of a connector sent back.",
        schema_of::<Finish>(),
    );
    finish.secret_arguments = true;
    finish.argument_bytes_max = bound::OAUTH_CALLBACK_BYTES_MAX + crate::base::bound::ARGUMENT_BYTES_MAX;
    finish.budget = Some(std::time::Duration::from_millis(2 * bound::OAUTH_REQUEST_MS));
    for about in [&mut accept, &mut finish] {
        about.effect = Effect::Changes;
        about.idempotent = false;
    }
    for about in [accept, finish] {
        let (connectors, desk) = (Arc::clone(connectors), desk.clone());
        catalog.add(Arc::new(Step { about, connectors, desk }))?;
    }
    Ok(())
}

impl Operation for Step {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, given: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async move {
            let told = if self.about.name == ACCEPT {
                let Accept { ticket } = arguments(given)?;
                let connector = self.invited(cx, &ticket)?;
                let (url, login) = self.desk.accept(&connector, &ticket, &cx.principal.id)?;
                json!({"name": connector.name, "url": url, "login": login})
            } else {
                let Finish { ticket, login, mut answer } = arguments(given)?;
                let back = Secret::new(answer.as_bytes());
                answer.zeroize();
                let connector = self.invited(cx, &ticket)?;
                cx.meter.request()?;
                let question = self.desk.arrive(&connector, (&ticket, &login), &cx.principal.id, &back).await?;
                if let Some(question) = question {
                    cx.catalog.announce(Change::Answered { question, principal: Arc::clone(&cx.principal.id) });
                }
                json!({"name": connector.name})
            };
            Ok(Outcome::Done(Output::structured(told, String::new())))
        })
    }
}

impl Step {
    /// The connector, for the invited one, who may still touch it.
    fn invited(&self, cx: &Cx, ticket: &str) -> Result<ConnectorRecord, Refusal> {
        let name = self.desk.invited(ticket, &cx.principal.id)?;
        let connector = self.connectors.get(&name)?;
        let verdict = cx.access.decide(&connector.resource());
        if !verdict.is_allowed {
            return Err(
                Refusal::new(Code::Forbidden, cx.access.denial(&connector.resource())).with_private(verdict.reason())
            );
        }
        cx.access.touch(connector.classification);
        Ok(connector)
    }
}
