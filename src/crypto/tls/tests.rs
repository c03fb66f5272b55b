//! Handshakes in memory: which suites are spoken, which clients are let in, which files are refused.

use std::fs;
use std::io::{Read as _, Write as _};

use rustls::{CipherSuite, ClientConfig, ClientConnection, ProtocolVersion, ServerConnection, SupportedCipherSuite};
use tempfile::TempDir;

use super::authority::{Authority, AuthorityError, Issued, Validity};
use super::certificate::Standing;
use super::*;
use crate::base::clock::{Clock as _, SystemClock, Timestamp};

fn validity() -> Validity {
    Validity { now: SystemClock::default().now(), days: 90 }
}

/// An authority, a server of it, and their files.
struct Site {
    directory: TempDir,
    authority: Authority,
    tls: Tls,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (authority, _) = Authority::make(validity()).unwrap();
        let server = authority.server(&["localhost".into(), "127.0.0.1".into()], validity()).unwrap();
        let (certificate, key) = write(&directory, "server", &server);
        Self { directory, authority, tls: Tls { certificate, key, version_min: TlsVersion::Tls13, client: None } }
    }

    fn with_clients(mut self, is_required: bool) -> Self {
        let authorities = self.directory.path().join("ca.pem");
        fs::write(&authorities, self.authority.certificate()).unwrap();
        self.tls.client = Some(ClientTls { authorities, revoked: None, is_required });
        self
    }

    fn served(&self) -> Served {
        Material::read(&self.tls).and_then(|material| material.server()).unwrap()
    }
}

fn write(directory: &TempDir, name: &str, issued: &Issued) -> (PathBuf, PathBuf) {
    let (certificate, key) =
        (directory.path().join(format!("{name}.pem")), directory.path().join(format!("{name}-key.pem")));
    fs::write(&certificate, &issued.certificate).unwrap();
    fs::write(&key, issued.key.as_bytes()).unwrap();
    (certificate, key)
}

struct Client<'a> {
    suites: Vec<SupportedCipherSuite>,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
    identity: Option<&'a Issued>,
}

const NEWEST: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
const OLDER: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

impl Default for Client<'_> {
    fn default() -> Self {
        Self { suites: default_provider().cipher_suites, versions: NEWEST, identity: None }
    }
}

/// The whole handshake; gives the negotiated suite and version, and the client's certificate as the server sees it.
fn shake(
    site: &Site,
    client: Client<'_>,
) -> Result<(CipherSuite, ProtocolVersion, Option<Certificate>), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(site.authority.certificate().as_bytes()).unwrap()).unwrap();
    let provider = CryptoProvider { cipher_suites: client.suites, ..default_provider() };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(client.versions)?
        .with_root_certificates(roots);
    let config = match client.identity {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap())?
        }
    };
    let mut client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap())?;
    let mut server = ServerConnection::new(site.served().config)?;
    // TLS 1.3 lets a client finish before the server has judged its certificate.
    client.writer().write_all(b"x").unwrap();
    loop {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut byte = [0];
        if server.reader().read(&mut byte).is_ok_and(|read| read == 1) {
            break;
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    let shown = server.peer_certificates().and_then(|chain| chain.first()).map(|leaf| Certificate::of(leaf).unwrap());
    Ok((server.negotiated_cipher_suite().unwrap().suite(), server.protocol_version().unwrap(), shown))
}

#[test]
fn exactly_two_suites_are_spoken_over_tls_1_3() {
    let site = Site::new();
    let check = |suite: SupportedCipherSuite, expect: bool| {
        let shaken = shake(&site, Client { suites: vec![suite], ..Client::default() });
        assert_eq!(shaken.is_ok(), expect, "{:?}: {shaken:?}", suite.suite());
        if let Ok((negotiated, version, _)) = shaken {
            assert_eq!((negotiated, version), (suite.suite(), ProtocolVersion::TLSv1_3));
        }
    };
    check(suite::TLS13_AES_256_GCM_SHA384, true);
    check(suite::TLS13_CHACHA20_POLY1305_SHA256, true);
    check(suite::TLS13_AES_128_GCM_SHA256, false);
}

#[test]
fn tls_1_2_is_spoken_only_where_it_is_asked_for() {
    let mut site = Site::new();
    let older = |suites| Client { suites, versions: OLDER, identity: None };
    let strong = vec![suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384];
    let weaker = vec![suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];
    assert!(shake(&site, older(strong.clone())).is_err());
    site.tls.version_min = TlsVersion::Tls12;
    assert_eq!(shake(&site, older(strong)).unwrap().1, ProtocolVersion::TLSv1_2);
    assert!(shake(&site, older(weaker)).is_err());
    assert_eq!(shake(&site, Client::default()).unwrap().1, ProtocolVersion::TLSv1_3);
}

#[test]
fn a_client_is_known_by_the_names_of_its_certificate() {
    let site = Site::new().with_clients(false);
    let ann = site.authority.client("ann", validity()).unwrap();
    let (_, _, shown) = shake(&site, Client { identity: Some(&ann), ..Client::default() }).unwrap();
    let shown = shown.unwrap();
    assert_eq!(shown.names, ["uri:sekisho:client:ann"]);
    let der = CertificateDer::from_pem_slice(ann.certificate.as_bytes()).unwrap();
    assert_eq!(shown.fingerprint, sha256(&[&der]));
    assert_eq!(shake(&site, Client::default()).unwrap().2, None, "a certificate is optional");
}

#[test]
fn a_required_certificate_is_required_and_a_foreign_one_is_refused() {
    let site = Site::new().with_clients(true);
    assert!(shake(&site, Client::default()).is_err());
    let (stranger, _) = Authority::make(validity()).unwrap();
    let forged = stranger.client("ann", validity()).unwrap();
    assert!(shake(&site, Client { identity: Some(&forged), ..Client::default() }).is_err());
    let server = site.authority.server(&["ann".into()], validity()).unwrap();
    let shaken = shake(&site, Client { identity: Some(&server), ..Client::default() });
    assert!(shaken.is_err(), "a server's certificate is no client's");
    let long_ago = Validity { now: Timestamp(1_600_000_000_000), days: 1 };
    let expired = site.authority.client("ann", long_ago).unwrap();
    assert!(shake(&site, Client { identity: Some(&expired), ..Client::default() }).is_err());
}

#[test]
fn files_that_do_not_belong_together_are_named() {
    let mut site = Site::new();
    let other = site.authority.server(&["localhost".into()], validity()).unwrap();
    let (certificate, key) = write(&site.directory, "other", &other);
    let before = Material::read(&site.tls).unwrap().digest();
    let served = |tls: &Tls| Material::read(tls).and_then(|material| material.server()).map(drop);
    site.tls.key = key;
    assert!(matches!(served(&site.tls), Err(TlsError::Pair { .. })));
    site.tls.certificate = certificate.clone();
    served(&site.tls).unwrap();
    assert_ne!(Material::read(&site.tls).unwrap().digest(), before);
    fs::write(&certificate, "no PEM").unwrap();
    assert!(matches!(served(&site.tls), Err(TlsError::Pem { wanted: "a certificate chain", .. })));
    fs::remove_file(&certificate).unwrap();
    assert!(matches!(served(&site.tls), Err(TlsError::File { .. })));
}

#[test]
fn an_authority_opens_with_its_own_key_only() {
    let (_, one) = Authority::make(validity()).unwrap();
    let (_, two) = Authority::make(validity()).unwrap();
    Authority::open(&one.certificate, &one.key).unwrap();
    assert!(matches!(Authority::open(&one.certificate, &two.key), Err(AuthorityError::Mismatch)));
    let server = Authority::open(&one.certificate, &one.key).unwrap().server(&["a".into()], validity()).unwrap();
    assert!(matches!(Authority::open(&server.certificate, &server.key), Err(AuthorityError::NotAnAuthority(_))));
}

#[test]
fn names_that_no_certificate_should_carry_are_refused() {
    let (authority, _) = Authority::make(validity()).unwrap();
    for good in ["localhost", "docs.example.org", "*.example.org", "192.0.2.1", "2001:db8::1"] {
        authority.server(&[good.into()], validity()).unwrap();
    }
    for bad in ["", "a b", "-a", "a..b", "*", "a.*.b", "https://a", "a\0b", "é"] {
        assert!(authority.server(&[bad.into()], validity()).is_err(), "{bad:?}");
        assert!(bad == "-a" || authority.client(bad, validity()).is_err() || bad == "a..b", "{bad:?}");
    }
}

#[test]
fn a_certificate_warns_before_it_ends() {
    let (_, issued) = Authority::make(Validity { now: Timestamp(1_700_000_000_000), days: 30 }).unwrap();
    let certificate = Certificate::of(&CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()).unwrap();
    assert!(certificate.is_authority);
    let after = |days: u64| certificate.standing(Timestamp(1_700_000_000_000 + days * 86_400_000));
    assert_eq!(certificate.standing(Timestamp(0)), Standing::NotYet);
    assert_eq!(after(15), Standing::Valid);
    assert_eq!(after(20), Standing::Expiring(10));
    assert_eq!(after(31), Standing::Expired);
}
