//! How a call proves who asks: by the credential that an operator bound, added when all else of the request is made.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::form_urlencoded::byte_serialize;

use super::binding::{Binding, Scheme};
use super::oauth::desk::Desk;
use super::record::ConnectorRecord;
use super::style;
use super::upstream::Authority;
use crate::base::principal::Principal;
use crate::base::refusal::{Code, Refusal};
use crate::base::secret::Secret;
use crate::store::Store;
use crate::vault::VaultError;
use crate::vault::credential::{self, CredentialError, CredentialName};
use crate::vault::door::Door;

/// Who gives calls what proves who asks.
pub trait Authorise: Send + Sync {
    /// What the next request to `origin` carries. A refusal ends the call before anything is sent.
    fn authorise<'a>(
        &'a self,
        connector: &'a ConnectorRecord,
        principal: &'a Principal,
        origin: &'a str,
    ) -> BoxFuture<'a, Result<Authority, Refusal>>;

    /// The API answered 401 to a request with `refused`. Whether [`Authorise::authorise`] gives something else now, so
    /// that another attempt is worth it; it is asked once in a call.
    fn renew<'a>(
        &'a self,
        _connector: &'a ConnectorRecord,
        _principal: &'a Principal,
        _refused: &'a Authority,
    ) -> BoxFuture<'a, Result<bool, Refusal>> {
        Box::pin(async { Ok(false) })
    }
}

/// Credentials of the vault as they are bound, and tokens for those who log in.
pub struct Bound {
    pub store: Store,
    pub vault: Arc<Door>,
    pub desk: Desk,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bound")
    }
}

impl Authorise for Bound {
    fn authorise<'a>(
        &'a self,
        connector: &'a ConnectorRecord,
        principal: &'a Principal,
        origin: &'a str,
    ) -> BoxFuture<'a, Result<Authority, Refusal>> {
        Box::pin(async move {
            let Some(binding) = &connector.binding else { return Ok(Authority::default()) };
            if binding.origin != origin {
                return Err(Refusal::internal(format!(
                    "the credential of {} is bound to {}, and the request goes elsewhere",
                    connector.name, binding.origin
                )));
            }
            if binding.oauth().is_some() {
                let (access, requests) = self.desk.access(connector, principal).await?;
                return Ok(Authority { requests, ..bearer(connector, &access)? });
            }
            let value = self.value(connector, binding)?;
            shown(binding, &value).ok_or_else(|| {
                unusable(connector, binding, "it has bytes that cannot stand there, or is no name:password")
            })
        })
    }

    fn renew<'a>(
        &'a self,
        connector: &'a ConnectorRecord,
        principal: &'a Principal,
        refused: &'a Authority,
    ) -> BoxFuture<'a, Result<bool, Refusal>> {
        Box::pin(async move {
            let oauth = connector.binding.as_ref().and_then(Binding::oauth);
            match (oauth, refused.secrets.first()) {
                (Some(_), Some(access)) => self.desk.renew(connector, principal, access).await,
                // A credential of the vault is what it is.
                _ => Ok(false),
            }
        })
    }
}

impl Bound {
    fn value(&self, connector: &ConnectorRecord, binding: &Binding) -> Result<Secret, Refusal> {
        let sealed = |error: VaultError| {
            let public = format!(
                "The credential of {} is in the vault, which is sealed; an operator opens it with `sekisho vault unseal`.",
                connector.name
            );
            Refusal::new(Code::Unavailable, public).with_private(error)
        };
        let open = self.vault.opened().map_err(sealed)?;
        let name = CredentialName::parse(&binding.credential).map_err(|error| unusable(connector, binding, error))?;
        let read = self.store.read(|snapshot| credential::value(&open, snapshot, &name));
        read.map_err(|error: CredentialError| unusable(connector, binding, error))
    }
}

/// The agent learns that an operator has to look; which credential it is, the log learns.
fn unusable(connector: &ConnectorRecord, binding: &Binding, why: impl std::fmt::Display) -> Refusal {
    let public = format!(
        "The credential that is bound to {} cannot be used; an operator sets it again, or binds another with `sekisho connector bind`.",
        connector.name
    );
    Refusal::new(Code::Unavailable, public)
        .with_private(format!("the credential {} of {}: {why}", binding.credential, connector.name))
}

/// An access token in its place (RFC 6750, section 2.1), and first among the secrets of the request.
fn bearer(connector: &ConnectorRecord, access: &Secret) -> Result<Authority, Refusal> {
    let mut authority = Authority {
        secrets: vec![access.clone()],
        note: Some(format!("access token of {}", connector.name)),
        ..Authority::default()
    };
    set(&mut authority.headers, header::AUTHORIZATION, b"Bearer ", access.expose_secret())
        .ok_or_else(|| Refusal::internal("an access token cannot stand in a header"))?;
    Ok(authority)
}

/// The credential in its place; `None` where its bytes cannot stand there.
fn shown(binding: &Binding, value: &Secret) -> Option<Authority> {
    let mut authority = Authority {
        headers: HeaderMap::new(),
        query: Vec::new(),
        secrets: vec![value.clone()],
        note: Some(format!("credential {}", binding.credential)),
        requests: 0,
    };
    // A secret from a file or an editor ends with a newline often enough.
    let bytes = value.expose_secret().trim_ascii_end();
    if bytes.is_empty() {
        return None;
    }
    authority.secrets.push(Secret::new(bytes));
    match &binding.scheme {
        Scheme::Basic => {
            let colon = bytes.iter().position(|byte| *byte == b':')?;
            let encoded = Secret::new(STANDARD.encode(bytes));
            authority.secrets.push(Secret::new(&bytes[colon + 1..]));
            set(&mut authority.headers, header::AUTHORIZATION, b"Basic ", encoded.expose_secret())?;
            authority.secrets.push(encoded);
        }
        Scheme::Bearer => set(&mut authority.headers, header::AUTHORIZATION, b"Bearer ", bytes)?,
        Scheme::Header(name) => {
            set(&mut authority.headers, HeaderName::from_bytes(name.as_bytes()).ok()?, b"", bytes)?;
        }
        Scheme::Query(name) => {
            let text = std::str::from_utf8(bytes).ok()?;
            // As it goes over the wire, and as an API may write it in what it answers.
            authority.secrets.push(Secret::new(byte_serialize(bytes).collect::<String>()));
            authority.secrets.push(Secret::new(style::encode(text)));
            authority.query.push((name.clone(), Secret::new(bytes)));
        }
        // Its tokens come from the desk.
        Scheme::OAuth(_) => return None,
    }
    Some(authority)
}

fn set(headers: &mut HeaderMap, name: HeaderName, before: &[u8], value: &[u8]) -> Option<()> {
    let whole = Secret::new([before, value].concat());
    if !value.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return None;
    }
    let mut value = HeaderValue::from_bytes(whole.expose_secret()).ok()?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(scheme: Scheme, value: &str) -> Option<Authority> {
        let origin = "https://api.example.com".into();
        shown(&Binding { credential: "key".into(), scheme, origin }, &Secret::new(value))
    }

    #[test]
    fn each_way_puts_the_credential_in_its_place_and_nothing_else_shows_it() {
        let basic = authority(Scheme::Basic, "ann:hunter2\n").unwrap();
        assert_eq!(basic.headers["authorization"], "Basic YW5uOmh1bnRlcjI=");
        assert!(basic.secrets.contains(&Secret::new("hunter2")));
        assert!(basic.secrets.contains(&Secret::new("YW5uOmh1bnRlcjI=")));
        assert!(!format!("{basic:?} {:?}", basic.headers).contains("YW5"));
        assert_eq!(authority(Scheme::Bearer, "abc").unwrap().headers["authorization"], "Bearer abc");
        assert_eq!(authority(Scheme::Header("x-api-key".into()), "abc").unwrap().headers["x-api-key"], "abc");
        let query = authority(Scheme::Query("key".into()), "a b&c").unwrap();
        assert_eq!(query.query, [("key".to_owned(), Secret::new("a b&c"))]);
        assert!(query.headers.is_empty() && query.secrets.contains(&Secret::new("a%20b%26c")));
        assert!(query.secrets.contains(&Secret::new("a+b%26c")), "as it goes over the wire");
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_no_credential() {
        for (scheme, value) in [
            (Scheme::Bearer, "a\r\nHost: evil"),
            (Scheme::Bearer, "é"),
            (Scheme::Bearer, " \n"),
            (Scheme::Basic, "no colon"),
            (Scheme::Header("x-api-key".into()), "a\0b"),
        ] {
            assert!(authority(scheme, value).is_none(), "{value:?}");
        }
    }
}
