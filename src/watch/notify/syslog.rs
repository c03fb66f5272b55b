//! Sends an alert as a syslog message (RFC 5424): over UDP (RFC 5426), TCP with octet counting (RFC 6587), or TLS (RFC
//! 5425). None of them acknowledges: what the network took counts as delivered.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt as _;

use super::super::alert::AlertRecord;
use super::Sink;
use super::message::Sender;
use crate::base::bound;
use crate::config;
use crate::config::raw::watch::SyslogFormat;
use crate::config::watch::SyslogTransport;
use crate::egress::{Egress, Purpose};

/// A receiver of syslog messages.
#[derive(Debug)]
pub struct Syslog {
    pub syslog: config::watch::Syslog,
    pub sender: Sender,
    pub egress: Arc<Egress>,
}

impl Sink for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn describe(&self) -> String {
        let scheme = match self.syslog.transport {
            SyslogTransport::Udp => "udp",
            SyslogTransport::Tcp => "tcp",
            SyslogTransport::Tls => "tls",
        };
        format!("{scheme}://{}", self.syslog.target)
    }

    fn send<'a>(&'a self, alert: &'a AlertRecord) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            let line = match self.syslog.format {
                SyslogFormat::Rfc5424 => self.sender.rfc5424(alert),
                SyslogFormat::Cef => self.sender.cef(alert),
            };
            let target = &self.syslog.target;
            let stream = match self.syslog.transport {
                SyslogTransport::Udp => {
                    let socket = self.egress.udp(Purpose::Alert, target).await.map_err(|error| error.to_string())?;
                    let sent = socket.send(cut(&line, bound::SYSLOG_UDP_BYTES_MAX).as_bytes()).await;
                    return sent.map(|bytes| format!("{bytes} bytes sent")).map_err(|error| error.to_string());
                }
                SyslogTransport::Tcp => self.egress.tcp(Purpose::Alert, target).await,
                SyslogTransport::Tls => self.egress.tls(Purpose::Alert, target).await,
            };
            let mut stream = stream.map_err(|error| error.to_string())?;
            let frame = frame(cut(&line, bound::SYSLOG_STREAM_BYTES_MAX));
            let written = async {
                stream.write_all(frame.as_bytes()).await?;
                stream.flush().await?;
                stream.shutdown().await
            };
            written.await.map(|()| format!("{} bytes sent", frame.len())).map_err(|error| error.to_string())
        })
    }
}

/// Octet counting (RFC 6587, section 3.4.1): the length in bytes, a space, the message.
fn frame(line: &str) -> String {
    format!("{} {line}", line.len())
}

/// At most so many bytes, and whole characters.
fn cut(line: &str, bytes_max: usize) -> &str {
    &line[..line.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_bytes_and_a_cut_keeps_characters_whole() {
        assert_eq!(frame("<13>1 ü"), "8 <13>1 ü");
        assert_eq!(cut("aü", 2), "a");
        assert_eq!(cut("ab", 5), "ab");
    }
}
