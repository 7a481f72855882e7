//! Errors as the API sends them.

use serde_json::{Value, json};
use thiserror::Error;

/// A refusal: an HTTP status, and a code that clients decide by.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("{code} ({status}): {message}")]
pub(crate) struct ApiError {
    /// HTTP status.
    pub(crate) status: u16,
    /// For programs.
    pub(crate) code: String,
    /// For people.
    pub(crate) message: String,
    /// By code: which fields, which limits.
    pub(crate) details: Value,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), details: Value::Null }
    }

    /// What the rules of a resource do not allow.
    pub(crate) fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::new(422, code, message)
    }

    /// A field that is wrong.
    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            details: json!({"fields": [{"name": field, "messages": [message]}]}),
            ..Self::new(422, "invalid_input", format!("invalid input in field '{field}': {message}"))
        }
    }

    pub(crate) fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(404, "not_found", format!("{what} with ID '{id}' not found"))
    }

    pub(crate) fn not_unique(field: &str, message: impl Into<String>) -> Self {
        Self { details: json!({"fields": [{"name": field}]}), ..Self::new(409, "uniqueness_error", message) }
    }

    pub(crate) fn limit(name: &str) -> Self {
        Self {
            details: json!({"limits": [{"name": name}]}),
            ..Self::new(403, "resource_limit_exceeded", format!("{name} limit exceeded"))
        }
    }

    pub(crate) fn protected(what: &str) -> Self {
        Self::refused("protected", format!("{what} is protected"))
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "details": self.details}})
    }
}
