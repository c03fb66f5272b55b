//! One identity at one connector, and what whoever calls for it is told when there is no token.

use std::sync::Arc;

use super::answer::NotGranted;
use super::era::Era;
use super::setup::{OAuth, Whose};
use crate::base::principal::ANONYMOUS;
use crate::base::refusal::{Code, Refusal, whole_seconds};
use crate::connector::binding::{Binding, Scheme};
use crate::connector::record::ConnectorRecord;
use crate::crypto::digest::{Hash, sha256};
use crate::custody::CustodyError;
use crate::vault::VaultError;

/// One identity at one connector, for work that outlives the call which began it.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) connector: Arc<ConnectorRecord>,
    pub(super) whose: Arc<str>,
    /// When the work began.
    pub(super) era: Era,
}

impl Case {
    pub(super) fn new(connector: &ConnectorRecord, whose: &str, era: Era) -> Self {
        Self { connector: Arc::new(connector.clone()), whose: whose.into(), era }
    }

    pub(super) fn setup(&self) -> Result<&OAuth, Refusal> {
        setup(&self.connector).map(|(_, setup)| setup)
    }
}

/// The binding of a connector that logs in by OAuth.
pub(super) fn setup(connector: &ConnectorRecord) -> Result<(&Binding, &OAuth), Refusal> {
    match &connector.binding {
        Some(binding) => match &binding.scheme {
            Scheme::OAuth(setup) => Ok((binding, setup)),
            _ => Err(not_oauth(connector)),
        },
        None => Err(not_oauth(connector)),
    }
}

fn not_oauth(connector: &ConnectorRecord) -> Refusal {
    let name = &connector.name;
    let public = format!(
        "{name} does not log in by OAuth; an operator says so with `sekisho connector bind {name} --as oauth`."
    );
    Refusal::new(Code::Conflict, public)
}

/// Whoever calls, or logs in, began before an operator said otherwise.
pub(super) fn meanwhile_gone(connector: &ConnectorRecord) -> Refusal {
    let name = &connector.name;
    let public = format!(
        "{name} was bound anew or removed meanwhile, or whoever this was for is gone; nothing was kept. Begin again."
    );
    Refusal::new(Code::Conflict, public)
}

/// What tokens are given for: another client, endpoint or origin must never see them.
pub(super) fn digest(binding: &Binding) -> Result<Hash, Refusal> {
    Ok(sha256(&[&serde_json::to_vec(binding).map_err(Refusal::internal)?]))
}

/// Whose tokens a principal's calls carry.
pub fn whose(connector: &ConnectorRecord, principal: &str) -> Result<String, Refusal> {
    match setup(connector)?.1.whose {
        Whose::Service => Ok("service".into()),
        Whose::Each if principal == ANONYMOUS || !principal.contains(':') => Err(Refusal::new(
            Code::Forbidden,
            format!("Each user of {} logs in alone, and nobody knows who you are: authenticate first.", connector.name),
        )),
        Whose::Each => Ok(principal.to_owned()),
    }
}

impl Case {
    /// The way out is said to whoever can go it: an agent tells its person. The reason names nobody: reasons are not
    /// sealed, and the entry has its subject.
    pub(super) fn login_needed(&self, why: &str) -> Refusal {
        let name = &self.connector.name;
        let whom = if &*self.whose == "service" { String::new() } else { format!(" --for {}", self.whose) };
        let public = format!(
            "Nobody is logged in to {name}. A person logs in with the tool {name}_login, or on the server's machine with `sekisho connector login {name}{whom}`; then call again."
        );
        Refusal::new(Code::Unavailable, public).with_private(format!("{name}: {why}"))
    }

    pub(super) fn refused(&self, failure: &NotGranted) -> Refusal {
        let name = &self.connector.name;
        let public = match failure {
            NotGranted::Refused(_) => format!("The authorization server of {name} refused this login; try it again."),
            NotGranted::Client(why) => format!(
                "The authorization server of {name} does not accept Sekisho as its client ({why}); an operator looks at `sekisho connector show {name}` and binds it anew."
            ),
            NotGranted::Pending { .. } => format!("The person has not logged in to {name} yet."),
            NotGranted::Unavailable { after, .. } => {
                let when =
                    after.map_or_else(|| "in a minute".to_owned(), |after| format!("in {} s", whole_seconds(after)));
                format!("The authorization server of {name} cannot be asked at the moment; try again {when}.")
            }
            NotGranted::Unusable(why) => {
                format!("The authorization server of {name} answered with what is no token: {why}.")
            }
        };
        let code = if matches!(failure, NotGranted::Refused(_)) { Code::Forbidden } else { Code::Unavailable };
        let refusal = Refusal::new(code, public).with_private(format!("{name}: {failure}"));
        match failure {
            NotGranted::Unavailable { after: Some(after), .. } => refusal.with_retry_after(*after),
            _ => refusal,
        }
    }
}

/// The agent learns that an operator has to look.
pub(super) fn sealed(connector: &ConnectorRecord, error: CustodyError) -> Refusal {
    let name = &connector.name;
    let public = match &error {
        CustodyError::Vault(VaultError::Sealed | VaultError::Absent) => {
            format!(
                "The tokens of {name} are in the vault, which is sealed; an operator opens it with `sekisho vault unseal`."
            )
        }
        _ => format!(
            "The tokens of {name} cannot be read; log out with `sekisho connector logout {name} --all`, and in again."
        ),
    };
    Refusal::new(Code::Unavailable, public).with_private(error)
}
