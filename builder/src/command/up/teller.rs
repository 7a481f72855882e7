//! What is told on the way: for people lines, for programs lines of JSON.

use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

use crate::cloud::plan::{Plan, PlannedName, Step};
use crate::command::cloud::Style;
use crate::printer::Printer;

/// A part of the way.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Part {
    step: String,
    seconds: u64,
}

/// Tells how far `up` is, and counts the seconds.
pub(super) struct Teller<'a> {
    style: Style,
    printer: &'a Printer,
    last: Instant,
    parts: Vec<Part>,
}

impl<'a> Teller<'a> {
    /// The way begins now.
    pub(super) fn start(style: Style, printer: &'a Printer) -> Self {
        Self { style, printer, last: Instant::now(), parts: Vec::new() }
    }

    /// What is going to be done.
    pub(super) fn plan(&self, plan: &Plan) {
        self.tell(|| plan.to_string(), || json!({ "event": "plan", "plan": plan }));
    }

    /// A part of the way is behind.
    pub(super) fn ends(&mut self, step: &str) {
        let seconds = self.last.elapsed().as_secs();
        self.last = Instant::now();
        self.tell(
            || format!("{seconds:5} s  {step}"),
            || json!({ "event": "part", "part": step, "seconds": seconds }),
        );
        self.parts.push(Part { step: step.to_owned(), seconds });
    }

    /// A step of the plan is done.
    pub(super) fn made(&self, step: &Step) {
        let (kind, name) = (step.kind.name(), &step.name);
        let event = || json!({ "event": "done", "intent": step.intent, "kind": step.kind, "name": name });
        self.tell(|| format!("         {kind} `{name}`"), event);
    }

    /// Names that somebody has to write, whose addresses are known now.
    pub(super) fn names(&self, names: &[PlannedName]) {
        let lines = || {
            names.iter().map(|name| format!("to be written where your DNS is: {name}")).collect::<Vec<_>>()
        };
        self.tell(|| lines().join("\n"), || json!({ "event": "names", "names": names }));
    }

    /// A node is further.
    pub(super) fn node(&self, node: &str, phase: &str) {
        let event = || json!({ "event": "node", "node": node, "phase": phase });
        self.tell(|| format!("         {node}: {phase}"), event);
    }

    /// All parts, in their order.
    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    fn tell(&self, text: impl FnOnce() -> String, event: impl FnOnce() -> Value) {
        match self.style {
            Style::Text => self.printer.note(&text()),
            Style::Json => self.printer.event(&event().to_string()),
        }
    }
}
