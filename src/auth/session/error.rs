//! Why nobody may enter a session.

use crate::base::bound;
use crate::base::id::{NoEntropy, SessionId};

/// Why nobody may enter.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(
        "this session has {0} calls under way, which is the most it may have (limits.in_flight_per_session_max); wait for one to end"
    )]
    SessionBusy(usize),
    #[error(
        "Sekisho has {0} calls under way, which is the most it may have (limits.in_flight_max); come back in a moment"
    )]
    Busy(usize),
    #[error(
        "this principal has {0} sessions, which is the most it may have (session.max_concurrent_sessions); end one first"
    )]
    TooMany(usize),
    /// The session exists, and is not theirs.
    #[error("this is a session of another principal, certificate or address")]
    Foreign(SessionId),
    #[error("an administrator ended the session of this credential")]
    Denied,
    #[error("there are {} credentials that were denied; issue or remove some of them", bound::DENIALS_MAX)]
    TooManyDenials,
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}
