//! What agents can ask: the library's tools, its resources, prompts, and the protocol's own lists.

pub mod connector;
pub mod libraries;
pub mod list;
pub mod profile;
pub mod prompt;
pub mod protocol;
pub mod read;
pub mod resource;
pub mod search;
pub mod shelf;
pub mod uri;

use std::sync::Arc;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base::refusal::{Code, Refusal};
use crate::config;
use crate::library::Libraries;
use crate::operation::Catalog;
use crate::schema::NotASchema;
use shelf::Shelves;

/// Puts all of them into the catalogue.
pub fn register(
    catalog: &Catalog,
    libraries: &Arc<Libraries>,
    shelves: &Arc<Shelves>,
    inspect: &config::Inspect,
) -> Result<(), NotASchema> {
    shelves.add(Arc::new(resource::LibraryShelf::new(Arc::clone(libraries))));
    catalog.add(Arc::new(libraries::ListLibraries::new(Arc::clone(libraries))))?;
    catalog.add(Arc::new(search::SearchDocuments::new(Arc::clone(libraries), inspect.query_chars_max)))?;
    catalog.add(Arc::new(read::ReadDocument::new(Arc::clone(libraries))))?;
    catalog.add(Arc::new(prompt::AnswerFromLibrary::new(Arc::clone(libraries), inspect.query_chars_max)))?;
    list::register(catalog)?;
    shelf::register(catalog, shelves, inspect.uri_chars_max)?;
    protocol::register(catalog, inspect.uri_chars_max)
}

/// The JSON Schema of arguments, with everything in place: clients need not follow references.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    generated::<T>(SchemaSettings::draft2020_12())
}

/// The JSON Schema of a result. It differs from that of arguments in what may be missing: clients check it.
pub(crate) fn result_schema_of<T: JsonSchema>() -> Value {
    generated::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn generated<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(without_rust_format));
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The name of a Rust type tells a client nothing.
    schema.remove("title");
    schema.to_value()
}

/// `schema` with the configured length of the text `property`: clients read it, and it is what is checked.
fn bounded(mut schema: Value, property: &str, chars_max: usize) -> Value {
    if let Some(property) = schema["properties"].get_mut(property) {
        property["maxLength"] = chars_max.into();
    }
    schema
}

/// `uint64` and its like are no formats of JSON Schema, and clients warn of each; `minimum` says the same.
fn without_rust_format(schema: &mut schemars::Schema) {
    if schema.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        schema.remove("format");
    }
}

/// Arguments that fit their schema, as a type. That they do not parse now is our own bug.
pub(crate) fn arguments<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value)
        .map_err(|error| Refusal::new(Code::Invalid, format!("The arguments do not fit: {error}.")))
}

/// A result as JSON.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(Refusal::internal)
}
