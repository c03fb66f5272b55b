//! Words that every room shares: limits, time, ids, secrets, principals, refusals, severities.

pub mod bound;
pub mod budget;
pub mod classification;
pub mod clock;
pub mod id;
pub mod network;
pub mod principal;
pub mod process;
pub mod refusal;
pub mod secret;
pub mod severity;
