//! Limits of plots: what a person can tell apart, and a page can carry.

/// Sets of figures in one plot: more colours nobody tells apart.
pub const SERIES_MAX: usize = 4;
/// Points of one set of figures: one for each pixel at the most.
pub const POINTS_MAX: usize = 720;
/// Steps of the axis of time; one label more than steps.
pub const TIME_TICKS: u64 = 5;
/// Steps of the axis of values.
pub const VALUE_TICKS_MAX: u64 = 5;
