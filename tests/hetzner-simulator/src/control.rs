//! What tests say to the simulator, and ask of it: paths below `/_simulator`, without a token.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::fault::Fault;
use crate::input::Input;
use crate::project::Project;
use crate::rate::Budget;
use crate::resource::server::Status;
use crate::state::{Capacity, Kind, State};

/// `path` is that below `/_simulator`.
pub(crate) fn answer(
    project: &Arc<Project>,
    method: &str,
    path: &str,
    content: &[u8],
) -> Result<Value, ApiError> {
    let body = || -> Result<Value, ApiError> {
        serde_json::from_slice(content)
            .map_err(|error| ApiError::new(400, "json_error", format!("invalid JSON in the body: {error}")))
    };
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    match (method, steps.as_slice()) {
        ("GET", ["resources"]) => Ok(project.with(|state| state.show_all())),
        ("GET", ["requests"]) => Ok(requests(project)),
        ("DELETE", ["requests"]) => {
            project.log().clear();
            Ok(json!({}))
        }
        ("GET", ["faults"]) => Ok(project.faults().to_json()),
        ("POST", ["faults"]) => {
            let fault = Fault::parse(&body()?)?;
            project.faults().add(fault);
            Ok(json!({}))
        }
        ("DELETE", ["faults"]) => {
            project.faults().clear();
            Ok(json!({}))
        }
        ("PUT", ["settings"]) => {
            let body = body()?;
            project.with(|state| set(state, &Input::of("", &body)?))
        }
        ("POST", ["clock"]) => {
            let body = body()?;
            let pause = Duration::from_millis(Input::of("", &body)?.number("advance_ms")?);
            project.with(|state| state.clock.advance(pause));
            Ok(json!({}))
        }
        ("GET", ["servers", id]) => project.with(|state| state.details(number(id)?)),
        ("PUT", ["servers", id]) => {
            let (id, body) = (number(id)?, body()?);
            let status = Input::of("", &body)?.word("status", &["off", "running"])?;
            let status = Status::by_name(status).unwrap_or(Status::Off);
            if project.with(|state| state.rest(id, status)) {
                Ok(json!({}))
            } else {
                Err(ApiError::not_found("server", id))
            }
        }
        _ => Err(ApiError::new(404, "not_found", format!("the simulator has no control `{method} {path}`"))),
    }
}

fn number(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::invalid("id", format!("`{text}` is no ID")))
}

fn requests(project: &Project) -> Value {
    let log = project.log();
    let shown = log.iter().map(|request| {
        json!({
            "method": request.method, "path": request.path, "status": request.status, "body": request.body,
        })
    });
    shown.collect()
}

/// Everything that is named changes; all is checked before.
fn set(state: &mut State, input: &Input<'_>) -> Result<Value, ApiError> {
    let (delay, requests) =
        (input.maybe_number("action_delay_ms")?, input.maybe_number("requests_per_hour")?);
    let mut limits = Vec::new();
    for entry in input.objects("limits")? {
        let (kind, limit) = (entry.text("kind")?, entry.number("limit")?);
        let kind =
            Kind::by_plural(kind).ok_or_else(|| entry.fault("kind", format!("`{kind}` is no kind")))?;
        limits.push((kind, usize::try_from(limit).unwrap_or(usize::MAX)));
    }
    let mut capacity = Vec::new();
    for entry in input.objects("capacity")? {
        let place = (entry.text("server_type")?.to_owned(), entry.text("location")?.to_owned());
        let code = entry.maybe_text("code")?.unwrap_or("resource_unavailable").to_owned();
        capacity.push((place, Capacity { free: entry.number("free")?, code }));
    }
    state.limits.extend(limits);
    state.capacity.extend(capacity);
    if let Some(delay) = delay {
        state.actions.delay = Duration::from_millis(delay);
    }
    if let Some(requests) = requests {
        state.budget = Budget::new(requests);
    }
    Ok(json!({}))
}
