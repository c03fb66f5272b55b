//! The dashboard's cookies: one that stands for a session, one that is good for sending the form of a login and for nothing
//! else, and two for how pages look.
//!
//! The first two have names of their own: a browser withholds them where another site's link led it here, and the form
//! that it is shown then must not put a stranger's cookie in the place of its session.

use ::http::{HeaderMap, HeaderValue, Response, header};

use crate::base::bound::ui as bound;
use crate::base::id::hex;
use crate::crypto::digest::sha256;
use crate::web::Answer;
use crate::web::ui::look::{self, Look};

/// What a cookie of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    Session,
    Form,
}

impl For {
    /// With the prefix no other host and no cleartext page can set it (RFC 6265bis, section 4.1.3).
    fn name(self, is_tls: bool) -> &'static str {
        match (self, is_tls) {
            (Self::Session, true) => "__Host-sekisho-ui",
            (Self::Session, false) => "sekisho-ui",
            (Self::Form, true) => "__Host-sekisho-ui-form",
            (Self::Form, false) => "sekisho-ui-form",
        }
    }
}

/// The value of the browser's cookie, if it has the form of one of ours.
pub(super) fn cookie(headers: &HeaderMap, what: For, is_tls: bool) -> Option<String> {
    let value = look::cookie_named(headers, what.name(is_tls))?;
    (value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| value.to_owned())
}

/// What our forms repeat of the cookie, without giving it away.
pub(super) fn proof_of(cookie: &str) -> String {
    hex(&sha256(&[b"dashboard form", cookie.as_bytes()]))
}

/// It comes along only where one of our own pages asks. It lives as long as a session may at the most; an empty one is
/// over.
pub(super) fn set_cookie(response: &mut Response<Answer>, what: For, value: &str, is_tls: bool) {
    let name = what.name(is_tls);
    let secure = if is_tls { "; Secure" } else { "" };
    let age = if value.is_empty() { 0 } else { bound::UI_SESSION_SECONDS };
    add(response, &format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}"));
}

/// Language and theme stay a year: they say nothing of anybody.
pub(super) fn set_look(response: &mut Response<Answer>, look: Look, is_tls: bool) {
    let secure = if is_tls { "; Secure" } else { "" };
    for (name, value) in look.cookies() {
        add(response, &format!("{name}={value}; Path=/ui/; Max-Age=31536000; HttpOnly; SameSite=Strict{secure}"));
    }
}

fn add(response: &mut Response<Answer>, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
