//! From a name to addresses: the seam behind which the system's resolver stands, or one of ours.

use std::io;
use std::net::IpAddr;

use futures::future::BoxFuture;

use super::door::Door;

/// Looks names up.
pub trait Resolve: Send + Sync {
    /// Addresses of a host that is no address itself. Sockets are opened through `door` alone.
    fn resolve<'a>(&'a self, door: &'a Door, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of this machine. It is the default because it alone knows all that an administrator of the machine has
/// set up: `nsswitch.conf`, `/etc/hosts`, mDNS, the split views of systemd-resolved. Readers of `/etc/resolv.conf`, hickory's
/// too, know but the last step of that.
#[derive(Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, door: &'a Door, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(door.look_up(host))
    }
}
