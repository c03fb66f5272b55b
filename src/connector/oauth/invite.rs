//! An agent's person is invited to log in with a browser. A ticket says for whom; that whoever follows it is that same
//! principal, its own credential has to show, or somebody's account could be bound to another's agent.

use std::sync::PoisonError;
use std::time::Duration;

use super::case::{digest, setup, whose};
use super::desk::Desk;
use super::login::For;
use super::setup::{Grant, Whose};
use super::waiting::Invitation;
use crate::base::bound::oauth as bound;
use crate::base::id::{hex, random_bytes};
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::connector::record::ConnectorRecord;
use crate::crypto::digest::Hash;

/// Where browsers begin, behind the server's own address; the ticket comes behind it.
pub const CONNECT: &str = "/connect/";
/// Where the authorization server sends them back to.
pub const CALLBACK: &str = "/connect/callback";

/// The operations behind the page. They are the browser's alone: no tool, and no administration.
pub const ACCEPT: &str = "connector/invitation/accept";
pub const FINISH: &str = "connector/invitation/finish";

impl Desk {
    /// The server listens, and browsers reach it at `home`.
    pub fn is_at_home(&self, home: String) {
        self.shared.invitations.home.get_or_init(|| home);
    }

    /// Whether a browser could be sent here to log `connector` in.
    pub fn invites(&self, connector: &ConnectorRecord) -> bool {
        let by_code = setup(connector).is_ok_and(|(_, setup)| setup.grant == Grant::AuthorizationCode);
        by_code && self.shared.invitations.home.get().is_some()
    }

    /// Invites the person of `principal`: an address and the ticket in it. A later invitation of the same one ends the
    /// earlier. `question` is what [`Desk::arrive`] gives back.
    pub fn invite(
        &self,
        connector: &ConnectorRecord,
        principal: &str,
        question: &str,
    ) -> Result<(String, String), Refusal> {
        let binding = of_each(connector, principal)?;
        let Some(home) = self.shared.invitations.home.get() else {
            return Err(Refusal::new(Code::Unavailable, "This server has no address for browsers."));
        };
        let ticket = hex(&random_bytes::<32>().map_err(Refusal::internal)?);
        let now = self.shared.clock.now();
        let mut open = self.shared.invitations.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, it| now < it.until && !(it.connector == connector.name && it.principal == principal));
        if open.len() >= bound::OAUTH_LOGINS_MAX {
            return Err(Refusal::new(Code::Busy, "Too many people are logging in; come back in a few minutes."));
        }
        let until = now.plus(Duration::from_secs(bound::OAUTH_LOGIN_SECONDS));
        let principal = principal.to_owned();
        let (connector, question) = (connector.name.clone(), question.to_owned());
        open.insert(ticket.clone(), Invitation { connector, principal, binding, question, login: None, until });
        Ok((format!("{home}{CONNECT}{ticket}"), ticket))
    }

    /// The connector of an invitation, for the one who was invited. To anybody else it is told that it is not theirs.
    pub fn invited(&self, ticket: &str, principal: &str) -> Result<String, Refusal> {
        let now = self.shared.clock.now();
        let open = self.shared.invitations.open.lock().unwrap_or_else(PoisonError::into_inner);
        let invitation = open.get(ticket).filter(|it| now < it.until).ok_or_else(not_open)?;
        if invitation.principal != principal {
            let public = "This invitation is somebody else's. Log in as the one whose agent asked for it; if that was not you, somebody sent you a link that you should not follow.";
            let private = "an invitation was followed by another principal than the one who was invited";
            return Err(Refusal::new(Code::Forbidden, public).with_private(private));
        }
        Ok(invitation.connector.clone())
    }

    /// Sends the invited one's browser on to the authorization server: the address, and the login's own ticket.
    pub fn accept(
        &self,
        connector: &ConnectorRecord,
        ticket: &str,
        principal: &str,
    ) -> Result<(String, String), Refusal> {
        let home = self.shared.invitations.home.get().map(String::as_str).unwrap_or_default();
        let binding = of_each(connector, principal)?;
        let mut open = self.shared.invitations.open.lock().unwrap_or_else(PoisonError::into_inner);
        // It was for what the connector was when it was asked for, and not for what it became since.
        let is_same =
            |it: &&mut Invitation| it.connector == connector.name && it.principal == principal && it.binding == binding;
        let invitation = open.get_mut(ticket).filter(is_same).ok_or_else(not_open)?;
        let begun = self.begin(connector, For { whose: principal, by: principal }, format!("{home}{CALLBACK}"))?;
        // Who follows the link again begins again: however often that is, it takes one place.
        if let Some(before) = invitation.login.replace(begun.ticket.clone()) {
            self.shared.logins.end(&before);
        }
        Ok((begun.url, begun.ticket))
    }

    /// The browser came back: the login is finished, and the invitation with it. Gives its question, unless that had no
    /// id.
    pub async fn arrive(
        &self,
        connector: &ConnectorRecord,
        (ticket, login): (&str, &str),
        principal: &str,
        back: &Secret,
    ) -> Result<Option<String>, Refusal> {
        self.finish(connector, login, principal, back).await?;
        let mut open = self.shared.invitations.open.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(open.remove(ticket).map(|invitation| invitation.question).filter(|question| !question.is_empty()))
    }
}

fn not_open() -> Refusal {
    let public = "This invitation is not open: it was used, is too old, a newer one took its place, or the connector was bound anew.";
    Refusal::new(Code::NotFound, public)
}

/// The binding that a person may be invited to log in for: where one login is for all, it is no agent's to make.
fn of_each(connector: &ConnectorRecord, principal: &str) -> Result<Hash, Refusal> {
    let (binding, setup) = setup(connector)?;
    if setup.whose != Whose::Each {
        let public = format!("{} has one login for all callers, which operators look after.", connector.name);
        return Err(Refusal::new(Code::Conflict, public));
    }
    whose(connector, principal)?;
    digest(binding)
}
