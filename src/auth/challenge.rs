//! What a client without a credential is told: challenges (RFC 6750, 7617) and protected-resource metadata (RFC 9728).

use serde_json::{Value, json};

use crate::config::raw::AuthScheme;
use crate::config::{Auth, Http};

/// Where the metadata lies for the server as a whole, and for `/mcp` (RFC 9728, section 3.1).
pub const METADATA_PATHS: [&str; 2] =
    ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"];

/// Values for `WWW-Authenticate`, one header each. `origin`: of what the metadata speaks about; `token_shown`: a bearer token came and did not hold;
/// `is_private`: nobody can read along, so that a password may be asked for.
pub fn challenges(auth: &Auth, origin: Option<&str>, token_shown: bool, is_private: bool) -> Vec<String> {
    let realm = &auth.realm;
    let has = |scheme| auth.schemes.contains(&scheme);
    let mut challenges = Vec::new();
    if has(AuthScheme::Jwt) || has(AuthScheme::ApiKey) {
        let error = if token_shown { ", error=\"invalid_token\"" } else { "" };
        let path = METADATA_PATHS[1];
        let metadata = origin.map(|origin| format!(", resource_metadata=\"{origin}{path}\"")).unwrap_or_default();
        challenges.push(format!("Bearer realm=\"{realm}\"{metadata}{error}"));
    }
    if has(AuthScheme::Basic) && is_private {
        challenges.push(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
    }
    challenges
}

/// What an OAuth client needs to know of us, to find who gives out tokens for us (RFC 9728, section 2).
pub fn metadata(auth: &Auth, origin: &str) -> Value {
    let mut metadata = json!({
        "resource": format!("{origin}/mcp"),
        "bearer_methods_supported": ["header"],
        "resource_name": "Sekisho",
    });
    if !auth.authorization_servers.is_empty() {
        metadata["authorization_servers"] = auth.authorization_servers.clone().into();
    }
    metadata
}

/// By what name the client called us: as configured, else as it said itself, which the listener has checked up to the
/// port. It goes into a header and a document, so anything that is no host is left out.
pub fn origin(http: &Http, host: &str) -> String {
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let said = || {
        let is_host = !host.is_empty() && host.bytes().all(good);
        if is_host { host.to_owned() } else { http.listen.to_string() }
    };
    http.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", said()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::raw::Raw;

    #[test]
    fn a_challenge_names_what_is_taken_here_and_where_the_metadata_lies() {
        let mut auth = Config::of(Raw::default()).unwrap().auth;
        let bearer =
            "Bearer realm=\"sekisho\", resource_metadata=\"https://a/.well-known/oauth-protected-resource/mcp\"";
        let basic = "Basic realm=\"sekisho\", charset=\"UTF-8\"";
        assert_eq!(challenges(&auth, Some("https://a"), false, true), [bearer, basic]);
        assert_eq!(challenges(&auth, Some("https://a"), true, false), [format!("{bearer}, error=\"invalid_token\"")]);
        auth.schemes = vec![AuthScheme::Basic];
        assert_eq!(challenges(&auth, Some("https://a"), true, true), [basic]);
        assert_eq!(challenges(&auth, None, true, true), [basic]);
        assert!(challenges(&auth, Some("https://a"), true, false).is_empty());
    }

    #[test]
    fn an_origin_is_as_configured_or_as_called_and_never_breaks_out_of_a_header() {
        let mut http = Config::of(Raw::default()).unwrap().http;
        assert_eq!(origin(&http, "localhost:3000"), "http://localhost:3000");
        assert_eq!(origin(&http, "localhost:\", x=\""), "http://127.0.0.1:3000");
        http.public_url = Some("https://mcp.example".into());
        assert_eq!(origin(&http, "localhost"), "https://mcp.example");
    }
}
