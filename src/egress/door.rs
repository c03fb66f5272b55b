//! The one place where sockets to other machines are opened and the system's resolver is asked, so that they can be
//! counted, and so that one closed door is enough.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpStream, UdpSocket};

/// Opened once per process, and closed for good where `egress.mode` is "none".
#[derive(Debug)]
pub struct Door {
    is_open: bool,
    used: AtomicU64,
}

impl Door {
    pub(super) fn new(is_open: bool) -> Self {
        Self { is_open, used: AtomicU64::new(0) }
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Sockets that were opened, and names that the system was asked for, since the start.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) async fn tcp(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.pass()?;
        let stream = TcpStream::connect(address).await?;
        // If not, small requests are late, and no more.
        stream.set_nodelay(true).ok();
        Ok(stream)
    }

    /// A socket that sends to `address`, and hears only it.
    pub(super) async fn udp(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        self.pass()?;
        let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(address).await?;
        Ok(socket)
    }

    pub(super) async fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.pass()?;
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect())
    }

    fn pass(&self) -> io::Result<()> {
        if !self.is_open {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "egress.mode is \"none\", or --offline was given",
            ));
        }
        self.used.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
