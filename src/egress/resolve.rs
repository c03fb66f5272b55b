//! From a name to addresses: the seam that tests answer in the place of a resolver.

use std::io;
use std::net::IpAddr;

use futures::future::BoxFuture;

/// Looks names up; the system's resolver outside of tests.
pub trait Resolve: Send + Sync {
    /// Addresses of a host that is no address itself.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of this machine.
#[derive(Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect()) })
    }
}
