//! The table `[egress]` as it is written: where this server may connect to.
#![allow(clippy::doc_markdown, reason = "these comments are shown to people as they are")]
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links, reason = "as above")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Egress {
    /// "listed": to what settings and connectors name. "none": no connection leaves, no name is looked up, no socket is opened, whatever other settings name; so does --offline.
    pub mode: EgressMode,
    /// Hosts that may be connected to beside those that other settings name: "siem.example.org", "*.example.org" for all below it, "*x.com" for all that end so, "github.com/expo" for a path and what is below it. A private address is reached only under a name that is written here in full.
    pub allowed_hosts: Vec<String>,
    /// Hosts that are never connected to, whatever names them, in the same form; addresses too.
    pub blocked_hosts: Vec<String>,
    /// PEM file with the authorities whose certificates are trusted, in the place of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Who looks names up: "system" (this machine's resolver), "udp://ADDRESS:PORT" (a DNS server), "https://HOST/dns-query" (DNS over HTTPS, RFC 8484).
    pub dns: String,
    /// HTTP proxy, as "http://HOST:PORT", that all TCP connections go through by CONNECT. It looks names up itself, so only hosts that are named in full are reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Hosts that are connected to without the proxy, in the form of allowed_hosts without paths. This machine always is.
    pub direct_hosts: Vec<String>,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            mode: EgressMode::Listed,
            allowed_hosts: Vec::new(),
            blocked_hosts: Vec::new(),
            ca_file: None,
            dns: "system".into(),
            proxy: None,
            direct_hosts: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EgressMode {
    #[default]
    Listed,
    None,
}
