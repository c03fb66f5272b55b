//! Who asks: each scheme with a credential that holds, one that does not, and one that ceases to while the server runs.

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::{Installation, Reply, Server, base_headers, text};
use crate::strongroom::{check, files_below, said, tell, told, until};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub(crate) fn ask(server: &Server, authorization: &str) -> Reply {
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let mut headers = base_headers(authorization);
    if authorization.is_empty() {
        headers.retain(|(name, _)| *name != "Authorization");
    }
    headers.extend([("MCP-Protocol-Version", "2025-06-18")]);
    server.raw("POST", "/mcp", &headers, &ping)
}

/// Known is whoever is not told to show a credential.
pub(crate) fn is_known(server: &Server, authorization: &str) -> bool {
    let status = ask(server, authorization).status;
    assert!(matches!(status, 200 | 202 | 400 | 401 | 404), "{status}");
    status != 401
}

pub(crate) fn add(installation: &Installation, name: &str, role: &str) {
    check(&told(installation, &["account", "add", name, "--role", role], &format!("{PASSWORD}\n")), 0, &[role]);
}

/// Issues a token; gives it and what it is revoked by.
pub(crate) fn issue(installation: &Installation, arguments: &[&str]) -> (String, String) {
    let issued = installation.json(&[&["token", "issue"], arguments].concat());
    (issued["token"].as_str().unwrap().to_owned(), issued["id"].as_str().unwrap().to_owned())
}

fn reasons(installation: &Installation) -> String {
    let entries = installation.entries();
    entries.iter().filter_map(|entry| entry["reason"].as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_password_holds_until_it_is_changed_or_its_account_disabled_or_removed() {
    let installation = Installation::new();
    let server = installation.serve();
    assert!(!is_known(&server, &basic("ann", PASSWORD)), "there is no account yet");
    add(&installation, "ann", "reader");
    let (good, other) = (basic("ann", PASSWORD), "another long password");
    assert!(is_known(&server, &good));
    assert!(is_known(&server, &good), "out of the cache");
    assert!(!is_known(&server, &basic("ann", "wrong horse battery")));
    assert!(!is_known(&server, &basic("ANN", PASSWORD)));
    assert!(!is_known(&server, "Basic !!!"));

    check(&told(&installation, &["account", "passwd", "ann"], other), 0, &["another password"]);
    assert!(!is_known(&server, &good), "the old password was remembered");
    let good = basic("ann", other);
    assert!(is_known(&server, &good));
    check(&installation.run(&["account", "disable", "ann"]), 0, &["disabled"]);
    assert!(!is_known(&server, &good));
    check(&installation.run(&["account", "enable", "ann"]), 0, &["enabled"]);
    assert!(is_known(&server, &good));
    check(&installation.run(&["account", "remove", "ann"]), 0, &["Removed"]);
    assert!(!is_known(&server, &good));
    check(&installation.run(&["account", "remove", "ann"]), 66, &["no account ann"]);
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

#[test]
fn an_account_is_reviewed_with_its_role_its_tokens_and_its_last_use() {
    let installation = Installation::new();
    add(&installation, "ann", "operator");
    add(&installation, "bob", "reader");
    let server = installation.serve();
    assert!(is_known(&server, &basic("ann", PASSWORD)));
    assert!(!is_known(&server, &basic("bob", "wrong horse battery")));
    issue(&installation, &["ann", "--jwt"]);
    check(&installation.run(&["account", "disable", "bob"]), 0, &[]);
    let look = || {
        let accounts = installation.json(&["account", "review"])["accounts"].clone();
        let [ann, bob] = accounts.as_array().unwrap().as_slice() else { panic!("{accounts}") };
        assert_eq!(
            (ann["name"].as_str(), ann["role"].as_str(), ann["keys"].as_u64()),
            (Some("ann"), Some("operator"), Some(1))
        );
        assert!(ann["last_used"].is_string() && ann["disabled"] == false, "{ann}");
        assert!(bob["last_used"].is_null() && bob["disabled"] == true && bob["failures"] == 1, "{bob}");
        assert!(!accounts.to_string().contains("pbkdf2"), "{accounts}");
    };
    look();
    assert_eq!(server.terminate(), Some(0));
    // What was coalesced is written down at the stop.
    look();
    check(&installation.run(&["account", "review"]), 0, &["operator", "disabled", "1 wrong passwords"]);
}

#[test]
fn weak_passwords_and_impossible_names_are_refused_with_the_way_out() {
    let installation = Installation::new();
    let add = |name: &str, password: &str| told(&installation, &["account", "add", name, "--role", "reader"], password);
    check(&add("ann", "too short"), 64, &["at least 12 characters", "this one 9"]);
    check(&add("build-robot-7", "build-robot-7"), 64, &["no password"]);
    check(&add("a:b", PASSWORD), 64, &["a name has 1 to 64 characters"]);
    check(&add("ann", PASSWORD), 0, &[]);
    check(&add("ann", PASSWORD), 73, &["an account ann already", "passwd"]);
    check(
        &told(&installation, &["account", "add", "x", "--role", "root"], PASSWORD),
        64,
        &["there is no role", "reader"],
    );
    check(&told(&installation, &["account", "passwd", "nobody"], PASSWORD), 66, &["no account nobody"]);
}

#[test]
fn every_reason_to_refuse_a_credential_looks_the_same_and_is_in_the_audit_log() {
    let installation = Installation::new();
    add(&installation, "ann", "reader");
    add(&installation, "off", "reader");
    check(&installation.run(&["account", "disable", "off"]), 0, &[]);
    let server = installation.serve();
    let wrong = "wrong horse battery";
    let replies: Vec<Reply> =
        [basic("ann", wrong), basic("nobody", wrong), basic("off", PASSWORD), "Digest x".into(), String::new()]
            .iter()
            .map(|authorization| ask(&server, authorization))
            .collect();
    for reply in &replies {
        assert_eq!(reply.status, 401);
        assert_eq!(reply.message(), replies[0].message());
    }
    // Refusals are folded: the first of an address has an entry at once, the others with it or a second later.
    until("the reasons are recorded", || {
        let reasons = reasons(&installation);
        reasons.contains("wrong password").then_some(())
    });
    assert_eq!(server.terminate(), Some(0));
    installation.verify();
}

#[test]
fn a_hash_of_fewer_iterations_is_raised_at_the_next_login() {
    use sekisho::auth::account::AccountRecord;
    use sekisho::crypto::password::PasswordHash;
    use sekisho::store::codec;
    let installation = Installation::new();
    add(&installation, "ann", "reader");
    // hashlib.pbkdf2_hmac("sha256", b"correct horse", b"0123456789abcdef", 1000)
    let old = "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M";
    let file = crate::strongroom::database(&installation);
    crate::strongroom::change(&file, "accounts", |table| {
        let record: AccountRecord = codec::decode(&crate::strongroom::get(table, b"ann")).unwrap();
        let record = codec::encode(&AccountRecord { phc: old.into(), ..record }).unwrap();
        table.insert(&b"ann"[..], record.as_slice()).unwrap();
    });
    let server = installation.serve();
    assert!(!is_known(&server, &basic("ann", "correct horsf")));
    assert!(is_known(&server, &basic("ann", "correct horse")));
    assert_eq!(server.terminate(), Some(0));
    let record: AccountRecord = codec::decode(&crate::strongroom::rows(&file, "accounts")[&b"ann"[..]]).unwrap();
    assert!(!PasswordHash::parse(&record.phc).unwrap().is_outdated(), "{}", record.phc.get(..24).unwrap());
    let server = installation.serve();
    assert!(is_known(&server, &basic("ann", "correct horse")));
}

#[test]
fn an_api_key_holds_until_it_is_revoked_or_expires_and_a_restart_keeps_that() {
    let installation = Installation::new();
    let server = installation.serve();
    let (key, id) =
        issue(&installation, &["ci", "--role", "reader", "--scope", "library:manual", "--expires-days", "1"]);
    assert!(key.starts_with(&id) && id.len() == 12, "{id}");
    let (other, other_id) = issue(&installation, &["cd"]);
    assert!(is_known(&server, &bearer(&key)) && is_known(&server, &bearer(&other)));
    assert!(!is_known(&server, &bearer(&format!("sks_{}", "0".repeat(64)))));
    check(&installation.run(&["token", "issue", "ci"]), 73, &["a valid API key ci already"]);
    let listed = installation.json(&["token", "list"])["items"].clone();
    let of = |name: &str| listed.as_array().unwrap().iter().find(|item| item["name"] == name).unwrap().clone();
    assert_eq!((of("ci")["id"].as_str(), of("ci")["scopes"][0].as_str()), (Some(&*id), Some("library:manual")));
    assert!(of("ci")["expires"].is_string() && of("ci")["last_used"].is_string() && of("cd")["expires"].is_null());
    assert!(!listed.to_string().contains(&key), "{listed}");

    check(&installation.run(&["token", "revoke", "ci"]), 0, &["Revoked ci"]);
    assert!(!is_known(&server, &bearer(&key)));
    check(&installation.run(&["token", "revoke", other_id.strip_prefix("sks_").unwrap()]), 0, &[]);
    assert!(!is_known(&server, &bearer(&other)));
    check(&installation.run(&["token", "revoke", "ci"]), 66, &["no token"]);
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    assert!(!is_known(&server, &bearer(&key)) && !is_known(&server, &bearer(&other)));
    check(&installation.run(&["token", "list"]), 0, &["revoked", "sks_"]);
    // A name is free again once its key is revoked.
    let (again, _) = issue(&installation, &["ci"]);
    assert!(is_known(&server, &bearer(&again)) && !is_known(&server, &bearer(&key)));
    assert_eq!(server.terminate(), Some(0));

    // The same, a day later.
    crate::strongroom::change(&crate::strongroom::database(&installation), "tokens", |table| {
        use sekisho::auth::token::TokenRecord;
        use sekisho::base::clock::Timestamp;
        use sekisho::store::codec;
        let hash = sekisho::crypto::digest::sha256(&[again.as_bytes()]);
        let record: TokenRecord = codec::decode(&crate::strongroom::get(table, &hash)).unwrap();
        let record = codec::encode(&TokenRecord { expires: Some(Timestamp(1)), ..record }).unwrap();
        table.insert(&hash[..], record.as_slice()).unwrap();
    });
    let server = installation.serve();
    assert!(!is_known(&server, &bearer(&again)));
    check(&installation.run(&["token", "list"]), 0, &["expired"]);
}

/// The three parts of a token, the middle one read.
fn parts(token: &str) -> (String, Value, String) {
    let parts: Vec<&str> = token.split('.').collect();
    let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    (parts[0].to_owned(), claims, parts[2].to_owned())
}

pub(crate) fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[test]
fn a_jwt_holds_until_it_is_revoked_its_key_rotated_out_or_its_account_gone() {
    let installation = Installation::new();
    add(&installation, "ann", "operator");
    let server = installation.serve();
    let (robot, robot_id) = issue(&installation, &["robot", "--role", "reader", "--jwt"]);
    let (ann, _) = issue(&installation, &["ann", "--jwt"]);
    assert!(is_known(&server, &bearer(&robot)) && is_known(&server, &bearer(&ann)));
    check(&installation.run(&["token", "issue", "ann", "--jwt", "--role", "admin"]), 64, &["is operator", "not admin"]);
    check(
        &installation.run(&["token", "issue", "bob", "--jwt"]),
        64,
        &["no account bob", "sekisho account add bob", "--role"],
    );

    let (header, mut claims, signature) = parts(&robot);
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("sekisho"), Some("robot")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    claims["role"] = "admin".into();
    assert!(!is_known(&server, &bearer(&format!("{header}.{}.{signature}", part(&claims)))));
    let none = format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims));
    assert!(!is_known(&server, &bearer(&none)));

    check(&installation.run(&["token", "revoke", &robot_id]), 0, &["Revoked"]);
    assert!(!is_known(&server, &bearer(&robot)) && is_known(&server, &bearer(&ann)));
    check(&installation.run(&["account", "disable", "ann"]), 0, &[]);
    assert!(!is_known(&server, &bearer(&ann)));
    check(&installation.run(&["account", "enable", "ann"]), 0, &[]);

    // Rotated secrets overlap.
    check(&installation.run(&["token", "rotate"]), 0, &["stay valid"]);
    let (newer, _) = issue(&installation, &["robot", "--role", "reader", "--jwt"]);
    assert_ne!(parts(&newer).0, parts(&ann).0, "another kid");
    assert!(is_known(&server, &bearer(&ann)) && is_known(&server, &bearer(&newer)));
    assert_eq!(server.terminate(), Some(0));
    let server = installation.serve();
    assert!(is_known(&server, &bearer(&ann)) && is_known(&server, &bearer(&newer)));
    assert!(!is_known(&server, &bearer(&robot)), "a restart keeps a revocation");
    check(&installation.run(&["account", "remove", "ann"]), 0, &[]);
    assert!(!is_known(&server, &bearer(&ann)));
    check(&installation.run(&["token", "rotate", "--at-once"]), 0, &["refused"]);
    assert!(!is_known(&server, &bearer(&newer)));
    let (last, _) = issue(&installation, &["robot", "--role", "reader", "--jwt"]);
    assert!(is_known(&server, &bearer(&last)));

    check(&installation.run(&["vault", "seal"]), 0, &[]);
    assert!(!is_known(&server, &bearer(&last)), "a sealed vault derives no secret");
    let secret = std::fs::read_to_string(installation.data().join("vault-key")).unwrap();
    check(&told(&installation, &["vault", "unseal"], &secret), 0, &[]);
    assert!(is_known(&server, &bearer(&last)));
    check(&installation.run(&["key", "rotate"]), 0, &[]);
    assert!(is_known(&server, &bearer(&last)), "other keys of the vault are none of its business");
}

/// Signs with a private key that openssl made.
fn signed(key: &std::path::Path, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let file = key.with_extension("message");
    std::fs::write(&file, &message).unwrap();
    let arguments = ["pkeyutl", "-sign", "-rawin", "-inkey", key.to_str().unwrap(), "-in", file.to_str().unwrap()];
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(output.stdout))
}

/// A new Ed25519 key, and its public half as a JWK.
fn key_pair(folder: &std::path::Path, kid: &str) -> (std::path::PathBuf, Value) {
    let path = folder.join(format!("{kid}.pem"));
    let run = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        output.stdout
    };
    run(&["genpkey", "-algorithm", "ed25519", "-out", path.to_str().unwrap()]);
    let der = run(&["pkey", "-in", path.to_str().unwrap(), "-pubout", "-outform", "DER"]);
    // The last 32 bytes of a SubjectPublicKeyInfo (RFC 8410, section 4).
    let public = URL_SAFE_NO_PAD.encode(&der[der.len() - 32..]);
    (path, json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": "EdDSA", "use": "sig", "x": public}))
}

pub(crate) fn in_an_hour() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 3600
}

#[test]
fn a_jwt_of_an_authorization_server_holds_while_its_key_is_in_the_file() {
    let mut installation = Installation::new();
    let folder = installation.folder("keys");
    let (one, one_public) = key_pair(&folder, "one");
    let (two, two_public) = key_pair(&folder, "two");
    let file = folder.join("jwks.json");
    let publish = |keys: &[&Value]| {
        let new = folder.join("new");
        std::fs::write(&new, json!({"keys": keys}).to_string()).unwrap();
        std::fs::rename(new, &file).unwrap();
    };
    publish(&[&one_public]);
    installation.set("AUTH_JWKS_FILE", file.to_str().unwrap());
    installation.set("AUTH_JWT_ISSUER", "https://login.example");
    installation.set("AUTH_JWT_AUDIENCE", "https://mcp.example/mcp");
    let server = installation.serve();
    let claims = json!({
        "iss": "https://login.example", "aud": ["https://mcp.example/mcp"], "sub": "agent-7", "jti": "a-1", "exp": in_an_hour(),
    });
    let header = |kid: &str| json!({"alg": "EdDSA", "kid": kid});
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        bearer(&signed(&one, &header("one"), &claims))
    };
    let good = bearer(&signed(&one, &header("one"), &claims));
    assert!(is_known(&server, &good));
    for refused in [
        with("iss", json!("https://other.example")),
        with("aud", json!("https://other.example/mcp")),
        with("exp", json!(in_an_hour() - 2 * 3600)),
        with("exp", Value::Null),
        with("nbf", json!(in_an_hour())),
        bearer(&signed(&two, &header("one"), &claims)),
        bearer(&signed(&two, &header("two"), &claims)),
        bearer(&signed(&one, &json!({"alg": "EdDSA"}), &claims)),
        bearer(&signed(&one, &json!({"alg": "RS256", "kid": "one"}), &claims)),
    ] {
        assert!(!is_known(&server, &refused), "{refused}");
    }
    // The public key as a secret: the oldest trick there is.
    let public = URL_SAFE_NO_PAD.decode(one_public["x"].as_str().unwrap()).unwrap();
    let message = format!("{}.{}", part(&json!({"alg": "HS256", "kid": "one"})), part(&claims));
    let mut secret = [0; 32];
    secret.copy_from_slice(&public);
    let confused = URL_SAFE_NO_PAD.encode(sekisho::crypto::digest::hmac_sha256(&secret, message.as_bytes()));
    assert!(!is_known(&server, &bearer(&format!("{message}.{confused}"))));

    check(&installation.run(&["token", "revoke", "jwt:a-1"]), 0, &["Revoked"]);
    assert!(!is_known(&server, &good), "a foreign token can be revoked too");
    let another = with("jti", json!("a-2"));
    assert!(is_known(&server, &another));
    publish(&[&two_public]);
    let newer = bearer(&signed(
        &two,
        &header("two"),
        &json!({"iss": claims["iss"], "aud": claims["aud"], "sub": "b", "jti": "b-1", "exp": claims["exp"]}),
    ));
    until("the file is read again", || is_known(&server, &newer).then_some(()));
    assert!(!is_known(&server, &another), "its key was taken out");
    std::fs::remove_file(&file).unwrap();
    until("the file is gone", || (!is_known(&server, &newer)).then_some(()));
    assert_eq!(server.terminate(), Some(0));
    let entries = installation.entries();
    assert!(entries.iter().any(|entry| entry["operation"] == "token.revoke"), "{entries:?}");
}

#[test]
fn a_failed_scheme_never_falls_through_and_one_that_is_off_takes_nothing() {
    let mut installation = Installation::new();
    add(&installation, "ann", "reader");
    installation.set("HTTP_AUTHENTICATION", "none");
    installation.set("AUTH_SCHEMES", "[\"api_key\", \"jwt\"]");
    let server = installation.serve();
    assert!(is_known(&server, ""), "anonymous");
    assert!(is_known(&server, &bearer(&installation.token())));
    for shown in [
        "Bearer",
        "Bearer x",
        "Bearer a.b.c",
        "Negotiate x",
        &bearer(&format!("sks_{}", "0".repeat(64))),
        &basic("ann", PASSWORD),
        &basic("ann", "wrong horse battery"),
    ] {
        assert!(!is_known(&server, shown), "{shown} is not as good as nothing");
    }
}

#[test]
fn a_password_is_not_taken_in_the_clear_from_another_machine() {
    let mut installation = Installation::new();
    add(&installation, "ann", "reader");
    let Some(address) = own_address() else { return };
    installation.set("HTTP_LISTEN", &format!("{address}:0"));
    let server = Server::start(&installation, &["serve", "--dangerously-serve-unprotected"]);
    let ask = |authorization: &str| {
        let host = server.address.to_string();
        let mut headers = base_headers(authorization);
        headers[0] = ("Host", &host);
        server.raw("POST", "/mcp", &headers, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}")
    };
    let refused = ask(&basic("ann", PASSWORD));
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("use https"), "{}", refused.body);
    let challenges = ask("Bearer x");
    assert_eq!(challenges.status, 401);
    assert!(challenges.headers.iter().all(|(_, value)| !value.starts_with("Basic")), "{challenges:?}");
    assert_ne!(ask(&bearer(&installation.token())).status, 401);
}

/// An address of this machine that is not loopback: one that a packet to elsewhere would leave from. None is sent.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn a_client_without_a_credential_is_told_where_to_get_one() {
    let mut installation = Installation::new();
    installation.set("AUTH_AUTHORIZATION_SERVERS", "[\"https://login.example\"]");
    let server = installation.serve();
    let challenges = |authorization: &str| {
        let reply = ask(&server, authorization);
        assert_eq!(reply.status, 401);
        let all = reply.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
        all.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let metadata = "http://localhost/.well-known/oauth-protected-resource/mcp";
    let bearer = format!("Bearer realm=\"sekisho\", resource_metadata=\"{metadata}\"");
    let basic = "Basic realm=\"sekisho\", charset=\"UTF-8\"".to_owned();
    assert_eq!(challenges(""), [bearer.clone(), basic.clone()]);
    assert_eq!(challenges("Bearer x"), [format!("{bearer}, error=\"invalid_token\""), basic.clone()]);
    assert_eq!(challenges("Basic x"), [bearer, basic]);
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let reply = server.raw("GET", path, &[("Host", "localhost")], "");
        assert_eq!(reply.status, 200, "{path}");
        let found = reply.message();
        assert_eq!(found["resource"], "http://localhost/mcp");
        assert_eq!(found["authorization_servers"], json!(["https://login.example"]));
        assert_eq!(found["bearer_methods_supported"], json!(["header"]));
    }
    assert_eq!(server.raw("GET", "/.well-known/other", &[("Host", "localhost")], "").status, 404);
    assert_eq!(server.terminate(), Some(0));
    installation.set("HTTP_PUBLIC_URL", "https://mcp.example.org");
    let server = installation.serve();
    let reply = server.raw("GET", "/.well-known/oauth-protected-resource/mcp", &[("Host", "localhost")], "");
    assert_eq!(reply.message()["resource"], "https://mcp.example.org/mcp");
}

/// A server with variables of the replaced system, and what it said on its standard error when it stopped.
fn serve_with(installation: &Installation, variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = installation.command(&["config", "check"]);
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    command.output().unwrap()
}

#[test]
fn the_environment_of_the_replaced_system_is_taken_with_a_warning() {
    let installation = Installation::new();
    let secret = "an old secret of thirty-two bytes";
    let mut command = installation.command(&["serve"]);
    command.env("MCP_USERNAME", "old").env("MCP_PASSWORD", "old pass").env("MCP_JWT_SECRET", secret);
    command.env("MCP_AUTH_ENABLED", "true").env("MCP_JWT_EXPIRY", "120");
    let server = Server::started(&installation, command);
    assert!(is_known(&server, &basic("old", "old pass")));
    assert!(!is_known(&server, &basic("old", "other pass")));
    let claims = json!({"sub": "old-agent", "exp": in_an_hour()});
    let message = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(&claims));
    let sign = |secret: &str| {
        let folder = installation.folder("message");
        std::fs::write(folder.join("message"), &message).unwrap();
        let arguments = ["dgst", "-sha256", "-hmac", secret, "-binary"];
        let output = Command::new("openssl").args(arguments).arg(folder.join("message")).output().unwrap();
        bearer(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(output.stdout)))
    };
    assert!(is_known(&server, &sign(secret)));
    assert!(!is_known(&server, &sign("another secret of thirty-two byte")));
    let (issued, _) = issue(&installation, &["robot", "--role", "reader", "--jwt"]);
    let (_, claims, _) = parts(&issued);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 120);
    assert!(is_known(&server, &bearer(&issued)), "beside the stored ones");
    check(&installation.run(&["account", "review"]), 0, &["old", "reader", "from the environment"]);
    check(&installation.run(&["account", "disable", "old"]), 66, &["no account old"]);
    let said = server.stop();
    assert!(
        said.contains("MCP_USERNAME") && said.contains("MCP_JWT_SECRET") && said.contains("weakest place"),
        "{said}"
    );
    assert!(!said.contains(secret) && !said.contains("old pass"), "{said}");
    let server = installation.serve();
    assert!(!is_known(&server, &basic("old", "old pass")) && !is_known(&server, &sign(secret)), "never stored");
    assert_eq!(server.terminate(), Some(0));
    for file in files_below(&installation.data()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!text(&bytes).contains(secret) && !text(&bytes).contains("old pass"), "{}", file.display());
    }

    check(&serve_with(&installation, &[("MCP_JWT_SECRET", "too short")]), 78, &["MCP_JWT_SECRET", "256 bits"]);
    check(&serve_with(&installation, &[("MCP_USERNAME", "x")]), 78, &["MCP_PASSWORD is not set"]);
    check(&serve_with(&installation, &[("MCP_AUTH_METHOD", "digest")]), 78, &["MCP_AUTH_METHOD", "auth.schemes"]);
}

#[test]
fn the_replaced_systems_method_is_the_only_one_unless_ours_says_more() {
    let mut installation = Installation::new();
    add(&installation, "ann", "reader");
    let start = |installation: &Installation| {
        let mut command = installation.command(&["serve"]);
        command.env("MCP_AUTH_METHOD", "basic").env("MCP_AUTH_ENABLED", "true");
        Server::started(installation, command)
    };
    let server = start(&installation);
    assert!(is_known(&server, &basic("ann", PASSWORD)) && !is_known(&server, &bearer(&installation.token())));
    server.stop();
    installation.set("AUTH_SCHEMES", "[\"basic\", \"api_key\"]");
    let server = start(&installation);
    assert!(is_known(&server, &basic("ann", PASSWORD)) && is_known(&server, &bearer(&installation.token())));
}

#[test]
fn no_password_or_token_is_in_an_answer_a_log_an_entry_or_the_database() {
    let mut installation = Installation::new();
    installation.set("AUDIT_ARGUMENTS", "sealed");
    installation.set("AUDIT_LEVEL", "all");
    installation.set("LOG_LEVEL", "debug");
    let server = installation.serve();
    add(&installation, "ann", "reader");
    let (key, _) = issue(&installation, &["ci"]);
    let (jwt, _) = issue(&installation, &["ann", "--jwt"]);
    let wrong = "wrong but secret horse";
    let mut heard = String::new();
    for shown in
        [basic("ann", PASSWORD), basic("ann", wrong), bearer(&key), bearer(&jwt), bearer(&jwt[..jwt.len() - 4])]
    {
        heard.push_str(&format!("{:?}", ask(&server, &shown)));
    }
    for command in [
        &["account", "review"][..],
        &["token", "list"],
        &["--json", "audit", "tail", "-n", "1000"],
        &["--json", "doctor"],
        &["config", "show"],
    ] {
        heard.push_str(&said(&installation.run(command)));
    }
    check(&tell(installation.command(&["account", "passwd", "ann"]).env("RUST_LOG", "trace"), wrong), 0, &[]);
    assert_eq!(server.terminate(), Some(0));
    let encoded = STANDARD.encode(format!("ann:{PASSWORD}"));
    let signature = jwt.rsplit_once('.').unwrap().1;
    let secrets = [PASSWORD, wrong, &key[12..], signature, &encoded];
    let mut places = vec![("what was said".to_owned(), heard.into_bytes())];
    for file in files_below(&installation.data()) {
        places.push((file.display().to_string(), std::fs::read(&file).unwrap()));
    }
    assert!(places.iter().any(|(name, _)| name.contains("logs/sekisho")) && places.len() > 3);
    for (name, bytes) in &places {
        for secret in secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "a secret is in {name}");
        }
    }
    installation.verify();
}

#[test]
fn a_password_behind_a_proxy_without_tls_is_not_taken() {
    let mut installation = Installation::new();
    installation.set("HTTP_TRUSTED_PROXIES", "[\"127.0.0.1\"]");
    let server = installation.serve();
    let status = |forwarded: Option<&str>| {
        let mut headers = base_headers("Basic YW5uOndyb25nIHdyb25nIHdyb25n");
        headers.extend(forwarded.map(|client| ("X-Forwarded-For", client)));
        server.raw("POST", "/mcp", &headers, "{}").status
    };
    assert_eq!(status(None), 401, "on this machine it is looked at");
    assert_eq!(status(Some("203.0.113.9")), 403, "nobody knows the way to the proxy");
}
