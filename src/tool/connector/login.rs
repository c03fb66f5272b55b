//! Whether an agent's own person is logged in to an API, and how they log in: in a browser, never through the model.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{result_schema_of, schema_of, to_json};
use super::Reach;
use crate::base::bound::oauth as bound;
use crate::base::clock::Timestamp;
use crate::base::id::{hex, random_bytes};
use crate::base::principal::Scheme;
use crate::base::refusal::Refusal;
use crate::connector::oauth::case;
use crate::connector::oauth::desk::{Desk, Standing};
use crate::connector::oauth::setup::Whose;
use crate::connector::record::ConnectorRecord;
use crate::operation::{About, Ask, Cx, Effect, Kind, Operation, Outcome, Output, Question};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Status,
    Login,
    Logout,
}

struct OneOfThree {
    about: About,
    verb: Verb,
    desk: Desk,
    connector: Arc<ConnectorRecord>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What an agent learns of a login: no token, no name, no code.
#[derive(Serialize, JsonSchema)]
struct Told {
    logged_in: bool,
    /// One login for all callers, which an operator looks after.
    shared: bool,
    /// When somebody logged in.
    since: Option<String>,
    /// It goes on without a person.
    refreshed: bool,
    /// What to do next, if anything.
    next: Option<String>,
}

/// The key of the question in a call that ends with it.
const LOGIN: &str = "login";

/// The three tools.
pub(super) fn operations(reach: &Reach, connector: &Arc<ConnectorRecord>) -> Vec<Arc<dyn Operation>> {
    [Verb::Status, Verb::Login, Verb::Logout]
        .into_iter()
        .map(|verb| {
            let (desk, connector) = (reach.desk.clone(), Arc::clone(connector));
            Arc::new(OneOfThree { about: about(&connector, verb), verb, desk, connector }) as Arc<dyn Operation>
        })
        .collect()
}

fn about(connector: &ConnectorRecord, verb: Verb) -> About {
    let name = &connector.name;
    let (tool, title, description) = match verb {
        Verb::Status => (
            format!("{name}_auth_status"),
            format!("Is somebody logged in to {name}?"),
            format!("Says whether calls of {name} are made for somebody who is logged in, and if not, what to do."),
        ),
        Verb::Login => (
            format!("{name}_login"),
            format!("Log in to {name}"),
            format!(
                "Lets your person log in to {name}: in their browser where your client can open one, or by a command that you tell them. Nobody tells you a password or a token; do not ask for one."
            ),
        ),
        Verb::Logout => (
            format!("{name}_logout"),
            format!("Log out of {name}"),
            format!("Forgets your person's login to {name}. They have to log in again for further calls."),
        ),
    };
    let mut about = About::reading(Kind::Tool, &tool, &title, &description, schema_of::<Nothing>());
    about.resource = Some(connector.resource());
    about.output = Some(result_schema_of::<Told>());
    // Tokens may have to be refreshed, and the authorization server hears of a logout.
    about.budget = Some(Duration::from_millis(2 * bound::OAUTH_REQUEST_MS));
    about.effect = match verb {
        Verb::Status => Effect::ReadOnly,
        Verb::Login => Effect::Changes,
        Verb::Logout => Effect::Destroys,
    };
    about
}

impl Operation for OneOfThree {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, _arguments: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async move {
            let whose = case::whose(&self.connector, &cx.principal.id)?;
            let standing = self.desk.standing(&self.connector, &whose).await?;
            match self.verb {
                Verb::Status => self.told(&standing, None),
                Verb::Logout if self.is_shared() => self.told(&standing, Some(self.not_yours("log it out"))),
                Verb::Logout => {
                    // The authorization server hears of it.
                    cx.meter.request()?;
                    self.desk.logout(&self.connector, &whose).await?;
                    self.told(&self.desk.standing(&self.connector, &whose).await?, None)
                }
                Verb::Login if standing.is_logged_in => self.told(&standing, None),
                Verb::Login if self.is_shared() => self.told(&standing, Some(self.not_yours("log it in"))),
                Verb::Login => self.login(cx, &whose).await,
            }
        })
    }
}

impl OneOfThree {
    fn is_shared(&self) -> bool {
        self.connector.binding.as_ref().and_then(|binding| binding.oauth()).is_some_and(|it| it.whose == Whose::Service)
    }

    /// Asks the client to send its person here. That they said yes is no login: whether there is one is looked up.
    async fn login(&self, cx: &Cx, whose: &str) -> Result<Outcome, Refusal> {
        let can = cx.caller.abilities();
        // Whom the kernel names has no credential that a page could ask for.
        let is_invited = can.url && cx.principal.scheme != Scheme::Local && self.desk.invites(&self.connector);
        let action = |answer: &Value| answer["action"].as_str().unwrap_or_default().to_owned();
        let said = match cx.answers.as_ref().and_then(|answers| answers.get(LOGIN)) {
            Some(answer) => action(answer),
            None if is_invited => {
                // With it a client is told that its person is done; a question in a call's result needs none.
                let id =
                    if can.rounds { String::new() } else { hex(&random_bytes::<16>().map_err(Refusal::internal)?) };
                let (url, _) = self.desk.invite(&self.connector, &cx.principal.id, &id)?;
                let message = format!("Log in to {} in your browser.", self.connector.name);
                if can.rounds {
                    let question = Question::Url { message, url, id };
                    return Ok(Outcome::Ask(Ask { questions: vec![(LOGIN.into(), question)], state: None }));
                }
                action(&cx.caller.ask(Question::Url { message, url, id }).await?)
            }
            None => String::new(),
        };
        let standing = self.desk.standing(&self.connector, whose).await?;
        let name = &self.connector.name;
        let next = match said.as_str() {
            _ if standing.is_logged_in => None,
            "accept" => Some(format!(
                "Your person is logging in with their browser. Look with {name}_auth_status whether they have."
            )),
            "decline" | "cancel" => {
                Some("Your person did not want to log in. Do not ask again unless they say so.".into())
            }
            _ => Some(self.command(whose)),
        };
        self.told(&standing, next)
    }

    fn command(&self, whose: &str) -> String {
        let name = &self.connector.name;
        format!("Tell your person to run, on the machine of the server: sekisho connector login {name} --for {whose}")
    }

    fn not_yours(&self, what: &str) -> String {
        let name = &self.connector.name;
        format!("{name} has one login for all callers; an operator can {what}: sekisho connector login|logout {name}")
    }

    fn told(&self, standing: &Standing, next: Option<String>) -> Result<Outcome, Refusal> {
        let next = next.or_else(|| match standing.is_logged_in {
            true => None,
            false if self.is_shared() => Some(self.not_yours("log it in")),
            false => Some(format!("Call {}_login.", self.connector.name)),
        });
        let told = Told {
            logged_in: standing.is_logged_in,
            shared: self.is_shared(),
            since: standing.since.map(Timestamp::rfc3339),
            refreshed: standing.is_refreshed,
            next,
        };
        let state = if told.logged_in { "Logged in." } else { "Nobody is logged in." };
        let text = told.next.as_ref().map_or_else(|| state.to_owned(), |next| format!("{state} {next}"));
        Ok(Outcome::Done(Output::structured(to_json(&told)?, text)))
    }
}
