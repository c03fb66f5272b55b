//! People log in: by a browser that comes back with a code, by a device's code, or by a name and a password sent once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{StatusCode, header};

use super::answer::{self, Granted, NotGranted};
use super::ask::{self, Form};
use super::case::{Case, digest, setup};
use super::desk::{Desk, Standing};
use super::metadata;
use super::pkce::{NotACode, Sent};
use super::setup::{ClientAuth, Endpoints, Grant, endpoint};
use super::waiting::{Open, Way, gone};
use crate::base::bound::oauth as bound;
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::connector::record::ConnectorRecord;
use crate::crypto::digest::Hash;

/// Who logs in, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct For<'a> {
    /// `service`, or a principal's id, as [`super::case::whose`] gave it.
    pub whose: &'a str,
    /// The principal that asks.
    pub by: &'a str,
}

/// A browser is to be sent somewhere.
#[derive(Debug)]
pub struct Begun {
    pub ticket: String,
    pub url: String,
}

/// A person is to type something into a browser somewhere else.
#[derive(Debug)]
pub struct DeviceBegun {
    pub ticket: String,
    pub user_code: String,
    pub uri: String,
    pub uri_complete: Option<String>,
    /// How long the code holds.
    pub life: Duration,
    pub interval: Duration,
}

/// What became of a device's login.
#[derive(Debug)]
pub enum Polled {
    /// Ask again after so long.
    Waits(Duration),
    Done(Standing),
}

impl Desk {
    /// Begins a login by browser. It comes back to `redirect_uri`, which the authorization server has to know.
    pub fn begin(&self, connector: &ConnectorRecord, who: For<'_>, redirect_uri: String) -> Result<Begun, Refusal> {
        let (bound_to, setup) = setup(connector)?;
        let Some(authorize) = setup.endpoints.authorize.as_ref().filter(|_| setup.grant != Grant::ClientCredentials)
        else {
            return Err(other_way(connector, setup.grant));
        };
        endpoint("redirect address", &redirect_uri, true)
            .map_err(|error| Refusal::new(Code::Invalid, format!("{error}.")))?;
        let sent = Arc::new(Sent::new(redirect_uri).map_err(Refusal::internal)?);
        let url = sent.url(setup, authorize);
        let life = Duration::from_secs(bound::OAUTH_LOGIN_SECONDS);
        let open = self.open(connector, who, digest(bound_to)?, life, Way::Browser(sent));
        Ok(Begun { ticket: self.shared.logins.open(open, self.shared.clock.now())?, url })
    }

    /// What the browser came back with: the whole URL or its query. An answer to this login is taken once, whatever it
    /// says; anything else is as if it had not come.
    pub async fn finish(
        &self,
        connector: &ConnectorRecord,
        ticket: &str,
        by: &str,
        back: &Secret,
    ) -> Result<Standing, Refusal> {
        let (now, logins) = (self.shared.clock.now(), &self.shared.logins);
        let way = logins.with(connector, (ticket, by), now, |open| match &open.way {
            Way::Browser(sent) => Some((Arc::clone(sent), self.shared.case(connector, &open.whose))),
            Way::Device { .. } => None,
        })?;
        let (sent, case) = way.ok_or_else(gone)?;
        let code = sent.code(setup(connector)?.1, back);
        if matches!(code, Err(NotACode::State | NotACode::Unreadable)) {
            return Err(not_taken(code.err()));
        }
        // Of two that come at once one has it.
        logins.close(ticket).ok_or_else(gone)?;
        let code = code.map_err(|error| not_taken(Some(error)))?;
        self.granted(case, move |desk, case| {
            Box::pin(async move {
                let form = Form::default()
                    .with("grant_type", b"authorization_code")
                    .with("code", code.expose_secret())
                    .with("redirect_uri", sent.redirect_uri.as_bytes())
                    .with("code_verifier", sent.verifier.expose_secret());
                desk.shared.tokens(case, form, false).await
            })
        })
        .await
    }

    /// Logs in with a person's name and password, which are sent once and kept nowhere.
    pub async fn password(
        &self,
        connector: &ConnectorRecord,
        whose: &str,
        username: &str,
        password: Secret,
    ) -> Result<Standing, Refusal> {
        if setup(connector)?.1.grant != Grant::Password {
            return Err(other_way(connector, setup(connector)?.1.grant));
        }
        let username = username.to_owned();
        self.granted(self.shared.case(connector, whose), move |desk, case| {
            Box::pin(async move {
                let form = Form::default()
                    .with("grant_type", b"password")
                    .with("username", username.as_bytes())
                    .with("password", password.expose_secret());
                desk.shared.tokens(case, form, true).await
            })
        })
        .await
    }

    /// Begins a login by device (RFC 8628): gives what a person types into a browser on another machine.
    pub async fn begin_device(&self, connector: &ConnectorRecord, who: For<'_>) -> Result<DeviceBegun, Refusal> {
        let (bound_to, setup) = setup(connector)?;
        let Some(url) = setup.endpoints.device.as_ref().filter(|_| setup.grant != Grant::ClientCredentials) else {
            return Err(other_way(connector, setup.grant));
        };
        let scopes = setup.scopes.join(" ");
        let secret = self.shared.client_secret(connector)?;
        let mut form = Form::default();
        if !scopes.is_empty() {
            form = form.with("scope", scopes.as_bytes());
        }
        if secret.is_some() && setup.client_auth == ClientAuth::Basic {
            // Section 3.1: the id is a field, however the client shows its secret.
            form = form.with("client_id", setup.client_id.as_bytes());
        }
        let outgoing = form.outgoing(url, setup, secret.as_ref())?;
        let case = self.shared.case(connector, who.whose);
        let answered = self.shared.upstream.send(connector, outgoing).await.map_err(NotGranted::from);
        let now = self.shared.clock.now();
        let device = answered.and_then(|answered| answer::device(answered, now));
        let device = device.map_err(|failure| case.refused(&failure))?;
        let interval = device.interval;
        let way = Way::Device { code: device.code, interval, next: now.plus(interval) };
        let open = self.open(connector, who, digest(bound_to)?, device.life, way);
        Ok(DeviceBegun {
            ticket: self.shared.logins.open(open, now)?,
            user_code: device.user_code,
            uri: device.uri,
            uri_complete: device.uri_complete,
            life: device.life,
            interval,
        })
    }

    /// Asks whether the person has logged in, not more often than the server wants to be asked.
    pub async fn poll(&self, connector: &ConnectorRecord, ticket: &str, by: &str) -> Result<Polled, Refusal> {
        let (now, logins) = (self.shared.clock.now(), &self.shared.logins);
        let look = logins.with(connector, (ticket, by), now, |open| match &mut open.way {
            Way::Device { next, .. } if now < *next => Ok(Polled::Waits(next.since(now))),
            Way::Device { code, interval, next } => {
                // Whoever asks meanwhile waits for the next time.
                *next = now.plus(*interval);
                Err(Some((code.clone(), self.shared.case(connector, &open.whose))))
            }
            Way::Browser(_) => Err(None),
        })?;
        let (code, case) = match look {
            Ok(waits) => return Ok(waits),
            Err(found) => found.ok_or_else(gone)?,
        };
        let polled = self.asked(case.clone(), move |desk, case| {
            Box::pin(async move {
                let form = Form::default()
                    .with("grant_type", b"urn:ietf:params:oauth:grant-type:device_code")
                    .with("device_code", code.expose_secret());
                desk.shared.tokens(case, form, false).await
            })
        });
        match polled.await? {
            Ok(standing) => {
                logins.close(ticket);
                Ok(Polled::Done(standing?))
            }
            // A connection that broke is no answer (section 3.5): it is asked again, later.
            Err(failure @ (NotGranted::Pending { .. } | NotGranted::Unavailable { .. })) => {
                let slower = !matches!(failure, NotGranted::Pending { slower: false });
                let after = if let NotGranted::Unavailable { after, .. } = failure { after } else { None };
                logins.with(connector, (ticket, by), now, |open| {
                    let left = open.until.since(now);
                    let Way::Device { interval, next, .. } = &mut open.way else {
                        return Polled::Waits(Duration::ZERO);
                    };
                    if slower {
                        *interval += Duration::from_secs(bound::OAUTH_POLL_SECONDS);
                    }
                    let wait = after.map_or(*interval, |after| after.min(left).max(*interval));
                    *next = now.plus(wait);
                    Polled::Waits(wait)
                })
            }
            Err(failure) => {
                logins.close(ticket);
                Err(case.refused(&failure))
            }
        }
    }

    /// What an authorization server says of itself (RFC 8414).
    pub async fn discover(
        &self,
        connector: &ConnectorRecord,
        issuer: &str,
        grant: Grant,
    ) -> Result<Endpoints, Refusal> {
        let invalid = |error: &dyn std::fmt::Display| Refusal::new(Code::Invalid, format!("{error}."));
        let places = metadata::places(issuer, connector.loopback_http).map_err(|error| invalid(&error))?;
        let mut last = String::new();
        for place in places {
            match self.shared.upstream.send(connector, ask::get(&place)).await {
                Ok(answered) if answered.status == StatusCode::OK => {
                    let kind = answered.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
                    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
                    if !kind.eq_ignore_ascii_case("application/json") {
                        return Err(Refusal::new(Code::Invalid, format!("{place} is no JSON.")));
                    }
                    let read = metadata::read(issuer, &answered.body, grant, connector.loopback_http);
                    return read.map_err(|error| invalid(&error));
                }
                Ok(answered) => last = format!("it answered {}", answered.status.as_u16()),
                Err(error) => last = error.to_string(),
            }
        }
        let public = format!("The metadata of {issuer} cannot be had; name the endpoints themselves.");
        Err(Refusal::new(Code::Unavailable, public).with_private(last))
    }

    fn open(&self, connector: &ConnectorRecord, who: For<'_>, binding: Hash, life: Duration, way: Way) -> Open {
        Open {
            connector: connector.name.clone(),
            whose: who.whose.to_owned(),
            by: who.by.to_owned(),
            binding,
            until: self.shared.clock.now().plus(life),
            way,
        }
    }

    async fn granted<F>(&self, case: Case, ask: F) -> Result<Standing, Refusal>
    where
        F: for<'a> FnOnce(&'a Desk, &'a Case) -> BoxFuture<'a, Result<Granted, NotGranted>> + Send + 'static,
    {
        self.asked(case.clone(), ask).await?.map_err(|failure| case.refused(&failure))?
    }

    /// Not within the call that waits for it: what can be shown once is shown once, and what comes of it is kept.
    async fn asked<F>(&self, case: Case, ask: F) -> Result<Result<Result<Standing, Refusal>, NotGranted>, Refusal>
    where
        F: for<'a> FnOnce(&'a Desk, &'a Case) -> BoxFuture<'a, Result<Granted, NotGranted>> + Send + 'static,
    {
        let desk = self.clone();
        let work = async move {
            let granted = ask(&desk, &case).await?;
            Ok(desk.shared.log_in(&case, granted).await)
        };
        tokio::spawn(work).await.map_err(Refusal::internal)
    }
}

fn not_taken(error: Option<NotACode>) -> Refusal {
    let error = error.unwrap_or(NotACode::Unreadable);
    let public = format!("What the browser came back with is not taken: {error}. Begin again.");
    let code = if error == NotACode::Denied { Code::Forbidden } else { Code::Invalid };
    Refusal::new(code, public)
}

fn other_way(connector: &ConnectorRecord, grant: Grant) -> Refusal {
    let public = match grant {
        Grant::ClientCredentials => format!("{} logs in on its own account; nobody else does.", connector.name),
        _ => format!(
            "{} does not log in this way: it is bound with the grant {grant}, and has no endpoint for another.",
            connector.name
        ),
    };
    Refusal::new(Code::Conflict, public)
}
