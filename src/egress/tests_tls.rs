//! Whose certificates are trusted, which versions and suites are spoken, and who we say we are.

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::route::ClientCertificate;
use super::tests::{Bench, asked, bench, get, route};
use super::tests_http::{GOOD, Site};
use super::*;
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::config::raw::TlsVersion;
use crate::crypto::tls::authority::{Authority, Issued, Validity};

const DAY_MS: u64 = 86_400_000;

/// rustls asks the system's clock, so certificates are of the real present.
#[allow(clippy::disallowed_methods, reason = "certificates are judged by the real clock")]
pub(super) fn today() -> Validity {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Validity { now: Timestamp(now.as_millis() as u64), days: 2 }
}

pub(super) fn authority() -> Authority {
    Authority::make(today()).unwrap().0
}

pub(super) fn server(authority: &Authority, name: &str, validity: Validity) -> Issued {
    authority.server(&[name.to_owned()], validity).unwrap()
}

pub(super) fn serving(issued: &Issued, tls12_only: bool, clients: Option<&Authority>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[_] =
        if tls12_only { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13, &rustls::version::TLS12] };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

/// To api.test, which is on this machine.
fn near(authority: &Authority) -> Route {
    let mut route = route(&["api.test"], &["127.0.0.0/8"]);
    route.ca = Some(authority.certificate().as_bytes().to_vec());
    route
}

fn here() -> Bench {
    bench(&[], &[], &[], &[&["127.0.0.1"]])
}

async fn ask(route: Route, port: u16) -> Result<exchange::Answer, EgressError> {
    asked(&here(), &get(&Arc::new(route), &format!("https://api.test:{port}/"))).await
}

#[tokio::test]
async fn a_connectors_own_authority_is_trusted_and_no_other_certificate_is_taken() {
    let authority = authority();
    let site = Site::start_with(&[GOOD], Some(serving(&server(&authority, "api.test", today()), false, None))).await;
    assert_eq!(ask(near(&authority), site.port).await.unwrap().status, 200);

    let (other, other_keys) = Authority::make(today()).unwrap();
    let long_ago = Validity { now: Timestamp(today().now.0 - 10 * DAY_MS), days: 2 };
    let not_yet = Validity { now: Timestamp(today().now.0 + 10 * DAY_MS), days: 2 };
    let client = authority.client("api.test", today()).unwrap();
    for (what, issued) in [
        ("expired", server(&authority, "api.test", long_ago)),
        ("not yet valid", server(&authority, "api.test", not_yet)),
        ("wrong name", server(&authority, "other.test", today())),
        ("below", server(&authority, "a.api.test", today())),
        ("an address", server(&authority, "127.0.0.1", today())),
        ("of an unknown authority", server(&other, "api.test", today())),
        ("self-signed", other_keys),
        ("a client's", client),
    ] {
        let site = Site::start_with(&[GOOD], Some(serving(&issued, false, None))).await;
        let error = ask(near(&authority), site.port).await.unwrap_err();
        assert!(matches!(error, EgressError::Tls { .. }) && !error.may_be_done(), "{what}: {error}");
        assert!(site.heard().is_empty(), "{what}");
    }
    // Without the route's authority it is the system's, or the configuration's, that counts.
    let mut strange = near(&authority);
    strange.ca = None;
    assert!(matches!(ask(strange, site.port).await, Err(EgressError::Tls { .. } | EgressError::Trust(_))));
    let mut broken = near(&authority);
    broken.ca = Some(b"nothing".to_vec());
    assert!(matches!(ask(broken, site.port).await, Err(EgressError::Trust(_))));
}

#[tokio::test]
async fn tls_1_2_is_spoken_unless_1_3_is_wanted() {
    let authority = authority();
    let issued = server(&authority, "api.test", today());
    let site = Site::start_with(&[GOOD], Some(serving(&issued, true, None))).await;
    assert_eq!(ask(near(&authority), site.port).await.unwrap().status, 200);
    let mut newest = near(&authority);
    newest.tls_min = TlsVersion::Tls13;
    assert!(matches!(ask(newest, site.port).await, Err(EgressError::Tls { .. })));
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_whoever_asks_for_it() {
    let authority = authority();
    let serving = serving(&server(&authority, "api.test", today()), false, Some(&authority));
    let site = Site::start_with(&[GOOD], Some(serving)).await;
    assert!(ask(near(&authority), site.port).await.is_err());
    let client = authority.client("sekisho", today()).unwrap();
    let mut known = near(&authority);
    let (chain, key) = (client.certificate.clone().into_bytes(), Secret::new(client.key.as_bytes()));
    known.client_certificate = Some(ClientCertificate { chain: chain.clone(), key });
    assert!(!format!("{:?} {known:?}", known.client_certificate).contains("PRIVATE"));
    assert_eq!(ask(known, site.port).await.unwrap().status, 200);
    let mut broken = near(&authority);
    broken.client_certificate = Some(ClientCertificate { chain, key: Secret::new("nothing") });
    let error = ask(broken, site.port).await.unwrap_err();
    assert!(matches!(error, EgressError::Trust(_)) && !error.to_string().contains("nothing"), "{error}");
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_not_followed() {
    let authority = authority();
    let plain = Site::start(&[GOOD]).await;
    let moved = format!("HTTP/1.1 302 Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", plain.url("/"));
    let issued = server(&authority, "api.test", today());
    let site = Site::start_with(&[&moved], Some(serving(&issued, false, None))).await;
    let mut route = near(&authority);
    route.hosts.extend(super::tests::patterns(&["127.0.0.1"]));
    route.cleartext_loopback = true;
    let error = ask(route, site.port).await.unwrap_err();
    assert!(error.to_string().contains("from https:// to http://"), "{error}");
    assert_eq!(plain.connections(), 0);
}

/// What a server says that chose this version and suite: a ServerHello without extensions.
fn hello(version: [u8; 2], suite: [u8; 2]) -> Vec<u8> {
    let body = [&version[..], &[7; 32], &[0], &suite, &[0]].concat();
    let message = [&[2, 0, 0, body.len() as u8][..], &body].concat();
    [&[22][..], &version, &[0, message.len() as u8], &message].concat()
}

#[tokio::test]
async fn old_versions_and_weak_suites_are_neither_offered_nor_taken() {
    let authority = authority();
    for (version, suite) in [
        ([3, 2], [0xc0, 0x13]),
        ([3, 1], [0x00, 0x2f]),
        ([3, 0], [0x00, 0x05]),
        ([3, 3], [0x00, 0x9c]),
        ([3, 3], [0xc0, 0x13]),
        ([3, 3], [0x00, 0x00]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 5];
            stream.read_exact(&mut head).await.unwrap();
            let mut client = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            stream.read_exact(&mut client).await.unwrap();
            stream.write_all(&hello(version, suite)).await.unwrap();
            client
        });
        let error = ask(near(&authority), port).await.unwrap_err();
        assert!(matches!(error, EgressError::Tls { .. }), "{version:?} {suite:?}: {error}");
        let client = serving.await.unwrap();
        // Handshake header, version, random, session id; then the suites (RFC 8446, section 4.1.2).
        let at = 4 + 2 + 32 + 1 + usize::from(client[38]);
        let length = usize::from(u16::from_be_bytes([client[at], client[at + 1]]));
        let offered: Vec<u16> =
            client[at + 2..at + 2 + length].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        // Those of TLS 1.3, ECDHE with AES-GCM or ChaCha20-Poly1305, and the sign for renegotiation, which is no suite.
        let good = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9, 0x00ff];
        assert!(!offered.is_empty() && offered.iter().all(|suite| good.contains(suite)), "{offered:04x?}");
    }
}
