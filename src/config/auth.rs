//! The valid form of the table `[auth]`, and what the environment of a replaced system says.

use std::path::PathBuf;
use std::time::Duration;

use super::target::Url;
use super::{Check, raw};
use crate::base::bound;
use crate::base::principal::Role;
use crate::base::secret::Secret;
use raw::AuthScheme;

/// How callers over HTTP prove who they are.
#[derive(Clone, Debug)]
pub struct Auth {
    /// In this order.
    pub schemes: Vec<AuthScheme>,
    /// Without quotes: it stands in a header.
    pub realm: String,
    pub jwt_issuer: String,
    pub jwt_audience: String,
    pub jwt_leeway: Duration,
    pub jwt_expiry: Duration,
    pub jwks_file: Option<PathBuf>,
    pub jwks_url: Option<Url>,
    /// The most that a token of another issuer makes of its bearer.
    pub jwt_role_max: Role,
    /// A claim's name, or its path with dots.
    pub jwt_role_claim: String,
    /// Values of that claim, and what they mean.
    pub jwt_roles: Vec<(String, Role)>,
    /// Subject alternative names and their roles.
    pub certificates: Vec<(String, Role)>,
    pub authorization_servers: Vec<String>,
    pub environment: Inherited,
}

/// Secrets that the environment holds under the names of the replaced system. They are held in memory only.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// `MCP_USERNAME` and `MCP_PASSWORD`.
    pub account: Option<(String, Secret)>,
    /// `MCP_JWT_SECRET`
    pub jwt_secret: Option<Secret>,
}

impl Inherited {
    /// What an operator should know at the start.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.account.is_some() {
            warnings.push(
                "MCP_USERNAME and MCP_PASSWORD make a reader's account for as long as this process runs. The environment is the weakest place for a secret: make an account with `sekisho account add`, and unset them.",
            );
        }
        if self.jwt_secret.is_some() {
            warnings.push(
                "MCP_JWT_SECRET verifies JWTs for as long as this process runs. The environment is the weakest place for a secret: issue tokens with `sekisho token issue --jwt`, and unset it.",
            );
        }
        warnings
    }
}

impl Check {
    pub(super) fn auth(&mut self, auth: &raw::Auth) -> Auth {
        if auth.schemes.is_empty() {
            self.impossible("auth.schemes", "at least one of mtls, jwt, api_key, basic", "none");
        }
        let leeway = self.within("auth.jwt_leeway_seconds", auth.jwt_leeway_seconds, 0, bound::JWT_LEEWAY_SECONDS_MAX);
        let expiry = self.within("auth.jwt_expiry_seconds", auth.jwt_expiry_seconds, 1, bound::JWT_EXPIRY_SECONDS_MAX);
        Auth {
            schemes: auth.schemes.clone(),
            realm: self.word("auth.realm", &auth.realm),
            jwt_issuer: self.word("auth.jwt_issuer", &auth.jwt_issuer),
            jwt_audience: self.word("auth.jwt_audience", &auth.jwt_audience),
            jwt_leeway: Duration::from_secs(leeway),
            jwt_expiry: Duration::from_secs(expiry),
            jwks_file: self.path("auth.jwks_file", auth.jwks_file.as_deref()),
            jwks_url: self.url("auth.jwks_url", auth.jwks_url.as_ref()),
            jwt_role_max: self.role("auth.jwt_role_max", &auth.jwt_role_max),
            jwt_role_claim: self.word("auth.jwt_role_claim", &auth.jwt_role_claim),
            jwt_roles: auth.jwt_roles.iter().filter_map(|text| self.mapped(text)).collect(),
            certificates: auth.certificates.iter().filter_map(|text| self.certificate(text)).collect(),
            authorization_servers: self.servers(&auth.authorization_servers),
            environment: Inherited::default(),
        }
    }

    fn role(&mut self, key: &'static str, name: &str) -> Role {
        Role::named(name).unwrap_or_else(|| {
            self.impossible(key, "reader, auditor, operator or admin", name);
            Role::Reader
        })
    }

    /// One `VALUE=ROLE`.
    fn mapped(&mut self, text: &str) -> Option<(String, Role)> {
        let found = text.rsplit_once('=').and_then(|(value, role)| Some((value.to_owned(), Role::named(role)?)));
        let found = found.filter(|(value, _)| !value.is_empty());
        if found.is_none() {
            let expected =
                "a value of the claim and a role (reader, auditor, operator, admin), such as mcp-operators=operator";
            self.impossible("auth.jwt_roles", expected, text);
        }
        found
    }

    /// One `KIND:NAME=ROLE`.
    fn certificate(&mut self, text: &str) -> Option<(String, Role)> {
        let found = text.rsplit_once('=').and_then(|(name, role)| Some((name, Role::named(role)?)));
        let is_name = |name: &str| {
            let kinds = ["dns:", "email:", "uri:", "ip:"];
            kinds.iter().any(|kind| name.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
        };
        let found = found.filter(|(name, _)| is_name(name)).map(|(name, role)| (name.to_owned(), role));
        if found.is_none() {
            let expected = "names with a role, such as dns:agent.example=reader; names begin with dns:, email:, uri: or ip:, roles are reader, auditor, operator, admin";
            self.impossible("auth.certificates", expected, text);
        }
        found
    }

    fn servers(&mut self, servers: &[String]) -> Vec<String> {
        for server in servers.iter().filter(|server| !server.starts_with("https://")) {
            self.impossible("auth.authorization_servers", "URLs that begin with https://", server);
        }
        servers.to_vec()
    }

    /// Where we are reached: a scheme and a host, and nothing after that (RFC 6454, section 6.2).
    pub(super) fn public_url(&mut self, url: Option<&str>) -> Option<String> {
        let url = url.filter(|url| !url.is_empty())?.trim_end_matches('/');
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if !host.is_some_and(|host| !host.is_empty() && host.bytes().all(good)) {
            self.impossible("http.public_url", "a scheme and a host, such as https://mcp.example.org", url);
        }
        Some(url.to_owned())
    }

    /// Something that may stand between quotes in a header.
    fn word(&mut self, key: &'static str, text: &str) -> String {
        let good = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && !b"\"\\".contains(&byte);
        if text.is_empty() || text.len() > bound::AUDIT_NAME_CHARS_MAX || !text.bytes().all(good) {
            self.impossible(key, "visible ASCII characters without quotes and backslashes", text);
        }
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use crate::config::raw::Raw;

    #[test]
    fn what_cannot_stand_in_a_header_or_name_nobody_is_refused() {
        let check = |change: fn(&mut Raw), key: &str| {
            let mut raw = Raw::default();
            change(&mut raw);
            let problems = Config::of(raw).unwrap_err();
            assert_eq!(problems.iter().map(|problem| problem.key).collect::<Vec<_>>(), [key]);
        };
        check(|raw| raw.auth.realm = "a\"b".into(), "auth.realm");
        check(|raw| raw.auth.jwt_issuer = String::new(), "auth.jwt_issuer");
        check(|raw| raw.auth.schemes.clear(), "auth.schemes");
        check(|raw| raw.auth.jwt_leeway_seconds = 61, "auth.jwt_leeway_seconds");
        check(|raw| raw.auth.jwks_file = Some("keys.json".into()), "auth.jwks_file");
        check(|raw| raw.auth.jwt_role_max = "root".into(), "auth.jwt_role_max");
        check(|raw| raw.auth.jwt_role_claim = String::new(), "auth.jwt_role_claim");
        check(|raw| raw.auth.jwt_roles = vec!["=admin".into()], "auth.jwt_roles");
        check(|raw| raw.auth.jwt_roles = vec!["ops=root".into()], "auth.jwt_roles");
        check(|raw| raw.auth.certificates = vec!["dns:agent.example".into()], "auth.certificates");
        check(|raw| raw.auth.certificates = vec!["dns:=reader".into()], "auth.certificates");
        check(|raw| raw.auth.certificates = vec!["agent.example=reader".into()], "auth.certificates");
        check(|raw| raw.auth.certificates = vec!["dns:agent.example=root".into()], "auth.certificates");
        check(|raw| raw.auth.authorization_servers = vec!["http://x".into()], "auth.authorization_servers");
        for url in ["mcp.example", "https://", "https://a/mcp", "https://a\"", "ftp://a"] {
            let mut raw = Raw::default();
            raw.http.public_url = Some(url.into());
            assert_eq!(Config::of(raw).unwrap_err()[0].key, "http.public_url", "{url}");
        }
    }

    #[test]
    fn a_certificates_name_may_hold_what_separates_it() {
        let mut raw = Raw::default();
        raw.auth.certificates = vec!["uri:spiffe://a/b?c=d=operator".into()];
        raw.http.public_url = Some("https://[::1]:3000/".into());
        let config = Config::of(raw).unwrap();
        assert_eq!(config.auth.certificates, [("uri:spiffe://a/b?c=d".to_owned(), Role::Operator)]);
        assert_eq!(config.http.public_url.as_deref(), Some("https://[::1]:3000"));
    }
}
