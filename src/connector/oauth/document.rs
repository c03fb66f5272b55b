//! Where an API's document says that tokens are given: a suggestion, which an operator's binding makes a choice.

use url::Url;

use super::setup::{Endpoints, Grant};
use crate::connector::tool::Schemes;
use crate::openapi::{Flow, SecurityScheme};

/// The endpoints of the first OAuth 2.0 scheme that has a flow for this grant. A part in braces at the beginning of a
/// URL, such as `{instance}`, stands for the base URL, and a URL without a host is meant relative to it (OpenAPI 3.1,
/// sections 4.5 and 4.8.29).
pub fn endpoints(schemes: &Schemes, base_url: &str, grant: Grant) -> Option<Endpoints> {
    let names: &[&str] = match grant {
        Grant::AuthorizationCode => &["authorizationCode"],
        Grant::Password => &["password"],
        Grant::ClientCredentials => &["clientCredentials"],
        Grant::DeviceCode => &["deviceAuthorization", "authorizationCode"],
    };
    let of = |flow: &Flow| {
        let url = |text: &String| resolved(text, base_url);
        let token = flow.token_url.as_ref().and_then(url)?;
        let authorize = flow.authorization_url.as_ref().and_then(url);
        Some(Endpoints { authorize, token, ..Endpoints::default() })
    };
    let mut flows = schemes.values().filter_map(|scheme| match scheme {
        SecurityScheme::OAuth2 { flows } => names.iter().find_map(|name| flows.get(*name)),
        _ => None,
    });
    flows.find_map(of)
}

fn resolved(text: &str, base_url: &str) -> Option<String> {
    if let Some((_, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        return Some(format!("{}{rest}", base_url.trim_end_matches('/')));
    }
    let base = Url::parse(&format!("{}/", base_url.trim_end_matches('/'))).ok()?;
    base.join(text).ok().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{shipped, tool};
    use crate::openapi;

    #[test]
    fn the_endpoints_of_iconect_stand_at_the_instance() {
        let document = openapi::read(shipped::document("iconect").unwrap()).unwrap();
        let schemes = tool::import("iconect", document).security;
        let found = endpoints(&schemes, "https://iconect.example.com/eu/", Grant::AuthorizationCode).unwrap();
        assert_eq!(found.authorize.as_deref(), Some("https://iconect.example.com/eu/oauth/authorize"));
        assert_eq!(found.token, "https://iconect.example.com/eu/oauth/token");
        let password = endpoints(&schemes, "https://iconect.example.com", Grant::Password).unwrap();
        assert_eq!((password.token.as_str(), password.authorize), ("https://iconect.example.com/oauth/token", None));
        assert_eq!(endpoints(&schemes, "https://iconect.example.com", Grant::ClientCredentials), None);
    }

    #[test]
    fn urls_are_read_relative_to_the_instance() {
        for (text, expected) in [
            ("https://login.example/t", "https://login.example/t"),
            ("/oauth/token", "https://a.example/oauth/token"),
            ("token", "https://a.example/v2/token"),
            ("{server}/token", "https://a.example/v2/token"),
        ] {
            assert_eq!(resolved(text, "https://a.example/v2").as_deref(), Some(expected));
        }
    }
}
