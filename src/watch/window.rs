//! Counting in a sliding window, and a bounded table that forgets whom it has not seen for longest.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use crate::base::bound;
use crate::base::clock::Timestamp;

const SLICES: usize = bound::WATCH_WINDOW_SLICES;

/// How many events came within the last `span`, counted in slices of it. What is partly out of the window no longer
/// counts: the count is never more than what came within `span`, and never less than what came within
/// all slices but one.
#[derive(Clone, Debug)]
pub struct Window {
    slice_ms: u64,
    counts: [u64; SLICES],
    /// Number of the newest slice, since 1970.
    newest: u64,
}

impl Window {
    pub fn new(span: Duration) -> Self {
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self { slice_ms: (span_ms / SLICES as u64).max(1), counts: [0; SLICES], newest: 0 }
    }

    /// Counts `weight` events at `now`; gives how many there are in the window. A clock that went back counts into the
    /// newest slice.
    pub fn add(&mut self, weight: u64, now: Timestamp) -> u64 {
        self.slide(now);
        if let Some(count) = self.counts.get_mut(place(self.newest)) {
            *count = count.saturating_add(weight);
        }
        self.total()
    }

    /// How many there are in the window that ends at `now`.
    pub fn count(&mut self, now: Timestamp) -> u64 {
        self.slide(now);
        self.total()
    }

    /// Begins anew: what was counted was acted on.
    pub fn clear(&mut self) {
        self.counts = [0; SLICES];
    }

    fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn slide(&mut self, now: Timestamp) {
        let slice = now.0 / self.slice_ms;
        let passed = slice.saturating_sub(self.newest);
        for step in 1..=passed.min(SLICES as u64) {
            if let Some(count) = self.counts.get_mut(place(self.newest.wrapping_add(step))) {
                *count = 0;
            }
        }
        if passed >= SLICES as u64 {
            self.clear();
        }
        self.newest = self.newest.max(slice);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the remainder is under SLICES")]
fn place(slice: u64) -> usize {
    (slice % SLICES as u64) as usize
}

/// A map of at most `entries_max` entries. A new one takes the place of the one that was seen longest ago.
#[derive(Debug)]
pub struct Recent<K, V> {
    entries: HashMap<K, (u64, V)>,
    /// By when they were last seen, in steps of our own.
    order: BTreeMap<u64, K>,
    step: u64,
    entries_max: usize,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub fn new(entries_max: usize) -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), step: 0, entries_max: entries_max.max(1) }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of `key`, seen now; made if it is not there.
    pub fn see(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        self.step += 1;
        if let Some((seen, _)) = self.entries.get(key) {
            self.order.remove(seen);
        } else if self.entries.len() >= self.entries_max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.order.insert(self.step, key.clone());
        let (seen, value) = self.entries.entry(key.clone()).or_insert_with(|| (0, make()));
        *seen = self.step;
        value
    }

    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (seen, value) = self.entries.remove(key)?;
        self.order.remove(&seen);
        Some(value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_older_than_the_window_no_longer_counts() {
        let mut window = Window::new(Duration::from_secs(60));
        assert_eq!(window.add(3, Timestamp(0)), 3);
        assert_eq!(window.add(1, Timestamp(30_000)), 4);
        assert_eq!(window.count(Timestamp(61_000)), 1);
        assert_eq!(window.count(Timestamp(10_000_000)), 0);
    }

    #[test]
    fn a_clock_that_went_back_loses_nothing() {
        let mut window = Window::new(Duration::from_secs(60));
        window.add(1, Timestamp(60_000));
        assert_eq!(window.add(1, Timestamp(10)), 2);
    }

    #[test]
    fn whoever_was_seen_longest_ago_makes_room() {
        let mut recent = Recent::new(2);
        *recent.see(&"ann", || 0) += 1;
        *recent.see(&"bob", || 0) += 1;
        *recent.see(&"ann", || 0) += 1;
        *recent.see(&"eve", || 0) += 1;
        assert_eq!((recent.len(), recent.get("ann"), recent.get("bob")), (2, Some(&2), None));
        assert_eq!(recent.remove("ann"), Some(2));
        assert_eq!(recent.len(), 1);
    }

    proptest! {
        #[test]
        fn counts_never_exceed_what_came_and_windows_slide(
            span_s in 1_u64..4000,
            steps in proptest::collection::vec((0_u64..300_000, 0_u64..50), 1..200),
        ) {
            let span_ms = span_s * 1000;
            let mut window = Window::new(Duration::from_secs(span_s));
            let mut came: Vec<(u64, u64)> = Vec::new();
            let mut now = 1_790_000_000_000;
            for (step, weight) in steps {
                now += step;
                came.push((now, weight));
                let count = window.add(weight, Timestamp(now));
                let within = |span: u64| -> u64 {
                    came.iter().filter(|(at, _)| now - at < span).map(|(_, weight)| weight).sum()
                };
                let slice = span_ms / SLICES as u64;
                prop_assert!(count <= within(span_ms), "{} of {}", count, within(span_ms));
                prop_assert!(count >= within((SLICES as u64 - 1) * slice), "{} of {}", count, within(span_ms));
            }
        }

        #[test]
        fn a_table_never_has_more_than_it_may(keys in proptest::collection::vec(0_u8..40, 0..300), most in 1_usize..20) {
            let mut recent = Recent::new(most);
            for key in keys {
                recent.see(&key, || ());
                prop_assert!(recent.len() <= most && recent.order.len() == recent.len());
                prop_assert!(recent.get(&key).is_some());
            }
        }
    }
}
