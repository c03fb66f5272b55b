//! Media types as documents write them.

use crate::base::bound::connector as bound;

/// `application/json`, whatever ends in `+json`, and "anything".
pub(super) fn is_json(media: &str) -> bool {
    let essence = essence(media);
    essence == "application/json" || essence == "*/*" || (essence.ends_with("+json") && is_media_type(&essence))
}

/// A media type without its parameters, in lower case.
pub(super) fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// `type/subtype` of tokens (RFC 9110, section 8.3.1).
pub(super) fn is_media_type(essence: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    essence.len() <= bound::OPENAPI_NAME_BYTES_MAX
        && essence.split_once('/').is_some_and(|(one, two)| token(one) && token(two))
}
