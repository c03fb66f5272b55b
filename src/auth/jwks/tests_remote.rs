//! When keys are fetched, and what becomes of them when they cannot be.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::base::clock::{ManualClock, Timestamp};
use crate::config::target::Endpoint;
use crate::egress::Witness;

struct Unseen;

impl Witness for Unseen {
    fn connected(&self, _: Purpose, _: &Endpoint, _: SocketAddr) {}
    fn refused(&self, _: Purpose, _: &Endpoint, _: &str) {}
}

/// An authorization server on loopback.
struct Server {
    /// Names of its keys, or the status that it answers with.
    keys: Arc<Mutex<Result<Vec<&'static str>, u16>>>,
    asked: Arc<AtomicUsize>,
    jwks: RemoteJwks,
    clock: Arc<ManualClock>,
}

async fn server(keys: &[&'static str]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/jwks", listener.local_addr().unwrap())).unwrap();
    let (keys, asked) = (Arc::new(Mutex::new(Ok(keys.to_vec()))), Arc::new(AtomicUsize::new(0)));
    let (own_keys, own_asked) = (Arc::clone(&keys), Arc::clone(&asked));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
            }
            own_asked.fetch_add(1, Ordering::Relaxed);
            let key = |kid: &&str| {
                let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
                format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"{x}"}}"#)
            };
            let (status, body) = match &*own_keys.lock().unwrap() {
                Ok(keys) => (200, format!("{{\"keys\":[{}]}}", keys.iter().map(key).collect::<Vec<_>>().join(","))),
                Err(status) => (*status, "{\"keys\":[]}".to_owned()),
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let settings = crate::config::egress::Egress::default();
    let egress = Egress::new(&settings, Vec::new(), Arc::new(Unseen));
    let jwks = RemoteJwks::new(Arc::new(egress), &url, clock.clone());
    Server { keys, asked, jwks, clock }
}

impl Server {
    async fn knows(&self, kid: &str) -> bool {
        self.jwks.find(kid, Algorithm::EdDSA).await.is_some()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn advance(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_for_an_unknown_key_but_not_at_anybodys_will() {
    let server = server(&["a"]).await;
    assert_eq!(server.asked(), 0, "nobody needs them yet");
    for _ in 0..3 {
        assert!(server.knows("a").await);
    }
    assert_eq!(server.asked(), 1);
    *server.keys.lock().unwrap() = Ok(vec!["a", "b"]);
    for _ in 0..100 {
        assert!(!server.knows("b").await && !server.knows("invented").await);
    }
    assert_eq!(server.asked(), 1);
    server.advance(JWKS_FETCH_BETWEEN_MS);
    assert!(server.knows("b").await && !server.knows("invented").await && server.knows("a").await);
    assert_eq!(server.asked(), 2);
    assert!(server.jwks.find("a", Algorithm::RS256).await.is_none());
}

#[tokio::test]
async fn a_key_that_was_withdrawn_is_forgotten_when_the_keys_are_fetched_again() {
    let server = server(&["a", "b"]).await;
    assert!(server.knows("a").await);
    *server.keys.lock().unwrap() = Ok(vec!["b"]);
    server.advance(JWKS_FRESH_MS - 1);
    assert!(server.knows("a").await);
    server.advance(1);
    assert!(!server.knows("a").await && server.knows("b").await);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn the_last_good_keys_are_kept_for_a_day_when_a_fetch_fails() {
    let server = server(&["a"]).await;
    assert!(server.knows("a").await);
    *server.keys.lock().unwrap() = Err(500);
    server.advance(JWKS_FRESH_MS);
    assert!(server.knows("a").await);
    assert_eq!(server.asked(), 2);
    assert!(server.knows("a").await);
    assert_eq!(server.asked(), 2, "not with every token");
    server.advance(JWKS_KEPT_MS);
    assert!(!server.knows("a").await);
    *server.keys.lock().unwrap() = Ok(vec!["a"]);
    server.advance(JWKS_FETCH_BETWEEN_MS);
    assert!(server.knows("a").await);
}

#[tokio::test]
async fn many_tokens_of_one_unknown_key_make_one_request() {
    let server = server(&["a"]).await;
    let all = futures::future::join_all((0..50).map(|_| server.knows("a"))).await;
    assert!(all.into_iter().all(|known| known));
    assert_eq!(server.asked(), 1);
}
