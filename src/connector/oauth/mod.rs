//! Logging in to the API of a connector by OAuth 2.0 (RFC 6749, 6750, 7009, 7636, 8414, 8628, 9207, 9700).
//!
//! An operator's choice ([`setup`]) is a part of the binding. People log in ([`login`]), or the client does on its own
//! account; calls get their access tokens at the [`desk`], which refreshes them. No inbound token is ever sent upstream,
//! no token is ever seen by an agent, and all requests go the connector's own way out ([`super::upstream`]).
//!
//! The wire format is small: a form, a JSON object, a query. So it is written here, on top of `url` and `serde_json`,
//! and not with a library that would bring its own types for secrets (which do not wipe themselves) and its own client.

pub mod setup;
pub mod document;
pub mod case;
pub mod era;
pub mod desk;
pub mod login;
pub mod invite;
mod answer;
mod ask;
mod forget;
mod metadata;
mod pkce;
mod renew;
mod tokens;
mod waiting;
