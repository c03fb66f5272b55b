//! What a scan found: how grave it is, where, why, and the command that mends it.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How soon somebody should do something about a finding. An alert has no `info`: what only informs raises none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no severity.
#[derive(Debug, thiserror::Error)]
#[error("expected one of the severities info, low, medium, high and critical, found {0:?}")]
pub struct NotASeverity(String);

impl FromStr for Severity {
    type Err = NotASeverity;

    fn from_str(name: &str) -> Result<Self, NotASeverity> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == name).ok_or_else(|| NotASeverity(name.to_owned()))
    }
}

/// One thing that could be better. Nothing in it is a secret: it is shown, recorded and sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Id of the check that found it, such as `files.secrets`.
    pub check: String,
    pub severity: Severity,
    /// The file, setting, token or unit that it is about.
    pub place: String,
    pub why: String,
    /// The command that mends it.
    pub mend: String,
}

impl Finding {
    pub fn new(severity: Severity, place: impl Into<String>, why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check: String::new(), severity, place: place.into(), why: why.into(), mend: mend.into() }
    }

    /// What tells it from others, also at the next scan.
    pub fn identity(&self) -> (&str, &str) {
        (&self.check, &self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_ordered_and_read_back() {
        assert!(Severity::Info < Severity::Low && Severity::High < Severity::Critical);
        for severity in Severity::ALL {
            assert_eq!(severity.to_string().parse::<Severity>().unwrap(), severity);
        }
        assert!("grave".parse::<Severity>().unwrap_err().to_string().contains("medium"));
    }
}
