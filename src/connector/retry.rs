//! When a call is tried again, and after which wait.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use super::upstream::{Answered, Unsent};
use crate::base::bound::connector as bound;
use crate::base::clock::Timestamp;
use crate::base::id::random_bytes;
use crate::openapi::Method;

/// Whether the API says that it cannot answer now. 429 is its good right and no failure.
pub(super) fn is_outage(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// How long to wait before another attempt; `None` where there is to be none: the method is not idempotent, the answer
/// will not change, it is the last attempt, or the wait would outlast the call.
pub(super) fn wait(
    method: Method,
    sent: &Result<Answered, Unsent>,
    attempt: u32,
    left: Duration,
    now: Timestamp,
) -> Option<Duration> {
    if !method.is_idempotent() || attempt >= bound::CALL_ATTEMPTS_MAX {
        return None;
    }
    let asked = match sent {
        Ok(answered) if answered.status == StatusCode::TOO_MANY_REQUESTS => retry_after(&answered.headers, now),
        // 500 is a fault that comes again; the others pass.
        Ok(answered) if is_outage(answered.status) && answered.status != StatusCode::INTERNAL_SERVER_ERROR => {
            retry_after(&answered.headers, now)
        }
        Err(Unsent::Unreached(_) | Unsent::Interrupted(_)) => None,
        Ok(_) | Err(Unsent::Refused(_) | Unsent::Redirected(_) | Unsent::TooLarge(_)) => return None,
    };
    let wait = asked.unwrap_or_else(|| backoff(attempt));
    (wait + Duration::from_millis(bound::CALL_RETRY_LEFT_MS_MIN) < left).then_some(wait)
}

/// Doubles, and is spread: clients that failed together do not come back together.
fn backoff(attempt: u32) -> Duration {
    let whole = bound::CALL_RETRY_MS << attempt.saturating_sub(1).min(8);
    let random = u64::from_le_bytes(random_bytes::<8>().unwrap_or_default());
    Duration::from_millis(whole / 2 + random % (whole / 2 + 1))
}

/// RFC 9110, section 10.2.3: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = if let Ok(seconds) = text.parse::<u64>() {
        seconds
    } else {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
        u64::try_from(at).ok()?.saturating_sub(now.0 / 1000)
    };
    Some(Duration::from_secs(seconds.min(bound::RETRY_AFTER_SECONDS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Duration = Duration::from_secs(10);

    fn answered(status: u16, after: Option<&str>) -> Result<Answered, Unsent> {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(header::RETRY_AFTER, after.parse().unwrap());
        }
        Ok(Answered { status: StatusCode::from_u16(status).unwrap(), headers, body: Vec::new() })
    }

    fn waits(method: Method, sent: &Result<Answered, Unsent>, attempt: u32) -> Option<Duration> {
        wait(method, sent, attempt, LEFT, Timestamp(784_111_777_000))
    }

    #[test]
    fn only_idempotent_calls_are_tried_again_and_only_for_what_passes() {
        let broken = Err(Unsent::Interrupted("broken".into()));
        for method in [Method::Get, Method::Head, Method::Put, Method::Delete] {
            assert!(waits(method, &answered(503, None), 1).is_some() && waits(method, &broken, 2).is_some());
            assert!(waits(method, &broken, bound::CALL_ATTEMPTS_MAX).is_none());
        }
        for method in [Method::Post, Method::Patch] {
            assert!(waits(method, &answered(503, None), 1).is_none() && waits(method, &broken, 1).is_none());
            assert!(waits(method, &answered(429, Some("1")), 1).is_none());
        }
        for sent in [answered(200, None), answered(404, None), answered(500, None), Err(Unsent::TooLarge(1))] {
            assert!(waits(Method::Get, &sent, 1).is_none());
        }
    }

    #[test]
    fn the_other_machines_wish_is_followed_within_the_time_of_the_call() {
        assert_eq!(waits(Method::Get, &answered(429, Some("3")), 1), Some(Duration::from_secs(3)));
        assert_eq!(waits(Method::Get, &answered(429, Some("60")), 1), None);
        let date = answered(503, Some("Sun, 06 Nov 1994 08:49:39 GMT"));
        assert_eq!(waits(Method::Get, &date, 1), Some(Duration::from_secs(2)));
        let nonsense = waits(Method::Get, &answered(429, Some("soon")), 2).unwrap();
        assert!((200..=400).contains(&nonsense.as_millis()), "{nonsense:?}");
    }
}
