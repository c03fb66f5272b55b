//! The table `[contacts]` as it is written.
#![allow(clippy::doc_markdown, reason = "these comments are shown to people as they are")]
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links, reason = "as above")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Contacts {
    /// Who looks after security: an address such as "security@example.org", or a URI such as "https://example.org/report". Stands in /.well-known/security.txt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_team: Option<String>,
    /// Who responds to incidents, in the same form. Stands in /.well-known/security.txt after security_team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident_response: Option<String>,
    /// Who answers for security, in the same form. Not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciso: Option<String>,
}
