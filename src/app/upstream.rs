//! Calls of connectors go out through the egress, each connector by a route of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

use super::fetch::Pages;
use super::outward::Lookout;
use crate::base::clock::Clock;
use crate::base::network::Network;
use crate::config::Config;
use crate::config::target::HostPattern;
use crate::connector::authorise::Bound;
use crate::connector::client::Client;
use crate::connector::record::ConnectorRecord;
use crate::connector::registry::{ConnectorError, Connectors};
use crate::connector::upstream::{Answered, Outgoing, Unsent, Upstream};
use crate::egress::error::EgressError;
use crate::egress::exchange::{Credential, Exchange, Limits};
use crate::egress::route::Route;
use crate::egress::{Egress, Purpose};
use crate::library::Libraries;
use crate::operation::Catalog;
use crate::tool::connector::ConnectorTools;
use crate::watch::notify::Keys;

/// The connectors, whose tools are listed, and listed anew with every change. Libraries have the same way out.
pub(super) async fn open(
    config: &Config,
    lookout: &Lookout,
    keys: Keys,
    clock: &Arc<dyn Clock>,
    catalog: &Arc<Catalog>,
    libraries: &Arc<Libraries>,
) -> Result<Arc<Connectors>, ConnectorError> {
    let egress = lookout.egress();
    libraries.reach(Arc::new(Pages::new(egress)));
    let Keys { store, vault } = keys;
    let connectors = Arc::new(Connectors::new(store.clone(), Arc::clone(clock), libraries.sandbox()));
    let upstream = Arc::new(Outbound { egress: Arc::clone(egress), routes: Mutex::default() });
    let client = Arc::new(Client::new(upstream, Arc::new(Bound { store, vault }), Arc::clone(clock)));
    let time = config.tool_execution.connector_timeout;
    let tools = Arc::new(ConnectorTools::new(catalog, &connectors, client, time));
    connectors.tell(Arc::clone(&tools) as _);
    tools.publish_all().await?;
    Ok(connectors)
}

struct Outbound {
    egress: Arc<Egress>,
    /// By the connector's name, with what the route was made of. A route keeps its TLS sessions. Held for a look-up,
    /// never across an await; as many as there are connectors, and those that were removed since the start.
    routes: Mutex<HashMap<String, (Made, Arc<Route>)>>,
}

/// What a route is made of: the host, whether it may be reached in the clear, and where it may be.
#[derive(Clone, PartialEq, Eq)]
struct Made {
    host: String,
    loopback_http: bool,
    networks: Vec<String>,
}

impl Outbound {
    fn route(&self, connector: &ConnectorRecord, url: &str) -> Result<Arc<Route>, Unsent> {
        let uri: http::Uri = url.parse().map_err(|_| Unsent::Refused("the URL is none".into()))?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (loopback_http, networks) = (connector.loopback_http, connector.networks.clone());
        let made = Made { host, loopback_http, networks };
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, route)) = routes.get(&connector.name).filter(|(known, _)| *known == made) {
            return Ok(Arc::clone(route));
        }
        let mut route = Route::new(connector.name.as_str());
        route.hosts.extend(HostPattern::parse(&made.host));
        route.cleartext_loopback = made.loopback_http;
        route.same_origin = true;
        route.networks.extend(made.networks.iter().filter_map(|network| Network::parse(network)));
        let route = Arc::new(route);
        routes.insert(connector.name.clone(), (made, Arc::clone(&route)));
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
                body: body.into(),
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
