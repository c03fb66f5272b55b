//! A document that is fetched, because an operator named its URL: by the way of the connector's own calls, without any
//! credential of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::base_url::BaseUrl;
use super::error::ConnectorError;
use super::name::is_connector_name;
use super::pick::Switches;
use super::record::{ConnectorRecord, DocumentFacts};
use super::registry::{Connectors, Wanted, check_networks};
use super::settings::Settings;
use super::upstream::{Authority, Outgoing, Unsent, Upstream};
use crate::base::bound::connector as bound;

impl Connectors {
    /// Opens the way to documents. Only the first one counts.
    pub fn reach(&self, way: Arc<dyn Upstream>) {
        drop(self.way.set(way));
    }

    /// Fetches the document of a connector that is to be added: its networks, its authorities and its proxy count for it.
    pub async fn fetch_new(&self, wanted: &Wanted, url: &str) -> Result<Vec<u8>, ConnectorError> {
        if !is_connector_name(&wanted.name) {
            return Err(ConnectorError::Name(wanted.name.clone()));
        }
        check_networks(&wanted.networks)?;
        let base_url = BaseUrl::parse(&wanted.base_url, wanted.loopback_http)?;
        let settings = Settings::default().with(&wanted.settings, base_url.origin())?;
        let now = self.clock.now();
        let draft = ConnectorRecord {
            name: wanted.name.clone(),
            base_url: base_url.to_string(),
            loopback_http: wanted.loopback_http,
            networks: wanted.networks.clone(),
            enabled: true,
            mode: wanted.mode,
            classification: wanted.classification,
            picks: wanted.picks.clone(),
            switches: Switches::default(),
            binding: None,
            settings,
            generation: 0,
            document: DocumentFacts {
                title: String::new(),
                version: String::new(),
                bytes: 0,
                sha256: [0; 32],
                operations: 0,
                left_out: 0,
                security: String::new(),
                flags: Vec::new(),
            },
            pending: None,
            added: now,
            changed: now,
        };
        self.fetch(&draft, url).await
    }

    /// Fetches a new document for a connector. Redirects lead to the same origin only.
    pub async fn fetch(&self, connector: &ConnectorRecord, url: &str) -> Result<Vec<u8>, ConnectorError> {
        let failed = |reason: String| ConnectorError::Unfetched { url: shown(url), reason };
        let parsed = url::Url::parse(url).map_err(|_| ConnectorError::Url(shown(url)))?;
        let is_plain = parsed.username().is_empty() && parsed.password().is_none() && parsed.has_host();
        let is_safe = parsed.scheme() == "https" || parsed.scheme() == "http" && connector.loopback_http;
        if !is_plain || !is_safe || url.len() > bound::DOCUMENT_URL_BYTES_MAX {
            return Err(ConnectorError::Url(shown(url)));
        }
        let way = self.way.get().ok_or_else(|| failed("no way out was opened in this process".to_owned()))?;
        let mut headers = HeaderMap::new();
        let accepted = "application/json, application/yaml, text/yaml, */*;q=0.5";
        headers.insert(header::ACCEPT, HeaderValue::from_static(accepted));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let outgoing = Outgoing {
            method: Method::GET,
            url: parsed.to_string(),
            headers,
            authority: Authority::default(),
            body: Bytes::new(),
            time: Duration::from_millis(bound::DOCUMENT_FETCH_MS),
            answer_bytes_max: bound::OPENAPI_DOCUMENT_BYTES_MAX,
            redirects_max: bound::REDIRECTS_MAX,
            sent: Arc::default(),
        };
        match way.send(connector, outgoing).await {
            Ok(answered) if answered.status == StatusCode::OK => Ok(answered.body),
            Ok(answered) => Err(failed(format!("it answered {}", answered.status.as_u16()))),
            Err(Unsent::Redirected(reason)) => {
                Err(failed(format!("{reason}; name the address that it leads to, if that is the one you mean")))
            }
            Err(unsent) => Err(failed(unsent.to_string())),
        }
    }
}

/// Without what may be a secret in it, and not too long.
fn shown(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or_default();
    let bare = bare.split_once('@').map_or(bare, |(_, after)| after);
    bare.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_url_is_no_secret() {
        assert_eq!(shown("https://ann:word@a.example/openapi.json?key=secret#x"), "a.example/openapi.json");
        assert_eq!(shown("https://a.example/openapi.json"), "https://a.example/openapi.json");
    }
}
