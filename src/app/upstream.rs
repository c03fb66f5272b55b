//! Calls of connectors go out through the egress, each connector by a route of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

use super::AppError;
use crate::base::clock::Clock;
use crate::base::network::Network;
use crate::config::Config;
use crate::config::target::HostPattern;
use crate::connector::authorise::Bound;
use crate::connector::client::Client;
use crate::connector::oauth::desk::Desk;
use crate::connector::record::ConnectorRecord;
use crate::connector::registry::Connectors;
use crate::connector::upstream::{Answered, Outgoing, Unsent, Upstream};
use crate::custody::Custody;
use crate::egress::error::EgressError;
use crate::egress::exchange::{Credential, Exchange, Limits};
use crate::egress::route::Route;
use crate::egress::{Egress, Purpose};
use crate::operation::Catalog;
use crate::tool::connector::{ConnectorTools, invitation};
use crate::watch::notify::Keys;

/// The connectors, whose tools are listed, and listed anew with every change.
pub(super) fn open<'a>(
    config: &'a Config,
    egress: &'a Arc<Egress>,
    keys: Keys,
    clock: &'a Arc<dyn Clock>,
    catalog: &'a Arc<Catalog>,
    custody: &'a Arc<Custody>,
) -> BoxFuture<'a, Result<(Arc<Connectors>, Desk), AppError>> {
    Box::pin(async move {
        let Keys { store, vault } = keys;
        let connectors = Arc::new(Connectors::new(store.clone(), Arc::clone(clock)));
        let upstream = Arc::new(Outbound { egress: Arc::clone(egress), routes: Mutex::default() });
        let desk = Desk::new(Arc::clone(custody), Arc::clone(&upstream) as _, Arc::clone(clock));
        let bound = Bound { store, vault, desk: desk.clone() };
        let client = Arc::new(Client::new(upstream, Arc::new(bound), Arc::clone(clock)));
        let time = config.tool_execution.connector_timeout;
        let tools = Arc::new(ConnectorTools::new(catalog, &connectors, client, desk.clone(), time));
        connectors.tell(Arc::clone(&tools) as _);
        tools.publish_all().await?;
        invitation::register(catalog, &connectors, &desk)?;
        Ok((connectors, desk))
    })
}

struct Outbound {
    egress: Arc<Egress>,
    /// By the connector's name and the host, with what the route was made of. A route keeps its TLS sessions. Held for a
    /// look-up, never across an await; as many as connectors have hosts (the API's, an authorization server's or two), and
    /// those that were removed since the start.
    routes: Mutex<HashMap<Way, (Made, Arc<Route>)>>,
}

/// A connector's name and a host.
type Way = (String, String);

/// What a route is made of: whether its host may be reached in the clear, and where it may be.
#[derive(Clone, PartialEq, Eq)]
struct Made {
    loopback_http: bool,
    networks: Vec<String>,
}

impl Outbound {
    fn route(&self, connector: &ConnectorRecord, url: &str) -> Result<Arc<Route>, Unsent> {
        let uri: http::Uri = url.parse().map_err(|_| Unsent::Refused("the URL is none".into()))?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (loopback_http, networks) = (connector.loopback_http, connector.networks.clone());
        let (made, key) = (Made { loopback_http, networks }, (connector.name.clone(), host));
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, route)) = routes.get(&key).filter(|(known, _)| *known == made) {
            return Ok(Arc::clone(route));
        }
        let mut route = Route::new(connector.name.as_str());
        route.hosts.extend(HostPattern::parse(&key.1));
        route.cleartext_loopback = made.loopback_http;
        route.same_origin = true;
        route.networks.extend(made.networks.iter().filter_map(|network| Network::parse(network)));
        let route = Arc::new(route);
        routes.insert(key, (made, Arc::clone(&route)));
        Ok(route)
    }
}

impl Upstream for Outbound {
    fn send<'a>(&'a self, to: &'a ConnectorRecord, request: Outgoing) -> BoxFuture<'a, Result<Answered, Unsent>> {
        Box::pin(async move {
            let route = self.route(to, &request.url)?;
            let Outgoing { method, url, headers, authority, body, time, answer_bytes_max, redirects_max } = request;
            let credential = Credential { headers: authority.headers, query: authority.query };
            let limits = Limits { total: time, response_bytes_max: answer_bytes_max, redirects_max };
            let exchange = Exchange {
                purpose: Purpose::Connector,
                route,
                method,
                url,
                headers,
                credential: Some(Arc::new(credential)),
                body,
                limits,
            };
            match self.egress.exchange(&exchange).await {
                Ok(answer) => Ok(Answered {
                    status: answer.status,
                    headers: answer.headers,
                    body: answer.body.into(),
                    requests: answer.requests,
                }),
                Err(error) => Err(unsent(&error)),
            }
        })
    }
}

fn unsent(error: &EgressError) -> Unsent {
    let reason = error.to_string();
    match error {
        EgressError::Refused { .. } | EgressError::Request { .. } => Unsent::Refused(reason),
        EgressError::Redirect { .. } => Unsent::Redirected(reason),
        EgressError::TooLarge { bytes_max, .. } => Unsent::TooLarge(*bytes_max),
        _ if error.may_be_done() => Unsent::Interrupted(reason),
        _ => Unsent::Unreached(reason),
    }
}
