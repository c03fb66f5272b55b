//! A scanner that speaks clamd's protocol over real sockets, and knows one signature.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What it finds.
pub(crate) const MALWARE: &str = "sekisho-test-signature";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Honest,
    /// It listens, and never answers.
    Silent,
    /// It closes in the middle.
    Broken,
    /// It takes so many bytes, says so and closes, as clamd does at `StreamMaxLength`.
    Small(usize),
    /// It answers with what is no verdict.
    Confused,
}

#[derive(Clone)]
pub(crate) struct Clamd {
    mood: Arc<Mutex<Mood>>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Clamd {
    fn new() -> Self {
        Self { mood: Arc::new(Mutex::new(Mood::Honest)), seen: Arc::default() }
    }

    pub(crate) fn on_tcp() -> (Self, String) {
        let clamd = Self::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = format!("clamd:tcp://{}", listener.local_addr().unwrap());
        let own = clamd.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        (clamd, place)
    }

    pub(crate) fn on_unix(path: &Path) -> (Self, String) {
        let clamd = Self::new();
        let listener = UnixListener::bind(path).unwrap();
        let own = clamd.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        (clamd, format!("clamd:{}", path.display()))
    }

    pub(crate) fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The files that it was shown since the last look.
    pub(crate) fn seen(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn serve(&self, mut stream: impl Read + Write) {
        let mood = *self.mood.lock().unwrap();
        let mut command = [0; 10];
        if stream.read_exact(&mut command).is_err() {
            return;
        }
        assert_eq!(&command, b"zINSTREAM\0");
        let mut content = Vec::new();
        loop {
            let mut length = [0; 4];
            if mood == Mood::Broken || stream.read_exact(&mut length).is_err() {
                return;
            }
            let length = u32::from_be_bytes(length) as usize;
            if length == 0 {
                break;
            }
            let mut chunk = vec![0; length];
            stream.read_exact(&mut chunk).unwrap();
            content.extend(chunk);
            if matches!(mood, Mood::Small(most) if content.len() > most) {
                stream.write_all(b"INSTREAM size limit exceeded. ERROR\0").ok();
                return;
            }
        }
        let is_found = content.windows(MALWARE.len()).any(|window| window == MALWARE.as_bytes());
        self.seen.lock().unwrap().push(content);
        match mood {
            Mood::Silent => std::thread::park(),
            Mood::Confused => stream.write_all(b"stream: OK, I suppose\0").unwrap_or_default(),
            _ if is_found => stream.write_all(b"stream: Sekisho.Test.UNOFFICIAL FOUND\0").unwrap_or_default(),
            _ => stream.write_all(b"stream: OK\0").unwrap_or_default(),
        }
    }
}
