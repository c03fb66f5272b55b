//! Resources: shelves that hold them, and the protocol's requests for them.

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{arguments, bounded, schema_of};
use crate::auth::policy::ask::ActionGroup;
use crate::base::bound;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{About, Catalog, Content, Cx, Kind, Operation, Outcome, Output, ResourceItem};
use crate::schema::NotASchema;

/// Resources, and the cursor of the next page.
pub type ShelfPage = (Vec<ResourceItem>, Option<String>);

/// A source of resources with URIs of its own.
pub trait Shelf: Send + Sync {
    /// Whether `uri`, a resource's or a template's, is this shelf's.
    fn owns(&self, uri: &str) -> bool;
    /// A page of resources from `cursor` on, and the cursor of the next.
    fn list<'a>(&'a self, cx: &'a Cx, cursor: Option<String>) -> BoxFuture<'a, Result<ShelfPage, Refusal>>;
    fn templates(&self) -> Vec<ResourceItem>;
    fn read<'a>(&'a self, cx: &'a Cx, uri: &'a str) -> BoxFuture<'a, Result<Vec<Content>, Refusal>>;
    /// Values for the template's variable that begin with `start`; `context` holds what is already chosen.
    fn complete<'a>(
        &'a self,
        cx: &'a Cx,
        variable: &'a str,
        start: &'a str,
        context: &'a Value,
    ) -> BoxFuture<'a, Result<Vec<String>, Refusal>>;
}

/// All shelves, in the order in which they are listed.
#[derive(Default)]
pub struct Shelves {
    /// Held for a look-up, never across an await.
    shelves: RwLock<Vec<Named>>,
}

/// A shelf, and by what it can be replaced.
type Named = (Option<String>, Arc<dyn Shelf>);

impl std::fmt::Debug for Shelves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelves")
    }
}

impl Shelves {
    pub fn add(&self, shelf: Arc<dyn Shelf>) {
        self.shelves.write().unwrap_or_else(PoisonError::into_inner).push((None, shelf));
    }

    /// Adds a shelf, or puts it in the place of the one that was put under the same name.
    pub fn put(&self, name: &str, shelf: Arc<dyn Shelf>) {
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        match shelves.iter_mut().find(|(known, _)| known.as_deref() == Some(name)) {
            Some((_, slot)) => *slot = shelf,
            None => shelves.push((Some(name.to_owned()), shelf)),
        }
    }

    fn all(&self) -> Vec<Arc<dyn Shelf>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.iter().map(|(_, shelf)| Arc::clone(shelf)).collect()
    }

    fn of(&self, uri: &str) -> Option<Arc<dyn Shelf>> {
        self.all().into_iter().find(|shelf| shelf.owns(uri))
    }
}

pub(super) fn register(catalog: &Catalog, shelves: &Arc<Shelves>, uri_chars_max: usize) -> Result<(), NotASchema> {
    for request in [Request::Read, Request::List, Request::Templates, Request::Complete] {
        catalog.add(Arc::new(ResourceRequest {
            about: request.about(uri_chars_max),
            request,
            shelves: Arc::clone(shelves),
        }))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Request {
    Read,
    List,
    Templates,
    Complete,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    #[schemars(length(max = 4096))]
    uri: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListArguments {
    #[serde(default)]
    #[schemars(length(max = 8192))]
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CompleteArguments {
    #[schemars(length(max = 1024))]
    uri: String,
    #[schemars(length(max = 64))]
    variable: String,
    #[schemars(length(max = 1024))]
    start: String,
    #[serde(default)]
    context: Value,
}

impl Request {
    fn about(self, uri_chars_max: usize) -> About {
        let (kind, name, title, input) = match self {
            Self::Read => (Kind::Protocol, "resources/read", "Read a resource", schema_of::<ReadArguments>()),
            Self::List => (Kind::List, "resources/list", "List resources", schema_of::<ListArguments>()),
            Self::Templates => {
                (Kind::List, "resources/templates/list", "List resource templates", schema_of::<ListArguments>())
            }
            Self::Complete => (
                Kind::Protocol,
                "completion/complete",
                "Complete a variable of a template",
                schema_of::<CompleteArguments>(),
            ),
        };
        let mut about = About::reading(kind, name, title, title, bounded(input, "uri", uri_chars_max));
        about.quotes = matches!(self, Self::Read);
        if matches!(self, Self::Templates) {
            about.action_group = ActionGroup::Protocol;
        }
        about.argument_bytes_max = 4 * bound::ARGUMENT_BYTES_MAX;
        about
    }
}

struct ResourceRequest {
    about: About,
    request: Request,
    shelves: Arc<Shelves>,
}

impl ResourceRequest {
    async fn list(&self, cx: &Cx, cursor: Option<String>) -> Result<Output, Refusal> {
        let shelves = self.shelves.all();
        let (mut number, mut inner) = match cursor {
            None => (0, None),
            Some(cursor) => {
                let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
                let parsed = bytes.and_then(|bytes| serde_json::from_slice::<(usize, Option<String>)>(&bytes).ok());
                parsed.ok_or_else(|| {
                    Refusal::new(
                        Code::Invalid,
                        "This cursor is not one that resources/list gave; leave it out to begin anew.",
                    )
                })?
            }
        };
        let mut items = Vec::new();
        while let Some(shelf) = shelves.get(number) {
            let (page, next) = shelf.list(cx, inner.take()).await?;
            items.extend(page);
            match next {
                Some(next) => inner = Some(next),
                None => number += 1,
            }
            if items.len() >= bound::LIST_PAGE_ITEMS && number < shelves.len() {
                let cursor = serde_json::to_vec(&(number, inner)).map_err(Refusal::internal)?;
                return Ok(Output::Resources { items, next: Some(URL_SAFE_NO_PAD.encode(cursor)) });
            }
        }
        Ok(Output::Resources { items, next: None })
    }

    fn shelf(&self, uri: &str) -> Result<Arc<dyn Shelf>, Refusal> {
        let missing = || {
            let uri: String = uri.chars().take(bound::AUDIT_NAME_CHARS_MAX).collect();
            Refusal::new(
                Code::NotFound,
                format!("There is no resource {uri}; resources/list names those that there are."),
            )
            .with_data(serde_json::json!({"uri": uri}))
        };
        self.shelves.of(uri).ok_or_else(missing)
    }
}

impl Operation for ResourceRequest {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, value: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async move {
            let output = match self.request {
                Request::Read => {
                    let ReadArguments { uri } = arguments(value)?;
                    Output::Contents(self.shelf(&uri)?.read(cx, &uri).await?)
                }
                Request::List => {
                    let ListArguments { cursor } = arguments(value)?;
                    self.list(cx, cursor).await?
                }
                Request::Templates => {
                    Output::Templates { items: self.shelves.all().iter().flat_map(|shelf| shelf.templates()).collect() }
                }
                Request::Complete => {
                    let CompleteArguments { uri, variable, start, context } = arguments(value)?;
                    let values = self.shelf(&uri)?.complete(cx, &variable, &start, &context).await?;
                    Output::Completion { total: values.len(), values }
                }
            };
            Ok(Outcome::Done(output))
        })
    }
}
