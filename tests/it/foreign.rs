//! Tokens of an authorization server: each algorithm, keys that change under way, and how little such a server may give.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{Installation, Server, base_headers, text};
use crate::identify::{add, bearer, in_an_hour, is_known, issue, part};
use crate::strongroom::{check, until};
use crate::timed::{Timed, clock};

const ISSUER: &str = "https://login.example";

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output.stdout
}

/// A private key that openssl made, and its public half as a JWK.
struct Signer {
    algorithm: &'static str,
    path: PathBuf,
    jwk: Value,
}

impl Signer {
    fn new(folder: &Path, algorithm: &'static str, kid: &str) -> Self {
        let path = folder.join(format!("{kid}.pem"));
        let file = path.to_str().unwrap();
        let kind: &[&str] = match algorithm {
            "RS256" => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            "ES256" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            _ => &["-algorithm", "ed25519"],
        };
        openssl(&[&["genpkey"], kind, &["-out", file]].concat());
        let der = openssl(&["pkey", "-in", file, "-pubout", "-outform", "DER"]);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // The coordinates or the point stand at the end of a SubjectPublicKeyInfo; RSA's exponent is 65537.
        let mut jwk = match algorithm {
            "RS256" => {
                let modulus = &der[der.len() - 5 - 256..der.len() - 5];
                json!({"kty": "RSA", "n": text(modulus), "e": "AQAB"})
            }
            "ES256" => {
                let (x, y) = der[der.len() - 64..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            _ => json!({"kty": "OKP", "crv": "Ed25519", "x": text(&der[der.len() - 32..])}),
        };
        jwk["kid"] = kid.into();
        jwk["alg"] = algorithm.into();
        Self { algorithm, path, jwk }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let file = self.path.with_extension("message");
        std::fs::write(&file, &message).unwrap();
        let (key, file) = (self.path.to_str().unwrap(), file.to_str().unwrap());
        let signature = match self.algorithm {
            "EdDSA" => openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", file]),
            "ES256" => fixed(&openssl(&["dgst", "-sha256", "-sign", key, file])),
            _ => openssl(&["dgst", "-sha256", "-sign", key, file]),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header(&self) -> Value {
        json!({"alg": self.algorithm, "kid": self.jwk["kid"]})
    }

    /// An `Authorization` header with good claims, and `more`.
    fn token(&self, more: &Value) -> String {
        let mut claims = json!({"iss": ISSUER, "aud": "sekisho", "sub": "agent-7", "exp": in_an_hour()});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bearer(&self.sign(&self.header(), &claims))
    }
}

/// Two numbers of 32 bytes out of an ECDSA signature in DER (RFC 7518, section 3.4).
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        let number = &number[number.len().saturating_sub(32)..];
        numbers.extend(std::iter::repeat_n(0, 32 - number.len()).chain(number.iter().copied()));
        rest = after;
    }
    numbers
}

fn publish(folder: &Path, keys: &[&Signer]) {
    let keys: Vec<&Value> = keys.iter().map(|key| &key.jwk).collect();
    std::fs::write(folder.join("new"), json!({"keys": keys}).to_string()).unwrap();
    std::fs::rename(folder.join("new"), folder.join("jwks.json")).unwrap();
}

fn with_jwks() -> (Installation, PathBuf) {
    let mut installation = Installation::new();
    let folder = installation.folder("keys");
    installation.set("AUTH_JWKS_FILE", folder.join("jwks.json").to_str().unwrap());
    installation.set("AUTH_JWT_ISSUER", ISSUER);
    (installation, folder)
}

#[test]
fn rs256_es256_and_eddsa_hold_with_their_own_key_and_follow_the_file_when_it_changes() {
    let (installation, folder) = with_jwks();
    let names = ["RS256", "ES256", "EdDSA"];
    let old = names.map(|name| Signer::new(&folder, name, &format!("{name}-old")));
    let new = names.map(|name| Signer::new(&folder, name, &format!("{name}-new")));
    publish(&folder, &old.each_ref());
    let server = installation.serve();
    for signer in &old {
        assert!(is_known(&server, &signer.token(&json!({}))), "{}", signer.algorithm);
    }
    for (signer, other) in old.iter().zip(old.iter().cycle().skip(1)) {
        let claims = json!({"iss": ISSUER, "aud": "sekisho", "sub": "a", "exp": in_an_hour()});
        let mut header = signer.header();
        header["alg"] = other.algorithm.into();
        assert!(!is_known(&server, &bearer(&signer.sign(&header, &claims))), "{header}");
        let foreign = signer.sign(&other.header(), &claims);
        assert!(!is_known(&server, &bearer(&foreign)), "{} under the kid of {}", signer.algorithm, other.algorithm);
    }
    for signer in &new {
        assert!(!is_known(&server, &signer.token(&json!({}))), "{} is not in the file yet", signer.algorithm);
    }
    publish(&folder, &new.each_ref());
    for signer in &new {
        // A key that is not known is looked for in the file again.
        let token = signer.token(&json!({}));
        until("the new key is taken", || is_known(&server, &token).then_some(()));
    }
    for signer in &old {
        assert!(!is_known(&server, &signer.token(&json!({}))), "{} was taken out", signer.algorithm);
    }
}

/// The roles with which calls of `tools/list` and the like were recorded, and what was allowed.
fn may(server: &Server, authorization: &str, tool: &str) -> bool {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": crate::harness::MODERN, "io.modelcontextprotocol/clientCapabilities": {}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}).to_string();
    let mut headers = base_headers(authorization);
    headers.extend([("MCP-Protocol-Version", crate::harness::MODERN), ("Mcp-Method", "tools/list")]);
    let reply = server.raw("POST", "/mcp", &headers, &body);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let tools = reply.message()["result"]["tools"].clone();
    tools.as_array().unwrap().iter().any(|listed| listed["name"] == tool)
}

/// A policy by which a role shows in what is listed: only operators get the tool.
fn only_for(installation: &Installation, role: &str, tool: &str) {
    let policies = installation.data().join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    let rule = format!(
        "forbid(principal, action == Sekisho::Action::\"{tool}\", resource)\nunless {{ principal in Sekisho::Role::\"{role}\" }};\n"
    );
    std::fs::write(policies.join("role.cedar"), rule).unwrap();
}

#[test]
fn another_issuer_makes_readers_until_it_is_let_give_more_and_its_own_scopes_count_for_nothing() {
    let (mut installation, folder) = with_jwks();
    let signer = Signer::new(&folder, "EdDSA", "one");
    publish(&folder, &[&signer]);
    only_for(&installation, "operator", "list_libraries");
    let admin = signer.token(&json!({"role": "admin"}));
    let operator = signer.token(&json!({"groups": ["staff", "mcp-ops"]}));
    let server = installation.serve();
    for token in [&admin, &operator, &signer.token(&json!({"role": "root"})), &signer.token(&json!({"role": 7}))] {
        assert!(may(&server, token, "search_documents"), "it is a reader");
        assert!(!may(&server, token, "list_libraries"), "it is no more than that");
    }
    let scoped = |scope: &str| signer.token(&json!({"scope": scope}));
    assert!(may(&server, &scoped("openid profile email"), "read_document"), "they are none of our business");
    assert!(may(&server, &scoped("openid tool:read_document"), "read_document"));
    assert!(!may(&server, &scoped("openid tool:read_document"), "search_documents"), "ours confine");
    assert_eq!(server.terminate(), Some(0));

    installation.set("AUTH_JWT_ROLE_MAX", "operator");
    installation.set("AUTH_JWT_ROLES", "[\"mcp-ops=operator\"]");
    let server = installation.serve();
    assert!(may(&server, &admin, "list_libraries"), "an admin of that issuer is an operator here");
    assert!(!may(&server, &operator, "list_libraries"), "the claim is not the one that is asked for");
    assert_eq!(server.terminate(), Some(0));
    installation.set("AUTH_JWT_ROLE_CLAIM", "groups");
    let server = installation.serve();
    assert!(may(&server, &operator, "list_libraries"));
    assert!(!may(&server, &admin, "list_libraries"));
}

#[test]
fn a_token_of_ours_never_does_more_than_its_account_from_the_next_request_on() {
    let installation = Installation::new();
    only_for(&installation, "operator", "list_libraries");
    add(&installation, "ann", "operator");
    let server = installation.serve();
    let (jwt, _) = issue(&installation, &["ann", "--jwt"]);
    let jwt = bearer(&jwt);
    assert!(may(&server, &jwt, "list_libraries"));
    installation.json(&["account", "role", "ann", "reader"]);
    assert!(!may(&server, &jwt, "list_libraries"), "the account was lowered");
    assert!(may(&server, &jwt, "search_documents"));
    installation.json(&["account", "role", "ann", "operator"]);
    assert!(may(&server, &jwt, "list_libraries"));
    installation.json(&["account", "disable", "ann"]);
    assert!(!is_known(&server, &jwt));
    installation.json(&["account", "enable", "ann"]);
    assert!(is_known(&server, &jwt));
    // A token for a name that had no account is that account's once it is there.
    let [before, robot] = [(), ()].map(|()| issue(&installation, &["robot", "--role", "operator", "--jwt"]).0);
    assert!(may(&server, &bearer(&before), "list_libraries"));
    add(&installation, "robot", "reader");
    assert!(!may(&server, &bearer(&robot), "list_libraries"));
    check(&installation.run(&["account", "role", "nobody", "reader"]), 66, &["no account nobody"]);
    installation.verify();
}

/// Publishes keys at a URL under TLS until the process ends.
fn publish_at(keys: &Arc<Mutex<String>>, tls: Arc<rustls::ServerConfig>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/jwks", listener.local_addr().unwrap());
    let keys = Arc::clone(keys);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(connection, stream));
            let mut head = String::new();
            while stream.read_line(&mut head).is_ok_and(|length| length > 0) && !head.ends_with("\r\n\r\n") {}
            let keys = keys.lock().unwrap().clone();
            let length = keys.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{keys}"
            );
            // Whoever does not trust us is gone.
            stream.get_mut().write_all(answer.as_bytes()).ok();
        }
    });
    url
}

#[test]
fn keys_of_a_trusted_url_hold_until_they_are_published_no_more_and_nobody_elses_do() {
    let mut installation = Installation::new();
    let folder = installation.folder("keys");
    let [old, new, stranger] = ["old", "new", "stranger"].map(|kid| Signer::new(&folder, "EdDSA", kid));
    let published = |signer: &Signer| json!({"keys": [&signer.jwk]}).to_string();
    let keys = Arc::new(Mutex::new(published(&old)));
    let ca = folder.join("ca.pem");
    installation.set("AUTH_JWKS_URL", &publish_at(&keys, crate::upstream::tls(&ca)));
    installation.set("AUTH_JWT_ISSUER", ISSUER);
    let server = installation.serve();
    assert!(!is_known(&server, &old.token(&json!({}))), "nobody vouches for the URL");
    assert_eq!(server.terminate(), Some(0));

    installation.set("EGRESS_CA_FILE", ca.to_str().unwrap());
    let timed = Timed::start(&installation, &clock());
    assert!(is_known(&timed.server, &old.token(&json!({}))));
    assert!(!is_known(&timed.server, &stranger.token(&json!({}))));
    *keys.lock().unwrap() = published(&new);
    until("the new key is fetched", || {
        timed.pass(std::time::Duration::from_secs(31));
        is_known(&timed.server, &new.token(&json!({}))).then_some(())
    });
    assert!(!is_known(&timed.server, &old.token(&json!({}))));
    timed.stop();
}
