//! The lists of tools and prompts, as far as the caller may use them, in pages.

use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{arguments, schema_of};
use crate::auth::policy::ask::ActionGroup;
use crate::base::bound;
use crate::base::refusal::Refusal;
use crate::operation::{About, Catalog, Cx, Kind, Operation, Outcome, Output};
use crate::schema::NotASchema;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The name after which the page begins.
    #[serde(default)]
    #[schemars(length(max = 256))]
    cursor: Option<String>,
}

pub(super) fn register(catalog: &Catalog) -> Result<(), NotASchema> {
    for (name, title, of) in [("tools/list", "List tools", Kind::Tool), ("prompts/list", "List prompts", Kind::Prompt)]
    {
        let about =
            About::reading(Kind::List, name, title, title, schema_of::<Arguments>()).in_group(ActionGroup::Protocol);
        catalog.add(Arc::new(ListOperations { about, of }))?;
    }
    Ok(())
}

struct ListOperations {
    about: About,
    of: Kind,
}

impl Operation for ListOperations {
    fn about(&self) -> &About {
        &self.about
    }

    fn run<'a>(&'a self, cx: &'a Cx, value: Value) -> BoxFuture<'a, Result<Outcome, Refusal>> {
        Box::pin(async move {
            let Arguments { cursor } = arguments(value)?;
            let mut items = cx.catalog.visible(self.of, &cx.access);
            if let Some(after) = cursor {
                items.retain(|about| about.name > after);
            }
            let more = items.len() > bound::LIST_PAGE_ITEMS;
            items.truncate(bound::LIST_PAGE_ITEMS);
            let next = items.last().filter(|_| more).map(|about| about.name.clone());
            Ok(Outcome::Done(Output::Operations { items, next }))
        })
    }
}
