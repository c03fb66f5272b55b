//! Through an HTTP proxy by CONNECT (RFC 9110, section 9.3.6).

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::base::bound;
use crate::config::target::Endpoint;

/// Makes `stream`, a fresh connection to a proxy, one to `target`. Nothing behind the proxy's answer is read.
pub(super) async fn connect(stream: &mut TcpStream, target: &Endpoint) -> io::Result<()> {
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    // Byte by byte: what comes behind belongs to the other end. It is a few hundred bytes, once a connection.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= bound::egress::EGRESS_PROXY_BYTES_MAX {
            return Err(io::Error::other("the proxy's answer is too long"));
        }
        head.push(stream.read_u8().await?);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|version| version == "HTTP/1.1" || version == "HTTP/1.0");
    let status = words.next().unwrap_or_default();
    if is_http && status.len() == 3 && status.starts_with('2') {
        return Ok(());
    }
    let line: String = line.chars().filter(|char| !char.is_control()).take(bound::EGRESS_TOLD_CHARS_MAX).collect();
    Err(io::Error::other(format!("the proxy answered {line:?}")))
}
