//! Limits of what a supervisor is told.

/// The least time between two signs of life: a supervisor with less patience wants to try us, and gets a steady trickle.
pub const WATCHDOG_TICK_MS_MIN: u64 = 5;
