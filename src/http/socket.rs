//! MCP over HTTP on a Unix socket, for clients of this machine that the socket's group lets in.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::pipeline::request::SocketPeer;

/// A listening Unix socket. The file that was made for it goes when it is dropped.
#[derive(Debug)]
pub(super) struct HttpSocket {
    listener: UnixListener,
    made: Option<PathBuf>,
}

impl HttpSocket {
    /// Takes the place of a socket that nobody answers at. Whatever else is there stays.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(named(error)),
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(named(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is there")));
            }
            Ok(_) if Probe::connect(path).is_ok() => {
                return Err(named(io::Error::new(io::ErrorKind::AddrInUse, "somebody answers there already")));
            }
            Ok(_) => fs::remove_file(path).map_err(named)?,
        }
        let listener = UnixListener::bind(path).map_err(named)?;
        // Until here the process's umask keeps it to this user.
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(named)?;
        Ok(Self { listener, made: Some(path.to_owned()) })
    }

    /// A supervisor made it, and keeps its file and its mode.
    pub(super) fn inherited(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, made: None })
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for HttpSocket {
    fn drop(&mut self) {
        if let Some(path) = &self.made
            && let Err(error) = fs::remove_file(path)
        {
            tracing::debug!(%error, "the socket's file was gone already");
        }
    }
}

/// The process at the other end, as the kernel says.
pub(super) fn peer_of(stream: &UnixStream) -> io::Result<SocketPeer> {
    let credential = stream.peer_cred()?;
    Ok(SocketPeer { uid: credential.uid(), process: credential.pid() })
}
