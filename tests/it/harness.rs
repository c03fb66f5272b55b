//! Starts the real binary on a temporary data directory, and talks to it as a client would.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::canary::Canary;

/// Longer than anything here takes; a hang ends as a failure with its place.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const MODERN: &str = "2026-07-28";

/// Full counts with `tests/run --soak`, small ones otherwise.
pub(crate) fn is_soak() -> bool {
    std::env::var_os("SEKISHO_SOAK").is_some()
}

/// A data directory of its own.
pub(crate) struct Installation {
    directory: TempDir,
    settings: Vec<(String, String)>,
    pub(crate) canary: Canary,
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.canary.check_files(&self.data());
    }
}

impl Installation {
    /// Initialised, with rates that no test meets by accident.
    pub(crate) fn new() -> Self {
        let installation = Self::bare();
        let output = installation.run(&["init"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        installation
    }

    /// A directory that does not exist yet.
    pub(crate) fn bare() -> Self {
        let mut installation =
            Self { directory: tempfile::tempdir().unwrap(), settings: Vec::new(), canary: Canary::default() };
        installation.set("HTTP_LISTEN", "127.0.0.1:0");
        installation.set("METRICS_LISTEN", "");
        installation.set("RATE_PER_MINUTE", "1000000");
        installation.set("RATE_BURST_LIMIT", "100000");
        installation.set("RATE_PER_SESSION", "10000000");
        installation.set("RATE_PER_ADDRESS", "1000000");
        installation.set("SESSION_MAX_CONCURRENT_SESSIONS", "0");
        installation.set("WATCH_SUSPICIOUS_PATTERNS", "1000000");
        installation
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.push((format!("SEKISHO_{name}"), value.to_owned()));
    }

    /// What was set, by the names of variables without their prefix.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (String, String)> {
        let of = |(name, value): &(String, String)| (name.trim_start_matches("SEKISHO_").to_owned(), value.clone());
        self.settings.iter().map(of)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A folder beside the data directory.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.directory.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.data().join("http-token")).unwrap().trim().to_owned()
    }

    /// From now on servers are called with an operator's token: readers call nothing that writes.
    pub(crate) fn operate(&self) {
        let issued = self.json(&["token", "issue", "tests", "--role", "operator"]);
        std::fs::write(self.data().join("http-token"), issued["token"].as_str().unwrap()).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
        for (name, _) in std::env::vars_os() {
            if ["SEKISHO_", "MCP_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.arg("--data-dir").arg(self.data()).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).stdin(Stdio::null()).output().unwrap();
        self.canary.check(&format!("the output of {arguments:?}"), &[&output.stdout[..], &output.stderr].concat());
        output
    }

    /// Runs a command that must succeed, and gives its `--json` output.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
    }

    /// The audit log's last entries.
    pub(crate) fn entries(&self) -> Vec<Value> {
        let output = self.run(&["--json", "audit", "tail", "-n", "1000"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn verify(&self) {
        let output = self.run(&["audit", "verify"]);
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    }

    pub(crate) fn serve(&self) -> Server {
        Server::start(self, &["serve"])
    }

    pub(crate) fn stdio(&self) -> StdioClient {
        StdioClient::start(self)
    }

    /// A small library under `name`.
    pub(crate) fn add_library(&self, name: &str, documents: &[(&str, &str)]) -> PathBuf {
        let folder = self.folder(name);
        for (path, content) in documents {
            write(&folder.join(path), content);
        }
        self.json(&["library", "add", name, folder.to_str().unwrap()]);
        folder
    }
}

pub(crate) fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines of a child's output, with patience.
pub(crate) struct Lines(mpsc::Receiver<String>);

impl Lines {
    fn of(output: impl std::io::Read + Send + 'static) -> Self {
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    /// The next line; `None` at the end.
    pub(crate) fn next(&self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing was said for {PATIENCE:?}"),
        }
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    /// None where it runs in this process.
    child: Option<Child>,
    pub(crate) address: SocketAddr,
    pub(crate) said: Vec<String>,
    token: String,
    canary: Canary,
}

impl Server {
    pub(crate) fn start(installation: &Installation, arguments: &[&str]) -> Self {
        let mut command = installation.command(arguments);
        command.stdin(Stdio::null());
        Self::spawn(installation, command)
    }

    /// As [`Server::start`], by a command that was prepared.
    pub(crate) fn started(installation: &Installation, mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::spawn(installation, command)
    }

    /// From a command that ends in `serve`, over HTTP or HTTPS.
    pub(crate) fn spawn(installation: &Installation, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Lines::of(child.stdout.take().unwrap());
        let mut said = Vec::new();
        while let Some(line) = lines.next() {
            said.push(line.clone());
            if let Some((_, url)) = line.strip_prefix("Serving MCP at ").and_then(|url| url.split_once("://")) {
                let address = url.trim_end_matches("/mcp").parse().unwrap();
                let token = installation.token();
                return Self { child: Some(child), address, said, token, canary: installation.canary.clone() };
            }
        }
        child.wait().unwrap();
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("the server did not start: {said:?} {errors}");
    }

    /// One that listens in this process, and that somebody else stops.
    pub(crate) fn here(address: SocketAddr, token: String) -> Self {
        Self { child: None, address, said: Vec::new(), token, canary: Canary::default() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Where its metrics are, if it said so.
    fn metrics(&self) -> Option<SocketAddr> {
        let address = self.said.iter().find_map(|line| line.strip_prefix("Metrics at http://"))?;
        address.trim_end_matches("/metrics").parse().ok()
    }

    /// No secret that was typed is in what is counted.
    fn check_metrics(&self) {
        if let Some(address) = self.metrics().filter(|_| !self.canary.is_empty()) {
            let metrics = request(address, "GET", "/metrics", &[("Host", "localhost")], "");
            self.canary.check("the metrics", metrics.body.as_bytes());
        }
    }

    /// Asks it to stop, and gives its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        self.check_metrics();
        let mut child = self.child.take().unwrap();
        signal(child.id(), "TERM");
        child.wait().unwrap().code()
    }

    /// Waits until it ends by itself, and gives its exit code.
    pub(crate) fn ended(mut self) -> Option<i32> {
        self.child.take().unwrap().wait().unwrap().code()
    }

    /// Asks it to stop, and gives what it said on its standard error.
    pub(crate) fn stop(mut self) -> String {
        self.check_metrics();
        let mut child = self.child.take().unwrap();
        signal(child.id(), "TERM");
        assert!(child.wait().unwrap().success());
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        self.canary.check("what the server said", errors.as_bytes());
        errors
    }

    /// A request as it is, with no header added.
    pub(crate) fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let reply = request(self.address, method, path, headers, body);
        reply.check_always(&self.token);
        self.canary.check(path, format!("{reply:?}").as_bytes());
        reply
    }

    /// A message of the newest protocol with the token.
    pub(crate) fn modern(&self, method: &str, mut params: Value) -> Reply {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}});
        let name = params["name"].as_str().or(params["uri"].as_str()).unwrap_or_default().to_owned();
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let authorization = format!("Bearer {}", self.token);
        let mut headers = base_headers(&authorization);
        headers.extend([("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)]);
        if !name.is_empty() {
            headers.push(("Mcp-Name", &name));
        }
        self.raw("POST", "/mcp", &headers, &body)
    }

    /// Calls a tool and gives its result.
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        let reply = self.modern("tools/call", json!({"name": tool, "arguments": arguments}));
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.message()["result"].clone()
    }

    /// A message within a session of an older protocol.
    pub(crate) fn legacy(&self, session: Option<&str>, message: &Value) -> Reply {
        let authorization = format!("Bearer {}", self.token);
        let mut headers = base_headers(&authorization);
        if let Some(session) = session {
            headers.extend([("Mcp-Session-Id", session), ("MCP-Protocol-Version", "2025-06-18")]);
        }
        self.raw("POST", "/mcp", &headers, &message.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

pub(crate) fn base_headers(authorization: &str) -> Vec<(&str, &str)> {
    vec![
        ("Host", "localhost"),
        ("Authorization", authorization),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ]
}

/// An HTTP response, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The JSON-RPC answer, from a JSON body or an event stream.
    pub(crate) fn message(&self) -> Value {
        if let Ok(value) = serde_json::from_str(&self.body) {
            return value;
        }
        let events = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
        let mut answers = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        answers.rfind(|message| message.get("id").is_some()).unwrap_or_else(|| panic!("no answer in {self:?}"))
    }

    /// What must hold for every response.
    fn check_always(&self, token: &str) {
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
        assert_eq!(self.header("x-frame-options"), Some("DENY"), "{self:?}");
        assert!(self.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
        assert!(self.header("server").is_none(), "{self:?}");
        assert!(!format!("{self:?}").contains(token), "the token came back: {self:?}");
    }
}

/// One HTTP/1.1 exchange on a connection of its own.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    // A server that refuses early may close while we still write.
    stream.write_all(body.as_bytes()).ok();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok();
    parse(&bytes)
}

/// An HTTP response from its bytes.
pub(crate) fn parse(bytes: &[u8]) -> Reply {
    let all = text(bytes);
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP response: {all:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut reply = Reply { status, headers, body: String::new() };
    let chunked = reply.header("transfer-encoding").is_some_and(|encoding| encoding == "chunked");
    reply.body = if chunked { unchunked(body) } else { body.to_owned() };
    reply
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        out.push_str(rest.get(..size).unwrap_or(rest));
        body = rest.get(size + 2..).unwrap_or_default();
    }
    out
}

/// A stdio client of an older protocol.
pub(crate) struct StdioClient {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines,
    next: u64,
    /// Notifications that came between answers.
    pub(crate) heard: Vec<Value>,
}

impl StdioClient {
    fn start(installation: &Installation) -> Self {
        let mut child = installation
            .command(&["stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = Lines::of(child.stdout.take().unwrap());
        let input = child.stdin.take();
        let mut client = Self { child, input, output, next: 0, heard: Vec::new() };
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let answer = client.ask("initialize", hello);
        assert_eq!(answer["result"]["serverInfo"]["name"], "sekisho", "{answer}");
        client.tell("notifications/initialized", json!({}));
        client
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&mut self, message: &Value) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{message}").unwrap();
        input.flush().unwrap();
    }

    pub(crate) fn send_line(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Asks without waiting; gives the id.
    pub(crate) fn begin(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// The next message of any kind; it must be JSON-RPC, for stdout carries nothing else.
    pub(crate) fn message(&mut self) -> Value {
        let line = self.output.next().expect("the server closed its output");
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        message
    }

    pub(crate) fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.message();
            if message["id"] == id {
                return message;
            }
            self.heard.push(message);
        }
    }

    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.answer(id)
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Waits until a notification with this method was heard.
    pub(crate) fn hear(&mut self, method: &str) -> Value {
        if let Some(at) = self.heard.iter().position(|message| message["method"] == method) {
            return self.heard.remove(at);
        }
        loop {
            let message = self.message();
            if message["method"] == method {
                return message;
            }
            self.heard.push(message);
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its input, as a client that leaves does, and gives the exit code.
    pub(crate) fn close(mut self) -> Option<i32> {
        self.input = None;
        self.child.wait().unwrap().code()
    }
}

impl Drop for StdioClient {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status().unwrap();
    assert!(status.success());
}
