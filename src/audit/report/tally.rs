//! Counts by name, in bounded memory: the algorithm of Misra and Gries ("Finding repeated elements", 1982).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::UNKNOWN;
use crate::audit::render::text::{cut, visible};
use crate::base::bound;

/// Exact while there are at most [`bound::REPORT_NAMES_MAX`] names. Beyond, each count may be too low by up to
/// [`Tally::error_max`], which is at most the total divided by that bound; so a name that stands out is always there,
/// however late it came and however many others somebody made up to hide it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<String, u64>,
    total: u64,
    error_max: u64,
}

/// A name as tables hold it: short, and harmless for terminals.
pub(super) fn name(text: &str) -> String {
    if text.is_empty() { UNKNOWN.to_owned() } else { visible(&cut(text, bound::AUDIT_NAME_CHARS_MAX)).into_owned() }
}

impl Tally {
    pub(super) fn add(&mut self, text: &str) {
        self.total += 1;
        let name = name(text);
        if let Some(count) = self.counts.get_mut(&name) {
            *count += 1;
        } else if self.counts.len() < bound::REPORT_NAMES_MAX {
            self.counts.insert(name, 1);
        } else {
            // One less for each of them, and for this one. It was paid for when they were counted.
            self.error_max += 1;
            self.counts.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }

    pub(super) fn error_max(&self) -> u64 {
        self.error_max
    }

    /// The names with the highest counts, at most `rows_max`; the same counts by name.
    pub(super) fn rows(&self, rows_max: usize) -> Vec<(&str, u64)> {
        let mut rows: Vec<_> = self.counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        rows.truncate(rows_max);
        rows
    }

    /// What is in none of these rows.
    pub(super) fn others(&self, rows_max: usize) -> u64 {
        self.total - self.rows(rows_max).iter().map(|(_, count)| count).sum::<u64>()
    }

    pub(super) fn to_json(&self, rows_max: usize) -> Value {
        let rows: Vec<Value> =
            self.rows(rows_max).into_iter().map(|(name, count)| json!({"name": name, "count": count})).collect();
        json!({"rows": rows, "others": self.others(rows_max), "error_max": self.error_max})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_names_are_counted_exactly() {
        let mut tally = Tally::default();
        for name in ["b", "a", "b", "c", "b", "a", ""] {
            tally.add(name);
        }
        assert_eq!(tally.rows(9), [("b", 3), ("a", 2), ("(unknown)", 1), ("c", 1)]);
        assert_eq!((tally.others(2), tally.error_max()), (2, 0));
    }

    #[test]
    fn a_name_that_stands_out_is_found_however_late_it_comes() {
        let mut tally = Tally::default();
        let noise = 20 * bound::REPORT_NAMES_MAX as u64;
        (0..noise).for_each(|number| tally.add(&format!("made up {number}")));
        (0..1000).for_each(|_| tally.add("late"));
        assert_eq!(tally.rows(1)[0].0, "late");
        assert_eq!(tally.others(0), noise + 1000);
    }

    #[test]
    fn names_are_short_and_harmless() {
        assert_eq!(name("a\u{1b}[2J\n"), "a␛[2J␊");
        assert_eq!(name(&"x".repeat(100_000)).chars().count(), bound::AUDIT_NAME_CHARS_MAX);
    }

    proptest! {
        // Each case has thousands of names, or the table would never be full.
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_count_is_too_low_by_no_more_than_is_said(
            names in proptest::collection::vec(prop_oneof![0..4_u16, 0..3000_u16], 0..6000)
        ) {
            let mut tally = Tally::default();
            let mut exact: BTreeMap<String, u64> = BTreeMap::new();
            for name in &names {
                tally.add(&name.to_string());
                *exact.entry(name.to_string()).or_default() += 1;
            }
            prop_assert!(tally.counts.len() <= bound::REPORT_NAMES_MAX);
            prop_assert!(tally.error_max() <= names.len() as u64 / bound::REPORT_NAMES_MAX as u64);
            for (name, count) in exact {
                let found = tally.counts.get(&name).copied().unwrap_or_default();
                prop_assert!(found <= count && count <= found + tally.error_max(), "{} {} {}", name, found, count);
            }
        }
    }
}
