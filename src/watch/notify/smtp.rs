//! Hands an alert to a mail server (RFC 5321), under TLS from the first byte (RFC 8314) or after STARTTLS (RFC 3207).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use futures::future::BoxFuture;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::super::alert::AlertRecord;
use super::super::event::SecurityEvent;
use super::{Keys, Sink, message};
use crate::base::bound;
use crate::base::id::{hex, random_bytes};
use crate::base::severity::Severity;
use crate::config;
use crate::config::raw::watch::SmtpSecurity;
use crate::egress::stream::Stream;
use crate::egress::{Egress, Purpose};

/// A mail server and whom mail goes to.
#[derive(Debug)]
pub struct Smtp {
    pub smtp: config::watch::Smtp,
    /// The least that `smtp.to` is sent.
    pub severity: Severity,
    /// Who is sent what is high or critical, beside them.
    pub contacts: Vec<String>,
    /// The machine's name, for the greeting.
    pub host: String,
    pub egress: Arc<Egress>,
    pub keys: Keys,
}

impl Sink for Smtp {
    fn name(&self) -> &'static str {
        "smtp"
    }

    fn describe(&self) -> String {
        self.smtp.server.to_string()
    }

    fn send<'a>(&'a self, alert: &'a AlertRecord) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            let message = self.message(alert)?;
            let stream = self.connect().await?;
            let told = |error: lettre::transport::smtp::Error| error.to_string();
            let mut connection =
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello()).await.map_err(told)?;
            if let Some((user, credential)) = &self.smtp.login {
                let password = self.keys.value(credential)?;
                let password = std::str::from_utf8(password.expose_secret())
                    .map_err(|_| format!("the credential {credential} is no text"))?;
                let credentials = Credentials::new(user.clone(), password.to_owned());
                connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await.map_err(told)?;
            }
            let response = connection.send(message.envelope(), &message.formatted()).await.map_err(told)?;
            // It has the mail; how it takes leave makes no difference.
            connection.quit().await.ok();
            let answer: String = response.message().collect::<Vec<_>>().join(" ");
            Ok(format!("{} {}", response.code(), answer.chars().take(bound::EGRESS_TOLD_CHARS_MAX).collect::<String>()))
        })
    }
}

impl Smtp {
    fn hello(&self) -> ClientId {
        ClientId::Domain(self.host.clone())
    }

    fn message(&self, alert: &AlertRecord) -> Result<Message, String> {
        let mailbox = |address: &str| -> Result<Mailbox, String> {
            let address: Address = address.parse().map_err(|error| format!("the address {address}: {error}"))?;
            Ok(Mailbox::new(None, address))
        };
        let (subject, text) = message::mail(alert);
        let random = random_bytes::<8>().map_err(|error| error.to_string())?;
        let domain = self.smtp.from.rsplit('@').next().unwrap_or("localhost");
        let id = format!("<alert-{}.{}@{domain}>", alert.id, hex(&random));
        let mut builder = Message::builder()
            .from(mailbox(&self.smtp.from)?)
            .subject(subject)
            .date(UNIX_EPOCH + Duration::from_millis(alert.last.0))
            .message_id(Some(id));
        for to in self.recipients(alert) {
            builder = builder.to(mailbox(to)?);
        }
        builder.body(text).map_err(|error| error.to_string())
    }

    fn recipients(&self, alert: &AlertRecord) -> Vec<&String> {
        // A test goes to whom it is asked for, however little it says.
        let mut is_usual = alert.severity >= self.severity || alert.event == SecurityEvent::Test;
        // Where there are no contacts an incident goes to whoever else there is.
        is_usual |= alert.is_grave_incident() && self.contacts.is_empty();
        let usual = self.smtp.to.iter().filter(|_| is_usual);
        let grave = self.contacts.iter().filter(|_| alert.severity >= Severity::High);
        let mut all: Vec<&String> = usual.collect();
        for contact in grave {
            if !all.contains(&contact) {
                all.push(contact);
            }
        }
        all
    }

    /// A connection on which the server's greeting comes next.
    async fn connect(&self) -> Result<Greeted, String> {
        let (server, told) = (&self.smtp.server, |error: crate::egress::error::EgressError| error.to_string());
        match self.smtp.security {
            SmtpSecurity::Tls => {
                let stream = self.egress.tls(Purpose::Alert, server).await.map_err(told)?;
                Ok(Greeted { greeting: Vec::new(), stream })
            }
            SmtpSecurity::None => {
                let stream = self.egress.tcp(Purpose::Alert, server).await.map_err(told)?;
                Ok(Greeted { greeting: Vec::new(), stream })
            }
            SmtpSecurity::Starttls => {
                let mut stream = self.egress.tcp(Purpose::Alert, server).await.map_err(told)?;
                let greeting = ask_for_tls(&mut stream, &self.host).await.map_err(|error| error.to_string())?;
                let stream = self.egress.secure(stream, server).await.map_err(told)?;
                Ok(Greeted { greeting, stream })
            }
        }
    }
}

/// The beginning in the clear: greeting, EHLO, STARTTLS. Gives the greeting. The handshake is ours and not lettre's, so
/// that one room decides who is trusted.
async fn ask_for_tls(stream: &mut Stream, host: &str) -> io::Result<Vec<u8>> {
    let greeting = answer(stream, "220").await?;
    stream.write_all(format!("EHLO {host}\r\n").as_bytes()).await?;
    answer(stream, "250").await?;
    stream.write_all(b"STARTTLS\r\n").await?;
    answer(stream, "220").await?;
    Ok(greeting)
}

/// One answer, whose code must be `code`. Nothing beyond it is read: what somebody slipped in after it in the clear
/// must not be taken for what was said under TLS.
async fn answer(stream: &mut Stream, code: &str) -> io::Result<Vec<u8>> {
    for _ in 0..bound::SMTP_LINES_MAX {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            if line.len() >= bound::SMTP_LINE_BYTES_MAX {
                return Err(io::Error::other("a line of the server's answer is too long"));
            }
            line.push(stream.read_u8().await?);
        }
        if !line.starts_with(code.as_bytes()) {
            let text: String = String::from_utf8_lossy(&line).chars().filter(|char| !char.is_control()).collect();
            let text: String = text.chars().take(bound::EGRESS_TOLD_CHARS_MAX).collect();
            return Err(io::Error::other(format!("expected an answer {code}, found {text}")));
        }
        if line.get(3) != Some(&b'-') {
            return Ok(line);
        }
    }
    Err(io::Error::other("the server's answer has too many lines"))
}

/// A stream whose greeting was read before, and is read once more: lettre begins with it.
#[derive(Debug)]
struct Greeted {
    greeting: Vec<u8>,
    stream: Stream,
}

impl AsyncTokioStream for Greeted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for Greeted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let length = self.greeting.len().min(buffer.remaining());
            let given: Vec<u8> = self.greeting.drain(..length).collect();
            buffer.put_slice(&given);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
