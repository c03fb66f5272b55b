//! What operators can ask: libraries, the vault, the audit log, backups, the state of the installation.

pub mod alert;
pub mod audit;
pub mod backup;
pub mod credential;
pub mod library;
pub mod lifecycle;
pub mod retention;
pub mod search;
pub mod status;
pub mod vault;
mod request;

use std::sync::Arc;

use crate::audit::Audit;
use crate::custody::Custody;
use crate::library::Libraries;
use crate::operation::Catalog;
use crate::schema::NotASchema;
use alert::Alerts;
use lifecycle::Lifecycle;
use status::Look;

/// Puts all of them into the catalogue.
pub fn register(
    catalog: &Catalog,
    libraries: &Arc<Libraries>,
    audit: &Audit,
    custody: &Arc<Custody>,
    alerts: &Arc<dyn Alerts>,
    look: Arc<dyn Look>,
    lifecycle: Arc<dyn Lifecycle>,
) -> Result<(), NotASchema> {
    library::register(catalog, libraries)?;
    audit::register(catalog, audit, custody)?;
    search::register(catalog, audit, custody)?;
    retention::register(catalog, audit, custody)?;
    credential::register(catalog, custody)?;
    vault::register(catalog, custody)?;
    alert::register(catalog, alerts)?;
    backup::register(catalog, custody)?;
    catalog.add(Arc::new(status::Status::new(look)))?;
    catalog.add(Arc::new(lifecycle::Yield::new(lifecycle)))
}
