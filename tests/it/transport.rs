//! The transport: TLS, certificates that change, client certificates, bounds on connections, sockets of other kinds.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use rustls::crypto::aws_lc_rs::{cipher_suite as suite, default_provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CipherSuite, ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedCipherSuite};
use sekisho::base::clock::Timestamp;
use sekisho::crypto::tls::authority::{Authority, Validity};
use serde_json::{Value, json};

use crate::harness::{Installation, MODERN, PATIENCE, Reply, Server, base_headers, parse, signal, text};

/// An installation with a certificate of its own authority.
pub(crate) fn secured() -> (Installation, PathBuf) {
    let mut installation = Installation::new();
    let made = installation.json(&["tls", "init", "--name", "docs.example.org"]);
    installation.set("HTTP_TLS_CERTIFICATE", made["tls_certificate"].as_str().unwrap());
    installation.set("HTTP_TLS_KEY", made["tls_key"].as_str().unwrap());
    installation.set("HTTP_ALLOWED_HOSTS", "[\"docs.example.org\"]");
    let directory = installation.data().join("tls");
    (installation, directory)
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

#[derive(Clone)]
pub(crate) struct Client {
    roots: PathBuf,
    suites: Vec<SupportedCipherSuite>,
    identity: Option<(PathBuf, PathBuf)>,
}

impl Client {
    pub(crate) fn of(directory: &Path) -> Self {
        Self { roots: directory.join("ca.pem"), suites: default_provider().cipher_suites, identity: None }
    }

    pub(crate) fn showing(&self, directory: &Path, name: &str) -> Self {
        let identity = (directory.join(format!("{name}.pem")), directory.join(format!("{name}-key.pem")));
        Self { identity: Some(identity), ..self.clone() }
    }

    fn connect(&self, server: &Server) -> io::Result<Stream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.roots).unwrap()).unwrap();
        let mut provider = default_provider();
        provider.cipher_suites.clone_from(&self.suites);
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_file(certificate).unwrap()],
                    PrivateKeyDer::from_pem_file(key).unwrap(),
                )
                .unwrap(),
        };
        let mut connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut tcp = TcpStream::connect(server.address)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(StreamOwned::new(connection, tcp))
    }

    /// A request on a connection of its own. Over TLS 1.3 a server says only now what it thinks of a certificate.
    pub(crate) fn fetch(&self, server: &Server, head: &str) -> io::Result<Reply> {
        let mut stream = self.connect(server)?;
        stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Err(error) if bytes.is_empty() => Err(error),
            _ if bytes.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(parse(&bytes)),
        }
    }

    /// A call of a tool over TLS, with `headers` beside the usual ones.
    pub(crate) fn call(&self, server: &Server, tool: &str, headers: &str) -> io::Result<Reply> {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}});
        let params = json!({"name": tool, "arguments": {}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMCP-Protocol-Version: {MODERN}\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        let mut stream = self.connect(server)?;
        stream.write_all(head.as_bytes())?;
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Err(error) if bytes.is_empty() => Err(error),
            _ if bytes.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(parse(&bytes)),
        }
    }

    fn health(&self, server: &Server) -> io::Result<u16> {
        self.fetch(server, "GET /health HTTP/1.1\r\nHost: localhost").map(|reply| reply.status)
    }

    /// What the server shows of itself.
    fn leaf(&self, server: &Server) -> io::Result<Vec<u8>> {
        let stream = self.connect(server)?;
        Ok(stream.conn.peer_certificates().unwrap()[0].to_vec())
    }
}

/// Looks again until it is so; a server that never gets there fails the test.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never came to this: {what}");
        std::thread::yield_now();
    }
}

fn certificate_entries(installation: &Installation, outcome: &str) -> Vec<Value> {
    let of = |entry: &Value| entry["operation"] == "tls.certificate" && entry["outcome"] == outcome;
    installation.entries().into_iter().filter(of).collect()
}

/// Whether the server has closed; whatever it said before is read.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn two_suites_are_spoken_and_a_client_that_knows_neither_is_refused() {
    let (installation, directory) = secured();
    let server = installation.serve();
    let with = |suites: Vec<SupportedCipherSuite>| Client { suites, ..Client::of(&directory) };
    let negotiated =
        |client: &Client| client.connect(&server).map(|it| it.conn.negotiated_cipher_suite().unwrap().suite());
    assert!(with(vec![suite::TLS13_AES_128_GCM_SHA256]).health(&server).is_err());
    assert!(with(vec![suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]).health(&server).is_err(), "this is TLS 1.2");
    let chacha = with(vec![suite::TLS13_CHACHA20_POLY1305_SHA256, suite::TLS13_AES_128_GCM_SHA256]);
    assert_eq!(negotiated(&chacha).unwrap(), CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    assert_eq!(negotiated(&Client::of(&directory)).unwrap(), CipherSuite::TLS13_AES_256_GCM_SHA384);
    assert_eq!(Client::of(&directory).health(&server).unwrap(), 200);
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart_and_a_bad_one_is_not() {
    let (installation, directory) = secured();
    let server = installation.serve();
    let client = Client::of(&directory);
    let first = client.leaf(&server).unwrap();
    installation.json(&["tls", "init", "--replace"]);
    signal(server.id(), "HUP");
    until("the new certificate is served", || client.leaf(&server).unwrap() != first);
    let second = client.leaf(&server).unwrap();
    // A key of another certificate, and then no key at all.
    installation.json(&["tls", "client", "stranger"]);
    fs::copy(directory.join("client-stranger-key.pem"), directory.join("server-key.pem")).unwrap();
    signal(server.id(), "HUP");
    until("the mismatch is recorded", || !certificate_entries(&installation, "failed").is_empty());
    fs::write(directory.join("server-key.pem"), "none").unwrap();
    signal(server.id(), "HUP");
    let lost = |entry: &Value| entry["reason"].as_str().unwrap().contains("expected PEM with a private key");
    until("the loss is recorded", || certificate_entries(&installation, "failed").iter().any(lost));
    signal(server.id(), "HUP");
    assert_eq!(client.leaf(&server).unwrap(), second, "what was good stays");
    installation.json(&["tls", "init", "--replace"]);
    until("a whole pair is taken by itself", || client.leaf(&server).unwrap() != second);
    until("it is recorded", || certificate_entries(&installation, "done").len() == 3);
    let told = certificate_entries(&installation, "failed").into_iter().filter(lost).count();
    assert_eq!(told, 1, "the same fault is told once");
    let shown = installation.json(&["tls", "show"])[0]["sha256"].as_str().unwrap().to_owned();
    let last = certificate_entries(&installation, "done").pop().unwrap();
    assert!(last["reason"].as_str().unwrap().contains(&shown), "{last}");
}

#[test]
fn an_expired_certificate_is_served_and_warned_of() {
    let (installation, directory) = secured();
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let authority = Authority::open(&read("ca.pem"), &read("ca-key.pem")).unwrap();
    let replace = |validity: Validity| {
        let issued = authority.server(&["localhost".into()], validity).unwrap();
        fs::write(directory.join("server.pem"), &issued.certificate).unwrap();
        fs::write(directory.join("server-key.pem"), issued.key.as_bytes()).unwrap();
    };
    let doctor = || text(&installation.run(&["doctor"]).stdout);
    assert!(doctor().contains("certificate is valid"), "{}", doctor());
    replace(Validity { now: Timestamp(1_600_000_000_000), days: 1 });
    assert!(doctor().contains("BAD the certificate CN=localhost ended at 2020-09-14"), "{}", doctor());
    let server = installation.serve();
    assert!(Client::of(&directory).health(&server).is_err(), "a client looks at the date");
    let log = || {
        let files = fs::read_dir(installation.data().join("logs")).unwrap();
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>()
    };
    until("the log warns", || log().contains("ended at 2020-09-14"));
}

#[test]
fn a_required_client_certificate_is_asked_for_until_it_is_revoked() {
    let (mut installation, directory) = secured();
    for name in ["ann", "ben"] {
        installation.json(&["tls", "client", name]);
    }
    let revoked = directory.join("revoked.pem");
    revoke(&directory, &revoked, &[]);
    installation.set("HTTP_TLS_CLIENT_CA", directory.join("ca.pem").to_str().unwrap());
    installation.set("HTTP_TLS_CLIENT", "required");
    installation.set("HTTP_TLS_CLIENT_CRL", revoked.to_str().unwrap());
    let server = installation.serve();
    let nobody = Client::of(&directory);
    let (ann, ben) = (nobody.showing(&directory, "client-ann"), nobody.showing(&directory, "client-ben"));
    assert!(nobody.health(&server).is_err());
    assert!(nobody.showing(&directory, "server").health(&server).is_err(), "a server's certificate is no client's");
    assert_eq!((ann.health(&server).unwrap(), ben.health(&server).unwrap()), (200, 200));
    let stranger = installation.folder("stranger");
    for arguments in [vec!["tls", "init"], vec!["tls", "client", "ann"]] {
        installation.json(&[&arguments[..], &["--directory", stranger.to_str().unwrap()]].concat());
    }
    assert!(nobody.showing(&stranger, "client-ann").health(&server).is_err());
    // One connection is open when its certificate is revoked.
    let mut open = ann.connect(&server).unwrap();
    open.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 12];
    open.read_exact(&mut first).unwrap();
    assert_eq!(text(&first), "HTTP/1.1 200");
    revoke(&directory, &revoked, &["client-ann"]);
    signal(server.id(), "HUP");
    until("the revoked client is refused", || ann.health(&server).is_err());
    assert_eq!(ben.health(&server).unwrap(), 200);
    // What came with it is read, and then the end.
    open.read_to_end(&mut Vec::new()).ok();
    let gone =
        open.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").and_then(|()| open.read_exact(&mut first));
    assert!(gone.is_err(), "the open connection ended with the trust in it");
}

/// Writes the authority's list of revoked certificates.
pub(crate) fn revoke(directory: &Path, list: &Path, names: &[&str]) {
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let key = rcgen::KeyPair::from_pem(&read("ca-key.pem")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.pem"), key).unwrap();
    let revoked = names.iter().map(|name| {
        let certificate = read(&format!("{name}.pem"));
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).unwrap();
        rcgen::RevokedCertParams {
            serial_number: rcgen::SerialNumber::from_slice(pem.parse_x509().unwrap().raw_serial()),
            revocation_time: rcgen::date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }
    });
    let params = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2025, 1, 1),
        next_update: rcgen::date_time_ymd(2100, 1, 1),
        crl_number: rcgen::SerialNumber::from(1_u64 + names.len() as u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    fs::write(list, params.signed_by(&issuer).unwrap().pem().unwrap()).unwrap();
}

#[test]
fn a_shown_certificate_is_evidence_and_its_bearer_is_nobody_anonymous() {
    let (mut installation, directory) = secured();
    installation.json(&["tls", "client", "ann"]);
    installation.set("HTTP_TLS_CLIENT_CA", directory.join("ca.pem").to_str().unwrap());
    installation.set("HTTP_AUTHENTICATION", "none");
    let server = installation.serve();
    let nobody = Client::of(&directory);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let mut head = format!("POST /mcp HTTP/1.1\r\nContent-Length: {}", body.len());
    for (name, value) in base_headers("").into_iter().filter(|(name, _)| *name != "Authorization") {
        head.push_str(&format!("\r\n{name}: {value}"));
    }
    let ask = |client: &Client| {
        let mut stream = client.connect(&server).unwrap();
        stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok();
        parse(&bytes).status
    };
    assert_ne!(ask(&nobody), 401);
    assert_eq!(ask(&nobody.showing(&directory, "client-ann")), 401, "this certificate is nobody's yet");
}

#[test]
fn strict_transport_security_is_said_over_tls_for_names_that_are_ours_alone() {
    let (installation, directory) = secured();
    let server = installation.serve();
    let client = Client::of(&directory);
    let said = |host: &str| {
        let reply = client.fetch(&server, &format!("GET /health HTTP/1.1\r\nHost: {host}")).unwrap();
        assert_eq!((reply.status, reply.header("server")), (200, None));
        reply.header("strict-transport-security").map(str::to_owned)
    };
    assert_eq!(said("docs.example.org").as_deref(), Some("max-age=31536000; includeSubDomains"));
    assert_eq!(said("localhost:3000"), None);
    assert_eq!(said("127.0.0.1"), None);
    assert_eq!(said("[::1]"), None);
    drop(server);
    let plain = Installation::new();
    let server = plain.serve();
    assert_eq!(server.raw("GET", "/health", &[("Host", "localhost")], "").header("strict-transport-security"), None);
}

#[test]
fn files_of_tls_init_are_private_where_they_must_be_and_stay() {
    let installation = Installation::new();
    let init = |more: &[&str]| installation.run(&[&["tls", "init"], more].concat());
    assert!(init(&[]).status.success());
    let directory = installation.data().join("tls");
    let mode = |name: &str| fs::metadata(directory.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["ca.pem", "server.pem"].map(mode), [0o644; 2]);
    assert_eq!(["ca-key.pem", "server-key.pem"].map(mode), [0o600; 2]);
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let (authority, server) = (read("ca.pem"), read("server.pem"));
    let again = init(&[]);
    assert_eq!(again.status.code(), Some(73), "{}", text(&again.stderr));
    assert_eq!((read("ca.pem"), read("server.pem")), (authority.clone(), server.clone()));
    assert!(init(&["--replace", "--name", "docs.example.org"]).status.success());
    assert_eq!(read("ca.pem"), authority, "clients go on trusting it");
    assert_ne!(read("server.pem"), server);
    for name in ["", "a b", "https://example.org"] {
        assert_eq!(init(&["--replace", "--name", name]).status.code(), Some(64), "{name}");
    }
    assert_eq!(installation.run(&["tls", "client", "../x"]).status.code(), Some(64));
    assert_eq!(installation.run(&["tls", "show"]).status.code(), Some(1), "nothing is configured");
    let lost = installation.folder("lost");
    let lost = installation.run(&["tls", "client", "ann", "--directory", lost.to_str().unwrap()]);
    assert_eq!(lost.status.code(), Some(66));
}

#[test]
fn whoever_is_slow_is_cut_whatever_the_connection_would_become() {
    let (mut installation, directory) = secured();
    installation.set("HTTP_HEADER_TIMEOUT_MS", "1000");
    let server = installation.serve();
    let mut silent = TcpStream::connect(server.address).unwrap();
    assert!(is_closed(&mut silent), "a handshake that never begins");
    let mut halting = TcpStream::connect(server.address).unwrap();
    assert!(drip(&mut halting, &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]), "a handshake byte by byte");
    let mut quiet = Client::of(&directory).connect(&server).unwrap();
    assert!(matches!(quiet.read(&mut [0]), Ok(0) | Err(_)), "a handshake, and nothing after it");
    drop(server);

    let mut plain = Installation::new();
    plain.set("HTTP_HEADER_TIMEOUT_MS", "1000");
    plain.set("HTTP_IDLE_TIMEOUT_MS", "1000");
    let server = plain.serve();
    let connect = || TcpStream::connect(server.address).unwrap();
    assert!(is_closed(&mut connect()), "nothing at all");
    assert!(drip(&mut connect(), b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: "), "a header byte by byte");
    assert!(drip(&mut connect(), b"PRI * HTTP/2.0\r\n\r\nS"), "an HTTP/2 preface byte by byte");
    let mut kept = connect();
    kept.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(is_closed(&mut kept), "a connection that is kept and not used");
    let mut modern = connect();
    modern.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).unwrap();
    assert!(is_closed(&mut modern), "HTTP/2 without a request");
    let mut used = connect();
    used.write_all(&[PREFACE, &frame(4, 0, 0, &[]), &frame(1, 5, 1, HEALTH)].concat()).unwrap();
    assert!(is_closed(&mut used), "HTTP/2 after a request");
}

/// Sends a byte, and another only when the server has waited a little; true when it closed before long.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.set_read_timeout(Some(std::time::Duration::from_millis(20))).unwrap();
    let start = Instant::now();
    // The last byte goes on for ever, as an endless header does.
    for byte in bytes.iter().chain(std::iter::repeat(bytes.last().unwrap())) {
        if stream.write_all(&[*byte]).is_err() {
            return true;
        }
        match stream.read(&mut [0; 512]) {
            Ok(0) => return true,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return true,
            _ if start.elapsed() > PATIENCE => return false,
            _ => {}
        }
    }
    false
}

#[test]
fn too_much_header_is_refused() {
    let installation = Installation::new();
    let server = installation.serve();
    let status = |headers: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).ok();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok();
        text(&bytes).split(' ').nth(1).map(str::to_owned)
    };
    let fields = |count: usize| (0..count).map(|number| format!("X-{number}: 1\r\n")).collect::<String>();
    assert_eq!(status(&fields(50)).as_deref(), Some("200"));
    assert_eq!(status(&fields(200)).as_deref(), Some("431"));
    assert_eq!(status(&format!("X: {}\r\n", "x".repeat(8 << 10))).as_deref(), Some("200"));
    // It may have closed before all of it was written.
    let long = status(&format!("X: {}\r\n", "x".repeat(256 << 10)));
    assert!(long.is_none() || long.as_deref() == Some("431"), "{long:?}");
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// HPACK: GET, http, /health, localhost.
const HEALTH: &[u8] = b"\x82\x86\x04\x07/health\x01\x09localhost";

/// RFC 9113, section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The next frame: kind, payload.
fn next_frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut payload).ok()?;
    Some((head[3], payload))
}

#[test]
fn http_2_says_its_bounds_and_ends_a_connection_that_resets_rapidly() {
    let installation = Installation::new();
    let server = installation.serve();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).unwrap();
    let (kind, settings) = next_frame(&mut stream).unwrap();
    assert_eq!(kind, 4);
    let setting = |id: u16| {
        let found = settings.chunks(6).find(|setting| setting[..2] == id.to_be_bytes());
        found.map(|setting| u32::from_be_bytes(setting[2..].try_into().unwrap()))
    };
    assert_eq!(setting(3), Some(128), "SETTINGS_MAX_CONCURRENT_STREAMS");
    assert_eq!(setting(6), Some(32 << 10), "SETTINGS_MAX_HEADER_LIST_SIZE");
    // CVE-2023-44487: each stream is opened and reset before anybody looked at it.
    let streams = (0..500_u32).map(|number| 2 * number + 1);
    let rapid: Vec<u8> = streams
        .flat_map(|stream| [frame(1, 5, stream, HEALTH), frame(3, 0, stream, &8_u32.to_be_bytes())].concat())
        .collect();
    stream.write_all(&rapid).ok();
    let mut goodbye = None;
    while let Some((kind, payload)) = next_frame(&mut stream) {
        if kind == 7 {
            goodbye = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    assert_eq!(goodbye, Some(11), "GOAWAY with ENHANCE_YOUR_CALM, and the end");
    assert_eq!(server.raw("GET", "/health", &[("Host", "localhost")], "").status, 200);
}

#[test]
fn one_address_cannot_take_every_connection() {
    let mut installation = Installation::new();
    installation.set("HTTP_CONNECTIONS_PER_ADDRESS_MAX", "1");
    installation.set("HTTP_HEADER_TIMEOUT_MS", "60000");
    let server = installation.serve();
    let mut held: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    let mut ninth = TcpStream::connect(server.address).unwrap();
    assert!(is_closed(&mut ninth), "loopback may have eight times as many, and no more");
    // Another address of this machine is another client.
    let ask = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok();
        text(&bytes).starts_with("HTTP/1.1 200")
    };
    assert!(ask(&mut held[0]));
    until("the place is free again", || ask(&mut TcpStream::connect(server.address).unwrap()));
}

#[test]
fn a_unix_socket_serves_mcp_to_its_group_and_records_who_asks() {
    let mut installation = Installation::new();
    let path = installation.folder("run").join("http.sock");
    installation.set("HTTP_UNIX_SOCKET", path.to_str().unwrap());
    // A dead owner left this.
    drop(UnixListener::bind(&path).unwrap());
    let server = installation.serve();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let ask = |authorization: &str| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
        let mut head = format!("POST /mcp HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in base_headers(authorization) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        over_socket(&path, &format!("{head}\r\n{body}"))
    };
    assert_eq!(ask("").status, 401);
    assert_ne!(ask(&format!("Bearer {}", installation.token())).status, 401);
    signal(server.id(), "HUP");
    assert_eq!(server.raw("GET", "/health", &[("Host", "localhost")], "").status, 200, "SIGHUP ends nothing");
    let of = |entry: &&Value| entry["transport"] == "unix";
    let entries = installation.entries();
    let entry = entries.iter().find(of).unwrap();
    assert!(entry["peer"].as_str().is_some_and(|peer| peer.starts_with("uid ")), "{entry}");
    assert_eq!(server.terminate(), Some(0));
    assert!(!path.exists(), "the socket goes with its server");
    fs::write(&path, "something else").unwrap();
    let output = installation.run(&["serve"]);
    assert_eq!(output.status.code(), Some(69));
    assert_eq!(fs::read_to_string(&path).unwrap(), "something else", "{}", text(&output.stderr));
}

fn over_socket(path: &Path, request: &str) -> Reply {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok();
    parse(&bytes)
}

/// As systemd does: the socket is descriptor 3, and the environment says so.
fn activated(installation: &Installation, socket: OwnedFd) -> Command {
    let serve = installation.command(&["serve"]);
    let mut command = Command::new("sh");
    command.arg("-c").arg("export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 </dev/null");
    command.arg(serve.get_program()).args(serve.get_args());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::from(socket));
    command
}

#[test]
fn a_socket_of_the_supervisor_is_served() {
    let installation = Installation::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let server = Server::spawn(&installation, activated(&installation, socket.into()));
    assert_eq!(server.address, address);
    assert_eq!(server.raw("GET", "/health", &[("Host", "localhost")], "").status, 200);
    drop(server);
    let path = installation.folder("run").join("given.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let server = Server::spawn(&installation, activated(&installation, socket.into()));
    assert_eq!(over_socket(&path, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").status, 200);
    assert_eq!(server.terminate(), Some(0));
    assert!(path.exists(), "the file is the supervisor's");
}

#[test]
fn a_supervisor_cannot_open_what_the_configuration_protects() {
    let installation = Installation::new();
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let output = activated(&installation, open.into()).output().unwrap();
    assert_eq!(output.status.code(), Some(77), "{}", text(&output.stderr));
    let (one, _) = UnixStream::pair().unwrap();
    let output = activated(&installation, one.into()).output().unwrap();
    assert_eq!(output.status.code(), Some(69), "a connection is no listener: {}", text(&output.stderr));
}

#[test]
fn pages_of_allowed_origins_may_read_and_no_others() {
    let mut installation = Installation::new();
    installation.set("HTTP_ALLOWED_ORIGINS", "[\"https://app.example.org\"]");
    let server = installation.serve();
    let ask = |method: &str, path: &str, origin: &str| {
        let mut headers = vec![("Host", "localhost"), ("Origin", origin)];
        if method == "OPTIONS" {
            headers.push(("Access-Control-Request-Method", "POST"));
        }
        server.raw(method, path, &headers, "")
    };
    let preflight = ask("OPTIONS", "/mcp", "https://app.example.org");
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example.org"));
    assert_eq!(preflight.header("vary"), Some("Origin"));
    assert_eq!(preflight.header("access-control-allow-credentials"), None);
    let allowed = preflight.header("access-control-allow-headers").unwrap();
    assert!(["Authorization", "Mcp-Session-Id", "MCP-Protocol-Version"].iter().all(|name| allowed.contains(name)));
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("DELETE"));
    let refused = ask("POST", "/mcp", "https://app.example.org");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://app.example.org"));
    let exposed = refused.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("Mcp-Session-Id") && exposed.contains("WWW-Authenticate"), "{exposed}");
    for origin in ["https://evil.example", "https://app.example.org.evil.example", "null"] {
        let reply = ask("OPTIONS", "/mcp", origin);
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (403, None), "{origin}");
    }
    let local = ask("OPTIONS", "/mcp", "http://localhost:5173");
    assert_eq!(local.header("access-control-allow-origin"), None, "a loopback page reads nothing unless it is named");
}

#[test]
fn a_wrong_content_type_is_refused() {
    let installation = Installation::new();
    let server = installation.serve();
    let authorization = format!("Bearer {}", installation.token());
    let mut headers = base_headers(&authorization);
    headers[2] = ("Content-Type", "text/plain");
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    assert_eq!(server.raw("POST", "/mcp", &headers, &ping).status, 415);
    let control = installation.data().join("control.sock");
    let admin = |kind: &str| {
        let head =
            "POST /admin/operations/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2";
        over_socket(&control, &format!("{head}\r\nContent-Type: {kind}\r\n\r\n{{}}")).status
    };
    assert_eq!(admin("application/json"), 200);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense"] {
        assert_eq!(admin(kind), 415, "{kind}");
    }
}
