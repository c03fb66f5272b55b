//! What a secret looks like, wherever it turns up: used by the log and by `redact`.

use std::borrow::Cow;

/// What stands in place of a secret.
pub const MASK: &str = "***MASKED***";

/// Prefix of Sekisho's own bearer tokens, so that they are found wherever they leak.
pub const TOKEN_PREFIX: &str = "sks_";

/// Digits and letters after [`TOKEN_PREFIX`].
pub const TOKEN_BODY_CHARS: usize = 64;

/// Parts of field names whose values are never shown.
const SECRET_NAMES: [&str; 6] = ["password", "token", "secret", "credential", "authorization", "private_key"];

pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// `text` without Sekisho's tokens and PEM private keys.
pub fn masked(text: &str) -> Cow<'_, str> {
    if !text.contains(TOKEN_PREFIX) && !text.contains("PRIVATE KEY-----") {
        return Cow::Borrowed(text);
    }
    Cow::Owned(without_private_keys(&without_tokens(text)))
}

fn without_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(TOKEN_PREFIX) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let body = &from[TOKEN_PREFIX.len()..];
        let length = body.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if length >= TOKEN_BODY_CHARS {
            out.push_str(MASK);
        } else {
            out.push_str(&from[..TOKEN_PREFIX.len() + length]);
        }
        rest = &body[length..];
    }
    out.push_str(rest);
    out
}

fn without_private_keys(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "PRIVATE KEY-----";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        // The label ends on the line it begins; the key ends at its END line, or never.
        let label = from[BEGIN.len()..].lines().next().unwrap_or_default();
        if label.contains(END) {
            out.push_str(MASK);
            let body = &from[BEGIN.len() + label.len()..];
            rest = body.find(END).map_or("", |end| &body[end + END.len()..]);
        } else {
            out.push_str(BEGIN);
            rest = &from[BEGIN.len()..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_private_keys_are_masked_and_nothing_else() {
        let token = format!("{TOKEN_PREFIX}{}", "a1".repeat(32));
        let check = |input: &str, expect: &str| assert_eq!(masked(input), expect, "{input}");
        check("plain text", "plain text");
        check(&format!("Bearer {token}, {token}"), &format!("Bearer {MASK}, {MASK}"));
        check("sks_short is no token", "sks_short is no token");
        check("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b", &format!("a {MASK} b"));
        check("a -----BEGIN PRIVATE KEY-----\nMII", &format!("a {MASK}"));
        check("-----BEGIN CERTIFICATE-----\nMII PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----\nMII PRIVATE KEY-----");
    }
}
