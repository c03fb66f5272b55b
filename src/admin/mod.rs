//! What operators can ask: libraries, the audit log, the state of the installation.

pub mod audit;
pub mod library;
pub mod lifecycle;
pub mod status;

use std::sync::Arc;

use crate::audit::Audit;
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
    look: Arc<dyn Look>,
    lifecycle: Arc<dyn Lifecycle>,
) -> Result<(), NotASchema> {
    library::register(catalog, libraries)?;
    audit::register(catalog, audit)?;
    catalog.add(Arc::new(status::Status::new(look)))?;
    catalog.add(Arc::new(lifecycle::Yield::new(lifecycle)))
}
