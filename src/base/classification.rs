//! How confidential something is: four levels, in order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A level of confidentiality. The order is that of the levels; stored records depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// May be known to anybody.
    Public,
    /// For whoever has a place here: what nobody classified is this.
    #[default]
    Internal,
    /// For those who need it.
    Confidential,
    /// For those who were named.
    Restricted,
}

/// All of them, lowest first.
pub const CLASSIFICATIONS: [Classification; 4] =
    [Classification::Public, Classification::Internal, Classification::Confidential, Classification::Restricted];

impl Classification {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }

    /// 0 to 3: policies compare numbers.
    pub fn rank(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Internal => 1,
            Self::Confidential => 2,
            Self::Restricted => 3,
        }
    }

    pub fn of_rank(rank: u8) -> Option<Self> {
        CLASSIFICATIONS.get(usize::from(rank)).copied()
    }
}

impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no classification; write public, internal, confidential or restricted")]
pub struct NotAClassification(pub String);

impl FromStr for Classification {
    type Err = NotAClassification;

    fn from_str(text: &str) -> Result<Self, NotAClassification> {
        let found = CLASSIFICATIONS.into_iter().find(|level| level.as_str() == text);
        found.ok_or_else(|| NotAClassification(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_reads_back_and_ranks_in_order() {
        for (rank, level) in (0..).zip(CLASSIFICATIONS) {
            assert_eq!(level.as_str().parse(), Ok(level));
            assert_eq!((level.rank(), Classification::of_rank(rank)), (rank, Some(level)));
        }
        assert!(CLASSIFICATIONS.is_sorted());
        assert!("secret".parse::<Classification>().is_err());
        assert_eq!(Classification::of_rank(4), None);
    }
}
