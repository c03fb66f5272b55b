//! What an authorization server answers: tokens, a refusal, or nothing that can be used. Its own words go nowhere: they
//! may repeat what it was sent.

use std::time::Duration;

use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use crate::base::bound::oauth as bound;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::connector::retry;
use crate::connector::upstream::{Answered, Unsent};

/// RFC 6749, section 5.1.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) access: Secret,
    pub(super) life: Option<Duration>,
    pub(super) refresh: Option<Secret>,
    pub(super) scope: Option<String>,
}

/// RFC 8628, section 3.2.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) code: Secret,
    pub(super) user_code: String,
    pub(super) uri: String,
    pub(super) uri_complete: Option<String>,
    pub(super) life: Duration,
    pub(super) interval: Duration,
}

/// Why there are none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotGranted {
    /// What was shown is good no more: another attempt with it is in vain.
    #[error("the authorization server refused: {0}")]
    Refused(&'static str),
    /// It does not know us, or what we are: an operator looks.
    #[error("the authorization server does not accept this client: {0}")]
    Client(&'static str),
    /// A device's person has not answered yet; the second time the server wants more time between questions.
    #[error("the person has not logged in yet")]
    Pending { slower: bool },
    /// Nothing of it left this machine, or nothing came of it; it may be asked again.
    #[error("{reason}")]
    Unavailable {
        reason: String,
        /// How long it wants to be left alone.
        after: Option<Duration>,
    },
    /// What came is no answer of an authorization server.
    #[error("the authorization server's answer cannot be used: {0}")]
    Unusable(&'static str),
}

impl NotGranted {
    /// Where nobody said how long that will last.
    pub(super) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), after: None }
    }
}

impl From<Unsent> for NotGranted {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Redirected(_) => Self::Unusable("it is a redirect"),
            Unsent::TooLarge(_) => Self::Unusable("it is too large"),
            Unsent::Refused(reason) | Unsent::Unreached(reason) | Unsent::Interrupted(reason) => {
                Self::unavailable(reason)
            }
        }
    }
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Value>,
    refresh_token: Option<String>,
    scope: Option<String>,
}

#[derive(Deserialize)]
struct DeviceCodes {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: Option<Value>,
    interval: Option<Value>,
}

/// The answer of a token endpoint.
pub(super) fn granted(answered: Answered, now: Timestamp) -> Result<Granted, NotGranted> {
    let body = success(answered, now)?;
    let mut tokens: Tokens =
        serde_json::from_slice(&body).map_err(|_| NotGranted::Unusable("it has no access token"))?;
    let access = secret(std::mem::take(&mut tokens.access_token));
    let refresh = tokens.refresh_token.take().filter(|it| !it.is_empty()).map(secret);
    // Section 7.1: a token of a type that is not understood must not be used.
    if !tokens.token_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(NotGranted::Unusable("its token is not of the type Bearer"));
    }
    if !is_token(&access) || refresh.as_ref().is_some_and(|refresh| !is_token(refresh)) {
        return Err(NotGranted::Unusable("its token is empty, too long, or has characters that no token has"));
    }
    let scope = tokens.scope.filter(|scope| scope.len() <= bound::OAUTH_SCOPES_MAX * bound::OAUTH_SCOPE_BYTES_MAX);
    let life = tokens.expires_in.as_ref().and_then(seconds);
    let life = life.map(|life| Duration::from_secs(life.min(bound::OAUTH_LIFE_SECONDS_MAX)));
    Ok(Granted { access, life, refresh, scope })
}

/// The answer of a device authorization endpoint.
pub(super) fn device(answered: Answered, now: Timestamp) -> Result<Device, NotGranted> {
    let body = success(answered, now)?;
    let mut codes: DeviceCodes =
        serde_json::from_slice(&body).map_err(|_| NotGranted::Unusable("it has no codes for a device"))?;
    let code = secret(std::mem::take(&mut codes.device_code));
    let is_shown = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
    };
    let uris = [Some(&codes.verification_uri), codes.verification_uri_complete.as_ref()];
    let good = uris.into_iter().flatten().all(|uri| is_shown(uri, bound::OAUTH_URL_BYTES_MAX));
    if !is_token(&code) || !is_shown(&codes.user_code, bound::OAUTH_SCOPE_BYTES_MAX) || !good {
        return Err(NotGranted::Unusable("its codes cannot be shown"));
    }
    let life = codes.expires_in.as_ref().and_then(seconds).unwrap_or(bound::OAUTH_LOGIN_SECONDS);
    let interval = codes.interval.as_ref().and_then(seconds).unwrap_or(bound::OAUTH_POLL_SECONDS);
    Ok(Device {
        code,
        user_code: codes.user_code,
        uri: codes.verification_uri,
        uri_complete: codes.verification_uri_complete,
        life: Duration::from_secs(life.min(bound::OAUTH_LOGIN_SECONDS)),
        interval: Duration::from_secs(interval.min(bound::OAUTH_POLL_SECONDS_MAX)),
    })
}

/// The body of a 200, which is JSON; it is wiped with what it becomes.
fn success(mut answered: Answered, now: Timestamp) -> Result<Zeroizing<Vec<u8>>, NotGranted> {
    let body = Zeroizing::new(std::mem::take(&mut answered.body));
    if answered.status == StatusCode::OK {
        let kind = answered.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = essence == "application/json";
        return if is_json { Ok(body) } else { Err(NotGranted::Unusable("it is no JSON")) };
    }
    Err(refused(answered.status, &body, retry::retry_after(&answered.headers, now)))
}

/// RFC 6749, section 5.2; RFC 8628, section 3.5.
fn refused(status: StatusCode, body: &[u8], after: Option<Duration>) -> NotGranted {
    let mut told: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = told["error"].as_str().unwrap_or_default();
    let answer = match code {
        "authorization_pending" => NotGranted::Pending { slower: false },
        "slow_down" => NotGranted::Pending { slower: true },
        "invalid_client" => NotGranted::Client("invalid_client"),
        "unauthorized_client" => NotGranted::Client("unauthorized_client"),
        "unsupported_grant_type" => NotGranted::Client("unsupported_grant_type"),
        "invalid_request" => NotGranted::Client("invalid_request"),
        "invalid_scope" => NotGranted::Client("invalid_scope"),
        "invalid_grant" => NotGranted::Refused("invalid_grant"),
        "access_denied" => NotGranted::Refused("access_denied"),
        "expired_token" => NotGranted::Refused("expired_token"),
        _ => match status.as_u16() {
            400 | 401 => NotGranted::Refused("a refusal without a reason"),
            status => {
                let after = after.map(|after| after.min(Duration::from_secs(bound::OAUTH_RETRY_SECONDS_MAX)));
                NotGranted::Unavailable { reason: format!("the authorization server answered {status}"), after }
            }
        },
    };
    wipe(&mut told);
    answer
}

/// What a foreign JSON held may be a secret.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The same buffer, so that nothing is left behind.
fn secret(text: String) -> Secret {
    Secret::new(text.into_bytes())
}

/// RFC 6749, appendix A.12: what can stand behind `Bearer `.
fn is_token(secret: &Secret) -> bool {
    let bytes = secret.expose_secret();
    !bytes.is_empty()
        && bytes.len() <= bound::OAUTH_TOKEN_BYTES_MAX
        && bytes.iter().all(|byte| (0x21..0x7f).contains(byte))
}

/// Some servers write the number as a text.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).or_else(|| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
        value.as_f64().filter(|it| (0.0..1e12).contains(it)).map(|it| it as u64)
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn answered(status: u16, kind: &'static str, body: &str) -> Answered {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let status = StatusCode::from_u16(status).unwrap();
        Answered { status, headers, body: body.as_bytes().to_vec() }
    }

    fn json(status: u16, body: &str) -> Answered {
        answered(status, "application/json;charset=UTF-8", body)
    }

    fn granted(answered: Answered) -> Result<Granted, NotGranted> {
        super::granted(answered, Timestamp(0))
    }

    fn device(answered: Answered) -> Result<Device, NotGranted> {
        super::device(answered, Timestamp(0))
    }

    #[test]
    fn how_long_a_server_wants_to_be_left_alone_is_believed_within_bounds() {
        let check = |status, header: &str, expect: Option<u64>| {
            let mut answered = json(status, "");
            answered.headers.insert(header::RETRY_AFTER, header.parse().unwrap());
            let NotGranted::Unavailable { after, .. } = granted(answered).unwrap_err() else { panic!("{status}") };
            assert_eq!(after.map(|after| after.as_secs()), expect, "{header}");
        };
        check(503, "40", Some(40));
        check(429, "7", Some(7));
        check(503, "Thu, 01 Jan 1970 00:01:00 GMT", Some(60));
        check(503, "999999", Some(bound::OAUTH_RETRY_SECONDS_MAX));
        check(503, "soon", None);
    }

    #[test]
    fn tokens_are_taken_as_they_may_be_used() {
        let tokens = granted(json(
            200,
            r#"{"access_token":"abc","token_type":"bearer","expires_in":"3600","refresh_token":"def","scope":"a b"}"#,
        ))
        .unwrap();
        assert_eq!(tokens.access, Secret::new("abc"));
        assert_eq!(tokens.refresh, Some(Secret::new("def")));
        assert_eq!((tokens.life, tokens.scope.as_deref()), (Some(Duration::from_secs(3600)), Some("a b")));
        let least = granted(json(200, r#"{"access_token":"abc","token_type":"Bearer"}"#)).unwrap();
        assert!(least.life.is_none() && least.refresh.is_none());
        let long = granted(json(200, r#"{"access_token":"a","token_type":"Bearer","expires_in":1e11}"#)).unwrap();
        assert_eq!(long.life, Some(Duration::from_secs(bound::OAUTH_LIFE_SECONDS_MAX)));
    }

    #[test]
    fn what_is_no_token_for_us_is_none() {
        for (status, kind, body) in [
            (200, "application/json", r#"{"access_token":"abc","token_type":"DPoP"}"#),
            (200, "application/json", r#"{"access_token":"abc"}"#),
            (200, "application/json", r#"{"access_token":"","token_type":"Bearer"}"#),
            (200, "application/json", r#"{"access_token":"a b","token_type":"Bearer"}"#),
            (200, "application/json", r#"{"access_token":"a\r\nHost: x","token_type":"Bearer"}"#),
            (200, "application/json", r#"{"token_type":"Bearer"}"#),
            (200, "application/json", "<html>"),
            (200, "text/html", r#"{"access_token":"abc","token_type":"Bearer"}"#),
        ] {
            let found = granted(answered(status, kind, body)).unwrap_err();
            assert!(matches!(found, NotGranted::Unusable(_)), "{body}: {found}");
        }
    }

    #[test]
    fn refusals_are_told_apart_and_never_quoted() {
        let refusal = |status, body: &str| granted(json(status, body)).unwrap_err();
        let told = r#"{"error":"invalid_grant","error_description":"the token canary-1 was used"}"#;
        assert_eq!(refusal(400, told), NotGranted::Refused("invalid_grant"));
        assert_eq!(refusal(401, r#"{"error":"invalid_client"}"#), NotGranted::Client("invalid_client"));
        assert_eq!(refusal(400, r#"{"error":"authorization_pending"}"#), NotGranted::Pending { slower: false });
        assert_eq!(refusal(400, r#"{"error":"slow_down"}"#), NotGranted::Pending { slower: true });
        assert!(matches!(refusal(401, r#"{"code":"canary-2"}"#), NotGranted::Refused(_)));
        for status in [302, 403, 404, 429, 500, 503] {
            assert!(matches!(refusal(status, "canary-3"), NotGranted::Unavailable { .. }), "{status}");
        }
        for error in [refusal(400, told), refusal(500, "canary-3"), refusal(400, "canary-4")] {
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_codes_of_a_device_are_shown_within_bounds() {
        let shown = device(json(
            200,
            r#"{"device_code":"secret","user_code":"AB-CD","verification_uri":"https://a/d","expires_in":1800,"interval":1}"#,
        ))
        .unwrap();
        assert_eq!((shown.user_code.as_str(), shown.interval), ("AB-CD", Duration::from_secs(1)));
        assert_eq!(shown.life, Duration::from_secs(bound::OAUTH_LOGIN_SECONDS));
        let escape = r#"{"device_code":"s","user_code":"\u001b[2J","verification_uri":"https://a/d"}"#;
        device(json(200, escape)).unwrap_err();
    }
}
