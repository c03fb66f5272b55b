//! The front of `/admin` on the HTTP listeners: in private, by somebody who was recognised, within the rates.

use std::net::SocketAddr;

use ::http::{HeaderValue, Request, Response, header};
use bytes::Bytes;

use super::connection::Peer;
use crate::auth::Evidence;
use crate::auth::challenge;
use crate::auth::session::Handle;
use crate::base::bound;
use crate::base::refusal::Code;
use crate::mcp::http::{authorization, is_token_shown, read, user_agent};
use crate::web::rest::{self, Front};
use crate::web::{Answer, Web};

/// `client` is who asks: another than `peer` where a trusted proxy is between.
pub(super) async fn handle<B>(web: &Web, request: Request<B>, peer: &Peer, client: SocketAddr) -> Response<Answer>
where
    B: ::http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (config, (parts, body)) = (web.config(), request.into_parts());
    let via = peer.via(client, user_agent(&parts.headers));
    let stranger = |body| read(body, bound::HTTP_BODY_BYTES_UNKNOWN_MAX, config.http.body_timeout);
    let is_private = peer.is_tls || client.ip().is_loopback();
    if !is_private {
        // No credential is looked at: it was sent in the clear.
        drop(stranger(body).await);
        let refusal = rest::not_private();
        let reason = format!("{}: {}", refusal.code.as_str(), refusal.private);
        web.pipeline.record_foreign_refusal(None, &via, Some("admin".into()), &reason).await;
        return rest::refused(&refusal);
    }
    let evidence = Evidence::Http {
        peer: client,
        is_private,
        authorization: authorization(&parts.headers),
        certificate: peer.certificate.clone(),
    };
    let known = match web.pipeline.identify(&evidence, &via).await {
        Ok(known) => known,
        Err(refusal) => {
            drop(stranger(body).await);
            let mut response = rest::refused(&refusal);
            if refusal.code == Code::Unauthenticated {
                // Without the metadata of an authorization server: its tokens are for nobody's account.
                let token_shown = is_token_shown(&parts.headers);
                for challenge in challenge::challenges(&config.auth, None, token_shown, is_private) {
                    if let Ok(value) = HeaderValue::from_str(&challenge) {
                        response.headers_mut().append(header::WWW_AUTHENTICATE, value);
                    }
                }
            }
            return response;
        }
    };
    let read = read(body, config.http.body_bytes_max, config.http.body_timeout).await;
    let known = match web.pipeline.meter(known, &Handle::Credential).await {
        Ok(known) => known,
        Err(refusal) => return rest::refused(&refusal),
    };
    let answered = match read {
        Ok(bytes) => rest::answer(web, Front::Http, known.clone(), Request::from_parts(parts, bytes)).await,
        Err(refusal) => rest::refused(&refusal),
    };
    if answered.status().as_u16() >= 400 && !known.is_settled() {
        let reason = format!("http status {}", answered.status().as_u16());
        web.pipeline.record_foreign_refusal(Some(&known), &via, Some("admin".into()), &reason).await;
    }
    answered
}

/// The control socket's requests, whose caller the kernel names.
pub(super) async fn of_control<B>(
    web: &Web,
    known: crate::pipeline::identify::Known,
    request: Request<B>,
) -> Response<Answer>
where
    B: ::http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (config, (parts, body)) = (web.config(), request.into_parts());
    match read(body, bound::HTTP_BODY_BYTES_CEILING, config.http.body_timeout).await {
        Ok(bytes) => rest::answer(web, Front::Control, known, Request::from_parts(parts, bytes)).await,
        Err(refusal) => rest::refused(&refusal),
    }
}
