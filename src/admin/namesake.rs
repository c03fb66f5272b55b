//! A name that is taken away, or given anew: whoever gets it gets nobody's logins with it.

use std::sync::Arc;

use crate::base::refusal::Refusal;
use crate::connector::oauth::desk::Desk;
use crate::connector::registry::Connectors;
use crate::operation::Cx;

/// Where principals log in to the APIs of connectors by their names.
#[derive(Clone)]
pub(super) struct Namesakes {
    pub(super) connectors: Arc<Connectors>,
    pub(super) desk: Desk,
}

impl Namesakes {
    /// Ends the logins of `principal`, such as `account:ann`. Called when it is gone, and again when there is a new one:
    /// what could not be ended then, as on a full disk, must not be found now.
    pub(super) async fn begin_without_logins(&self, cx: &Cx, principal: &str) -> Result<(), Refusal> {
        let ended = self.desk.forget_principal(&self.connectors.list()?, principal).await?;
        if ended > 0 {
            cx.meter.note(format!("its logins to {ended} APIs were ended"));
        }
        Ok(())
    }
}
