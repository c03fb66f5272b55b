//! What operators can ask: accounts, tokens, libraries, connectors, the vault, the audit log, backups, the state of the installation.

pub mod account;
pub mod activity;
pub mod alert;
pub mod audit;
pub mod backup;
pub mod ban;
pub mod binding;
pub mod bundle;
pub mod configuration;
pub mod connector;
mod connector_facts;
pub mod contain;
pub mod credential;
mod document;
pub mod event;
pub mod freeze;
pub mod incident;
pub mod library;
pub mod lifecycle;
pub mod log;
pub mod login;
pub mod policy;
pub mod profile;
pub mod prune;
pub mod report;
pub mod retention;
pub mod scan;
pub mod search;
pub mod session;
pub mod settings;
pub mod status;
pub mod token;
pub mod vault;
mod namesake;
mod request;

use std::sync::Arc;

use crate::audit::Audit;
use crate::auth::Authenticator;
use crate::auth::gate::Gate;
use crate::auth::policy::keep::PolicyKeeper;
use crate::config::Config;
use crate::connector::oauth::desk::Desk;
use crate::connector::registry::Connectors;
use crate::custody::Custody;
use crate::library::Libraries;
use crate::operation::Catalog;
use crate::profile::Profiles;
use crate::schema::NotASchema;
use alert::Alerts;
use lifecycle::Lifecycle;
use namesake::Namesakes;
use status::Look;

/// What operators' requests go to.
pub struct Rooms<'a> {
    pub libraries: &'a Arc<Libraries>,
    pub profiles: &'a Arc<Profiles>,
    pub connectors: &'a Arc<Connectors>,
    pub desk: &'a Desk,
    pub audit: &'a Audit,
    pub custody: &'a Arc<Custody>,
    pub authenticator: &'a Arc<Authenticator>,
    pub gate: &'a Gate,
    pub policies: &'a PolicyKeeper,
    pub alerts: &'a Arc<dyn Alerts>,
    pub config: &'a Arc<Config>,
    pub look: Arc<dyn Look>,
    pub lifecycle: Arc<dyn Lifecycle>,
}

impl std::fmt::Debug for Rooms<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rooms")
    }
}

/// Puts all of them into the catalogue.
pub fn register(catalog: &Catalog, rooms: Rooms<'_>) -> Result<(), NotASchema> {
    report::register(catalog, &rooms)?;
    let one = Arc::default();
    incident::register(catalog, &rooms, &one)?;
    contain::register(catalog, &rooms, &one)?;
    let Rooms { libraries, connectors, audit, custody, authenticator, gate, policies, alerts, .. } = rooms;
    let Rooms { desk, profiles, config, look, lifecycle, .. } = rooms;
    library::register(catalog, libraries)?;
    bundle::register(catalog, libraries, custody, audit, config)?;
    profile::register(catalog, libraries, profiles)?;
    connector::register(catalog, connectors, desk)?;
    binding::register(catalog, connectors, custody, desk)?;
    login::register(catalog, connectors, desk)?;
    settings::register(catalog, connectors, custody)?;
    audit::register(catalog, audit, custody)?;
    search::register(catalog, audit, custody)?;
    retention::register(catalog, audit, custody)?;
    log::register(catalog, custody)?;
    credential::register(catalog, custody)?;
    vault::register(catalog, custody)?;
    alert::register(catalog, alerts)?;
    backup::register(catalog, custody)?;
    let namesakes = Namesakes { connectors: Arc::clone(connectors), desk: desk.clone() };
    account::register(catalog, authenticator, gate, &namesakes)?;
    token::register(catalog, authenticator, gate, &namesakes)?;
    session::register(catalog, gate, audit)?;
    ban::register(catalog, gate)?;
    policy::register(catalog, libraries, policies)?;
    configuration::register(catalog, config)?;
    event::register(catalog, audit)?;
    activity::register(catalog, audit)?;
    prune::register(catalog, &(Arc::clone(&look) as Arc<dyn prune::CleanUp>))?;
    scan::register(catalog, &(Arc::clone(&look) as Arc<dyn scan::Survey>))?;
    catalog.add(Arc::new(status::Status::new(look)))?;
    freeze::register(catalog, &lifecycle)?;
    lifecycle::register(catalog, &lifecycle)
}
