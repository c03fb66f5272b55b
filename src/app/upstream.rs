//! Calls of connectors go out through the egress, each connector by a route of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;

use super::AppError;
use super::fetch::Pages;
use super::scanner::Dialler;
use crate::base::bound::connector as bound;
use crate::base::clock::{Clock, Timestamp};
use crate::base::network::Network;
use crate::config::Config;
use crate::config::target::HostPattern;
use crate::connector::authorise::Bound;
use crate::connector::base_url::BaseUrl;
use crate::connector::client::Client;
use crate::connector::oauth::desk::Desk;
use crate::connector::reading::{Reading, Words};
use crate::connector::record::ConnectorRecord;
use crate::connector::registry::Connectors;
use crate::connector::settings::{self, Identity, Settings};
use crate::connector::upstream::{Answered, Outgoing, Unsent, Upstream};
use crate::custody::Custody;
use crate::egress::error::EgressError;
use crate::egress::exchange::{Credential, Exchange, Limits};
use crate::egress::route::{self, ClientCertificate, Route};
use crate::egress::{Egress, Purpose};
use crate::library::Libraries;
use crate::operation::Catalog;
use crate::store::Store;
use crate::tool::connector::{ConnectorTools, invitation};
use crate::vault::credential::{self, CredentialError, CredentialName};
use crate::vault::door::Door;
use crate::watch::notify::Keys;

/// The connectors, whose tools are listed, and listed anew with every change. Libraries have the same way out.
pub(super) fn open<'a>(
    config: &'a Config,
    egress: &'a Arc<Egress>,
    keys: Keys,
    clock: &'a Arc<dyn Clock>,
    catalog: &'a Arc<Catalog>,
    (custody, libraries): (&'a Arc<Custody>, &'a Arc<Libraries>),
) -> BoxFuture<'a, Result<(Arc<Connectors>, Desk), AppError>> {
    Box::pin(async move {
        libraries.reach(Arc::new(Pages::new(egress)));
        let Keys { store, vault } = keys;
        let reading = Reading { sandbox: libraries.sandbox(), words: Arc::new(Words::new(config.inspect.clone())) };
        let connectors = Arc::new(Connectors::new(store.clone(), reading, Arc::clone(clock)));
        let (egress, keys) = (Arc::clone(egress), (store.clone(), Arc::clone(&vault)));
        let scanners = Arc::new(Dialler { egress: Arc::clone(&egress) });
        let upstream = Arc::new(Outbound { egress, keys, routes: Mutex::default() });
        connectors.reach(Arc::clone(&upstream) as _);
        // Weak: the connectors tell the tools of what changes, and those hold the desk.
        let known = Arc::downgrade(&connectors);
        let bound_now = Arc::new(move |name: &str| known.upgrade()?.get(name).ok()?.binding);
        let desk = Desk::new(Arc::clone(custody), bound_now, Arc::clone(&upstream) as _, Arc::clone(clock));
        let bound = Bound { store, vault, desk: desk.clone() };
        let client = Arc::new(Client::new(upstream, Arc::new(bound), scanners, Arc::clone(clock)));
        keep_tidy(&client);
        let time = config.tool_execution.connector_timeout;
        let tools = Arc::new(ConnectorTools::new(catalog, &connectors, client, desk.clone(), time));
        connectors.tell(Arc::clone(&tools) as _);
        tools.publish_all().await?;
        invitation::register(catalog, &connectors, &desk)?;
        Ok((connectors, desk))
    })
}

/// Forgets uploads that nobody goes on with, whether or not anybody uploads anything else.
fn keep_tidy(client: &Arc<Client>) {
    let client = Arc::downgrade(client);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(bound::UPLOAD_LOOK_MS)).await;
            let Some(client) = client.upgrade() else { return };
            client.forget_old_uploads();
        }
    });
}

struct Outbound {
    egress: Arc<Egress>,
    /// Where client certificates are.
    keys: (Store, Arc<Door>),
    /// By the connector's name and the host, with what the route was made of. A route keeps its TLS sessions. Held for a
    /// look-up, never across an await; as many as connectors have hosts (the API's, an authorization server's or two), and
    /// those that were removed since the start.
    routes: Mutex<HashMap<Way, (Made, Arc<Route>)>>,
}

/// A connector's name and a host.
type Way = (String, String);

/// What a route is made of: whether its host may be reached in the clear, where it may be, and how.
#[derive(Clone, PartialEq, Eq)]
struct Made {
    /// The path of the base URL.
    below: String,
    loopback_http: bool,
    networks: Vec<String>,
    settings: Settings,
    /// When the client certificate was set, and which version of it that is.
    identity: Option<(u32, Timestamp)>,
}

impl Outbound {
    fn route(&self, connector: &ConnectorRecord, url: &str) -> Result<Arc<Route>, Unsent> {
        let uri: http::Uri = url.parse().map_err(|_| Unsent::Refused("the URL is none".into()))?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (loopback_http, networks) = (connector.loopback_http, connector.networks.clone());
        let key = (connector.name.clone(), host);
        let mut settings = connector.settings.clone();
        // An authorization server elsewhere is not shown what the API is.
        settings.identity = settings.identity.filter(|_| is_of_api(connector, url));
        let identity = settings.identity.as_ref().map(|identity| self.identity(identity, url)).transpose();
        // A key that may no longer be used is not used from memory either.
        let identity = identity.inspect_err(|_| {
            self.routes.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        })?;
        let base = BaseUrl::parse(&connector.base_url, loopback_http);
        let below = base.map_err(|error| Unsent::Refused(error.to_string()))?.path().to_owned();
        let made = Made { below, loopback_http, networks, settings, identity };
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, route)) = routes.get(&key).filter(|(known, _)| *known == made) {
            return Ok(Arc::clone(route));
        }
        let mut route = Route::new(connector.name.as_str());
        route.hosts.extend(HostPattern::parse(&key.1));
        route.cleartext_loopback = made.loopback_http;
        route.same_origin = true;
        route.below.clone_from(&made.below);
        route.networks.extend(made.networks.iter().filter_map(|network| Network::parse(network)));
        route.ca = made.settings.authorities.clone().map(String::into_bytes);
        route.tls_min = made.settings.tls_min;
        route.via = match made.settings.via() {
            Some(settings::Via::Usual) => route::Via::Usual,
            Some(settings::Via::Direct) => route::Via::Direct,
            Some(settings::Via::Proxy(proxy)) => route::Via::Proxy(proxy),
            None => return Err(Unsent::Refused("the connector's proxy is none".into())),
        };
        if let Some(identity) = &made.settings.identity {
            route.client_certificate = Some(self.certificate(identity)?);
        }
        let route = Arc::new(route);
        routes.insert(key, (made, Arc::clone(&route)));
        Ok(route)
    }
}

impl Outbound {
    /// Which client certificate the vault has now. While it is sealed there is none.
    fn identity(&self, identity: &Identity, url: &str) -> Result<(u32, Timestamp), Unsent> {
        if !url.strip_prefix(&identity.origin).is_some_and(|rest| rest.starts_with('/')) {
            return Err(Unsent::Refused("the client certificate is for another origin".into()));
        }
        let (store, vault) = &self.keys;
        vault.opened().map_err(|error| unusable(identity, &error))?;
        let name = CredentialName::parse(&identity.credential).map_err(|error| unusable(identity, &error))?;
        let shown = store.read(|snapshot| credential::show(snapshot, &name));
        let shown = shown.map_err(|error: CredentialError| unusable(identity, &error))?;
        Ok((shown.version, shown.updated))
    }

    fn certificate(&self, identity: &Identity) -> Result<ClientCertificate, Unsent> {
        let (store, vault) = &self.keys;
        let open = vault.opened().map_err(|error| unusable(identity, &error))?;
        let name = CredentialName::parse(&identity.credential).map_err(|error| unusable(identity, &error))?;
        let value = store.read(|snapshot| credential::value(&open, snapshot, &name));
        let value = value.map_err(|error: CredentialError| unusable(identity, &error))?;
        let certificate = ClientCertificate::of_pem(&value);
        certificate.check().map_err(|error| unusable(identity, &error))?;
        Ok(certificate)
    }
}

/// Whether a URL is of the API's own origin.
fn is_of_api(connector: &ConnectorRecord, url: &str) -> bool {
    let origin = |url: &str| url::Url::parse(url).ok().map(|url| url.origin());
    origin(url).is_some_and(|own| Some(own) == origin(&connector.base_url))
}

fn unusable(identity: &Identity, why: &dyn std::fmt::Display) -> Unsent {
    Unsent::Refused(format!("the client certificate {} cannot be used: {why}", identity.credential))
}

impl Upstream for Outbound {
    fn send<'a>(&'a self, to: &'a ConnectorRecord, request: Outgoing) -> BoxFuture<'a, Result<Answered, Unsent>> {
        Box::pin(async move {
            let route = self.route(to, &request.url)?;
            let Outgoing { method, url, headers, authority, body, time, answer_bytes_max, redirects_max, sent } =
                request;
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
            match self.egress.exchange_counted(&exchange, &sent).await {
                Ok(answer) => Ok(Answered { status: answer.status, headers: answer.headers, body: answer.body.into() }),
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
