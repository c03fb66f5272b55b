//! Where a scanner of files listens.

use std::fmt;
use std::path::PathBuf;

use crate::base::bound::connector as bound;
use crate::config::target::Endpoint;

/// Where a scanner listens: `clamd:/run/clamav/clamd.ctl` or `clamd:tcp://127.0.0.1:3310`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanner {
    Unix(PathBuf),
    Tcp(Endpoint),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected none, clamd:/PATH/OF/SOCKET or clamd:tcp://HOST:PORT, found {0:?}")]
pub struct NotAScanner(String);

impl Scanner {
    /// As an operator writes it.
    pub fn parse(text: &str) -> Result<Self, NotAScanner> {
        let no = || NotAScanner(text.chars().take(bound::PLACE_BYTES_MAX).collect());
        let place = text.strip_prefix("clamd:").filter(|_| text.len() <= bound::PLACE_BYTES_MAX).ok_or_else(no)?;
        if let Some(endpoint) = place.strip_prefix("tcp://") {
            return Endpoint::parse(endpoint, Some(3310)).map(Self::Tcp).ok_or_else(no);
        }
        let is_path = place.starts_with('/') && !place.chars().any(char::is_control);
        is_path.then(|| Self::Unix(PathBuf::from(place))).ok_or_else(no)
    }
}

impl fmt::Display for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "clamd:{}", path.display()),
            Self::Tcp(endpoint) => write!(f, "clamd:tcp://{endpoint}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["clamd:/run/clamav/clamd.ctl", "clamd:tcp://127.0.0.1:3310", "clamd:tcp://[::1]:1"] {
            assert_eq!(Scanner::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Scanner::parse("clamd:tcp://scan.example").unwrap().to_string(), "clamd:tcp://scan.example:3310");
        for text in
            ["", "clamd:", "clamd:run/x", "clamd:tcp://", "clamd:tcp://a:b@c:1", "clamd:/a\nb", "/run/x", "icap:/x"]
        {
            Scanner::parse(text).unwrap_err();
        }
    }
}
