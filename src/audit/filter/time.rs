//! Times as people type them: RFC 3339, a date, or a span before now.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};

use crate::audit::render::text::excerpt;
use crate::base::bound;
use crate::base::clock::Timestamp;

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error(
        "expected a time such as 2026-09-21T14:00:00Z, a date such as 2026-09-21 (midnight UTC), or a span before now \
         such as 30m, 2h or 7d; found {0:?}"
    )]
    Form(String),
    #[error("{0:?} is before 1970 or beyond the year 9999, when no entry was written")]
    Range(String),
}

/// A moment: an RFC 3339 time, the midnight (UTC) that begins a date, or a span before `now` in the units y, mo, w, d, h,
/// m and s (jiff's "friendly" format or ISO 8601). A day is 24 hours. Other than milliseconds is cut off.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, TimeError> {
    let text = text.trim();
    if text.len() > bound::TIME_TEXT_CHARS_MAX {
        return Err(TimeError::Form(excerpt(text)));
    }
    let instant = absolute(text).map_or_else(|| before(text, now), Ok)?;
    u64::try_from(instant.as_millisecond()).map(Timestamp).map_err(|_| TimeError::Range(excerpt(text)))
}

/// `strptime` and not `parse` for dates: that takes a time as a date, too, and would forget its hours.
fn absolute(text: &str) -> Option<Instant> {
    let midnight = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(|| Date::strptime("%Y-%m-%d", text).ok().and_then(midnight))
}

/// "2h", "-2h" and "2h ago" are all two hours before now: nothing was written after it.
fn before(text: &str, now: Timestamp) -> Result<Instant, TimeError> {
    let span: Span = text.parse().map_err(|_| TimeError::Form(excerpt(text)))?;
    let range = |_| TimeError::Range(excerpt(text));
    let now = i64::try_from(now.0).map_err(|_| TimeError::Range(excerpt(text)))?;
    let now = Instant::from_millisecond(now).map_err(range)?.to_zoned(TimeZone::UTC);
    Ok(now.checked_sub(span.abs()).map_err(range)?.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-09-21T14:13:20.123Z.
    const NOW: Timestamp = Timestamp(1_790_000_000_123);

    fn check(text: &str, expected: &str) {
        assert_eq!(parse_time(text, NOW).map(Timestamp::rfc3339), Ok(expected.to_owned()), "{text}");
    }

    #[test]
    fn times_are_taken_as_they_are() {
        check("2026-09-20T10:00:00Z", "2026-09-20T10:00:00.000Z");
        check("2026-09-20T10:00:00.123456Z", "2026-09-20T10:00:00.123Z");
        check("2026-09-20T10:00:00+09:00", "2026-09-20T01:00:00.000Z");
        check(" 2026-09-20T10:00:00Z ", "2026-09-20T10:00:00.000Z");
    }

    #[test]
    fn a_date_begins_at_midnight_utc() {
        check("2026-09-20", "2026-09-20T00:00:00.000Z");
        check("1970-01-01", "1970-01-01T00:00:00.000Z");
        check("2028-02-29", "2028-02-29T00:00:00.000Z");
    }

    #[test]
    fn a_span_counts_back_from_now() {
        check("0s", "2026-09-21T14:13:20.123Z");
        check("90s", "2026-09-21T14:11:50.123Z");
        check("30m", "2026-09-21T13:43:20.123Z");
        check("2h", "2026-09-21T12:13:20.123Z");
        check("1h 30m", "2026-09-21T12:43:20.123Z");
        check("7d", "2026-09-14T14:13:20.123Z");
        check("2w", "2026-09-07T14:13:20.123Z");
        check("1mo", "2026-08-21T14:13:20.123Z");
        check("P1DT2H", "2026-09-20T12:13:20.123Z");
        for text in ["-2h", "2h ago"] {
            check(text, "2026-09-21T12:13:20.123Z");
        }
    }

    #[test]
    fn what_is_no_time_says_what_is() {
        for text in ["", "yesterday", "7", "2026-13-01", "2027-02-29", "2026-09-20T10:00", "2026-09-20 10:00", "12:00"]
        {
            let error = parse_time(text, NOW).unwrap_err();
            assert_eq!(error, TimeError::Form(text.to_owned()));
            let message = error.to_string();
            for accepted in ["2026-09-21T14:00:00Z", "2026-09-21 (midnight UTC)", "2h", "7d"] {
                assert!(message.contains(accepted), "{message}");
            }
        }
    }

    #[test]
    fn a_time_before_all_logs_is_refused() {
        for text in ["1969-12-31", "1969-12-31T23:59:59Z", "100y", "9000y"] {
            assert_eq!(parse_time(text, NOW), Err(TimeError::Range(text.to_owned())), "{text}");
        }
        assert!(matches!(parse_time("2h", Timestamp(u64::MAX)), Err(TimeError::Range(_))));
    }

    proptest! {
        #[test]
        fn hostile_text_is_an_error_and_never_a_panic(text: String, now: u64) {
            let _any = parse_time(&text, Timestamp(now));
        }

        #[test]
        fn what_almost_is_a_span_never_panics(text in "-?(P?[0-9]{1,20}(y|mo|w|d|h|m|s|ms|us|ns|Y|M|D)?[ ,]?){1,4}( ago)?") {
            let _any = parse_time(&text, NOW);
        }

        #[test]
        fn every_moment_that_is_printed_is_read(millisecond in 0..253_000_000_000_000_u64) {
            let moment = Timestamp(millisecond);
            prop_assert_eq!(parse_time(&moment.rfc3339(), NOW), Ok(moment));
        }
    }
}
