//! The table `[upkeep]` as it is written.
#![allow(clippy::doc_markdown, reason = "these comments are shown to people as they are")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Upkeep {
    /// Hours between scans of this installation by a running server; what is new and medium or graver raises an alert. 0: never.
    pub scan_hours: u64,
    /// Hours between verifications of the whole audit log. 0: never.
    pub audit_verify_hours: u64,
    /// Hours between verifications of the newest scheduled backup, which is opened and checked like a restored one. 0: never.
    pub backup_verify_hours: u64,
    /// The verifying key of whoever signs the database of advisories, as name+hexid+base64; advisories of nobody else are taken, unless a key is given at the import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advisories_vkey: Option<String>,
    /// Room on the disk of the data directory, in percent, below which there is an alert. 0: never.
    pub disk_free_percent_min: u64,
    /// The same in bytes: the alert comes when there is less of either.
    pub disk_free_bytes_min: u64,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            scan_hours: 24,
            audit_verify_hours: 24,
            backup_verify_hours: 168,
            advisories_vkey: None,
            disk_free_percent_min: 5,
            disk_free_bytes_min: 512 << 20,
        }
    }
}
