//! What is kept beside a library that came from a bundle: the profile that the bundle brought, and what was there before.
//!
//! Rows of the table `meta`, by the library's name: `library/profile/NAME` holds the profile's files as JSON, and
//! `library/before/NAME` a [`BeforeRecord`]. The documents of the generation before stay in their tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::BundleError;
use crate::library::record::{self, LibraryRecord};
use crate::library::shape::ProfileFiles;
use crate::library::{Libraries, LibraryError};
use crate::store::codec::{self, Record};
use crate::store::table::Table;
use crate::store::{Put, Snapshot, StoreError};

/// The library as it was before the last import or rollback.
#[derive(Serialize, Deserialize)]
pub(super) struct BeforeRecord {
    /// A [`LibraryRecord`], encoded: its own format byte says which one.
    library: Vec<u8>,
    /// The profile that its bundle had brought, as JSON.
    profile: Option<Vec<u8>>,
}

impl Record for BeforeRecord {
    const TABLE: &'static str = "what a library was before";
}

/// The generation before the one that is visible.
pub(super) struct Before {
    pub(super) library: LibraryRecord,
    pub(super) profile: Option<Vec<u8>>,
}

fn profile_key(library: &str) -> String {
    format!("library/profile/{library}")
}

fn before_key(library: &str) -> String {
    format!("library/before/{library}")
}

/// What is kept from before.
pub(super) fn before(snapshot: &Snapshot, library: &str) -> Result<Option<Before>, LibraryError> {
    let Some(row) = snapshot.get(Table::Meta, before_key(library).as_bytes())? else { return Ok(None) };
    let BeforeRecord { library, profile } = codec::decode(&row)?;
    Ok(Some(Before { library: record::decode_library(&library)?, profile }))
}

/// The generation that a library may be taken back to.
pub(in crate::library) fn generation_before(snapshot: &Snapshot, library: &str) -> Result<Option<u64>, LibraryError> {
    Ok(before(snapshot, library)?.map(|before| before.library.generation))
}

/// The profile that a library's bundle brought, as JSON.
pub(super) fn profile(snapshot: &Snapshot, library: &str) -> Result<Option<Vec<u8>>, StoreError> {
    snapshot.get(Table::Meta, profile_key(library).as_bytes())
}

/// The row that keeps `library` and its profile as what was before.
pub(in crate::library) fn before_row(library: &LibraryRecord, profile: Option<Vec<u8>>) -> Result<Put, StoreError> {
    let record = BeforeRecord { library: codec::encode(library)?, profile };
    Ok(Put::new(Table::Meta, before_key(&library.name), codec::encode(&record)?))
}

/// The row that holds the profile from now on; none takes it away.
pub(super) fn profile_row(library: &str, profile: Option<Vec<u8>>) -> Put {
    Put { table: Table::Meta, key: profile_key(library).into_bytes(), value: profile }
}

/// Rows that go with a removed library.
pub(in crate::library) fn forgotten(library: &str) -> [Put; 2] {
    [profile_key(library), before_key(library)].map(|key| Put::delete(Table::Meta, key))
}

/// The profiles that bundles brought, by the libraries that are read by them.
pub fn profiles(libraries: &Libraries) -> Result<Vec<(LibraryRecord, ProfileFiles)>, LibraryError> {
    let mut found = Vec::new();
    for library in libraries.list()? {
        let row = libraries.store.read(|snapshot| profile(snapshot, &library.name))?;
        match row.map(|row| files(&row)) {
            Some(Ok(files)) => found.push((library, files)),
            Some(Err(error)) => tracing::error!(%error, library = library.name, "the profile of a library is left out"),
            None => {}
        }
    }
    Ok(found)
}

/// The files of a profile, which a row or a bundle holds.
pub(super) fn files(json: &[u8]) -> Result<BTreeMap<String, String>, BundleError> {
    serde_json::from_slice(json).map_err(|error| BundleError::Profile(error.to_string()))
}
