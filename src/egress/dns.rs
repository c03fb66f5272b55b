//! Names asked of a DNS server that the configuration names: over UDP and TCP (RFC 1035), or HTTPS (RFC 8484).
//!
//! Messages are read and written by hickory's protocol crate; the sockets are ours, so that this room's one door holds
//! for look-ups too. hickory's whole resolver would open its own, and bring its own TLS and its own cache.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::{Method, Request, header};
use bytes::Bytes;
use futures::future::BoxFuture;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::door::Door;
use super::resolve::Resolve;
use super::stream::Stream;
use super::{secure, within};
use crate::base::bound::egress as bound;
use crate::base::id::random_bytes;
use crate::config::raw::TlsVersion;
use crate::config::target::Url;
use crate::crypto::trust::{self, Trust};

/// A server that is asked over UDP, and over TCP where its answer is too long for that.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
}

/// A server that is asked over HTTPS. Its own name, if it has one, is asked of the system.
#[derive(Debug)]
pub(super) struct Https {
    url: Url,
    ca_file: Option<PathBuf>,
    /// Made at the first use. Held for a look, never across an await.
    tls: Mutex<Option<Arc<ClientConfig>>>,
}

impl Resolve for Server {
    fn resolve<'a>(&'a self, door: &'a Door, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let ask = |kind| async move {
                let question = Question::new(host, kind, random_id()?)?;
                self.ask(door, &question).await
            };
            both(tokio::join!(ask(RecordType::A), ask(RecordType::AAAA)))
        })
    }
}

impl Server {
    async fn ask(&self, door: &Door, question: &Question) -> io::Result<Vec<IpAddr>> {
        let limit = Duration::from_millis(bound::DNS_QUESTION_MS);
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for _ in 0..bound::DNS_ATTEMPTS_MAX {
            match within(limit, self.datagram(door, question)).await {
                Ok(answer) if answer.metadata.truncation => {
                    return question.read(within(limit, self.stream(door, question)).await?);
                }
                Ok(answer) => return question.read(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// From a port of its own, by a socket that hears only the server: with the question's number, that is what keeps
    /// others from answering (RFC 5452).
    async fn datagram(&self, door: &Door, question: &Question) -> io::Result<Message> {
        let socket = door.udp(self.address).await?;
        socket.send(&question.bytes).await?;
        let mut buffer = [0; bound::DNS_UDP_BYTES_MAX];
        loop {
            let length = socket.recv(&mut buffer).await?;
            let answer = buffer.get(..length).and_then(|bytes| question.answer(bytes));
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }

    async fn stream(&self, door: &Door, question: &Question) -> io::Result<Message> {
        let mut stream = door.tcp(self.address).await?;
        let length = u16::try_from(question.bytes.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &question.bytes].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        question.answer(&answer).ok_or_else(|| io::Error::other("the DNS server answered another question"))
    }
}

impl Resolve for Https {
    fn resolve<'a>(&'a self, door: &'a Door, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            // 0: the same question is then the same request, for caches on the way (RFC 8484, section 4.1).
            let ask = |kind| async move {
                let question = Question::new(host, kind, 0)?;
                self.ask(door, &question).await
            };
            both(tokio::join!(ask(RecordType::A), ask(RecordType::AAAA)))
        })
    }
}

impl Https {
    pub(super) fn new(url: Url, ca_file: Option<PathBuf>) -> Self {
        Self { url, ca_file, tls: Mutex::default() }
    }

    async fn ask(&self, door: &Door, question: &Question) -> io::Result<Vec<IpAddr>> {
        let endpoint = &self.url.endpoint;
        let addresses = match endpoint.address() {
            Some(address) => vec![address],
            None => door.look_up(&endpoint.host).await?,
        };
        let address = addresses.first().ok_or_else(|| io::Error::other("the DNS server's name has no address"))?;
        let stream = Stream::Plain(door.tcp(SocketAddr::new(*address, endpoint.port)).await?);
        let stream = secure(self.client()?, stream, endpoint).await.map_err(io::Error::other)?;
        question.read(self.exchange(stream, question).await?)
    }

    async fn exchange(&self, stream: Stream, question: &Question) -> io::Result<Message> {
        let is_http2 = stream.protocol() == Some(b"h2");
        let uri = if is_http2 {
            format!("https://{}{}", self.url.host_header(), self.url.path)
        } else {
            self.url.path.clone()
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(header::CONTENT_TYPE, MESSAGE)
            .header(header::ACCEPT, MESSAGE);
        if !is_http2 {
            request = request.header(header::HOST, self.url.host_header());
        }
        let body = Full::new(Bytes::copy_from_slice(&question.bytes));
        let request = request.body(body).map_err(io::Error::other)?;
        let response = if is_http2 {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        let response = response.map_err(io::Error::other)?;
        let status = response.status();
        if !status.is_success() {
            return Err(io::Error::other(format!("the DNS server answered {status}")));
        }
        let body = Limited::new(response.into_body(), bound::DNS_ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        question.answer(&body).ok_or_else(|| io::Error::other("the DNS server answered another question"))
    }

    fn client(&self) -> io::Result<Arc<ClientConfig>> {
        let mut client = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let trust = Trust {
            ca_file: self.ca_file.as_deref(),
            ca: None,
            identity: None,
            version_min: TlsVersion::Tls12,
            protocols: &[b"h2", b"http/1.1"],
        };
        let made = trust::client_for(&trust).map_err(io::Error::other)?;
        *client = Some(Arc::clone(&made));
        Ok(made)
    }
}

const MESSAGE: &str = "application/dns-message";

fn random_id() -> io::Result<u16> {
    Ok(u16::from_be_bytes(random_bytes().map_err(io::Error::other)?))
}

/// Addresses of both families; one family that cannot be had does not hide the other.
fn both((v4, v6): (io::Result<Vec<IpAddr>>, io::Result<Vec<IpAddr>>)) -> io::Result<Vec<IpAddr>> {
    let addresses = match (v4, v6) {
        (Err(error), Err(_)) => return Err(error),
        (v4, v6) => [v4.unwrap_or_default(), v6.unwrap_or_default()].concat(),
    };
    if addresses.is_empty() {
        Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    } else {
        Ok(addresses)
    }
}

/// What is asked, as it is and as it is sent.
struct Question {
    id: u16,
    query: Query,
    bytes: Vec<u8>,
}

impl Question {
    fn new(host: &str, kind: RecordType, id: u16) -> io::Result<Self> {
        let mut name = Name::from_ascii(host).map_err(io::Error::other)?;
        // As it stands, and not below a search domain.
        name.set_fqdn(true);
        let query = Query::query(name, kind);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        Ok(Self { id, query, bytes: message.to_vec().map_err(io::Error::other)? })
    }

    /// The message, if it answers this question and no other.
    fn answer(&self, bytes: &[u8]) -> Option<Message> {
        let message = Message::from_vec(bytes).ok()?;
        let metadata = &message.metadata;
        let is_ours = metadata.id == self.id && metadata.message_type == MessageType::Response;
        (is_ours && message.queries == [self.query.clone()]).then_some(message)
    }

    /// The addresses of the name, or of what it stands for. Records about other names are passed over.
    fn read(&self, message: Message) -> io::Result<Vec<IpAddr>> {
        match message.metadata.response_code {
            ResponseCode::NoError => {}
            ResponseCode::NXDomain => return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such name")),
            other => return Err(io::Error::other(format!("the DNS server answered {other}"))),
        }
        let mut name = self.query.name.clone();
        for _ in 0..bound::DNS_ALIASES_MAX {
            let own = message.answers.iter().filter(|record| record.name == name && record.dns_class == DNSClass::IN);
            let addresses: Vec<IpAddr> = own
                .clone()
                .filter_map(|record| match (&record.data, self.query.query_type) {
                    (RData::A(address), RecordType::A) => Some(address.0.into()),
                    (RData::AAAA(address), RecordType::AAAA) => Some(address.0.into()),
                    _ => None,
                })
                .collect();
            let alias = own.clone().find_map(|record| match &record.data {
                RData::CNAME(alias) => Some(alias.0.clone()),
                _ => None,
            });
            match alias {
                Some(alias) if addresses.is_empty() => name = alias,
                _ => return Ok(addresses),
            }
        }
        Err(io::Error::other("the name stands for too many others in a row"))
    }
}
