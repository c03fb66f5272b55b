//! The one error that goes outward: a code, what the caller may read, and what only the log may.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a request got no result. The two texts are apart from birth.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub code: Code,
    /// For the caller: expected, found, the way out. Never a path, a secret or a foreign message.
    pub public: String,
    /// For the operator's log and the audit entry.
    pub private: String,
    /// When to come back, where that is known.
    pub retry_after: Option<Duration>,
    /// Machine-readable details for the caller, such as a JSON pointer or a missing capability.
    pub data: Option<Value>,
}

impl Refusal {
    /// A refusal whose reason may be told in full.
    pub fn new(code: Code, public: impl Into<String>) -> Self {
        let public = public.into();
        Self { code, private: public.clone(), public, retry_after: None, data: None }
    }

    /// Our own fault: the caller learns that, the log learns why.
    pub fn internal(private: impl fmt::Display) -> Self {
        Self {
            code: Code::Internal,
            public: "Sekisho could not do this because of an internal error; the operator finds the reason in the log."
                .into(),
            private: private.to_string(),
            retry_after: None,
            data: None,
        }
    }

    pub fn with_private(mut self, private: impl fmt::Display) -> Self {
        self.private = private.to_string();
        self
    }

    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    pub fn with_retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    /// Whole seconds until it is worth asking again (RFC 9110, section 10.2.3), none of which is too early.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(whole_seconds)
    }

    /// The header fields that tell an HTTP client when to come back: names in lower case, and values. For a limit those
    /// of draft-ietf-httpapi-ratelimit-headers-10: which policy there is, and what is left of it for how long.
    pub fn http_headers(&self) -> Vec<(&'static str, String)> {
        let Some(seconds) = self.retry_after_seconds() else { return Vec::new() };
        let mut headers = vec![("retry-after", seconds.to_string())];
        let limit = || {
            let data = self.data.as_ref()?;
            Some((data["limit"].as_str()?, data["quota"].as_u64()?, data["windowSeconds"].as_u64()?))
        };
        if let Some((limit, quota, window)) = limit() {
            headers.push(("ratelimit-policy", format!("\"{limit}\";q={quota};w={window}")));
            headers.push(("ratelimit", format!("\"{limit}\";r=0;t={seconds}")));
        }
        headers
    }
}

/// An error's whole text as a sentence: errors begin with a small letter and end without a dot.
pub fn sentence(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// Whole seconds, none of which is too early (RFC 9110, section 10.2.3): what a text and a header say alike.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.is_zero())
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.public)
    }
}

impl std::error::Error for Refusal {}

/// The kinds of refusal. Closed: a client can program against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No credential, or one that did not hold.
    Unauthenticated,
    /// Known, and not allowed.
    Forbidden,
    /// No such operation, document, library, session.
    NotFound,
    /// The arguments are not of the declared form.
    Invalid,
    /// Over a size bound.
    TooLarge,
    /// Over a rate.
    TooManyRequests,
    /// Over a bound on what runs at once; come back soon.
    Busy,
    /// Over the operation's time budget.
    Timeout,
    /// The caller withdrew it.
    Cancelled,
    /// It clashes with what is there (a library of that name, a sync under way).
    Conflict,
    /// The client did not declare a capability that this needs; `data` names it.
    MissingCapability,
    /// Something that Sekisho needs is not there now (store not writable, index rebuilding).
    Unavailable,
    /// Our own fault.
    Internal,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::TooManyRequests => "too_many_requests",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Conflict => "conflict",
            Self::MissingCapability => "missing_capability",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Invalid,
        Self::TooLarge,
        Self::TooManyRequests,
        Self::Busy,
        Self::Timeout,
        Self::Cancelled,
        Self::Conflict,
        Self::MissingCapability,
        Self::Unavailable,
        Self::Internal,
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The HTTP status of a refusal that is answered as such (admin API, `/mcp` before a session).
    pub fn http_status(self) -> u16 {
        match self {
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Invalid | Self::MissingCapability => 400,
            Self::TooLarge => 413,
            Self::TooManyRequests => 429,
            Self::Busy | Self::Unavailable => 503,
            Self::Timeout => 504,
            // 499 is nginx's word for it; nobody is left to read it.
            Self::Cancelled => 499,
            Self::Conflict => 409,
            Self::Internal => 500,
        }
    }
}
