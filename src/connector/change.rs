//! What an operator switches and binds, and who hears of every change that agents can see.

use std::sync::Arc;

use super::base_url::BaseUrl;
use super::binding::{Binding, Scheme};
use super::breaker::Standing;
use super::error::ConnectorError;
use super::record::ConnectorRecord;
use super::registry::{Busy, Connectors, News, Switch, check_networks};
use super::rows::row;
use super::settings::Changes;
use crate::base::bound::connector as bound;
use crate::store::Put;

/// A connector that is off once the row is committed.
pub struct SwitchingOff<'a> {
    /// What is to be committed.
    pub row: Put,
    name: String,
    connectors: &'a Connectors,
    _busy: Busy<'a>,
}

impl std::fmt::Debug for SwitchingOff<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SwitchingOff").field(&self.name).finish()
    }
}

impl SwitchingOff<'_> {
    /// The row is durable: its tools go.
    pub async fn committed(self) {
        self.connectors.publish(&self.name).await;
    }
}

impl Connectors {
    /// Who hears of changes from now on; the first one stays.
    pub fn tell(&self, news: Arc<dyn News>) {
        self.news.get_or_init(|| news);
    }

    /// How the API of a connector stood at the last calls; `None` where nobody calls.
    pub fn standing(&self, name: &str) -> Option<Standing> {
        self.news.get().map(|news| news.standing(name))
    }

    pub(super) async fn publish(&self, name: &str) {
        if let Some(news) = self.news.get() {
            news.changed(name).await;
        }
    }

    /// Switches a connector, classes of its operations, or single ones.
    pub async fn switch(&self, name: &str, switch: Switch, on: bool) -> Result<ConnectorRecord, ConnectorError> {
        let _busy = self.occupy(name)?;
        let mut record = self.get(name)?;
        match switch {
            Switch::Connector => record.enabled = on,
            Switch::Classes(classes) => classes.into_iter().for_each(|class| record.switches.set_class(class, on)),
            Switch::Operations(wanted) => {
                let tools = self.stored(name, record.generation)?;
                for wanted in wanted {
                    let tool = tools.iter().find(|tool| tool.name == wanted || tool.id.as_ref() == Some(&wanted));
                    let tool = tool.ok_or_else(|| ConnectorError::NoOperation {
                        connector: name.into(),
                        operation: wanted.chars().take(bound::OPENAPI_NAME_BYTES_MAX).collect(),
                    })?;
                    record.switches.set_tool(&tool.name, on);
                }
            }
        }
        record.changed = self.clock.now();
        self.write(&record).await?;
        self.publish(name).await;
        Ok(record)
    }

    /// What switches a connector off, for whoever commits it together with more. Nobody else changes it meanwhile.
    pub fn switching_off(&self, name: &str) -> Result<SwitchingOff<'_>, ConnectorError> {
        let busy = self.occupy(name)?;
        let mut record = self.get(name)?;
        record.enabled = false;
        record.changed = self.clock.now();
        Ok(SwitchingOff { row: row(&record)?, name: record.name, connectors: self, _busy: busy })
    }

    /// Says how a connector's calls go out.
    pub async fn set(&self, name: &str, changes: &Changes) -> Result<ConnectorRecord, ConnectorError> {
        let _busy = self.occupy(name)?;
        let mut record = self.get(name)?;
        let base = BaseUrl::parse(&record.base_url, record.loopback_http)?;
        if let Some(networks) = &changes.networks {
            check_networks(networks)?;
            record.networks.clone_from(networks);
        }
        record.settings = record.settings.with(changes, base.origin())?;
        record.changed = self.clock.now();
        self.write(&record).await?;
        self.publish(name).await;
        Ok(record)
    }

    /// Binds a credential to a connector and to the origin that it has, or takes the binding away.
    pub async fn bind(&self, name: &str, bound: Option<(String, Scheme)>) -> Result<ConnectorRecord, ConnectorError> {
        let _busy = self.occupy(name)?;
        let mut record = self.get(name)?;
        let base = BaseUrl::parse(&record.base_url, record.loopback_http)?;
        let origin = base.origin().to_owned();
        record.binding = bound.map(|(credential, scheme)| Binding { credential, scheme, origin });
        record.changed = self.clock.now();
        self.write(&record).await?;
        self.publish(name).await;
        Ok(record)
    }
}
