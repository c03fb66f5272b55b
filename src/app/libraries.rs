//! The libraries at a start: their index, their profiles, and the manual, which every installation has.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::AppError;
use super::facts::Announce;
use super::reading;
use crate::base::classification::Classification;
use crate::base::clock::Clock;
use crate::config::Config;
use crate::config::place::Places;
use crate::crypto::digest::Hash;
use crate::library::bundle;
use crate::library::record::Source;
use crate::library::shape::{ProfileFiles, Shape, Weighed};
use crate::library::{Libraries, LibraryError};
use crate::operation::Catalog;
use crate::profile::file::Files;
use crate::profile::{Profile, Profiles, facet};
use crate::schema::NotASchema;
use crate::search::Index;
use crate::store::Store;
use crate::tool::profile::ProfileTools;
use crate::tool::{self, shelf::Shelves};

/// The library that every installation has.
const MANUAL: &str = "manual";

/// Derives facets by the rules of profiles.
struct ByProfile(Arc<Profiles>);

impl Shape for ByProfile {
    fn mark(&self, profile: &str) -> Option<Hash> {
        Some(self.0.get(profile)?.mark)
    }

    fn facets(&self, profile: &str, path: &str, front: &BTreeMap<String, Vec<String>>) -> Vec<(String, Vec<String>)> {
        self.0.get(profile).map(|profile| facet::derive(&profile.manifest.facets, path, front)).unwrap_or_default()
    }

    fn is_own(&self, profile: &str) -> bool {
        self.0.is_own(profile)
    }

    fn files(&self, profile: &str) -> Option<ProfileFiles> {
        self.0.files(profile).map(|files| files.texts().clone())
    }

    fn weigh(&self, files: &ProfileFiles) -> Result<Weighed, Vec<String>> {
        let (profile, _) = read(files)?;
        Ok(Weighed { name: profile.manifest.name.clone(), mark: profile.mark })
    }

    fn install(&self, files: &ProfileFiles) {
        match read(files) {
            Ok((profile, files)) => self.0.install(profile, files),
            // It was good when it came; a newer Sekisho may ask for more.
            Err(mistakes) => tracing::error!(mistakes = mistakes.join("; "), "a bundle's profile is left out"),
        }
    }
}

/// A profile from elsewhere; or everything that is wrong with it.
fn read(files: &ProfileFiles) -> Result<(Profile, Files), Vec<String>> {
    let files = Files::of_texts(files.clone()).map_err(|mistake| vec![mistake.to_string()])?;
    let profile = Profile::read(&files);
    let profile = profile.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Ok((profile, files))
}

/// What of the libraries the other rooms are given.
pub(super) struct Shelved {
    pub(super) libraries: Arc<Libraries>,
    pub(super) profiles: Arc<Profiles>,
    announce: Arc<Announce>,
}

impl Shelved {
    /// Lists what agents can ask of the libraries, and keeps the tools of profiles as the libraries are from now on.
    pub(super) fn register(&self, catalog: &Arc<Catalog>, config: &Config) -> Result<(), NotASchema> {
        let shelves = Arc::new(Shelves::default());
        tool::register(catalog, &self.libraries, &shelves, &config.inspect)?;
        #[cfg(feature = "conformance-fixtures")]
        crate::fixture::register(catalog, &shelves)?;
        let tools = ProfileTools::register(catalog, &self.libraries, &self.profiles, &shelves);
        self.announce.profiles.set(tools).unwrap_or_default();
        Ok(())
    }
}

/// The libraries with an index that knows all of their documents.
pub(super) fn open<'a>(
    places: &'a Places,
    config: &'a Config,
    store: &'a Store,
    clock: &'a Arc<dyn Clock>,
    catalog: &'a Arc<Catalog>,
    notice: &'a (dyn Fn(&str) + Sync),
) -> BoxFuture<'a, Result<Shelved, AppError>> {
    Box::pin(async move {
        let (profiles, mistakes) = Profiles::open(config.profile.directory.as_deref());
        for mistake in mistakes {
            notice(&format!("A profile is left out: {mistake}."));
        }
        let profiles = Arc::new(profiles);
        let index = Index::open(&places.index())?;
        if let Some(reason) = &index.rebuilt {
            notice(&format!("The index is made anew from the store: {reason}."));
        }
        let announce = Arc::new(Announce { catalog: Arc::clone(catalog), profiles: OnceLock::new() });
        let shape: Arc<dyn Shape> = Arc::new(ByProfile(Arc::clone(&profiles)));
        let carried = Arc::clone(&shape);
        let (clock, changes, sandbox) = (Arc::clone(clock), Arc::clone(&announce) as _, reading::sandbox(config));
        let libraries = Libraries::new(store.clone(), Arc::new(index.index), clock, changes, shape, sandbox);
        let libraries = Arc::new(libraries.mirrored_in(places.mirrors()));
        for (_, files) in bundle::profiles(&libraries)? {
            carried.install(&files);
        }
        let caught_up = libraries.catch_up(index.marks).await?;
        if caught_up > 0 {
            notice(&format!("{caught_up} documents were indexed again."));
        }
        ensure_manual(&libraries).await?;
        Ok(Shelved { libraries, profiles, announce })
    })
}

/// The manual is a library like any other, and follows the binary's version.
async fn ensure_manual(libraries: &Arc<Libraries>) -> Result<(), LibraryError> {
    match libraries.get(MANUAL) {
        Ok(_) => {}
        Err(LibraryError::NoLibrary(_)) => {
            drop(libraries.add(MANUAL, Source::Builtin, Classification::Public, None).await?);
        }
        Err(error) => return Err(error),
    }
    libraries.sync(MANUAL, CancellationToken::new(), |_| {}).await.map(drop)
}
