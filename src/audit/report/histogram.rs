//! Durations in buckets of growing width, for percentiles without keeping every value.

/// Each power of two is cut into this many buckets, so a bucket is at most an eighth as wide as its values.
const PARTS: u64 = 8;
const PARTS_BITS: u32 = PARTS.ilog2();

/// At most 496 buckets of 8 bytes; as many as the longest duration needs.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub fn add(&mut self, value: u64) {
        let index = index_of(value);
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
        }
        self.count += 1;
        self.max = self.max.max(value);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that this percentage of the values does not exceed (nearest rank): exact below 8, else at most an
    /// eighth too high, and never above the highest value. 0 where there is none.
    pub fn percentile(&self, percent: u8) -> u64 {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100).max(1);
        let mut seen = 0_u128;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return highest_in(index).min(self.max);
            }
        }
        self.max
    }
}

/// Below 8 each value has its bucket; above, the three bits after the highest one choose among eight.
fn index_of(value: u64) -> usize {
    let shift = value.checked_ilog2().unwrap_or(0).saturating_sub(PARTS_BITS);
    let index = u64::from(shift) * PARTS + (value >> shift);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The highest value of a bucket.
fn highest_in(index: usize) -> u64 {
    let index = index as u64;
    let shift = (index / PARTS).saturating_sub(1);
    let lowest = (index - shift * PARTS) << shift;
    lowest + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentiles_of_small_values_are_exact() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), 0);
        for value in [1, 2, 3, 4, 5, 6, 7, 7, 7, 7] {
            histogram.add(value);
        }
        assert_eq!([0, 10, 50, 51, 95, 100].map(|percent| histogram.percentile(percent)), [1, 1, 5, 6, 7, 7]);
    }

    #[test]
    fn the_longest_duration_has_a_bucket() {
        assert_eq!(index_of(u64::MAX), 495);
        assert_eq!(highest_in(495), u64::MAX);
        let mut histogram = Histogram::default();
        histogram.add(u64::MAX);
        assert_eq!(histogram.percentile(99), u64::MAX);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_values_and_is_an_eighth_wide(value: u64, shift in 0..64_u32) {
            let value = value >> shift;
            let highest = highest_in(index_of(value));
            prop_assert!(highest >= value);
            prop_assert!(highest - value <= value / 8);
            prop_assert_eq!(index_of(highest), index_of(value));
            if highest < u64::MAX {
                prop_assert_eq!(index_of(highest + 1), index_of(value) + 1);
            }
        }

        #[test]
        fn percentiles_are_near_those_of_the_sorted_values(
            mut values in proptest::collection::vec(0..1_000_000_u64, 1..300), percent in 1..=100_u8
        ) {
            let mut histogram = Histogram::default();
            for value in &values {
                histogram.add(*value);
            }
            values.sort_unstable();
            let exact = values[(values.len() * usize::from(percent)).div_ceil(100) - 1];
            let found = histogram.percentile(percent);
            prop_assert!(exact <= found && found <= exact + exact / 8, "{} {}", exact, found);
            prop_assert!(found <= histogram.max());
        }
    }
}
