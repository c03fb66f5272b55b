//! How often what belongs to whom was forgotten: what was forgotten stays so, whatever began before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::RwLock;

use crate::connector::binding::Binding;

/// How a connector is bound now; `None` where it is not, or is no more.
pub type BoundNow = Arc<dyn Fn(&str) -> Option<Binding> + Send + Sync>;

/// How often what belongs to whom was forgotten, since the start.
#[derive(Default)]
pub(super) struct Eras {
    /// Held for a look-up, never across an await.
    counts: Mutex<Counts>,
    /// Shared while tokens are written, alone while they are forgotten.
    pub(super) gate: RwLock<()>,
}

/// Operators remove connectors, accounts and keys; nobody else adds to these.
#[derive(Default)]
struct Counts {
    connectors: HashMap<String, u64>,
    principals: HashMap<String, u64>,
}

/// When some work began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Era {
    connector: u64,
    principal: u64,
}

impl Eras {
    pub(super) fn now(&self, connector: &str, whose: &str) -> Era {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |counts: &HashMap<String, u64>, name: &str| counts.get(name).copied().unwrap_or_default();
        Era { connector: of(&counts.connectors, connector), principal: of(&counts.principals, whose) }
    }

    pub(super) fn end_connector(&self, name: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.connectors.entry(name.to_owned()).or_default() += 1;
    }

    pub(super) fn end_principal(&self, id: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.principals.entry(id.to_owned()).or_default() += 1;
    }
}
