//! A REST API on loopback: it answers as it is told, and remembers every request to the byte.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A server on a thread of its own, one more for each connection.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    plan: Mutex<VecDeque<Answer>>,
    /// Connections that are held open without an end.
    held: Mutex<Vec<TcpStream>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status, further headers, body.
    Whole(u16, Vec<(String, String)>, Vec<u8>),
    /// The connection ends without an answer.
    Broken,
    /// A head and the beginning of a body that never ends.
    Slow,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::of(status, &[("Content-Type", "application/json")], body.as_bytes())
    }

    pub(crate) fn of(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::Whole(status, headers, body.to_vec())
    }
}

impl Api {
    /// Answers 204 where nothing else is planned.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || state.serve(stream));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the next requests are answered with, in their order.
    pub(crate) fn plan(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.plan.lock().unwrap().extend(answers);
    }

    /// The requests since the last look.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.state.seen.lock().unwrap())
    }
}

impl State {
    fn serve(&self, stream: TcpStream) {
        let Some(seen) = read(&stream) else { return };
        let is_head = seen.method == "HEAD";
        self.seen.lock().unwrap().push(seen);
        let answer = self.plan.lock().unwrap().pop_front().unwrap_or_else(|| Answer::of(204, &[], b""));
        let mut stream = stream;
        let (status, headers, body) = match answer {
            Answer::Broken => return,
            Answer::Slow => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
                stream.write_all(head.as_bytes()).ok();
                self.held.lock().unwrap().push(stream);
                return;
            }
            Answer::Whole(status, headers, body) => (status, headers, body),
        };
        let mut head = format!("HTTP/1.1 {status} Planned\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if status != 204 {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).ok();
        if !is_head {
            stream.write_all(&body).ok();
        }
    }
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut seen = Seen { method, target, headers, body: Vec::new() };
    let length: usize = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    seen.body = vec![0; length];
    reader.read_exact(&mut seen.body).ok()?;
    Some(seen)
}
