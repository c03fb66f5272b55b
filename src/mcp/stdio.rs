//! Serves MCP on one stream of newline-delimited JSON-RPC: a pipe, or an upgraded control connection.

use std::sync::Arc;

use rmcp::model as rm;
use rmcp::service::{NotificationContext, RequestContext, Service, ServiceRole};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{Handler, Mcp, listen, reply, screen};
use crate::auth::session::Handle;
use crate::base::bound;
use crate::base::id::{NoEntropy, SessionId};
use crate::pipeline::identify::Known;

/// Serves until the client closes the stream or `stop` is cancelled.
pub async fn serve<S>(mcp: Arc<Mcp>, known: Known, stream: S, stop: CancellationToken) -> Result<(), NoEntropy>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handle = Handle::Connection(SessionId::random()?);
    let handler = Handler::over_stream(Arc::clone(&mcp), known.clone(), handle.clone());
    let door = Door { handler, known: known.clone(), handle: handle.clone() };
    let (read, write) = tokio::io::split(stream);
    let transport = AsyncRwTransport::new_server(read, write).with_max_line_length(bound::LINE_BYTES_MAX);
    // A child: rmcp cancels the token that it is given when this one session ends.
    let own = stop.child_token();
    let ends = tokio::spawn({
        let (own, sessions, handle) = (own.clone(), Arc::clone(mcp.pipeline().sessions()), handle.clone());
        let credential = Arc::clone(&known.principal().credential);
        async move {
            listen::ended(&sessions, &credential, &handle, false).await;
            own.cancel();
        }
    });
    match Box::pin(rmcp::service::serve_server_with_ct(door, transport, own)).await {
        Ok(running) => {
            if let Err(error) = running.waiting().await {
                tracing::error!(%error, "a stdio session ended badly");
            }
        }
        Err(error) => tracing::info!(%error, "a stdio client left before it had begun"),
    }
    ends.abort();
    mcp.pipeline().leave(known.principal(), &handle, known.via()).await;
    Ok(())
}

/// The handler with `screen` in front.
struct Door {
    handler: Handler,
    known: Known,
    handle: Handle,
}

impl Service<RoleServer> for Door {
    async fn handle_request(
        &self,
        request: <RoleServer as ServiceRole>::PeerReq,
        cx: RequestContext<RoleServer>,
    ) -> Result<<RoleServer as ServiceRole>::Resp, ErrorData> {
        let params = match &request {
            rm::ClientRequest::SubscriptionsListenRequest(listen) => {
                serde_json::to_value(&listen.params).unwrap_or_default()
            }
            _ => Value::Null,
        };
        let message = json!({"id": 0, "method": request.method(), "params": params});
        let screened = screen::screen(self.handler.mcp.pipeline(), &self.known.again(), &self.handle, &message).await;
        screened.map_err(|refusal| reply::error(&refusal))?;
        self.handler.handle_request(request, cx).await
    }

    async fn handle_notification(
        &self,
        notification: <RoleServer as ServiceRole>::PeerNot,
        cx: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.handler.mcp.pipeline().metrics().passed();
        self.handler.handle_notification(notification, cx).await
    }

    fn get_info(&self) -> <RoleServer as ServiceRole>::Info {
        Service::get_info(&self.handler)
    }
}
