//! The authorization code grant with PKCE (RFC 7636, S256 only), state, and the issuer's word (RFC 9207).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded;
use zeroize::Zeroize as _;

use super::ask::with_query;
use super::setup::OAuth;
use crate::base::bound::oauth as bound;
use crate::base::id::NoEntropy;
use crate::base::secret::Secret;
use crate::crypto::digest::sha256;

/// A login that a browser was sent to.
#[derive(Debug)]
pub(super) struct Sent {
    /// 32 bytes from the operating system, in base64url: 43 characters (RFC 7636, section 4.1).
    pub(super) verifier: Secret,
    /// As many. Whoever comes back has it, or was never sent.
    pub(super) state: Secret,
    pub(super) redirect_uri: String,
}

/// Why what came back from the browser is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotACode {
    #[error("it is not the address that the authorization server sent the browser to")]
    Unreadable,
    #[error("it is not of this login: its state is another, or missing")]
    State,
    #[error("it came from another authorization server: its issuer is another, or missing")]
    Issuer,
    #[error("access was denied")]
    Denied,
    #[error("the authorization server does not accept the request of this client")]
    Refused,
}

fn random() -> Result<Secret, NoEntropy> {
    let bytes = Secret::random()?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.expose_secret())))
}

impl Sent {
    pub(super) fn new(redirect_uri: String) -> Result<Self, NoEntropy> {
        Ok(Self { verifier: random()?, state: random()?, redirect_uri })
    }

    /// What the browser is sent to: RFC 6749, section 4.1.1, and RFC 7636, section 4.3. There is nothing secret in it but
    /// the state, which the person's own browser has to know.
    pub(super) fn url(&self, setup: &OAuth, authorize: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(sha256(&[self.verifier.expose_secret()]));
        let state = String::from_utf8_lossy(self.state.expose_secret());
        let scope = setup.scopes.join(" ");
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", setup.client_id.as_str()),
            ("redirect_uri", &self.redirect_uri),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if !scope.is_empty() {
            fields.push(("scope", &scope));
        }
        with_query(authorize, &fields)
    }

    /// The code in what came back, which is the whole URL or its query.
    pub(super) fn code(&self, setup: &OAuth, back: &Secret) -> Result<Secret, NotACode> {
        let mut back = Back::read(back)?;
        // First the state: what is not of this login says nothing about it.
        let state = back.state.take().map(|state| Secret::new(state.into_bytes()));
        if state.as_ref() != Some(&self.state) {
            return Err(NotACode::State);
        }
        if !is_of_issuer(setup, back.issuer.as_deref()) {
            return Err(NotACode::Issuer);
        }
        match (back.code.take(), back.error.as_deref()) {
            (Some(code), None) => Ok(Secret::new(code.into_bytes())),
            (None, Some("access_denied")) => Err(NotACode::Denied),
            (None, Some(_)) => Err(NotACode::Refused),
            (Some(_), Some(_)) | (None, None) => Err(NotACode::Unreadable),
        }
    }
}

/// RFC 9207, section 2.4. Where nobody named an issuer, one that says who it is must at least be where the browser was
/// sent.
fn is_of_issuer(setup: &OAuth, said: Option<&str>) -> bool {
    let endpoints = &setup.endpoints;
    let origin = |url: &str| url::Url::parse(url).ok().map(|url| url.origin());
    match (&endpoints.issuer, said) {
        (Some(issuer), Some(said)) => issuer == said,
        (_, None) => !endpoints.promises_iss,
        (None, Some(said)) => {
            endpoints.authorize.as_deref().and_then(origin).is_some_and(|it| origin(said) == Some(it))
        }
    }
}

/// The fields of an answer, each once.
#[derive(Default)]
struct Back {
    code: Option<String>,
    state: Option<String>,
    issuer: Option<String>,
    error: Option<String>,
}

impl Back {
    fn read(text: &Secret) -> Result<Self, NotACode> {
        let text = std::str::from_utf8(text.expose_secret()).map_err(|_| NotACode::Unreadable)?.trim();
        if text.len() > bound::OAUTH_CALLBACK_BYTES_MAX {
            return Err(NotACode::Unreadable);
        }
        let query = text.split_once('?').map_or(text, |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let mut back = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let field = match &*name {
                "code" => &mut back.code,
                "state" => &mut back.state,
                "iss" => &mut back.issuer,
                "error" => &mut back.error,
                _ => continue,
            };
            if value.is_empty() || value.len() > bound::OAUTH_TOKEN_BYTES_MAX || field.is_some() {
                return Err(NotACode::Unreadable);
            }
            *field = Some(value.into_owned());
        }
        Ok(back)
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        for field in [&mut self.code, &mut self.state] {
            field.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::setup::{ClientAuth, Endpoints, Grant, Keep, Whose};
    use super::*;

    fn setup(issuer: Option<&str>, promises_iss: bool) -> OAuth {
        OAuth {
            grant: Grant::AuthorizationCode,
            client_id: "id".into(),
            client_auth: ClientAuth::Basic,
            scopes: vec!["a".into(), "b".into()],
            whose: Whose::Service,
            keep: Keep::Sealed,
            endpoints: Endpoints {
                issuer: issuer.map(str::to_owned),
                promises_iss,
                authorize: Some("https://login.example/authorize?tenant=1".into()),
                token: "https://login.example/token".into(),
                ..Endpoints::default()
            },
        }
    }

    fn sent() -> Sent {
        Sent { verifier: random().unwrap(), state: Secret::new("S"), redirect_uri: "http://127.0.0.1:1/back".into() }
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let sent = Sent { verifier, ..sent() };
        let url = sent.url(&setup(None, false), "https://login.example/authorize?tenant=1");
        assert!(url.contains("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"));
        assert!(url.starts_with("https://login.example/authorize?tenant=1&response_type=code&client_id=id&"), "{url}");
        assert!(url.ends_with("&scope=a+b") && url.contains("redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fback"));
        assert!(!url.contains("dBjft"), "the verifier stays here");
        let new = Sent::new(String::new()).unwrap();
        assert_eq!((new.verifier.expose_secret().len(), new.state.expose_secret().len()), (43, 43));
        assert_ne!(new.verifier, new.state);
    }

    #[test]
    fn a_code_is_taken_from_an_answer_to_this_login_by_its_own_server_only() {
        let (plain, known) = (setup(None, false), setup(Some("https://login.example"), false));
        let strict = setup(Some("https://login.example"), true);
        let check = |setup: &OAuth, back: &str, expected: Result<&str, NotACode>| {
            let found = sent().code(setup, &Secret::new(back));
            assert_eq!(found, expected.map(Secret::new), "{back}");
        };
        check(&plain, "http://127.0.0.1:1/back?code=C&state=S", Ok("C"));
        check(&plain, " code=C%2B1&state=S#frag\n", Ok("C+1"));
        check(&strict, "code=C&state=S&iss=https%3A%2F%2Flogin.example", Ok("C"));
        check(&known, "code=C&state=S", Ok("C"));
        check(&strict, "code=C&state=S", Err(NotACode::Issuer));
        for setup in [&known, &strict, &plain] {
            check(setup, "code=C&state=S&iss=https%3A%2F%2Fevil.example", Err(NotACode::Issuer));
        }
        check(&plain, "code=C&state=S&iss=https%3A%2F%2Flogin.example%2Ft", Ok("C"));
        for back in ["code=C", "code=C&state=T", "error=access_denied", "error=access_denied&state=", "", "?"] {
            let found = sent().code(&plain, &Secret::new(back)).unwrap_err();
            assert!(matches!(found, NotACode::State | NotACode::Unreadable), "{back}");
        }
        check(&plain, "error=access_denied&state=S", Err(NotACode::Denied));
        check(&plain, "error=invalid_scope&error_description=x&state=S", Err(NotACode::Refused));
        for back in ["code=C&code=D&state=S", "code=C&state=S&state=S", "code=C&error=x&state=S", "state=S"] {
            check(&plain, back, Err(NotACode::Unreadable));
        }
    }

    proptest! {
        #[test]
        fn no_answer_without_the_state_gives_a_code(back in "(code=[A-Z]{1,4}|state=[A-RT-Z]{0,3}|iss=x|&|\\?|%00){0,8}") {
            let found = sent().code(&setup(None, false), &Secret::new(back.as_str()));
            prop_assert!(found.is_err(), "{}", back);
        }
    }
}
