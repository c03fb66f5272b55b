//! The client's side of a running call: progress, log messages and questions, through rmcp's peer.

use std::sync::{Arc, PoisonError};

use futures::future::BoxFuture;
use rmcp::model as rm;
use rmcp::service::{Peer, RequestContext};
use rmcp::{RoleServer, model::ProtocolVersion};
use serde_json::{Value, json};

use super::{ClientState, reply};
use crate::base::refusal::{Code, Refusal};
use crate::operation::{Abilities, Caller, Progress, Question};

/// What one request's client can be told.
pub(super) struct RmcpCaller {
    peer: Peer<RoleServer>,
    abilities: Abilities,
    progress_token: Option<rm::ProgressToken>,
    /// The newest protocol names a level in each request, or wants no messages.
    level: Level,
}

enum Level {
    OfSession(Arc<ClientState>),
    OfRequest(Option<rm::LoggingLevel>),
}

impl RmcpCaller {
    pub(super) fn new(cx: &RequestContext<RoleServer>, state: Arc<ClientState>) -> Self {
        let modern = cx.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        let abilities = cx.client_capabilities().map_or_else(Abilities::default, |can| Abilities {
            tasks: can.supports_tasks(),
            form: can.elicitation.is_some(),
            sampling: can.sampling.is_some(),
            roots: can.roots.is_some(),
            url: can.elicitation.as_ref().is_some_and(|can| can.url.is_some()),
            rounds: modern,
        });
        Self {
            peer: cx.peer.clone(),
            abilities,
            progress_token: cx.meta.get_progress_token(),
            level: if modern { Level::OfRequest(cx.meta.log_level()) } else { Level::OfSession(state) },
        }
    }

    fn wants(&self, severity: rm::LoggingLevel) -> bool {
        let chosen = match &self.level {
            Level::OfSession(state) => Some(*state.level.lock().unwrap_or_else(PoisonError::into_inner)),
            Level::OfRequest(level) => *level,
        };
        chosen.is_some_and(|chosen| rank(severity) >= rank(chosen))
    }
}

/// RFC 5424's order, least severe first.
fn rank(level: rm::LoggingLevel) -> usize {
    match level {
        rm::LoggingLevel::Debug => 0,
        rm::LoggingLevel::Info => 1,
        rm::LoggingLevel::Notice => 2,
        rm::LoggingLevel::Warning => 3,
        rm::LoggingLevel::Error => 4,
        rm::LoggingLevel::Critical => 5,
        rm::LoggingLevel::Alert => 6,
        rm::LoggingLevel::Emergency => 7,
    }
}

impl Caller for RmcpCaller {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    fn progress(&self, progress: Progress) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some(token) = self.progress_token.clone() else { return };
            let mut param = rm::ProgressNotificationParam::new(token, progress.done);
            param.total = progress.total;
            param.message = progress.message;
            // A client that is gone needs no progress.
            self.peer.notify_progress(param).await.ok();
        })
    }

    fn log(&self, message: Value) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.wants(rm::LoggingLevel::Info) {
                // As above.
                self.peer
                    .notify_logging_message(rm::LoggingMessageNotificationParam::new(rm::LoggingLevel::Info, message))
                    .await
                    .ok();
            }
        })
    }

    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Value, Refusal>> {
        Box::pin(async move {
            let unanswered = |error: rmcp::ServiceError| {
                Refusal::new(Code::Unavailable, "The client did not answer the question.").with_private(error)
            };
            match question {
                Question::Form { message, schema } => {
                    let answer =
                        self.peer.create_elicitation(reply::form(message, schema)?).await.map_err(unanswered)?;
                    Ok(json!({"action": answer.action, "content": answer.content}))
                }
                Question::Sample { prompt, tokens_max } => {
                    let params =
                        rm::CreateMessageRequestParams::new(vec![rm::SamplingMessage::user_text(prompt)], tokens_max);
                    let answer = self.peer.create_message(params).await.map_err(unanswered)?;
                    let text = answer
                        .message
                        .content
                        .first()
                        .and_then(|content| content.as_text())
                        .map(|content| content.text.clone());
                    Ok(json!({"text": text.unwrap_or_default()}))
                }
                Question::Url { message, url, id } => {
                    let address = reply::address(message, url, id);
                    let answer = self.peer.create_elicitation(address).await.map_err(unanswered)?;
                    Ok(json!({"action": answer.action}))
                }
                Question::Roots => {
                    let answer = self.peer.list_roots().await.map_err(unanswered)?;
                    serde_json::to_value(answer).map_err(Refusal::internal)
                }
            }
        })
    }
}
