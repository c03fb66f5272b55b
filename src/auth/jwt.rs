//! JWTs (RFC 7519): the header chooses one key of one algorithm, the signature is checked, then every claim.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use serde_json::{Map, Value, json};

use super::token;
use crate::base::bound;
use crate::base::clock::Timestamp;
use crate::base::principal::Role;
use crate::base::secret::Secret;
use crate::config::Auth;

/// Why a token is refused; for the audit entry only.
pub(super) type Why = &'static str;

/// A token whose header was read, and nothing else believed yet.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    /// What is signed: header and claims as they were sent.
    message: &'a str,
    claims: &'a str,
    signature: &'a str,
}

/// The token in an `Authorization: Bearer ...` header, if it has the form of a JWT: three parts with dots between.
pub(super) fn of_header(header: &Secret) -> Option<&str> {
    let token = token::bearer(header)?;
    (token.bytes().filter(|byte| *byte == b'.').count() == 2).then_some(token)
}

impl<'a> Shown<'a> {
    /// Reads the header. Algorithms that are not in the list are refused here, `none` among them (RFC 8725, 3.1).
    pub(super) fn parse(token: &'a str) -> Result<Self, Why> {
        if token.len() > bound::JWT_BYTES_MAX {
            return Err("the JWT is too long");
        }
        let (message, signature) = token.rsplit_once('.').ok_or("no JWT")?;
        let (header, claims) = message.split_once('.').ok_or("no JWT")?;
        let header = object(header).ok_or("the JWT's header is no JSON object in base64url")?;
        if header.get("crit").is_some() {
            // RFC 7515, section 4.1.11: what must be understood and is not, is refused.
            return Err("the JWT's header has critical extensions");
        }
        let algorithm = match header.get("alg").and_then(Value::as_str) {
            Some("HS256") => Algorithm::HS256,
            Some("RS256") => Algorithm::RS256,
            Some("ES256") => Algorithm::ES256,
            Some("EdDSA") => Algorithm::EdDSA,
            _ => return Err("the JWT's algorithm is none of HS256, RS256, ES256, EdDSA"),
        };
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= bound::SCOPE_BYTES_MAX => Some(kid.clone()),
            Some(_) => return Err("the JWT's kid is no text, or too long"),
        };
        Ok(Self { algorithm, kid, message, claims, signature })
    }

    /// Checks the signature under `key`, and gives the claims. The key's kind is checked against the algorithm first:
    /// a public key is never a secret (RFC 8725, section 2.1).
    pub(super) fn verified(&self, key: &DecodingKey) -> Result<Claims, Why> {
        if key.family() != self.algorithm.family() {
            return Err("the JWT's algorithm is not that of its key");
        }
        match crypto::verify(self.signature, self.message.as_bytes(), key, self.algorithm) {
            Ok(true) => Claims::read(self.claims),
            _ => Err("the JWT's signature does not hold"),
        }
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// What a token with a good signature says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) id: Option<String>,
    /// All of them, for what only some issuers say.
    pub(super) body: Map<String, Value>,
    issuer: Option<String>,
    audiences: Vec<String>,
    pub(super) expires: Option<Timestamp>,
    not_before: Option<Timestamp>,
}

impl Claims {
    fn read(part: &str) -> Result<Self, Why> {
        let claims = object(part).ok_or("the JWT's claims are no JSON object in base64url")?;
        let text = |name: &str, why: Why| match claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(why),
        };
        // NumericDate: seconds, with or without a fraction (RFC 7519, section 2).
        let time = |name: &str, why: Why| match claims.get(name) {
            None => Ok::<_, Why>(None),
            Some(value) => {
                let seconds = value.as_f64().filter(|seconds| (0.0..1e12).contains(seconds)).ok_or(why)?;
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
                let millisecond = (seconds * 1000.0) as u64;
                Ok(Some(Timestamp(millisecond)))
            }
        };
        let subject = text("sub", "the JWT's sub is no text")?.unwrap_or_default();
        if subject.is_empty() || subject.len() > bound::SCOPE_BYTES_MAX || subject.chars().any(char::is_control) {
            return Err("the JWT's sub is missing, or no name");
        }
        let id = text("jti", "the JWT's jti is no text")?;
        if id.as_ref().is_some_and(|id| id.is_empty() || id.len() > bound::SCOPE_BYTES_MAX) {
            return Err("the JWT's jti is empty or too long");
        }
        let audiences = match claims.get("aud") {
            None => Vec::new(),
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(some)) => some.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) => return Err("the JWT's aud is neither a text nor a list"),
        };
        Ok(Self {
            subject,
            id,
            issuer: text("iss", "the JWT's iss is no text")?,
            audiences,
            expires: time("exp", "the JWT's exp is no time")?,
            not_before: time("nbf", "the JWT's nbf is no time")?,
            body: claims,
        })
    }

    /// Whether the token is for us and of now. `lenient`: issuer and audience may be left out, as they were by
    /// systems that made their tokens with a shared secret; a wrong one is refused all the same.
    pub(super) fn check(&self, auth: &Auth, now: Timestamp, lenient: bool) -> Result<(), Why> {
        let leeway = auth.jwt_leeway;
        match self.expires {
            None => return Err("the JWT has no exp"),
            Some(expires) if now >= expires.plus(leeway) => return Err("the JWT has expired"),
            Some(_) => {}
        }
        if self.not_before.is_some_and(|from| from > now.plus(leeway)) {
            return Err("the JWT is not valid yet");
        }
        match &self.issuer {
            Some(issuer) if *issuer == auth.jwt_issuer => {}
            None if lenient => {}
            _ => return Err("the JWT's iss is not auth.jwt_issuer"),
        }
        if self.audiences.contains(&auth.jwt_audience) || (lenient && self.audiences.is_empty()) {
            Ok(())
        } else {
            Err("the JWT's aud is not auth.jwt_audience")
        }
    }
}

/// What a new token is to say.
#[derive(Debug)]
pub(super) struct New<'a> {
    pub(super) kid: &'a str,
    pub(super) id: &'a str,
    pub(super) subject: &'a str,
    pub(super) role: Role,
    pub(super) scopes: &'a [String],
    pub(super) issued: Timestamp,
    pub(super) expires: Timestamp,
}

/// Signs a token with HS256; gives its three parts.
pub(super) fn sign(new: &New<'_>, auth: &Auth, secret: &Secret) -> Result<[String; 3], jsonwebtoken::errors::Error> {
    let header = json!({"typ": "JWT", "alg": "HS256", "kid": new.kid});
    let mut claims = json!({
        "iss": auth.jwt_issuer,
        "aud": auth.jwt_audience,
        "sub": new.subject,
        "jti": new.id,
        "role": new.role.as_str(),
        "iat": new.issued.0 / 1000,
        "exp": new.expires.0 / 1000,
    });
    if !new.scopes.is_empty() {
        claims["scope"] = new.scopes.join(" ").into();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (header, claims) = (part(&header), part(&claims));
    let key = EncodingKey::from_secret(secret.expose_secret());
    let signature = crypto::sign(format!("{header}.{claims}").as_bytes(), &key, Algorithm::HS256)?;
    Ok([header, claims, signature])
}

#[cfg(test)]
#[path = "tests_jwt.rs"]
mod tests;
