//! Tests of the shapes of secrets: what is masked, and what documents keep.

use proptest::prelude::*;

use super::*;

fn check(input: &str, expect: &str) {
    assert_eq!(Masker::of_results(false).unwrap().masked(input), expect, "{input}");
}

/// A body that was drawn, of `count` letters and digits.
fn body(count: usize) -> String {
    "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz".chars().cycle().take(count).collect()
}

#[test]
fn tokens_and_private_keys_are_masked_and_nothing_else() {
    let token = format!("{TOKEN_PREFIX}{}", "a1".repeat(32));
    check("plain text", "plain text");
    check(&format!("Bearer {token}, {token}"), &format!("Bearer {MASK}, {MASK}"));
    check("sks_short is no token", "sks_short is no token");
    check("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b", &format!("a {MASK} b"));
    check("a -----BEGIN PRIVATE KEY-----\nMII", &format!("a {MASK}"));
    check("-----BEGIN CERTIFICATE-----\nMII PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----\nMII PRIVATE KEY-----");
}

#[test]
fn every_shape_is_found_in_a_sentence() {
    for (start, shape) in SHAPES {
        let (secret, expect) = match shape {
            Shape::Key(_, least) => (format!("{start}{}", body(least)), MASK.to_owned()),
            Shape::Exactly(Body::Upper, count) => (format!("{start}{}", body(count).to_uppercase()), MASK.to_owned()),
            Shape::Exactly(_, count) => (format!("{start}{}", body(count)), MASK.to_owned()),
            Shape::Value(_, least) => (format!("{start}{}", body(least)), format!("{start}{MASK}")),
            Shape::Own | Shape::Jwt | Shape::Pem | Shape::Authorization | Shape::Bearer => continue,
        };
        check(&format!("use {secret} here"), &format!("use {expect} here"));
        check(&format!("use desk{start}x here"), &format!("use desk{start}x here"));
    }
}

#[test]
fn a_json_web_token_has_three_parts() {
    let jwt = format!("eyJ{}.eyJ{}.{}", body(20), body(30), body(43));
    check(&format!("jwt={jwt}."), &format!("jwt={MASK}."));
    check("eyJhbGciOiJIUzI1NiJ9 and eyJ.eyJ.x", "eyJhbGciOiJIUzI1NiJ9 and eyJ.eyJ.x");
}

#[test]
fn an_authorization_that_is_real_goes_and_a_placeholder_stays() {
    let value = body(24);
    check(&format!("-H 'Authorization: Bearer {value}'"), &format!("-H 'Authorization: Bearer {MASK}'"));
    check(&format!("authorization: Basic {value}=="), &format!("authorization: Basic {MASK}"));
    check(&format!("\"Authorization\": \"Bearer {value}\""), &format!("\"Authorization\": \"Bearer {MASK}\""));
    for placeholder in [
        "Authorization: Bearer ${token}",
        "Authorization: `Bearer ${expoPushToken}`",
        "Authorization: Bearer YOUR_ACCESS_TOKEN",
        "'Authorization': 'Bearer <token>'",
        "The bearer token authorization, and an Authorization header.",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-ant-...",
        "EXPO_TOKEN=my_token",
        "<Pressable onPress={() => signOut()} accessibilityRole=\"button\">",
    ] {
        check(placeholder, placeholder);
    }
}

#[test]
fn secrets_of_the_call_are_gone_from_sixteen_bytes_up() {
    let masker = Masker::of_results(false).unwrap();
    let used = [Secret::new("correct horse battery"), Secret::new("short"), Secret::new(vec![0xff; 20])];
    assert_eq!(masker.masked_with("say correct horse battery, short", &used), format!("say {MASK}, short"));
}

#[test]
fn names_of_secret_fields_are_told_from_others() {
    for name in [
        "password",
        "user_password",
        "accessToken",
        "api_key",
        "apiKey",
        "APIKEY",
        "key",
        "keys",
        "ssn",
        "userSsn",
        "credit_card",
        "creditCard",
        "client_secret",
        "Authorization",
        "credentials",
        "x-api-key",
    ] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in ["className", "keyboard", "path", "message", "session", "monkeys", "library", "passage"] {
        assert!(!is_secret_name(name), "{name}");
    }
}

#[test]
fn persons_are_masked_only_where_it_is_asked_for() {
    check("ann@example.org", "ann@example.org");
    assert_eq!(Masker::of_results(true).unwrap().masked("ann@example.org"), MASK);
}

proptest! {
    #[test]
    fn masking_never_panics_and_twice_is_once(
        pieces in prop::collection::vec(("[ -~あ\u{e9}]{0,12}", 0..SHAPES.len(), "[a-zA-Z0-9_.=/-]{0,70}"), 0..6),
        personal: bool,
    ) {
        let text: String = pieces.iter().map(|(before, shape, after)| format!("{before}{}{after}", SHAPES[*shape].0)).collect();
        let masker = Masker::of_results(personal).unwrap();
        let once = masker.masked(&text).into_owned();
        prop_assert_eq!(masker.masked(&once).into_owned(), once.clone());
        prop_assert!(once.len() <= text.len() + MASK.len() * (1 + text.len() / 6));
    }

    #[test]
    fn any_text_is_taken(text: String) {
        let masker = Masker::of_logs().unwrap();
        masker.masked(&text);
        masker.masked_line(&text);
    }
}
