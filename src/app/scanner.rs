//! The way to scanners: a socket of this machine, or TCP through the egress.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::net::UnixStream;

use crate::connector::record::ConnectorRecord;
use crate::connector::scan::{Dial, Line, Unscanned};
use crate::connector::scanner::Scanner;
use crate::egress::route::Route;
use crate::egress::{Egress, Purpose};

pub(super) struct Dialler {
    pub(super) egress: Arc<Egress>,
}

impl Dial for Dialler {
    fn dial<'a>(
        &'a self,
        connector: &'a ConnectorRecord,
        to: &'a Scanner,
    ) -> BoxFuture<'a, Result<Box<dyn Line>, Unscanned>> {
        Box::pin(async move {
            let unreached = |error: &dyn std::fmt::Display| Unscanned::Unreached(error.to_string());
            match to {
                Scanner::Unix(path) => {
                    // It leads nowhere else, so a closed egress does not close it.
                    let stream = UnixStream::connect(path).await.map_err(|error| unreached(&error))?;
                    Ok(Box::new(stream) as Box<dyn Line>)
                }
                Scanner::Tcp(endpoint) => {
                    let route = Route::to(format!("scan of {}", connector.name), endpoint);
                    let stream = self.egress.tcp_by(Purpose::Scan, endpoint, &route).await;
                    Ok(Box::new(stream.map_err(|error| unreached(&error))?) as Box<dyn Line>)
                }
            }
        })
    }
}
