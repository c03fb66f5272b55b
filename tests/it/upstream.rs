//! A REST API with its authorization server, in a process of its own: an echo behind bearer tokens, every grant, faults
//! on demand. The process is this test binary again, which runs one test that serves instead of testing.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sekisho::crypto::digest::sha256;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::harness::{PATIENCE, request, write};

const ROLE: &str = "SEKISHO_TEST_UPSTREAM";
const TLS: &str = "SEKISHO_TEST_UPSTREAM_TLS";
const READY: &str = "upstream at ";

/// The process, as tests see it; killed when dropped.
pub(crate) struct Upstream {
    child: Child,
    /// What is served.
    pub(crate) url: String,
    /// Where it is told what to do, always in the clear.
    control: SocketAddr,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        Self::spawn(None)
    }

    /// Over TLS, by an authority of its own, whose certificate is put into `ca`.
    pub(crate) fn start_tls(ca: &Path) -> Self {
        Self::spawn(Some(ca))
    }

    fn spawn(ca: Option<&Path>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["upstream::the_process_that_other_tests_start", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        if let Some(ca) = ca {
            command.env(TLS, ca);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once(READY).map(|(_, addresses)| addresses.to_owned()));
        let said = said.expect("the upstream does not start");
        let (url, control) = said.split_once(' ').unwrap();
        Self { child, url: url.to_owned(), control: control.parse().unwrap() }
    }

    /// Sets what the server does; see [`World`]. Gives what it has counted.
    pub(crate) fn tell(&self, settings: Value) -> Value {
        let reply = request(self.control, "POST", "/", &[("Host", "localhost")], &settings.to_string());
        serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.body))
    }

    pub(crate) fn look(&self) -> Value {
        self.tell(json!({}))
    }

    /// Requests to the API since the last look, as the echo gives them.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.tell(json!({"forget_seen": true}))["seen"].as_array().unwrap().clone()
    }

    /// Everything secret that was ever given out or shown here.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let secrets = self.look()["secrets"].as_array().unwrap().clone();
        secrets.iter().map(|secret| secret.as_str().unwrap().to_owned()).collect()
    }

    /// Logs in as a browser would: follows the address, and gives where the server sends the browser back to.
    pub(crate) fn browse(&self, url: &str) -> String {
        let path = url.split_once("://").unwrap().1.split_once('/').unwrap().1;
        let reply = request(self.control, "GET", &format!("/{path}"), &[("Host", "localhost")], "");
        assert_eq!(reply.status, 302, "{reply:?}");
        reply.header("location").unwrap().to_owned()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Not a test: what [`Upstream`] starts in another process.
#[test]
fn the_process_that_other_tests_start() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let (listener, control) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let tls = std::env::var_os(TLS).map(|ca| tls(Path::new(&ca)));
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    let world = Arc::new(Mutex::new(World::new(&url)));
    println!("{READY}{url} {}", control.local_addr().unwrap());
    let other = Arc::clone(&world);
    std::thread::spawn(move || {
        for stream in control.incoming().map_while(Result::ok) {
            serve(&other, stream, true);
        }
    });
    for stream in listener.incoming().map_while(Result::ok) {
        let (world, tls) = (Arc::clone(&world), tls.clone());
        std::thread::spawn(move || match tls {
            None => serve(&world, stream, false),
            Some(tls) => {
                let connection = rustls::ServerConnection::new(tls).unwrap();
                serve(&world, rustls::StreamOwned::new(connection, stream), false);
            }
        });
    }
}

/// A server on this machine whose authority is written to `ca`.
pub(crate) fn tls(ca: &Path) -> Arc<rustls::ServerConfig> {
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    write(ca, &authority.self_signed(&key).unwrap().pem());
    let issuer = rcgen::Issuer::new(authority, key);
    let own = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&own, &issuer).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(own.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap())
}

/// All that the server knows.
struct World {
    url: String,
    /// Seconds that an access token holds; 0 says nothing of it.
    access_seconds: u64,
    /// How long the token endpoint thinks before it answers, after it has done its work.
    token_delay_ms: u64,
    /// What the token endpoint does in the place of its answer, once: `drop` does the work and ends the connection,
    /// `busy` answers 503, `html` does the work and answers with a page, `dpop` gives a token of that type.
    token_fault: String,
    /// What an answer that it is busy says of when to come back, in seconds.
    token_retry_after: Option<u64>,
    /// Metadata promise `iss`, and answers carry this in its place.
    iss: Option<String>,
    rotates: bool,
    /// Tokens come with a refresh token.
    gives_refresh: bool,
    /// How long the revocation endpoint thinks.
    revoke_delay_ms: u64,
    /// Tells what it was sent, in the description of its errors.
    echoes_secrets: bool,
    codes: HashMap<String, Code>,
    access: HashMap<String, (u64, Instant)>,
    /// Family, and whether it was used.
    refresh: HashMap<String, (u64, bool)>,
    families: u64,
    /// Device code, whether its person agreed, and when it was asked last.
    devices: HashMap<String, (bool, Option<Instant>)>,
    counts: Map<String, Value>,
    seen: Vec<Value>,
    secrets: Vec<String>,
    made: u64,
}

struct Code {
    challenge: String,
    redirect_uri: String,
    client: String,
}

struct Asked {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    fn fields(&self) -> HashMap<String, String> {
        let bytes = if self.method == "POST" { &self.body } else { self.query().as_bytes() };
        form_urlencoded::parse(bytes).into_owned().collect()
    }

    fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

enum Told {
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The connection ends.
    Broken,
    /// A head, and no body.
    Slow,
}

fn json_of(status: u16, body: &Value) -> Told {
    Told::Answer(
        status,
        vec![("Content-Type", "application/json".into()), ("Cache-Control", "no-store".into())],
        body.to_string(),
    )
}

fn serve(world: &Mutex<World>, mut stream: impl Read + Write, is_control: bool) {
    let Some(asked) = read(&mut stream) else { return };
    let (told, delay) = {
        let mut world = world.lock().unwrap();
        if is_control && asked.method == "POST" {
            (json_of(200, &world.control(&asked)), 0)
        } else {
            let delay = match asked.path() {
                "/oauth/token" => world.token_delay_ms,
                "/oauth/revoke" => world.revoke_delay_ms,
                _ => 0,
            };
            (world.answer(&asked), delay)
        }
    };
    std::thread::sleep(Duration::from_millis(delay));
    let (status, headers, body) = match told {
        Told::Broken => return,
        Told::Slow => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{").ok();
            stream.flush().ok();
            std::thread::sleep(PATIENCE);
            return;
        }
        Told::Answer(status, headers, body) => (status, headers, body),
    };
    let mut head = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).ok();
    stream.flush().ok();
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut asked = Asked { method, target, headers, body: bytes[end + 4..].to_vec() };
    let length: usize = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while asked.body.len() < length {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        asked.body.extend_from_slice(&piece[..count]);
    }
    Some(asked)
}

impl World {
    fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            access_seconds: 3600,
            token_delay_ms: 0,
            token_fault: String::new(),
            token_retry_after: None,
            iss: Some(url.to_owned()),
            rotates: true,
            gives_refresh: true,
            revoke_delay_ms: 0,
            echoes_secrets: true,
            codes: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            families: 0,
            devices: HashMap::new(),
            counts: Map::new(),
            seen: Vec::new(),
            secrets: Vec::new(),
            made: 0,
        }
    }

    fn control(&mut self, asked: &Asked) -> Value {
        let told: Value = serde_json::from_slice(&asked.body).unwrap();
        let number = |name: &str, old: u64| told[name].as_u64().unwrap_or(old);
        self.access_seconds = number("access_seconds", self.access_seconds);
        self.token_delay_ms = number("token_delay_ms", self.token_delay_ms);
        self.revoke_delay_ms = number("revoke_delay_ms", self.revoke_delay_ms);
        self.rotates = told["rotates"].as_bool().unwrap_or(self.rotates);
        self.gives_refresh = told["gives_refresh"].as_bool().unwrap_or(self.gives_refresh);
        self.echoes_secrets = told["echoes_secrets"].as_bool().unwrap_or(self.echoes_secrets);
        if let Some(fault) = told["token_fault"].as_str() {
            fault.clone_into(&mut self.token_fault);
        }
        self.token_retry_after = told["token_retry_after"].as_u64().or(self.token_retry_after);
        if told.get("iss").is_some() {
            self.iss = told["iss"].as_str().map(str::to_owned);
        }
        if told["revoke_access"] == true {
            self.access.clear();
        }
        if told["revoke_refresh"] == true {
            self.refresh.values_mut().for_each(|(_, is_used)| *is_used = true);
        }
        if told["approve_devices"] == true {
            self.devices.values_mut().for_each(|(is_approved, _)| *is_approved = true);
        }
        let told_back = json!({"counts": self.counts, "seen": self.seen, "secrets": self.secrets});
        if told["forget_seen"] == true {
            self.seen.clear();
        }
        told_back
    }

    fn count(&mut self, what: &str) {
        let before = self.counts.get(what).and_then(Value::as_u64).unwrap_or(0);
        self.counts.insert(what.to_owned(), json!(before + 1));
    }

    /// Long enough that no mask and no chance hits it.
    fn secret(&mut self, kind: &str) -> String {
        self.made += 1;
        let random = sekisho::base::id::random_bytes::<18>().unwrap();
        let secret = format!("canary-{kind}-{}-{}", self.made, URL_SAFE_NO_PAD.encode(random));
        self.secrets.push(secret.clone());
        secret
    }

    fn answer(&mut self, asked: &Asked) -> Told {
        match asked.path() {
            "/.well-known/oauth-authorization-server" => self.metadata(),
            "/oauth/authorize" => self.authorize(asked),
            "/oauth/token" => self.token(asked),
            "/oauth/device" => self.device(),
            "/oauth/revoke" => self.revoke(asked),
            path if path.starts_with("/api/") || path.starts_with("/v1/") => self.api(asked),
            _ => json_of(404, &json!({"code": "NOT_FOUND"})),
        }
    }

    fn metadata(&self) -> Told {
        json_of(
            200,
            &json!({
                "issuer": self.url,
                "authorization_endpoint": format!("{}/oauth/authorize", self.url),
                "token_endpoint": format!("{}/oauth/token", self.url),
                "device_authorization_endpoint": format!("{}/oauth/device", self.url),
                "revocation_endpoint": format!("{}/oauth/revoke", self.url),
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": self.iss.is_some(),
            }),
        )
    }

    /// Its person agrees at once.
    fn authorize(&mut self, asked: &Asked) -> Told {
        let fields = asked.fields();
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let good = field("response_type") == "code"
            && field("code_challenge_method") == "S256"
            && field("code_challenge").len() == 43
            && field("state").len() >= 43
            && !field("client_id").is_empty();
        if !good {
            return json_of(400, &json!({"error": "invalid_request"}));
        }
        let code = self.secret("code");
        let (challenge, redirect_uri) = (field("code_challenge"), field("redirect_uri"));
        self.codes
            .insert(code.clone(), Code { challenge, redirect_uri: redirect_uri.clone(), client: field("client_id") });
        let mut back = url::Url::parse(&redirect_uri).unwrap();
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &field("state"));
        if let Some(iss) = &self.iss {
            back.query_pairs_mut().append_pair("iss", iss);
        }
        Told::Answer(302, vec![("Location", back.into())], String::new())
    }

    fn token(&mut self, asked: &Asked) -> Told {
        let fields = asked.fields();
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let basic = asked.header("authorization").and_then(|header| header.strip_prefix("Basic "));
        let basic = basic.map(|text| String::from_utf8(STANDARD.decode(text).unwrap()).unwrap());
        let (client, secret) = match &basic {
            Some(pair) => pair.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned())).unwrap(),
            None => (field("client_id"), field("client_secret")),
        };
        let shown: Vec<String> = fields.values().chain([&secret]).cloned().collect();
        self.count(&field("grant_type"));
        let refuse = |world: &Self, error: &str| {
            let description = if world.echoes_secrets { format!("you sent {shown:?}") } else { String::new() };
            json_of(400, &json!({"error": error, "error_description": description}))
        };
        if self.token_fault == "busy" {
            self.token_fault.clear();
            return self.busy();
        }
        // A client with "confidential" in its name has to show its secret.
        if client.is_empty() || client.contains("confidential") && secret != "canary-client-secret-1234567890" {
            return json_of(
                401,
                &json!({"error": "invalid_client", "error_description": format!("you sent {shown:?}")}),
            );
        }
        let family = match field("grant_type").as_str() {
            "authorization_code" => {
                let Some(code) = self.codes.remove(&field("code")) else { return refuse(self, "invalid_grant") };
                let verifier = field("code_verifier");
                self.secrets.push(verifier.clone());
                let challenge = URL_SAFE_NO_PAD.encode(sha256(&[verifier.as_bytes()]));
                let is_same = code.redirect_uri == field("redirect_uri") && code.client == client;
                if challenge != code.challenge || !is_same {
                    return refuse(self, "invalid_grant");
                }
                None
            }
            "password" if field("username") == "ann" && field("password") == "canary-password-of-ann" => None,
            "client_credentials" if !secret.is_empty() => None,
            "refresh_token" => match self.refresh.get_mut(&field("refresh_token")) {
                Some((family, is_used)) if !*is_used => {
                    *is_used = self.rotates;
                    Some(*family)
                }
                Some((family, _)) => {
                    // RFC 9700, section 4.14.2: whoever shows it again stole it, or it was stolen from them.
                    let family = *family;
                    self.access.retain(|_, (of, _)| *of != family);
                    self.refresh.values_mut().filter(|(of, _)| *of == family).for_each(|(_, is_used)| *is_used = true);
                    self.count("reused");
                    return refuse(self, "invalid_grant");
                }
                None => return refuse(self, "invalid_grant"),
            },
            "urn:ietf:params:oauth:grant-type:device_code" => {
                let now = Instant::now();
                match self.devices.get_mut(&field("device_code")) {
                    None => return refuse(self, "expired_token"),
                    Some((_, last)) if last.is_some_and(|last| now - last < Duration::from_millis(900)) => {
                        self.count("asked_too_often");
                        return refuse(self, "slow_down");
                    }
                    Some((false, last)) => {
                        *last = Some(now);
                        return refuse(self, "authorization_pending");
                    }
                    Some((true, _)) => {
                        self.devices.remove(&field("device_code"));
                        None
                    }
                }
            }
            _ => return refuse(self, "invalid_grant"),
        };
        let family = family.unwrap_or_else(|| {
            self.families += 1;
            self.families
        });
        let access = self.secret("access");
        let life = if self.access_seconds == 0 { 3600 } else { self.access_seconds };
        self.access.insert(access.clone(), (family, Instant::now() + Duration::from_secs(life)));
        let mut answer = json!({"access_token": access, "token_type": "Bearer"});
        if self.access_seconds > 0 {
            answer["expires_in"] = json!(self.access_seconds);
        }
        if self.gives_refresh
            && field("grant_type") != "client_credentials"
            && (self.rotates || field("grant_type") != "refresh_token")
        {
            let refresh = self.secret("refresh");
            self.refresh.insert(refresh.clone(), (family, false));
            answer["refresh_token"] = json!(refresh);
        }
        match std::mem::take(&mut self.token_fault).as_str() {
            "drop" => Told::Broken,
            "html" => Told::Answer(200, vec![("Content-Type", "text/html".into())], answer.to_string()),
            "dpop" => {
                answer["token_type"] = json!("DPoP");
                json_of(200, &answer)
            }
            _ => json_of(200, &answer),
        }
    }

    fn busy(&self) -> Told {
        let mut told = json_of(503, &json!({"error": "temporarily_unavailable"}));
        if let (Some(seconds), Told::Answer(_, headers, _)) = (self.token_retry_after, &mut told) {
            headers.push(("Retry-After", seconds.to_string()));
        }
        told
    }

    fn device(&mut self) -> Told {
        let code = self.secret("device");
        self.devices.insert(code.clone(), (false, None));
        let uri = format!("{}/activate", self.url);
        json_of(
            200,
            &json!({"device_code": code, "user_code": "WDJB-MJHT", "verification_uri": uri, "expires_in": 60, "interval": 1}),
        )
    }

    fn revoke(&mut self, asked: &Asked) -> Told {
        let token = asked.fields().get("token").cloned().unwrap_or_default();
        if let Some((family, is_used)) = self.refresh.get_mut(&token) {
            *is_used = true;
            let family = *family;
            self.access.retain(|_, (of, _)| *of != family);
        }
        self.count("revoked");
        Told::Answer(200, Vec::new(), String::new())
    }

    fn api(&mut self, asked: &Asked) -> Told {
        let headers: Map<String, Value> =
            asked.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), json!(value))).collect();
        let echo = json!({
            "method": asked.method, "path": asked.path(), "query": asked.query(), "headers": headers,
            "body": String::from_utf8_lossy(&asked.body),
        });
        self.seen.push(echo.clone());
        let shown = asked.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let holds = shown.and_then(|token| self.access.get(token)).is_some_and(|(_, until)| Instant::now() < *until);
        if !holds {
            let message = format!("this holds no more: {}", shown.unwrap_or("nothing"));
            return json_of(401, &json!({"code": "UNAUTHORIZED", "message": message}));
        }
        match asked.path() {
            "/api/slow" => Told::Slow,
            "/api/busy" => Told::Answer(
                429,
                vec![("Content-Type", "application/json".into()), ("Retry-After", "3600".into())],
                "{}".into(),
            ),
            "/api/broken" => json_of(500, &json!({"code": "BROKEN", "message": format!("{shown:?}")})),
            "/api/away" => Told::Answer(302, vec![("Location", "http://127.0.0.1:9/".into())], String::new()),
            path if path.starts_with("/v1/") => Told::Answer(204, Vec::new(), String::new()),
            "/api/always-401" => json_of(401, &json!({"code": "NO", "message": "Not for you"})),
            _ => json_of(200, &echo),
        }
    }
}
