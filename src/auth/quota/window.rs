//! Two ways to count: calls within any span of time, and how closely they follow each other.

use std::time::Duration;

/// Parts of a window, and one more: a window that ends in the middle of a part begins in the middle of another.
pub(super) const PARTS: usize = 61;

/// Counts calls, so that no span of its length ever holds more than a bound. A log of single calls would be exact to
/// the call and grow with the bound; parts need 250 bytes whatever it is, and err on the strict side only.
#[derive(Clone, Debug)]
pub(super) struct Window {
    part_ns: u64,
    /// The number of the newest part since 1970; it stands at its remainder by [`PARTS`].
    newest: u64,
    counts: [u32; PARTS],
    sum: u64,
}

impl Window {
    /// A window of `length`; its parts are sixtieths.
    pub(super) fn new(length: Duration) -> Self {
        Self { part_ns: (nanoseconds(length) / (PARTS as u64 - 1)).max(1), newest: 0, counts: [0; PARTS], sum: 0 }
    }

    /// Until one more fits below `most`; `None` if it does now.
    pub(super) fn wait(&mut self, now: Duration, most: u32) -> Option<Duration> {
        self.advance(now);
        let mut sum = self.sum;
        if sum < u64::from(most) {
            return None;
        }
        let parts = PARTS as u64;
        let oldest = self.newest.saturating_sub(parts - 1);
        for part in oldest..=self.newest {
            sum -= u64::from(self.counts[place(part)]);
            if sum < u64::from(most) {
                let free_ns = (part + parts).saturating_mul(self.part_ns);
                return Some(Duration::from_nanos(free_ns.saturating_sub(nanoseconds(now))));
            }
        }
        // Only with a bound of none, which no setting allows.
        Some(Duration::from_nanos(parts.saturating_mul(self.part_ns)))
    }

    pub(super) fn take(&mut self, now: Duration) {
        self.advance(now);
        let count = &mut self.counts[place(self.newest)];
        *count = count.saturating_add(1);
        self.sum += 1;
    }

    pub(super) fn is_empty(&mut self, now: Duration) -> bool {
        self.advance(now);
        self.sum == 0
    }

    /// Parts that count something, with their numbers.
    pub(super) fn parts(&self) -> Vec<(u64, u32)> {
        let oldest = self.newest.saturating_sub(PARTS as u64 - 1);
        let parts = (oldest..=self.newest).map(|part| (part, self.counts[place(part)]));
        parts.filter(|(_, count)| *count > 0).collect()
    }

    /// The window that had these parts, as far as they still count. Parts from the future are of a clock that was
    /// wrong, and count for nothing.
    pub(super) fn of_parts(length: Duration, parts: &[(u64, u32)], now: Duration) -> Self {
        let mut window = Self::new(length);
        window.advance(now);
        let oldest = window.newest.saturating_sub(PARTS as u64 - 1);
        for (part, count) in parts {
            if (oldest..=window.newest).contains(part) {
                let place = &mut window.counts[place(*part)];
                window.sum -= u64::from(*place);
                *place = *count;
                window.sum += u64::from(*count);
            }
        }
        window
    }

    fn advance(&mut self, now: Duration) {
        let part = nanoseconds(now) / self.part_ns;
        if part <= self.newest {
            return;
        }
        if part - self.newest >= PARTS as u64 {
            self.counts = [0; PARTS];
            self.sum = 0;
        } else {
            for gone in self.newest + 1..=part {
                self.sum -= u64::from(std::mem::take(&mut self.counts[place(gone)]));
            }
        }
        self.newest = part;
    }
}

/// Calls at once, and then one after the other: the generic cell rate algorithm (ITU-T I.371, annex A).
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    every_ns: u64,
    tolerance_ns: u64,
}

impl Pace {
    pub(super) fn new(per_minute: u32, burst: u32) -> Self {
        let every_ns = 60_000_000_000 / u64::from(per_minute.max(1));
        Self { every_ns, tolerance_ns: every_ns.saturating_mul(u64::from(burst.max(1)) - 1) }
    }

    /// One may come in each of these.
    pub(super) fn every(self) -> Duration {
        Duration::from_nanos(self.every_ns)
    }

    /// Until one more may come, where the next one was due at `next`.
    pub(super) fn wait(self, next: Duration, now: Duration) -> Option<Duration> {
        let early = next.saturating_sub(Duration::from_nanos(self.tolerance_ns));
        (early > now).then(|| early.saturating_sub(now))
    }

    /// When the one after one at `now` is due.
    pub(super) fn after(self, next: Duration, now: Duration) -> Duration {
        next.max(now) + Duration::from_nanos(self.every_ns)
    }
}

fn place(part: u64) -> usize {
    // A remainder by 61 fits.
    usize::try_from(part % PARTS as u64).unwrap_or(0)
}

/// The year 2554 is the last that fits.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    proptest! {
        /// The bound itself: among the calls that were let through, no span of a minute holds more than the bound.
        #[test]
        fn no_minute_ever_holds_more_than_the_bound(
            most in 1_u32..40,
            start_ms in 0_u64..10_000_000_000_000,
            gaps_ms in prop::collection::vec(prop_oneof![Just(0_u64), 0_u64..50, 0_u64..5_000, 0_u64..90_000], 1..600),
        ) {
            let mut window = Window::new(MINUTE);
            let mut now = Duration::from_millis(start_ms);
            let mut taken: Vec<Duration> = Vec::new();
            for gap in gaps_ms {
                now += Duration::from_millis(gap);
                if window.wait(now, most).is_none() {
                    window.take(now);
                    taken.push(now);
                }
            }
            for (index, last) in taken.iter().enumerate() {
                let within = taken[..=index].iter().filter(|call| last.saturating_sub(**call) < MINUTE).count();
                prop_assert!(within <= most as usize, "{within} within a minute, of {most}");
            }
        }

        /// It is not stricter than it says: whoever waits as long as told gets through, within a sixtieth of the window.
        #[test]
        fn whoever_waits_as_told_gets_through(most in 1_u32..40, gaps_ms in prop::collection::vec(0_u64..3_000, 1..300)) {
            let mut window = Window::new(MINUTE);
            let mut now = Duration::from_secs(1_790_000_000);
            for gap in gaps_ms {
                now += Duration::from_millis(gap);
                if let Some(wait) = window.wait(now, most) {
                    prop_assert!(wait <= MINUTE + Duration::from_secs(1));
                    now += wait;
                }
                prop_assert_eq!(window.wait(now, most), None);
                window.take(now);
            }
        }

        #[test]
        fn parts_go_both_ways(gaps_ms in prop::collection::vec(0_u64..5_000, 1..200), most in 1_u32..50) {
            let mut window = Window::new(MINUTE);
            let mut now = Duration::from_secs(1_790_000_000);
            for gap in gaps_ms {
                now += Duration::from_millis(gap);
                window.take(now);
            }
            let mut again = Window::of_parts(MINUTE, &window.parts(), now);
            prop_assert_eq!(again.wait(now, most), window.wait(now, most));
            prop_assert!(Window::of_parts(MINUTE, &window.parts(), now + 2 * MINUTE).is_empty(now + 2 * MINUTE));
        }
    }

    #[test]
    fn counts_from_the_future_are_of_a_wrong_clock() {
        let mut window = Window::new(MINUTE);
        window.take(Duration::from_secs(9_000));
        assert!(Window::of_parts(MINUTE, &window.parts(), Duration::from_secs(100)).is_empty(Duration::from_secs(100)));
    }

    #[test]
    fn a_burst_is_followed_by_an_even_pace() {
        let pace = Pace::new(60, 3);
        let (mut next, mut now) = (Duration::ZERO, Duration::from_secs(10));
        for _ in 0..3 {
            assert_eq!(pace.wait(next, now), None);
            next = pace.after(next, now);
        }
        assert_eq!(pace.wait(next, now), Some(Duration::from_secs(1)));
        now += Duration::from_secs(1);
        assert_eq!(pace.wait(next, now), None);
        next = pace.after(next, now);
        assert!(pace.wait(next, now).is_some());
    }
}
