//! The table `[watch]` as it is written.
#![allow(clippy::doc_markdown, reason = "these comments are shown to people as they are")]
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links, reason = "as above")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::severity::Severity;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// Calls of one caller, refused ones included, that may be tried; one more, and its session is blocked. Where rate.per_session is more, that counts.
    pub rate_limit_attempts: u64,
    /// The time, in minutes, within which rate_limit_attempts are counted.
    pub rate_limit_window_minutes: u64,
    /// Arguments of one caller that look like an attack, within 10 minutes, after which its session is blocked.
    pub suspicious_patterns: u64,
    /// How long a session stays blocked, in minutes.
    pub block_minutes: u64,
    /// Credentials from one address that do not hold, after which there is an alert.
    pub authentication_failures: u64,
    /// The time, in minutes, within which authentication_failures are counted.
    pub authentication_window_minutes: u64,
    /// Calls of one caller that the policy denies, within 5 minutes, after which there is an alert.
    pub policy_denials: u64,
    /// Learn what each principal usually does, and alert when it does something else. It never blocks.
    pub baseline: bool,
    /// How long a principal is watched, in hours, before something can be unusual.
    pub baseline_learning_hours: u64,
    /// How many standard deviations above the mean are unusual.
    pub baseline_deviations: u64,
    /// The least severity that is sent anywhere: "low", "medium", "high", "critical". The list and the log have all.
    pub severity: Severity,
    /// URL to which alerts are posted as JSON: https://..., or http:// to this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// Name of the vault's credential with which what is posted is signed (HMAC-SHA256).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_credential: Option<String>,
    /// Host of the mail server to which alerts are handed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_server: Option<String>,
    /// Its port: 465 with smtp_security "tls", 587 with "starttls".
    pub smtp_port: u64,
    /// "tls": TLS from the first byte. "starttls": TLS is asked for, and without it nothing is sent. "none": only to this machine.
    pub smtp_security: SmtpSecurity,
    /// Address that mail comes from, such as "sekisho@example.org".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_from: Option<String>,
    /// Addresses that mail goes to.
    pub smtp_to: Vec<String>,
    /// Name at the mail server, where it asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_user: Option<String>,
    /// Name of the vault's credential that is the password of smtp_user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_credential: Option<String>,
    /// Receiver of syslog messages: "udp://host:514", "tcp://host:601" or "tls://host:6514".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syslog: Option<String>,
    /// "rfc5424": structured data. "cef": Common Event Format in the message.
    pub syslog_format: SyslogFormat,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            rate_limit_attempts: 2000,
            rate_limit_window_minutes: 60,
            suspicious_patterns: 5,
            block_minutes: 15,
            authentication_failures: 5,
            authentication_window_minutes: 15,
            policy_denials: 20,
            baseline: true,
            baseline_learning_hours: 168,
            baseline_deviations: 6,
            severity: Severity::Low,
            webhook_url: None,
            webhook_credential: None,
            smtp_server: None,
            smtp_port: 465,
            smtp_security: SmtpSecurity::Tls,
            smtp_from: None,
            smtp_to: Vec::new(),
            smtp_user: None,
            smtp_credential: None,
            syslog: None,
            syslog_format: SyslogFormat::Rfc5424,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpSecurity {
    #[default]
    Tls,
    Starttls,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyslogFormat {
    #[default]
    Rfc5424,
    Cef,
}
