//! A DNS server on loopback, and how we ask it.

use std::collections::HashMap;
use std::net::IpAddr;

use ::http::{Request, Response};
use bytes::Bytes;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::tests_tls::{authority, server, serving, today};
use super::*;
use crate::config::target::Url;
use crate::crypto::tls::authority::Authority;

/// What is said of a name, for one look-up after the other, the last for ever: addresses, or a name that it stands for.
pub(super) type Answers = Vec<Vec<&'static str>>;

/// A DNS server on loopback, over UDP and TCP on one port.
pub(super) struct Names {
    pub(super) address: SocketAddr,
    pub(super) zone: Arc<Zone>,
}

#[derive(Default)]
pub(super) struct Zone {
    names: HashMap<&'static str, Answers>,
    /// `A name`, as they were asked.
    pub(super) asked: Mutex<Vec<String>>,
    /// Over UDP say only that the answer is too long for it.
    truncates: bool,
    /// Before each true answer: one with another number, one to another question.
    lies: bool,
}

impl Zone {
    pub(super) fn new(names: &[(&'static str, Answers)]) -> Self {
        Self { names: names.iter().cloned().collect(), ..Self::default() }
    }

    fn answer(&self, bytes: &[u8]) -> Message {
        let question = Message::from_vec(bytes).unwrap();
        let query = question.queries[0].clone();
        let name = query.name.to_string();
        let name = name.trim_end_matches('.').to_owned();
        let turn = {
            let mut asked = self.asked.lock().unwrap();
            let key = format!("{} {name}", query.query_type);
            asked.push(key.clone());
            asked.iter().filter(|before| **before == key).count() - 1
        };
        let mut message = Message::response(question.metadata.id, question.metadata.op_code);
        message.add_query(query.clone());
        let Some(answers) = self.names.get(&*name) else {
            message.metadata.response_code = ResponseCode::NXDomain;
            return message;
        };
        let mut owner = query.name;
        for text in answers.get(turn).or(answers.last()).unwrap() {
            let data = match text.parse::<IpAddr>() {
                Ok(IpAddr::V4(address)) if query.query_type == RecordType::A => RData::A(A(address)),
                Ok(IpAddr::V6(address)) if query.query_type == RecordType::AAAA => RData::AAAA(AAAA(address)),
                Ok(_) => continue,
                Err(_) => {
                    let mut alias = Name::from_ascii(text).unwrap();
                    alias.set_fqdn(true);
                    message.add_answer(Record::from_rdata(owner, 60, RData::CNAME(CNAME(alias.clone()))));
                    owner = alias;
                    continue;
                }
            };
            message.add_answer(Record::from_rdata(owner.clone(), 60, data));
        }
        message
    }
}

impl Names {
    pub(super) async fn start(zone: Zone) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let zone = Arc::new(zone);
        let (by_udp, by_tcp) = (Arc::clone(&zone), Arc::clone(&zone));
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                let mut message = by_udp.answer(&buffer[..length]);
                if by_udp.lies {
                    let mut other = message.clone();
                    other.metadata.id ^= 1;
                    udp.send_to(&other.to_vec().unwrap(), from).await.unwrap();
                    let mut other = message.clone();
                    other.queries[0].name = Name::from_ascii("other.test.").unwrap();
                    udp.send_to(&other.to_vec().unwrap(), from).await.unwrap();
                    udp.send_to(b"nothing", from).await.unwrap();
                }
                if by_udp.truncates {
                    message.metadata.truncation = true;
                    message.answers.clear();
                }
                udp.send_to(&message.to_vec().unwrap(), from).await.unwrap();
            }
        });
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let length = stream.read_u16().await.unwrap();
                let mut bytes = vec![0; usize::from(length)];
                stream.read_exact(&mut bytes).await.unwrap();
                let answer = by_tcp.answer(&bytes).to_vec().unwrap();
                stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        Self { address, zone }
    }
}

fn zone() -> Zone {
    Zone::new(&[
        ("both.test", vec![vec!["192.0.2.1", "192.0.2.2", "2001:db8::1"]]),
        ("four.test", vec![vec!["192.0.2.4"]]),
        ("alias.test", vec![vec!["four.test", "192.0.2.9"]]),
        ("empty.test", vec![vec![]]),
        ("long.test", vec![(0..9).map(|_| "a.test").collect()]),
    ])
}

async fn found(resolver: &dyn Resolve, host: &str) -> String {
    match resolver.resolve(&Door::new(true), host).await {
        Ok(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    }
}

async fn check(resolver: &dyn Resolve) {
    assert_eq!(found(resolver, "both.test").await, "192.0.2.1 192.0.2.2 2001:db8::1");
    assert_eq!(found(resolver, "four.test").await, "192.0.2.4");
    assert_eq!(found(resolver, "alias.test").await, "192.0.2.9");
    assert_eq!(found(resolver, "empty.test").await, "the name has no address");
    assert_eq!(found(resolver, "absent.test").await, "there is no such name");
    assert!(found(resolver, "long.test").await.contains("too many others"));
}

#[tokio::test]
async fn names_are_looked_up_over_udp_and_over_tcp_where_an_answer_is_long() {
    for truncates in [false, true] {
        let names = Names::start(Zone { truncates, ..zone() }).await;
        check(&dns::Server { address: names.address }).await;
        assert!(names.zone.asked.lock().unwrap().contains(&"AAAA both.test".to_owned()));
    }
}

#[tokio::test]
async fn answers_to_other_questions_are_passed_over() {
    let names = Names::start(Zone { lies: true, ..zone() }).await;
    check(&dns::Server { address: names.address }).await;
}

/// A server of DNS over HTTPS on loopback, by this protocol; gives where it is.
async fn over_https(authority: &Authority, protocol: &[u8]) -> Url {
    let mut tls = (*serving(&server(authority, "127.0.0.1", today()), false, None)).clone();
    tls.alpn_protocols = vec![protocol.to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let zone = Arc::new(zone());
    tokio::spawn(async move {
        let tls = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (stream, zone) = (tls.accept(stream).await.unwrap(), Arc::clone(&zone));
            let serve = service_fn(move |request: Request<Incoming>| {
                let zone = Arc::clone(&zone);
                async move {
                    assert_eq!((request.uri().path(), request.method().as_str()), ("/dns-query", "POST"));
                    assert_eq!(request.headers()["content-type"], "application/dns-message");
                    let body = request.into_body().collect().await?.to_bytes();
                    let answer = zone.answer(&body);
                    assert_eq!(answer.metadata.id, 0);
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(answer.to_vec().unwrap()))))
                }
            });
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                builder.serve_connection(TokioIo::new(stream), serve).await.ok();
            });
        }
    });
    Url::parse(&format!("https://127.0.0.1:{port}/dns-query")).unwrap()
}

#[tokio::test]
async fn names_are_looked_up_over_https() {
    let authority = authority();
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, authority.certificate()).unwrap();
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let url = over_https(&authority, protocol).await;
        check(&dns::Https::new(url.clone(), Some(ca_file.clone()))).await;
        let strange = dns::Https::new(url, Some(directory.path().join("absent.pem")));
        assert!(found(&strange, "four.test").await.contains("absent.pem"));
    }
}

#[tokio::test]
async fn the_configuration_says_who_is_asked() {
    let names = Names::start(zone()).await;
    let settings =
        config::egress::Egress { dns: Dns::Server(names.address), ..super::tests::settings(&["*.test"], &[]) };
    let egress = Egress::new(&settings, Vec::new(), Arc::new(super::tests::Told::default()));
    let target = Endpoint { host: "four.test".into(), port: 1 };
    let error = egress.tcp(Purpose::Alert, &target).await.unwrap_err().to_string();
    assert!(error.contains("192.0.2.4"), "{error}");
    assert_eq!(egress.sockets_opened(), 2, "two questions, and no connection");
    // The same over HTTPS, by an authority that a setting names.
    let authority = authority();
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, authority.certificate()).unwrap();
    let url = over_https(&authority, b"h2").await;
    let of = |ca_file: Option<PathBuf>| {
        let settings = super::tests::settings(&["*.test"], &[]);
        let settings = config::egress::Egress { dns: Dns::Https(url.clone()), ca_file, ..settings };
        Egress::new(&settings, Vec::new(), Arc::new(super::tests::Told::default()))
    };
    let error = of(Some(ca_file)).tcp(Purpose::Alert, &target).await.unwrap_err().to_string();
    assert!(error.contains("192.0.2.4"), "{error}");
    let error = of(None).tcp(Purpose::Alert, &target).await.unwrap_err().to_string();
    assert!(!error.contains("192.0.2.4"), "nobody vouches for it: {error}");
}
