//! Tells clients what changed: on subscription streams of the newest protocol, and in sessions of older ones.
//!
//! Each event is held against the policy anew: a client hears only of what it may read at that moment.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model as rm;
use rmcp::service::{Peer, SubscriptionContext};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::{ClientState, Mcp};
use crate::auth::policy::ask::Resource;
use crate::auth::session::{Handle, Sessions};
use crate::auth::standing::Standing;
use crate::base::bound;
use crate::operation::{Change, Kind};
use crate::pipeline::Pipeline;
use crate::pipeline::identify::Known;

/// How often a quiet session is looked at, so that a closed one is let go.
const LOOK: Duration = Duration::from_secs(30);

/// Whether `known` may hear of `change`.
fn may_hear(pipeline: &Pipeline, known: &Known, change: &Change) -> bool {
    match change {
        Change::Tools | Change::Prompts | Change::Resources(None) => true,
        Change::Resources(Some(library)) => pipeline.may(known, Kind::List, "resources/list", library),
        Change::Resource(_, library) => pipeline.may(known, Kind::Protocol, "resources/read", library),
        Change::Answered { principal, .. } => known.principal().id == *principal,
    }
}

/// Serves one `subscriptions/listen` until it is cancelled, its session is ended, its credential or principal holds no
/// more, the server stops, or the policy allows it no more.
pub(super) async fn forward(mcp: &Mcp, known: &Known, handle: &Handle, cx: &SubscriptionContext) {
    let pipeline = mcp.pipeline();
    let mut changes = mcp.catalog().changes();
    let mut ended = std::pin::pin!(ended(pipeline.sessions(), &known.principal().credential, handle, true));
    let sink = cx.sink().clone();
    let mut standing = Standing::default();
    let mut looks = tokio::time::interval(Duration::from_secs(bound::STREAM_LOOK_SECONDS));
    loop {
        let change = tokio::select! {
            () = cx.cancelled() => return,
            () = &mut ended => return,
            _ = looks.tick() => None,
            change = changes.recv() => Some(change),
        };
        if !pipeline.holds(known, &mut standing) || pipeline.is_shut_out(known, handle) {
            return;
        }
        let Some(change) = change else { continue };
        if !pipeline.may(known, Kind::Protocol, "subscriptions/listen", &Resource::appliance()) {
            return;
        }
        if change.as_ref().is_ok_and(|change| !may_hear(pipeline, known, change)) {
            continue;
        }
        // The sink refuses what the client did not ask for; that is no error of ours.
        match change {
            Ok(Change::Tools) => drop(sink.notify_tool_list_changed().await),
            Ok(Change::Prompts) => drop(sink.notify_prompt_list_changed().await),
            Ok(Change::Resources(_)) => drop(sink.notify_resource_list_changed().await),
            Ok(Change::Resource(uri, _)) => drop(sink.notify_resource_updated(uri).await),
            // Here questions are part of a call's result, and have no ids.
            Ok(Change::Answered { .. }) => {}
            // Too slow to hear everything: what it must know is that something changed.
            Err(RecvError::Lagged(_)) => drop(sink.notify_resource_list_changed().await),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Waits until somebody else than the client ends its session. `has_begun`: it is there, or was ended just now.
pub(super) async fn ended(sessions: &Sessions, credential: &str, handle: &Handle, has_begun: bool) {
    let mut endings = sessions.endings();
    if has_begun && !sessions.is_open(credential, handle) {
        return;
    }
    loop {
        match endings.recv().await {
            Ok(ending) if ending.handle == *handle && (*ending.credential == *credential) => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) if !sessions.is_open(credential, handle) => return,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Serves a session of an older protocol as long as it lasts.
pub(super) fn forward_to_legacy(mcp: &Arc<Mcp>, known: Known, peer: Peer<RoleServer>, state: Arc<ClientState>) {
    let mut changes = mcp.catalog().changes();
    let pipeline = Arc::clone(mcp.pipeline());
    tokio::spawn(async move {
        let mut standing = Standing::default();
        loop {
            let change = match tokio::time::timeout(LOOK, changes.recv()).await {
                Err(_) if peer.is_transport_closed() => return,
                Err(_) => continue,
                Ok(Err(RecvError::Closed)) => return,
                Ok(Err(RecvError::Lagged(_))) => Change::Resources(None),
                Ok(Ok(change)) => change,
            };
            if !pipeline.holds(&known, &mut standing) || !may_hear(&pipeline, &known, &change) {
                continue;
            }
            let sent = match change {
                Change::Tools => peer.notify_tool_list_changed().await,
                Change::Prompts => peer.notify_prompt_list_changed().await,
                Change::Resources(_) => peer.notify_resource_list_changed().await,
                Change::Resource(uri, _) => {
                    if !state.subscribed.lock().unwrap_or_else(PoisonError::into_inner).contains(&uri) {
                        continue;
                    }
                    peer.notify_resource_updated(rm::ResourceUpdatedNotificationParam::new(uri)).await
                }
                Change::Answered { question, .. } => {
                    if !opens_addresses(&peer) {
                        continue;
                    }
                    let params = json!({"elicitationId": question});
                    let done = rm::CustomNotification::new("notifications/elicitation/complete", Some(params));
                    peer.send_notification(rm::ServerNotification::CustomNotification(done)).await
                }
            };
            if sent.is_err() && peer.is_transport_closed() {
                return;
            }
        }
    });
}

/// Whether the client sends its person to addresses: no other one is ever asked, and so none need hear that it is done.
fn opens_addresses(peer: &Peer<RoleServer>) -> bool {
    let elicitation = peer.peer_info().and_then(|client| client.capabilities.elicitation.clone());
    elicitation.is_some_and(|can| can.url.is_some())
}
