//! Metadata of an authorization server (RFC 8414): where its endpoints are, by its own word, and what it promises.

use serde::Deserialize;
use url::Url;

use super::setup::{Endpoints, Grant, SetupError, endpoint};
use crate::base::bound::oauth as bound;

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
}

/// Metadata that is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotMetadata {
    #[error("the metadata of {0} are no JSON with an issuer and a token endpoint")]
    Unreadable(String),
    #[error("the metadata of {expected} name another issuer; write its URL as it writes it itself")]
    OtherIssuer { expected: String },
    #[error("the authorization server does not offer PKCE with S256, and without it no code is asked for")]
    NoPkce,
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// Where the metadata of an issuer may be: RFC 8414, section 3.1, and where `OpenID` Connect has it.
pub(super) fn places(issuer: &str, loopback_http: bool) -> Result<[String; 2], SetupError> {
    let url = endpoint("issuer", issuer, loopback_http)?;
    if url.query().is_some() {
        return Err(SetupError::Url { what: "issuer", found: issuer.to_owned(), reason: "an issuer has no query" });
    }
    let at = |path: &str| {
        let mut place = Url::clone(&url);
        place.set_path(path);
        place.to_string()
    };
    let own = url.path().trim_end_matches('/');
    Ok([
        at(&format!("/.well-known/oauth-authorization-server{own}")),
        at(&format!("{own}/.well-known/openid-configuration")),
    ])
}

/// What the metadata say. The issuer in them must be the one that was asked for, to the letter (section 3.3).
pub(super) fn read(issuer: &str, body: &[u8], grant: Grant, loopback_http: bool) -> Result<Endpoints, NotMetadata> {
    let shown: String = issuer.chars().take(bound::OAUTH_URL_BYTES_MAX).collect();
    let metadata: Metadata = serde_json::from_slice(body).map_err(|_| NotMetadata::Unreadable(shown.clone()))?;
    if metadata.issuer != issuer {
        return Err(NotMetadata::OtherIssuer { expected: shown });
    }
    // RFC 9700, section 2.1.1; RFC 8414, section 2: where the list is missing, there is no PKCE.
    let offers = metadata.code_challenge_methods_supported.unwrap_or_default();
    if grant == Grant::AuthorizationCode && !offers.iter().any(|method| method == "S256") {
        return Err(NotMetadata::NoPkce);
    }
    let optional = |what, url: Option<String>| match url {
        Some(url) => endpoint(what, &url, loopback_http).map(|_| Some(url)),
        None => Ok(None),
    };
    endpoint("token endpoint", &metadata.token_endpoint, loopback_http)?;
    Ok(Endpoints {
        issuer: Some(metadata.issuer),
        promises_iss: metadata.authorization_response_iss_parameter_supported,
        authorize: optional("authorization endpoint", metadata.authorization_endpoint)?,
        token: metadata.token_endpoint,
        device: optional("device authorization endpoint", metadata.device_authorization_endpoint)?,
        revoke: optional("revocation endpoint", metadata.revocation_endpoint)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://login.example/tenant";

    fn metadata(change: impl FnOnce(&mut Value)) -> Result<Endpoints, NotMetadata> {
        let mut metadata = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/a",
            "token_endpoint": "https://login.example/t",
            "code_challenge_methods_supported": ["plain", "S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        change(&mut metadata);
        read(ISSUER, metadata.to_string().as_bytes(), Grant::AuthorizationCode, false)
    }

    #[test]
    fn metadata_are_looked_for_where_the_standards_put_them() {
        let found = places(ISSUER, false).unwrap();
        assert_eq!(found[0], "https://login.example/.well-known/oauth-authorization-server/tenant");
        assert_eq!(found[1], "https://login.example/tenant/.well-known/openid-configuration");
        let root = places("https://login.example", false).unwrap();
        assert_eq!(root[0], "https://login.example/.well-known/oauth-authorization-server");
        for wrong in ["http://login.example", "https://login.example?x=1", "login.example"] {
            places(wrong, false).unwrap_err();
        }
    }

    #[test]
    fn metadata_of_another_issuer_without_pkce_or_in_the_clear_are_refused() {
        let found = metadata(|_| {}).unwrap();
        assert!(found.promises_iss && found.issuer.as_deref() == Some(ISSUER) && found.device.is_none());
        let other = metadata(|it| it["issuer"] = json!("https://evil.example/tenant")).unwrap_err();
        assert_eq!(other, NotMetadata::OtherIssuer { expected: ISSUER.into() });
        metadata(|it| it["issuer"] = json!(format!("{ISSUER}/"))).unwrap_err();
        for methods in [json!(["plain"]), json!([]), Value::Null] {
            let found = metadata(|it| it["code_challenge_methods_supported"] = methods).unwrap_err();
            assert_eq!(found, NotMetadata::NoPkce);
        }
        for name in ["token_endpoint", "authorization_endpoint", "revocation_endpoint"] {
            let found = metadata(|it| it[name] = json!("http://login.example/x")).unwrap_err();
            assert!(matches!(found, NotMetadata::Setup(_)), "{found}");
        }
        assert!(matches!(metadata(|it| it["token_endpoint"] = json!(7)), Err(NotMetadata::Unreadable(_))));
    }
}
