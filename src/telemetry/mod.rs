//! What the program says of itself: its log and its counters.

pub mod log;
pub mod metric;
mod process;
