//! The libraries at a start: their index, and the manual, which every installation has.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::AppError;
use super::facts::Announce;
use super::reading;
use crate::base::classification::Classification;
use crate::base::clock::Clock;
use crate::config::Config;
use crate::config::place::Places;
use crate::library::record::Source;
use crate::library::{Libraries, LibraryError};
use crate::operation::Catalog;
use crate::search::Index;
use crate::store::Store;

/// The library that every installation has.
const MANUAL: &str = "manual";

/// The libraries with an index that knows all of their documents.
pub(super) async fn open(
    places: &Places,
    config: &Config,
    store: &Store,
    clock: &Arc<dyn Clock>,
    catalog: &Arc<Catalog>,
    notice: &(dyn Fn(&str) + Sync),
) -> Result<Arc<Libraries>, AppError> {
    let index = Index::open(&places.index())?;
    if let Some(reason) = &index.rebuilt {
        notice(&format!("The index is made anew from the store: {reason}."));
    }
    let changes = Arc::new(Announce { catalog: Arc::clone(catalog) });
    let (index_of_all, sandbox) = (Arc::new(index.index), reading::sandbox(config));
    let libraries = Libraries::new(store.clone(), index_of_all, Arc::clone(clock), changes, sandbox);
    let libraries = Arc::new(libraries.mirrored_in(places.mirrors()));
    let caught_up = libraries.catch_up(index.marks).await?;
    if caught_up > 0 {
        notice(&format!("{caught_up} documents were indexed again."));
    }
    ensure_manual(&libraries).await?;
    Ok(libraries)
}

/// The manual is a library like any other, and follows the binary's version.
async fn ensure_manual(libraries: &Arc<Libraries>) -> Result<(), LibraryError> {
    match libraries.get(MANUAL) {
        Ok(_) => {}
        Err(LibraryError::NoLibrary(_)) => drop(libraries.add(MANUAL, Source::Builtin, Classification::Public).await?),
        Err(error) => return Err(error),
    }
    libraries.sync(MANUAL, CancellationToken::new(), |_| {}).await.map(drop)
}
