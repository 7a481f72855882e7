//! What the API answers when it does not do what was asked: `meta/v1` `Status` objects.

use std::fmt;

use serde_json::{Value, json};

/// A request that is refused, by HTTP status and reason (Kubernetes, `meta/v1` `StatusReason`).
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// The word that clients decide by.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Of what, and why in detail.
    pub details: Value,
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401: nobody is known by these credentials.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, "Unauthorized", message)
    }

    /// 403: known, but not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message)
    }

    /// 404: no such path.
    pub fn no_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 404: no such object.
    pub fn not_found(resource: &str, name: &str) -> Self {
        let details = json!({"name": name, "kind": resource});
        Self { details, ..Self::new(404, "NotFound", format!("{resource} \"{name}\" not found")) }
    }

    /// 405: no such verb.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// 409: created already.
    pub fn already_exists(resource: &str, name: &str) -> Self {
        let details = json!({"name": name, "kind": resource});
        Self { details, ..Self::new(409, "AlreadyExists", format!("{resource} \"{name}\" already exists")) }
    }

    /// 409: changed by another in the meantime.
    pub fn conflict(resource: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self { details: json!({"name": name, "kind": resource}), ..Self::new(409, "Conflict", message) }
    }

    /// 409: fields belong to other managers; each is (manager with its version, path).
    pub fn apply_conflict(fields: &[(String, String)]) -> Self {
        let causes: Vec<Value> = fields
            .iter()
            .map(|(manager, field)| {
                json!({
                    "reason": "FieldManagerConflict",
                    "message": format!("conflict with {manager}"),
                    "field": field,
                })
            })
            .collect();
        let listed: Vec<String> =
            fields.iter().map(|(manager, field)| format!("conflict with {manager}: {field}")).collect();
        let plural = if fields.len() == 1 { "conflict" } else { "conflicts" };
        let message = format!("Apply failed with {} {plural}: {}", fields.len(), listed.join(", "));
        Self { details: json!({"causes": causes}), ..Self::new(409, "Conflict", message) }
    }

    /// 410: the watch begins before what is still known.
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// 415: a body or patch of another kind.
    pub fn unsupported_media_type(what: &str) -> Self {
        let message = format!("the body of the request was in an unknown format - got `{what}`");
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422: the object breaks its schema or its kind's rules; each cause is (field, message).
    pub fn invalid(kind: &str, name: &str, causes: &[(String, String)]) -> Self {
        let listed: Vec<String> = causes.iter().map(|(field, why)| format!("{field}: {why}")).collect();
        let details: Vec<Value> = causes
            .iter()
            .map(|(field, why)| json!({"reason": "FieldValueInvalid", "message": why, "field": field}))
            .collect();
        let message = format!("{kind} \"{name}\" is invalid: {}", listed.join(", "));
        Self {
            details: json!({"name": name, "kind": kind, "causes": details}),
            ..Self::new(422, "Invalid", message)
        }
    }

    /// 429: too much at once.
    pub fn too_many_requests() -> Self {
        let details = json!({"retryAfterSeconds": 1});
        Self { details, ..Self::new(429, "TooManyRequests", "too many requests, please try again later") }
    }

    /// 500: ours.
    pub fn internal(error: impl fmt::Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {error}"))
    }

    /// 503: not yet.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// The object.
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let (Value::Object(details), Some(status)) = (&self.details, status.as_object_mut()) {
            status.insert("details".to_owned(), Value::Object(details.clone()));
        }
        status
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for Status {}
