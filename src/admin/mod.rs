//! What operators can ask: accounts, tokens, libraries, the vault, the audit log, backups, the state of the installation.

pub mod account;
pub mod audit;
pub mod backup;
pub mod ban;
pub mod credential;
pub mod library;
pub mod lifecycle;
pub mod log;
pub mod policy;
pub mod retention;
pub mod search;
pub mod session;
pub mod status;
pub mod token;
pub mod vault;
mod request;

use std::sync::Arc;

use crate::audit::Audit;
use crate::auth::gate::Gate;
use crate::auth::policy::keep::PolicyKeeper;
use crate::custody::Custody;
use crate::library::Libraries;
use crate::operation::Catalog;
use crate::schema::NotASchema;
use lifecycle::Lifecycle;
use status::Look;

/// Puts all of them into the catalogue.
pub fn register(
    catalog: &Catalog,
    libraries: &Arc<Libraries>,
    audit: &Audit,
    custody: &Arc<Custody>,
    gate: &Gate,
    policies: &PolicyKeeper,
    look: Arc<dyn Look>,
    lifecycle: Arc<dyn Lifecycle>,
) -> Result<(), NotASchema> {
    library::register(catalog, libraries)?;
    audit::register(catalog, audit, custody)?;
    search::register(catalog, audit, custody)?;
    retention::register(catalog, audit, custody)?;
    log::register(catalog, custody)?;
    credential::register(catalog, custody)?;
    vault::register(catalog, custody)?;
    backup::register(catalog, custody)?;
    session::register(catalog, gate, audit)?;
    ban::register(catalog, gate)?;
    policy::register(catalog, libraries, policies)?;
    catalog.add(Arc::new(status::Status::new(look)))?;
    catalog.add(Arc::new(lifecycle::Yield::new(lifecycle)))
}
