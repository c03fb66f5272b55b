//! How calls go out: whom they trust, who they are to the other machine, which TLS they speak, by which proxy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sekisho::base::clock::Timestamp;
use sekisho::crypto::tls::authority::{Authority, Validity};
use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::harness::{Installation, Server, text, write};
use crate::strongroom::{check, files_below, told};

fn today() -> Validity {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Validity { now: Timestamp(now.as_millis().try_into().unwrap()), days: 2 }
}

/// TLS in front of an [`Api`]: one request for each connection.
struct Front {
    address: SocketAddr,
    handshakes: Arc<AtomicUsize>,
}

impl Front {
    fn start(api: &Api, authority: &Authority, clients: Option<&Authority>, is_old: bool) -> Self {
        let issued = authority.server(&["127.0.0.1".to_owned(), "localhost".to_owned()], today()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions: &[_] =
            if is_old { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13, &rustls::version::TLS12] };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(versions).unwrap();
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
        let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (handshakes, behind) = (Arc::new(AtomicUsize::new(0)), api.address);
        let counted = Arc::clone(&handshakes);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, counted) = (Arc::clone(&config), Arc::clone(&counted));
                std::thread::spawn(move || pass(stream, config, behind, &counted));
            }
        });
        Self { address, handshakes }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

fn pass(stream: TcpStream, config: Arc<ServerConfig>, behind: SocketAddr, handshakes: &AtomicUsize) -> Option<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut request = Vec::new();
    let mut byte = [0];
    // The requests here have no body.
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
    }
    handshakes.fetch_add(1, Ordering::Relaxed);
    let mut api = TcpStream::connect(behind).ok()?;
    api.write_all(&request).ok()?;
    let mut answer = Vec::new();
    api.read_to_end(&mut answer).ok()?;
    stream.write_all(&answer).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

fn listed(server: &Server) -> Value {
    server.call("iconect_list_clients", json!({}))
}

fn set(installation: &Installation, arguments: &[&str]) -> std::process::Output {
    installation.run(&[&["connector", "set", "iconect"], arguments].concat())
}

fn add(installation: &Installation, url: &str, more: &[&str]) {
    let add = ["connector", "add", "iconect", "--base-url", url, "--network", "127.0.0.0/8", "--yes"];
    check(&installation.run(&[&add[..], more].concat()), 0, &["Added"]);
}

fn reason(installation: &Installation) -> String {
    let entries = installation.entries();
    let entry = entries.iter().rfind(|entry| entry["operation"] == "iconect_list_clients").unwrap();
    entry["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_connector_trusts_its_own_authority_and_no_other() {
    let installation = Installation::new();
    let server = installation.serve();
    let api = Api::start();
    let (authority, other) = (Authority::make(today()).unwrap().0, Authority::make(today()).unwrap().0);
    let front = Front::start(&api, &authority, None, false);
    let folder = installation.folder("authorities");
    let (ours, others) = (folder.join("ca.pem"), folder.join("other.pem"));
    write(&ours, authority.certificate());
    write(&others, other.certificate());
    let (ours, others) = (ours.to_str().unwrap(), others.to_str().unwrap());
    add(&installation, &front.url(), &["--ca", others]);
    let no = |word: &str| {
        let result = listed(&server);
        assert_eq!(result["isError"], true, "{word}: {result}");
        assert!(api.seen().is_empty(), "{word}");
    };
    no("another authority");
    assert!(reason(&installation).contains("no TLS"), "{}", reason(&installation));
    check(&set(&installation, &["--ca", ours]), 0, &["trusts", "1 authorities"]);
    assert_ne!(listed(&server)["isError"], true);
    assert_eq!((api.seen().len(), front.handshakes.load(Ordering::Relaxed)), (1, 1));
    let shown = installation.json(&["connector", "show", "iconect"]);
    assert_eq!(shown["connector"]["settings"]["authorities"]["count"], 1, "{shown}");
    check(&set(&installation, &["--ca", "none"]), 0, &[]);
    no("the system's authorities");
    let empty = folder.join("empty.pem");
    write(&empty, "no certificate");
    check(&set(&installation, &["--ca", empty.to_str().unwrap()]), 64, &["certificates of authorities"]);
    check(&set(&installation, &["--ca", folder.join("absent").to_str().unwrap()]), 66, &["absent"]);
    check(&set(&installation, &[]), 64, &["Say what is to be set"]);
    installation.verify();
}

#[test]
fn the_least_version_of_tls_is_what_the_operator_says() {
    let installation = Installation::new();
    let server = installation.serve();
    let api = Api::start();
    let authority = Authority::make(today()).unwrap().0;
    let front = Front::start(&api, &authority, None, true);
    let ca = installation.folder("authorities").join("ca.pem");
    write(&ca, authority.certificate());
    add(&installation, &front.url(), &["--ca", ca.to_str().unwrap()]);
    assert_ne!(listed(&server)["isError"], true);
    assert_eq!(api.seen().len(), 1);
    check(&set(&installation, &["--tls-min", "1.3"]), 0, &["1.3 at least"]);
    assert_eq!(listed(&server)["isError"], true);
    assert!(api.seen().is_empty());
    check(&set(&installation, &["--tls-min", "1.1"]), 64, &["1.2 or 1.3"]);
    check(&set(&installation, &["--tls-min", "1.2"]), 0, &[]);
    assert_ne!(listed(&server)["isError"], true);
}

#[test]
fn a_client_certificate_comes_from_the_vault_and_goes_to_its_origin_while_the_vault_is_open() {
    let mut installation = Installation::new();
    installation.set("AUDIT_ARGUMENTS", "sealed");
    installation.set("LOG_LEVEL", "debug");
    let server = installation.serve();
    let api = Api::start();
    let authority = Authority::make(today()).unwrap().0;
    let front = Front::start(&api, &authority, Some(&authority), false);
    let ca = installation.folder("authorities").join("ca.pem");
    write(&ca, authority.certificate());
    add(&installation, &front.url(), &["--ca", ca.to_str().unwrap()]);
    let no = |word: &str| {
        let result = listed(&server);
        assert_eq!(result["isError"], true, "{result}");
        assert!(reason(&installation).contains(word), "{word:?} is not in {}", reason(&installation));
        assert!(api.seen().is_empty(), "{word}");
    };
    assert_eq!(listed(&server)["isError"], true, "it came in without a certificate");
    let issued = authority.client("agent.example", today()).unwrap();
    let key = issued.key.as_str();
    let keep = |value: &str| check(&told(&installation, &["credential", "set", "client"], value), 0, &["is kept"]);
    check(&set(&installation, &["--client-certificate", "client"]), 66, &["no credential client"]);
    keep("no PEM at all");
    check(
        &set(&installation, &["--client-certificate", "client"]),
        0,
        &["the certificate client to https://127.0.0.1"],
    );
    no("the client certificate client cannot be used");
    // A new version of the credential is taken at the next call.
    keep(&format!("{key}\n{}", issued.certificate));
    assert_ne!(listed(&server)["isError"], true, "{}", reason(&installation));
    assert_eq!(api.seen().len(), 1);
    check(&installation.run(&["vault", "seal"]), 0, &[]);
    no("sealed");
    assert_eq!(server.terminate(), Some(0));
    let secret: String = key.lines().nth(1).unwrap().to_owned();
    for found in files_below(&installation.data()) {
        let bytes = std::fs::read(&found).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", found.display());
    }
    let shown = text(&installation.run(&["--json", "connector", "show", "iconect"]).stdout);
    assert!(shown.contains("client_certificate") && !shown.contains("PRIVATE KEY"), "{shown}");
}

/// A redirect within the origin carried the credential to whatever path it named: to another tenant's, where several
/// share an origin.
#[test]
fn a_redirect_does_not_lead_out_of_the_base_path() {
    let installation = Installation::new();
    let server = installation.serve();
    let api = Api::start();
    let base = format!("{}/tenant", api.url());
    let add = ["connector", "add", "iconect", "--base-url", &base, "--loopback-http", "--yes"];
    check(&installation.run(&add), 0, &["Added"]);
    for away in
        ["/other/v1/clients", "/tenant-b/x", "/tenant/../other", "/tenant/%2e%2e/other", "/tenant/%252e%252e/other"]
    {
        api.plan([Answer::of(302, &[("Location", away)], b"")]);
        let result = listed(&server);
        assert_eq!(result["isError"], true, "{away}: {result}");
        assert_eq!(api.seen().len(), 1, "{away}");
    }
    api.plan([Answer::of(302, &[("Location", "/tenant/v1/clients/")], b""), Answer::json(200, "{}")]);
    assert_ne!(listed(&server)["isError"], true);
    assert_eq!(api.seen()[1].target, "/tenant/v1/clients/");
    installation.verify();
}

/// A proxy that connects wherever it is asked to, on this machine.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || {
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                        head.push(byte[0]);
                    }
                    let line = text(&head).lines().next().unwrap_or_default().to_owned();
                    noted.lock().unwrap().push(line);
                    stream.write_all(b"HTTP/1.1 502 There is nobody\r\n\r\n").ok();
                });
            }
        });
        Self { address, asked }
    }
}

#[test]
fn a_connector_takes_its_own_proxy_or_none_whatever_all_others_take() {
    let mut installation = Installation::new();
    let (usual, own) = (Proxy::start(), Proxy::start());
    installation.set("EGRESS_PROXY", &format!("http://{}", usual.address));
    let server = installation.serve();
    let add = ["connector", "add", "iconect", "--base-url", "https://api.invalid", "--yes"];
    check(&installation.run(&add), 0, &["Added"]);
    let asked = |proxy: &Proxy| std::mem::take(&mut *proxy.asked.lock().unwrap());
    let call = || assert_eq!(listed(&server)["isError"], true);
    let connect = ["CONNECT api.invalid:443 HTTP/1.1".to_owned()];
    call();
    let first = asked(&usual);
    assert!(!first.is_empty() && first.iter().all(|line| *line == connect[0]), "{first:?}");
    check(&set(&installation, &["--proxy", &format!("http://{}", own.address)]), 0, &[&own.address.to_string()]);
    call();
    assert!(asked(&usual).is_empty() && !asked(&own).is_empty());
    check(&set(&installation, &["--proxy", "direct"]), 0, &["direct"]);
    call();
    assert!(asked(&usual).is_empty() && asked(&own).is_empty());
    check(&set(&installation, &["--proxy", "socks5://127.0.0.1:1"]), 64, &["http://HOST:PORT"]);
    check(&set(&installation, &["--proxy", "none"]), 0, &[]);
    installation.verify();
}
