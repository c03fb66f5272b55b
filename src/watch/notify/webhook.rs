//! Posts an alert as JSON, signed with HMAC-SHA256, so that the receiver knows who sent it and when.

use std::sync::Arc;

use ::http::{HeaderName, HeaderValue, header};
use futures::future::BoxFuture;

use super::super::alert::AlertRecord;
use super::{Keys, Sink, message};
use crate::base::clock::Clock;
use crate::base::id::hex;
use crate::base::secret::Secret;
use crate::config;
use crate::crypto::digest::hmac_sha256_keyed;
use crate::egress::{Egress, Purpose};

const SIGNATURE: HeaderName = HeaderName::from_static("sekisho-signature");

/// A URL that alerts are posted to.
#[derive(Debug)]
pub struct Webhook {
    pub webhook: config::watch::Webhook,
    pub egress: Arc<Egress>,
    pub keys: Keys,
    pub clock: Arc<dyn Clock>,
}

impl Sink for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn describe(&self) -> String {
        // The path may be a secret of its own, as with many chat services.
        self.webhook.url.endpoint.to_string()
    }

    fn send<'a>(&'a self, alert: &'a AlertRecord) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            let secret = self.keys.value(&self.webhook.credential)?;
            let body = message::json(alert);
            let signature = signature(&secret, self.clock.now().0 / 1000, body.as_bytes());
            let signature = HeaderValue::try_from(signature).map_err(|error| error.to_string())?;
            let headers =
                vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/json")), (SIGNATURE, signature)];
            let posted = self.egress.post(Purpose::Alert, &self.webhook.url, headers, body.into()).await;
            let answer = posted.map_err(|error| error.to_string())?;
            if answer.status.is_success() { Ok(answer.status.to_string()) } else { Err(answer.told()) }
        })
    }
}

/// `t=` seconds since 1970, `v1=` HMAC-SHA256 in hexadecimal over those seconds in decimal, a dot, and the body.
fn signature(secret: &Secret, seconds: u64, body: &[u8]) -> String {
    let signed = [seconds.to_string().as_bytes(), b".", body].concat();
    format!("t={seconds},v1={}", hex(&hmac_sha256_keyed(secret, &signed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_over_time_and_body() {
        let secret = Secret::new("whsec");
        let expected = hex(&hmac_sha256_keyed(&secret, b"1790000000.{}"));
        assert_eq!(signature(&secret, 1_790_000_000, b"{}"), format!("t=1790000000,v1={expected}"));
        assert_ne!(signature(&secret, 1, b"{}"), signature(&secret, 2, b"{}"));
    }
}
