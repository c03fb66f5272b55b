//! Pages of web sites come in through the egress, each site by a route of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::base::bound::web as bound;
use crate::base::network::Network;
use crate::config::target::HostPattern;
use crate::egress::exchange::{Exchange, Limits};
use crate::egress::route::Route;
use crate::egress::{Egress, Purpose};
use crate::library::web::{Asked, Fetch, Got, Site};

/// Who asks, so that the owner of a site can say something about it in robots.txt.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("sekisho/", env!("CARGO_PKG_VERSION")));

pub(super) struct Pages {
    egress: Arc<Egress>,
    /// By the start of a site, with what the route was made of. Held for a look-up, never across an await; as many as
    /// there are libraries, and those that were removed since the start.
    routes: Mutex<HashMap<String, (Site, Arc<Route>)>>,
}

impl Pages {
    pub(super) fn new(egress: &Arc<Egress>) -> Self {
        Self { egress: Arc::clone(egress), routes: Mutex::default() }
    }

    fn route(&self, site: &Site) -> Arc<Route> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, route)) = routes.get(&site.start).filter(|(known, _)| known == site) {
            return Arc::clone(route);
        }
        let mut route = Route::new(format!("the web source {}", site.start));
        for host in &site.hosts {
            // Policies know hosts, not ports; of IPv6 addresses the brackets go.
            let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host.as_str(), |(name, _)| name);
            route.hosts.extend(HostPattern::parse(name.trim_start_matches('[').trim_end_matches(']')));
        }
        route.cleartext_loopback = site.loopback_http;
        route.networks.extend(site.networks.iter().filter_map(|network| Network::parse(network)));
        let route = Arc::new(route);
        routes.insert(site.start.clone(), (site.clone(), Arc::clone(&route)));
        route
    }
}

impl Fetch for Pages {
    fn get<'a>(&'a self, site: &'a Site, asked: Asked) -> BoxFuture<'a, Result<Got, String>> {
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, AGENT);
            let wanted = "text/html, text/markdown, text/plain;q=0.9, application/pdf;q=0.8, */*;q=0.1";
            headers.insert(ACCEPT, HeaderValue::from_static(wanted));
            let mut known = |name: HeaderName, value: Option<String>| {
                if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                    headers.insert(name, value);
                }
            };
            known(IF_NONE_MATCH, asked.etag);
            known(IF_MODIFIED_SINCE, asked.last_modified);
            let limits = Limits {
                total: Duration::from_millis(bound::WEB_PAGE_MS),
                response_bytes_max: asked.bytes_max,
                redirects_max: 0,
            };
            let exchange = Exchange {
                purpose: Purpose::Library,
                route: self.route(site),
                method: Method::GET,
                url: asked.url,
                headers,
                credential: None,
                body: Bytes::new(),
                limits,
            };
            let answer = self.egress.exchange(&exchange).await.map_err(|error| error.to_string())?;
            let text = |name: HeaderName| {
                let value = answer.headers.get(name)?.to_str().ok()?;
                (value.len() <= bound::WEB_URL_BYTES_MAX).then(|| value.to_owned())
            };
            Ok(Got {
                status: answer.status.as_u16(),
                location: text(LOCATION),
                content_type: text(CONTENT_TYPE).unwrap_or_default(),
                etag: text(ETAG),
                last_modified: text(LAST_MODIFIED),
                body: answer.body.into(),
            })
        })
    }
}
