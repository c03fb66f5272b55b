//! The tables of the gate as they are written: who may come in, for how long, how often.
#![allow(clippy::doc_markdown, reason = "these comments are shown to people as they are")]
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links, reason = "as above")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Which credentials are taken, and in which order they are looked at: "mtls" (client certificates), "jwt" (signed tokens), "api_key" (tokens that begin with sks_), "basic" (name and password). The first that is shown decides.
    pub schemes: Vec<AuthScheme>,
    /// What a client shows a person who is asked for a password.
    pub realm: String,
    /// The issuer (iss) that every JWT must name; those that are issued here do.
    pub jwt_issuer: String,
    /// The audience (aud) that every JWT must name; those that are issued here do.
    pub jwt_audience: String,
    /// How far the clocks of this machine and of an issuer may differ, in seconds; at most 60.
    pub jwt_leeway_seconds: u64,
    /// How long a JWT that is issued here is valid, in seconds, unless it is issued for a number of days.
    pub jwt_expiry_seconds: u64,
    /// JWKS file with the public keys of an authorization server (RS256, ES256, EdDSA). It is read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<String>,
    /// URL of such keys, fetched again every hour and when a token names a key that is not among them; https, or http to this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// The most that a token of that server (or of MCP_JWT_SECRET) makes of its bearer: "reader", "auditor", "operator", "admin". Whoever signs there chooses the role up to this one.
    pub jwt_role_max: String,
    /// The claim of such a token in which roles stand, a text or a list; with dots for a path, such as "realm_access.roles".
    pub jwt_role_claim: String,
    /// What values of that claim mean here, each as "mcp-operators=operator". Our own names of roles mean themselves; any other value gives no role, which is reader.
    pub jwt_roles: Vec<String>,
    /// Who the holder of a client certificate is: a subject alternative name and a role, such as "dns:agent.example=reader".
    pub certificates: Vec<String>,
    /// Authorization servers, as https URLs, where a client gets a token for this server. Named in the metadata of RFC 9728.
    pub authorization_servers: Vec<String>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            schemes: vec![AuthScheme::Mtls, AuthScheme::Jwt, AuthScheme::ApiKey, AuthScheme::Basic],
            realm: "sekisho".into(),
            jwt_issuer: "sekisho".into(),
            jwt_audience: "sekisho".into(),
            jwt_leeway_seconds: 30,
            jwt_expiry_seconds: 3600,
            jwks_file: None,
            jwks_url: None,
            jwt_role_max: "reader".into(),
            jwt_role_claim: "role".into(),
            jwt_roles: Vec::new(),
            certificates: Vec::new(),
            authorization_servers: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Serve /admin on the HTTP listeners, for accounts of the roles operator, auditor and admin: over TLS, or on this machine. false: administration is by commands on the machine only.
    pub http: bool,
    /// Serve the dashboard at /ui/ as well, for people of those accounts with a browser. Without admin.http there is none.
    pub ui: bool,
}

impl Default for Admin {
    /// On: until an administrator at the machine makes an account of such a role, it lets nobody in.
    fn default() -> Self {
        Self { http: true, ui: true }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthScheme {
    Mtls,
    Jwt,
    ApiKey,
    Basic,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// A session lives this long at the most, in minutes; then it is renewed, or ends with its credential. An Mcp-Session-Id of an older protocol ends.
    pub timeout_minutes: u64,
    /// A session that is not used for this long, in minutes, is ended.
    pub idle_timeout_minutes: u64,
    /// Sessions that one principal may have at once over HTTP. 0 sets no bound. Agents and commands on this machine are not counted.
    pub max_concurrent_sessions: u64,
    /// What happens to one more: "end_oldest_idle" ends the principal's session that was quiet for longest, "refuse" refuses the new one.
    pub when_full: WhenFull,
    /// A session's id changes every rotation_minutes, and when the session is renewed. Without it the id stays.
    pub rotation: bool,
    /// A session in use gets a new id every so many minutes; its times, counts and Mcp-Session-Id go on. From timeout_minutes on: only when it is renewed.
    pub rotation_minutes: u64,
    /// What a session is bound to beside its credential's principal: "principal" (nothing more), "certificate" (the client's certificate), "address" (the client's address).
    pub bind: Bind,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            timeout_minutes: 60,
            idle_timeout_minutes: 15,
            max_concurrent_sessions: 5,
            when_full: WhenFull::EndOldestIdle,
            rotation: true,
            rotation_minutes: 30,
            bind: Bind::Principal,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    #[default]
    EndOldestIdle,
    Refuse,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bind {
    #[default]
    Principal,
    Certificate,
    Address,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// Calls that one principal may make within any 60 seconds.
    pub per_minute: u64,
    /// Calls that one principal may make at once; after them they come back one by one, at the pace of per_minute.
    pub burst_limit: u64,
    /// Calls that one session may make within any hour.
    pub per_session: u64,
    /// Requests that one address (of IPv6: one /64) may make within any 60 seconds, before anybody is recognised. Loopback may make ten times as many.
    pub per_address: u64,
    /// Calls of single tools that one principal may make within any 60 seconds, each as "search_documents=60".
    pub per_tool: Vec<String>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_minute: 100, burst_limit: 20, per_session: 2000, per_address: 300, per_tool: Vec::new() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ban {
    /// Failed authentications of one address (of IPv6: one /64) after which it is banned. 0 bans nobody by itself. Loopback, the control socket and trusted proxies are never banned.
    pub authentication_failures: u64,
    /// The minutes within which they count.
    pub window_minutes: u64,
    /// How long the first ban lasts, in minutes. Each further one within a day lasts twice as long.
    pub minutes: u64,
    /// How long a ban may last at the most, in minutes.
    pub minutes_max: u64,
}

impl Default for Ban {
    fn default() -> Self {
        Self { authentication_failures: 5, window_minutes: 15, minutes: 15, minutes_max: 1440 }
    }
}
