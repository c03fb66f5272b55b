//! What an authorization server is asked: a form (RFC 6749, appendix B) that is wiped after it was sent.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use url::form_urlencoded::{Serializer, byte_serialize};

use super::setup::{ClientAuth, OAuth};
use crate::base::bound::oauth as bound;
use crate::base::refusal::Refusal;
use crate::base::secret::Secret;
use crate::connector::upstream::{Authority, Outgoing};

/// The fields of a form; their values may be secrets.
#[derive(Default)]
pub(super) struct Form<'a>(Vec<(&'static str, &'a [u8])>);

/// A body that is wiped when the last one who sends it is done.
struct Wiped(Secret);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl<'a> Form<'a> {
    pub(super) fn with(mut self, name: &'static str, value: &'a [u8]) -> Self {
        self.0.push((name, value));
        self
    }

    /// The request to `url`, by which the client also says who it is: with its secret, or else by its name alone.
    pub(super) fn outgoing(
        mut self,
        url: &str,
        setup: &'a OAuth,
        secret: Option<&'a Secret>,
    ) -> Result<Outgoing, Refusal> {
        let mut authority = Authority::default();
        match (secret, setup.client_auth) {
            (Some(secret), ClientAuth::Basic) => {
                let header = basic(&setup.client_id, secret)?;
                authority.headers.insert(header::AUTHORIZATION, header);
            }
            (Some(secret), ClientAuth::Post) => {
                self = self.with("client_id", setup.client_id.as_bytes()).with("client_secret", secret.expose_secret());
            }
            (None, _) => self = self.with("client_id", setup.client_id.as_bytes()),
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        Ok(Outgoing {
            method: Method::POST,
            url: url.to_owned(),
            headers,
            authority,
            body: Bytes::from_owner(Wiped(self.encoded())),
            time: Duration::from_millis(bound::OAUTH_REQUEST_MS),
            answer_bytes_max: bound::OAUTH_ANSWER_BYTES_MAX,
            // Whoever is redirected would show a secret to somebody else.
            redirects_max: 0,
            sent: Arc::default(),
        })
    }

    /// In one buffer that never moves.
    fn encoded(&self) -> Secret {
        let most = self.0.iter().map(|(name, value)| 2 + name.len() + 3 * value.len()).sum();
        let mut text = String::with_capacity(most);
        for (name, value) in &self.0 {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            text.extend(byte_serialize(value));
        }
        Secret::new(text.into_bytes())
    }
}

/// RFC 6749, section 2.3.1: both are encoded as in a form first.
fn basic(client_id: &str, secret: &Secret) -> Result<HeaderValue, Refusal> {
    let mut pair = Vec::with_capacity(3 * (client_id.len() + secret.expose_secret().len()) + 1);
    for part in byte_serialize(client_id.as_bytes()).chain([":"]).chain(byte_serialize(secret.expose_secret())) {
        pair.extend_from_slice(part.as_bytes());
    }
    let pair = Secret::new(pair);
    let encoded = Secret::new(STANDARD.encode(pair.expose_secret()));
    let whole = Secret::new([b"Basic ", encoded.expose_secret()].concat());
    let mut value = HeaderValue::from_bytes(whole.expose_secret()).map_err(Refusal::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The request for a document that anybody may read.
pub(super) fn get(url: &str) -> Outgoing {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    Outgoing {
        method: Method::GET,
        url: url.to_owned(),
        headers,
        authority: Authority::default(),
        body: Bytes::new(),
        time: Duration::from_millis(bound::OAUTH_REQUEST_MS),
        answer_bytes_max: bound::OAUTH_ANSWER_BYTES_MAX,
        redirects_max: 0,
        sent: Arc::default(),
    }
}

/// Puts fields behind the query of a URL that may have one.
pub(super) fn with_query(url: &str, fields: &[(&str, &str)]) -> String {
    let mut text = url.to_owned();
    text.push(if url.contains('?') { '&' } else { '?' });
    let start = text.len();
    let mut query = Serializer::for_suffix(text, start);
    query.extend_pairs(fields);
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::super::setup::{Endpoints, Grant, Keep, Whose};
    use super::*;

    fn setup(client_auth: ClientAuth) -> OAuth {
        OAuth {
            grant: Grant::Password,
            client_id: "a client".into(),
            client_auth,
            scopes: Vec::new(),
            whose: Whose::Service,
            keep: Keep::Sealed,
            endpoints: Endpoints::default(),
        }
    }

    #[test]
    fn a_form_is_encoded_and_says_who_the_client_is() {
        let secret = Secret::new("p:w%");
        let (by_header, by_body) = (setup(ClientAuth::Basic), setup(ClientAuth::Post));
        let form = || Form::default().with("grant_type", b"password").with("password", "ä&=+ ".as_bytes());
        let sent = form().outgoing("https://a/token", &by_header, Some(&secret)).unwrap();
        assert_eq!(&sent.body[..], b"grant_type=password&password=%C3%A4%26%3D%2B+");
        let expected = format!("Basic {}", STANDARD.encode("a+client:p%3Aw%25"));
        assert_eq!(sent.authority.headers["authorization"], expected.as_str());
        assert!(!format!("{sent:?}").contains("p:w"));
        let sent = form().outgoing("https://a/token", &by_body, Some(&secret)).unwrap();
        assert!(
            sent.authority.headers.is_empty() && sent.body.ends_with(b"&client_id=a+client&client_secret=p%3Aw%25")
        );
        let sent = form().outgoing("https://a/token", &by_header, None).unwrap();
        assert!(sent.authority.headers.is_empty() && sent.body.ends_with(b"&client_id=a+client"));
        assert_eq!(sent.redirects_max, 0);
    }

    #[test]
    fn a_query_comes_behind_the_one_that_is_there() {
        assert_eq!(with_query("https://a/b", &[("c", "d e"), ("f", "&")]), "https://a/b?c=d+e&f=%26");
        assert_eq!(with_query("https://a/b?x=1", &[("c", "d")]), "https://a/b?x=1&c=d");
    }
}
