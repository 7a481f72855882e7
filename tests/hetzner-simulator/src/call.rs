//! One request, and what is answered.

use serde_json::{Value, json};

use crate::action::{Action, Plan};
use crate::clock::Time;
use crate::error::ApiError;
use crate::input::{Input, LARGEST};
use crate::page::{self, Shape};
use crate::serve::query::Query;
use crate::state::{Kind, State};

/// A request that is carried out.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) now: Time,
    pub(crate) query: &'a Query,
    pub(crate) body: &'a [u8],
    /// What stands in the path where a route has `{…}`.
    pub(crate) parameters: Vec<String>,
    /// How its actions end.
    pub(crate) plan: Plan,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
    /// Pages beside this one.
    pub(crate) links: Vec<(&'static str, usize)>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), links: Vec::new() }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn nothing() -> Self {
        Self { status: 204, body: None, links: Vec::new() }
    }
}

impl Call<'_> {
    /// The body, which must be an object.
    pub(crate) fn body(&self) -> Result<Value, ApiError> {
        let broken = |message: String| ApiError::new(400, "json_error", message);
        let value: Value = serde_json::from_slice(self.body)
            .map_err(|error| broken(format!("invalid JSON in the body: {error}")))?;
        if value.is_object() { Ok(value) } else { Err(ApiError::invalid("body", "is no object")) }
    }

    /// The body as fields.
    pub(crate) fn input(body: &Value) -> Result<Input<'_>, ApiError> {
        Input::of("", body)
    }

    pub(crate) fn parameter(&self, index: usize) -> &str {
        self.parameters.get(index).map(String::as_str).unwrap_or_default()
    }

    /// An ID in the path.
    pub(crate) fn number(&self, index: usize) -> Result<u64, ApiError> {
        let text = self.parameter(index);
        let number = text.parse().ok().filter(|number| *number <= LARGEST);
        number.ok_or_else(|| ApiError::invalid("id", format!("`{text}` is no ID")))
    }

    /// The first ID in the path.
    pub(crate) fn id(&self) -> Result<u64, ApiError> {
        self.number(0)
    }

    pub(crate) fn list(&self, shape: &Shape, items: Vec<Value>) -> Result<Reply, ApiError> {
        let page = page::list(shape, self.query, items)?;
        Ok(Reply { links: page.links, ..Reply::ok(page.body) })
    }

    /// An action that ends as is planned.
    pub(crate) fn action(&self, command: &'static str, resources: &[(Kind, u64)]) -> Action {
        Action::new(command, resources.to_vec(), self.now, self.plan.clone())
    }

    /// Starts an action, and shows it.
    pub(crate) fn start(&mut self, action: Action) -> Value {
        let id = self.state.actions.add(action);
        json!(self.state.actions.json(id, self.now))
    }

    /// Starts an action that is all there is to answer.
    pub(crate) fn started(&mut self, action: Action) -> Reply {
        let action = self.start(action);
        Reply::new(201, json!({"action": action}))
    }
}
