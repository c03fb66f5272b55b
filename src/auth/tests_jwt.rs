//! What a JWT must be: the right algorithm, key and signature, and claims for us and of now.

use jsonwebtoken::jwk::JwkSet;
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::config::raw::Raw;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn secret() -> Secret {
    Secret::new("0123456789abcdef0123456789abcdef")
}

fn key() -> DecodingKey {
    DecodingKey::from_secret(secret().expose_secret())
}

fn settings() -> Auth {
    Config::of(Raw::default()).unwrap().auth
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with a good signature of the secret.
fn token(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(secret().expose_secret());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn good() -> Value {
    json!({"iss": "sekisho", "aud": "sekisho", "sub": "ann", "jti": "1", "exp": NOW.0 / 1000 + 60})
}

fn verified(token: &str) -> Result<Claims, Why> {
    let claims = Shown::parse(token)?.verified(&key())?;
    claims.check(&settings(), NOW, false)?;
    Ok(claims)
}

#[test]
fn a_signed_token_is_read_back() {
    let scopes = ["library:manual".to_owned(), "library:a".to_owned()];
    let expires = NOW.plus(std::time::Duration::from_secs(60));
    let role = Role::Operator;
    let new = New { kid: "k", id: "1", subject: "ann", role, scopes: &scopes, issued: NOW, expires };
    let token = sign(&new, &settings(), &secret()).unwrap().join(".");
    assert_eq!(Shown::parse(&token).unwrap().kid.as_deref(), Some("k"));
    let claims = verified(&token).unwrap();
    assert_eq!((claims.subject.as_str(), claims.id.as_deref()), ("ann", Some("1")));
    assert_eq!((&claims.body["role"], &claims.body["scope"]), (&json!("operator"), &json!("library:manual library:a")));
}

#[test]
fn a_header_of_another_kind_is_refused_before_its_signature_is_looked_at() {
    let check = |header: Value, expect: &str| {
        let error = verified(&token(&header, &good())).unwrap_err();
        assert!(error.contains(expect), "{header}: {error}");
    };
    for algorithm in ["none", "None", "HS384", "RS512", "ES384", "", "hs256"] {
        check(json!({"alg": algorithm}), "algorithm is none of");
    }
    check(json!({"typ": "JWT"}), "algorithm is none of");
    check(json!({"alg": ["HS256"]}), "algorithm is none of");
    check(json!({"alg": "HS256", "crit": ["b64"], "b64": false}), "critical");
    check(json!({"alg": "HS256", "kid": 3}), "kid");
    check(json!(["HS256"]), "no JSON object");
    let long = json!({"alg": "HS256", "pad": "x".repeat(bound::JWT_BYTES_MAX)});
    check(long, "too long");
}

#[test]
fn a_key_of_another_kind_checks_nothing() {
    let set: JwkSet = serde_json::from_value(json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    ]}))
    .unwrap();
    let public = DecodingKey::from_jwk(&set.keys[0]).unwrap();
    let hmac = token(&json!({"alg": "HS256", "kid": "a"}), &good());
    assert!(Shown::parse(&hmac).unwrap().verified(&public).unwrap_err().contains("not that of its key"));
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let claimed = token(&json!({"alg": algorithm, "kid": "a"}), &good());
        assert!(Shown::parse(&claimed).unwrap().verified(&key()).is_err(), "{algorithm}");
    }
}

#[test]
fn a_changed_token_does_not_hold() {
    let token = token(&json!({"alg": "HS256"}), &good());
    assert!(verified(&token).is_ok());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut other = good();
    other["role"] = "admin".into();
    let header = message.split_once('.').unwrap().0;
    for changed in [
        format!("{message}."),
        format!("{message}.{}", &signature[1..]),
        format!("{header}.{}.{signature}", part(&other)),
        format!("{}.{}.{signature}", part(&json!({"alg": "HS256", "kid": "x"})), part(&good())),
    ] {
        assert!(verified(&changed).unwrap_err().contains("signature"), "{changed}");
    }
}

#[test]
fn claims_are_for_us_and_of_now() {
    let seconds = NOW.0 / 1000;
    let check = |name: &str, value: Value, expect: Option<&str>| {
        let mut claims = good();
        if value == "absent" {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
        let found = verified(&token(&json!({"alg": "HS256"}), &claims)).map(drop);
        match expect {
            None => assert_eq!(found, Ok(()), "{name} {value}"),
            Some(expect) => assert!(found.unwrap_err().contains(expect), "{name} {value} {found:?}"),
        }
    };
    check("exp", json!("absent"), Some("no exp"));
    check("exp", json!("soon"), Some("exp is no time"));
    check("exp", json!(-1), Some("exp is no time"));
    check("exp", json!(1e300), Some("exp is no time"));
    check("exp", json!(seconds - 31), Some("expired"));
    check("exp", json!(seconds - 29), None);
    check("exp", json!(1_800_000_000.5), None);
    check("nbf", json!(seconds + 31), Some("not valid yet"));
    check("nbf", json!(seconds + 29), None);
    check("iss", json!("other"), Some("iss"));
    check("iss", json!("absent"), Some("iss"));
    check("iss", json!(["sekisho"]), Some("iss"));
    check("aud", json!("other"), Some("aud"));
    check("aud", json!("absent"), Some("aud"));
    check("aud", json!([]), Some("aud"));
    check("aud", json!(["other", "sekisho"]), None);
    check("aud", json!(3), Some("aud"));
    check("sub", json!("absent"), Some("sub"));
    check("sub", json!("a\nb"), Some("sub"));
    check("role", json!("root"), None);
    check("jti", json!(""), Some("jti"));
    check("scope", json!("openid profile"), None);
}

#[test]
fn a_shared_secret_of_before_may_leave_issuer_and_audience_out_but_not_name_others() {
    let lenient = |claims: &Value| {
        let token = token(&json!({"alg": "HS256"}), claims);
        Shown::parse(&token).unwrap().verified(&key()).unwrap().check(&settings(), NOW, true)
    };
    assert_eq!(lenient(&json!({"sub": "ann", "exp": NOW.0 / 1000 + 60})), Ok(()));
    assert!(lenient(&json!({"sub": "ann"})).is_err());
    assert!(lenient(&json!({"sub": "ann", "iss": "other", "exp": NOW.0 / 1000 + 60})).is_err());
    assert!(lenient(&json!({"sub": "ann", "aud": "other", "exp": NOW.0 / 1000 + 60})).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-zA-Z0-9_.=-]{0,200}", bytes: Vec<u8>) {
        let _any = Shown::parse(&text).and_then(|shown| shown.verified(&key()));
        let _any = of_header(&Secret::new(bytes));
        let _any = Claims::read(&URL_SAFE_NO_PAD.encode(text));
    }
}
