//! What a supervisor is told of the state of this process: `sd_notify(3)`, and its watchdog.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::bound::service as bound;
use crate::config::env::Supervised;

/// The way to a supervisor; without one it does nothing.
#[derive(Debug)]
pub struct Supervisor {
    line: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// To the socket that the environment names. One that cannot be reached costs the service nothing but this.
    pub fn find(supervised: &Supervised) -> Self {
        let line = supervised.socket.as_ref().and_then(|socket| {
            let name = socket.as_os_str().as_bytes();
            let address = match name.strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(socket),
            };
            let line = address.and_then(|address| Ok((UnixDatagram::unbound()?, address)));
            line.inspect_err(|error| tracing::warn!(%error, "the supervisor cannot be told anything")).ok()
        });
        Self { line, watchdog: supervised.watchdog }
    }

    /// The service can be used. `status` is shown to operators.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Stopping: calls under way finish first");
    }

    /// Says that we are alive, as often as is asked for, while both kinds of threads get work done: that is what a restart
    /// mends. A full disk or a sealed vault is not, and `/ready` says those.
    pub async fn watch(self: std::sync::Arc<Self>, stop: CancellationToken) {
        let Some(patience) = self.watchdog.filter(|_| self.line.is_some()) else { return };
        // sd_watchdog_enabled(3): in half of the time.
        let mut ticks = tokio::time::interval((patience / 2).max(Duration::from_millis(bound::WATCHDOG_TICK_MS_MIN)));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if tokio::task::spawn_blocking(|| ()).await.is_ok() {
                self.tell("WATCHDOG=1");
            }
        }
    }

    fn tell(&self, state: &str) {
        let Some((socket, address)) = &self.line else { return };
        let sent = socket.send_to_addr(state.as_bytes(), address);
        if let Err(error) = sent.and_then(|sent| if sent == state.len() { Ok(()) } else { Err(cut()) }) {
            tracing::warn!(%error, "the supervisor was not told");
        }
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::WriteZero, "only a part was sent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_supervisor_hears_of_the_start_of_life_and_of_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
        let supervised = Supervised { socket: Some(path), watchdog: Some(Duration::from_millis(20)) };
        let supervisor = std::sync::Arc::new(Supervisor::find(&supervised));
        let mut bytes = [0; 256];
        let mut heard = async || {
            let length = socket.recv(&mut bytes).await.unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        };
        supervisor.ready("Serving");
        assert_eq!(heard().await, "READY=1\nSTATUS=Serving");
        let stop = CancellationToken::new();
        let watching = tokio::spawn(std::sync::Arc::clone(&supervisor).watch(stop.clone()));
        for _ in 0..3 {
            assert_eq!(heard().await, "WATCHDOG=1");
        }
        stop.cancel();
        watching.await.unwrap();
        supervisor.stopping();
        while heard().await == "WATCHDOG=1" {}
    }

    #[tokio::test]
    async fn without_a_supervisor_nothing_happens() {
        let supervisor = std::sync::Arc::new(Supervisor::find(&Supervised::default()));
        supervisor.ready("Serving");
        supervisor.watch(CancellationToken::new()).await;
    }
}
