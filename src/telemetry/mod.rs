//! What the program says of itself: its log and its counters.

pub mod folder;
pub mod log;
pub mod metric;
pub mod read;
pub mod sealed;
pub mod security;
pub mod supervisor;
pub mod supply;
mod process;
mod rolling;
