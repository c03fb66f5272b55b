//! Exit codes (after sysexits.h) and how a failure is told.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::app::AppError;
use crate::base::refusal::Code;
use crate::config::file::ConfigError;
use crate::custody::error::{DAMAGED, UNCHECKED};
use crate::pipeline::PipelineError;
use crate::store::StoreError;
use crate::store::lock::LockError;

pub(super) const NO: u8 = 1;
pub(super) const INCOMPLETE: u8 = 2;
pub(super) const USAGE: u8 = 64;
const NO_INPUT: u8 = 66;
const UNAVAILABLE: u8 = 69;
const SOFTWARE: u8 = 70;
const CANNOT_CREATE: u8 = 73;
const TEMPORARY: u8 = 75;
const NOT_ALLOWED: u8 = 77;
const CONFIG: u8 = 78;

/// A command that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    data: Value,
}

impl Failure {
    fn new(code: u8, message: impl Display) -> Self {
        Self { code, message: message.to_string(), data: Value::Null }
    }

    pub(super) fn usage(message: impl Display) -> Self {
        Self::new(USAGE, message)
    }

    pub(super) fn unavailable(message: impl Display) -> Self {
        Self::new(UNAVAILABLE, message)
    }

    pub(super) fn internal(message: impl Display) -> Self {
        Self::new(SOFTWARE, message)
    }

    pub(super) fn not_allowed(message: impl Display) -> Self {
        Self::new(NOT_ALLOWED, message)
    }

    pub(super) fn no_input(message: impl Display) -> Self {
        Self::new(NO_INPUT, message)
    }

    pub(super) fn exists(message: impl Display) -> Self {
        Self::new(CANNOT_CREATE, message)
    }

    /// The same failure, with what was done before it.
    pub(super) fn after(mut self, before: &str) -> Self {
        self.message = format!("{before}: {}", self.message);
        self
    }

    pub(super) fn config(message: impl Display) -> Self {
        Self::new(CONFIG, message)
    }

    /// A check that could not be made says neither yes nor no.
    pub(super) fn incomplete(mut self) -> Self {
        self.code = INCOMPLETE;
        self
    }

    /// Whether what is there stands in the way.
    pub(super) fn is_conflict(&self) -> bool {
        self.code == CANNOT_CREATE
    }

    /// Nobody reads any more; there is nothing to say.
    pub(super) fn quiet() -> Self {
        Self::new(0, "")
    }

    /// From the `refusal` line of an operation.
    pub(super) fn of_refusal(refusal: &Value) -> Self {
        let code = match refusal["code"].as_str().unwrap_or_default() {
            // A check whose answer is no, and one that could not be made.
            _ if refusal["data"]["verdict"] == DAMAGED => NO,
            _ if refusal["data"]["verdict"] == UNCHECKED => INCOMPLETE,
            "not_found" => NO_INPUT,
            "invalid" | "too_large" => USAGE,
            "conflict" => CANNOT_CREATE,
            "unauthenticated" | "forbidden" => NOT_ALLOWED,
            "too_many_requests" | "busy" | "timeout" => TEMPORARY,
            "unavailable" => UNAVAILABLE,
            _ => SOFTWARE,
        };
        let message = refusal["message"].as_str().unwrap_or("the operation failed").to_owned();
        Self { code, message, data: refusal.clone() }
    }

    pub(super) fn code(&self) -> u8 {
        self.code
    }

    /// What standard error says of it; `None` where there is nothing to say.
    pub(super) fn told(&self, as_json: bool) -> Option<String> {
        if self.code == 0 {
            return None;
        }
        if as_json {
            let data = if self.data.is_null() { json!({"message": self.message}) } else { self.data.clone() };
            return Some(json!({"error": data, "exit_code": self.code}).to_string());
        }
        Some(format!("sekisho: {}", self.message))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(CONFIG, error)
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let code = match &error {
            AppError::Lock(LockError::Held { .. }) | AppError::Store(StoreError::InUse(_)) => TEMPORARY,
            AppError::Store(StoreError::Full { .. } | StoreError::Unavailable { .. }) => TEMPORARY,
            AppError::Store(StoreError::Missing(_)) => NO_INPUT,
            AppError::Lock(LockError::Foreign { .. }) => NOT_ALLOWED,
            AppError::Policy(_) => CONFIG,
            AppError::Vault(_) | AppError::Source(_) => NOT_ALLOWED,
            AppError::Custody(error) if error.verdict() == Some(DAMAGED) => NO,
            AppError::Custody(error) => match error.code() {
                Code::NotFound => NO_INPUT,
                Code::Invalid => USAGE,
                Code::Conflict => CANNOT_CREATE,
                Code::Forbidden => NOT_ALLOWED,
                Code::TooManyRequests => TEMPORARY,
                Code::Unavailable => UNAVAILABLE,
                _ => SOFTWARE,
            },
            // A setting that names a rule which there is not.
            AppError::Pipeline(PipelineError::Rules(_)) => CONFIG,
            AppError::File { .. } | AppError::Lock(LockError::File { .. }) | AppError::Control { .. } => CANNOT_CREATE,
            _ => SOFTWARE,
        };
        Self::new(code, error)
    }
}
