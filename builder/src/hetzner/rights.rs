//! What a token may do.

use reqwest::Method;
use serde_json::json;

use super::client::path;
use super::transport::{Body, Request};
use super::{Client, ErrorCode, HetznerError, Operation};

impl Client {
    /// Whether the token may change the project. Nothing is changed: what is asked for is refused as wrong by who may, and
    /// as forbidden by who may not.
    pub async fn may_write(&self, operation: &Operation) -> Result<bool, HetznerError> {
        let request = Request::new(Method::POST, path(["placement_groups"]));
        // A placement group without a name, of no type.
        let body = Body::of(&json!({ "name": "", "type": "" }));
        match self.call(operation, &request.with_body(body)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is(&ErrorCode::InvalidInput) => Ok(true),
            Err(error) if error.is(&ErrorCode::TokenReadonly) || error.is(&ErrorCode::Forbidden) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
