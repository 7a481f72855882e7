//! Faults on demand.

use std::time::Duration;

use serde_json::{Value, json};

use crate::action::Failure;
use crate::error::ApiError;
use crate::input::Input;

/// What goes wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FaultKind {
    /// Not carried out; answered with a status and an error of the API's form. 429 has the headers of a used-up budget.
    Answer {
        /// HTTP status.
        status: u16,
        /// For programs.
        code: String,
        /// For people.
        message: String,
    },
    /// Not carried out; answered with a page of HTML, as gateways do.
    Html {
        /// HTTP status.
        status: u16,
    },
    /// The connection is closed before the request is carried out.
    CloseBefore,
    /// The connection is closed after the request was carried out: its outcome is unknown.
    CloseAfter,
    /// Carried out, later.
    Delay(Duration),
    /// Carried out; its actions end in an error.
    ActionError(Failure),
    /// Carried out; its actions run on, and hold no lock.
    ActionNever,
}

/// A fault, and the requests that it meets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    method: String,
    path: String,
    nth: u64,
    times: u64,
    kind: FaultKind,
    seen: u64,
}

impl Fault {
    /// Meets the next request of a method (`*` is any) to a path below `/v1`, in which `*` stands for one step and a
    /// last `**` for all that follow.
    pub fn on(method: &str, path: &str, kind: FaultKind) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), nth: 1, times: 1, kind, seen: 0 }
    }

    /// Meets the nth such request from now on, and those after it; 1 is the next.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { nth, ..self }
    }

    /// Meets so many of them.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    fn is_for(&self, method: &str, path: &str) -> bool {
        let mut steps = path.split('/');
        let is_path = self.path.split('/').all(|pattern| match pattern {
            "**" => steps.by_ref().count() > 0,
            "*" => steps.next().is_some(),
            step => steps.next() == Some(step),
        });
        matches!(self.method.as_str(), own if own == "*" || own == method)
            && is_path
            && steps.next().is_none()
    }

    pub(crate) fn parse(body: &Value) -> Result<Self, ApiError> {
        let input = Input::of("", body)?;
        let failure = |default: &str| -> Result<Failure, ApiError> {
            let code = input.maybe_text("code")?.unwrap_or(default);
            let message = input.maybe_text("message")?.unwrap_or("a fault of the simulator");
            Ok(Failure::new(code, message))
        };
        let status = |default: u64| -> Result<u16, ApiError> {
            let status = input.maybe_number("status")?.unwrap_or(default);
            let status = u16::try_from(status).ok().filter(|status| (400..600).contains(status));
            status.ok_or_else(|| input.fault("status", "is no status of an error"))
        };
        let kinds =
            ["answer", "html", "close_before", "close_after", "delay", "action_error", "action_never"];
        let kind = match input.word("kind", &kinds)? {
            "answer" => {
                let failure = failure("server_error")?;
                FaultKind::Answer { status: status(500)?, code: failure.code, message: failure.message }
            }
            "html" => FaultKind::Html { status: status(502)? },
            "close_before" => FaultKind::CloseBefore,
            "close_after" => FaultKind::CloseAfter,
            "delay" => FaultKind::Delay(Duration::from_millis(input.number("delay_ms")?)),
            "action_error" => FaultKind::ActionError(failure("action_failed")?),
            _ => FaultKind::ActionNever,
        };
        let fault = Self::on(input.maybe_text("method")?.unwrap_or("*"), input.text("path")?, kind);
        let nth = input.maybe_number("nth")?.unwrap_or(1).max(1);
        Ok(fault.nth(nth).times(input.maybe_number("times")?.unwrap_or(1)))
    }

    fn to_json(&self) -> Value {
        json!({
            "method": self.method, "path": self.path, "nth": self.nth, "times": self.times, "seen": self.seen,
            "kind": format!("{:?}", self.kind),
        })
    }
}

/// Those that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn to_json(&self) -> Value {
        self.0.iter().map(Fault::to_json).collect()
    }

    /// Counts a request, and says what it meets.
    pub(crate) fn meet(&mut self, method: &str, path: &str) -> Vec<FaultKind> {
        let mut met = Vec::new();
        for fault in self.0.iter_mut().filter(|fault| fault.is_for(method, path)) {
            fault.seen = fault.seen.saturating_add(1);
            if fault.seen >= fault.nth {
                met.push(fault.kind.clone());
            }
        }
        self.0.retain(|fault| fault.seen + 1 < fault.nth.saturating_add(fault.times));
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_request_that_fits_is_met() {
        let mut faults = Faults::default();
        faults.add(Fault::on("POST", "/servers/*/actions/poweron", FaultKind::CloseAfter).nth(2).times(2));
        let mut meet = |method: &str, path: &str| faults.meet(method, path).len();
        let path = "/servers/7/actions/poweron";
        assert_eq!([meet("POST", path), meet("POST", path), meet("GET", path)], [0, 1, 0]);
        assert_eq!([meet("POST", "/servers/7/actions"), meet("POST", path), meet("POST", path)], [0, 1, 0]);
        faults.add(Fault::on("*", "/servers/**", FaultKind::CloseBefore).times(u64::MAX));
        for (path, expected) in
            [("/servers", 0), ("/servers/1", 1), ("/servers/1/actions", 1), ("/images/1", 0)]
        {
            assert_eq!(faults.meet("GET", path).len(), expected, "{path}");
        }
    }

    #[test]
    fn faults_are_read() {
        let body = json!({"kind": "answer", "method": "GET", "path": "/servers", "status": 429, "code": "rate_limit_exceeded", "nth": 3});
        let message = "a fault of the simulator".to_owned();
        let kind = FaultKind::Answer { status: 429, code: "rate_limit_exceeded".to_owned(), message };
        assert_eq!(Fault::parse(&body).unwrap(), Fault::on("GET", "/servers", kind).nth(3));
        let error = Fault::parse(&json!({"kind": "html", "path": "/x", "status": 200})).unwrap_err();
        assert_eq!(error.details["fields"][0]["name"], "status");
    }
}
