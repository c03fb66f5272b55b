//! Security schemes: how an API wants to know its caller. They say what a connector's credential is for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Flow, Place, SecurityScheme, pointer};
use crate::base::bound::connector as bound;

pub(super) fn schemes(root: &Value) -> BTreeMap<String, SecurityScheme> {
    let declared = root.pointer("/components/securitySchemes").and_then(Value::as_object).into_iter().flatten();
    declared
        .filter(|(name, _)| name.len() <= bound::OPENAPI_NAME_BYTES_MAX)
        .take(bound::OPENAPI_TAGS_MAX)
        .filter_map(|(name, value)| {
            let (value, _) = pointer::follow(root, value, "").ok()?;
            Some((name.clone(), scheme(value)?))
        })
        .collect()
}

fn text(value: &Value, name: &str) -> Option<String> {
    let text = value.get(name)?.as_str()?;
    (text.len() <= bound::OPENAPI_PATH_BYTES_MAX).then(|| text.to_owned())
}

fn scheme(value: &Value) -> Option<SecurityScheme> {
    Some(match value.get("type")?.as_str()? {
        "apiKey" => {
            let place = match value.get("in")?.as_str()? {
                "query" => Place::Query,
                "header" => Place::Header,
                "cookie" => Place::Cookie,
                _ => return None,
            };
            SecurityScheme::ApiKey { name: text(value, "name")?, place }
        }
        "http" => SecurityScheme::Http { scheme: text(value, "scheme")?.to_ascii_lowercase() },
        "oauth2" => {
            let flows = value.get("flows")?.as_object()?.iter().filter(|(_, flow)| flow.is_object()).take(8);
            SecurityScheme::OAuth2 { flows: flows.map(|(name, value)| (name.clone(), flow(value))).collect() }
        }
        "openIdConnect" => SecurityScheme::OpenIdConnect { url: text(value, "openIdConnectUrl")? },
        "mutualTLS" => SecurityScheme::MutualTls,
        _ => return None,
    })
}

fn flow(value: &Value) -> Flow {
    let scopes = value.get("scopes").and_then(Value::as_object).into_iter().flatten();
    Flow {
        authorization_url: text(value, "authorizationUrl"),
        token_url: text(value, "tokenUrl"),
        refresh_url: text(value, "refreshUrl"),
        scopes: scopes.map(|(name, _)| name.clone()).take(bound::OPENAPI_PARAMETERS_MAX).collect(),
    }
}

/// The ways in that an operation, or else the document, asks for.
pub(super) fn required(root: &Value, operation: &Value) -> Vec<Vec<String>> {
    let ways = operation.get("security").or_else(|| root.get("security")).and_then(Value::as_array);
    ways.into_iter()
        .flatten()
        .take(bound::OPENAPI_TAGS_MAX)
        .filter_map(Value::as_object)
        .map(|way| way.keys().take(bound::OPENAPI_TAGS_MAX).cloned().collect())
        .collect()
}
