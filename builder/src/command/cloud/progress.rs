//! How far an upload is: for people one line each, for programs lines of JSON.

use std::time::Instant;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use crate::cloud::snapshot::{Told, Upload};
use crate::cloud::upload::{Event, Progress, Written};
use crate::hetzner::ImageId;
use crate::printer::{Printer, Task};

/// How progress is told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(in crate::command) enum Style {
    /// Lines for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

/// Tells of one upload.
pub(super) struct Watcher<'a> {
    image: String,
    style: Style,
    printer: &'a Printer,
    task: Option<Task>,
    done: u64,
    began: Instant,
    /// Of the last line of JSON.
    told: Option<Instant>,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(upload: &Upload, style: Style, printer: &'a Printer) -> Self {
        let image = format!("{} for {}", upload.of.profile, upload.of.arch);
        Self { image, style, printer, task: None, done: 0, began: Instant::now(), told: None }
    }

    pub(super) fn tell(&mut self, told: Told) {
        match told {
            Told::Step(step) => {
                self.end_task();
                match self.style {
                    Style::Text => self.printer.note(&format!("{}: {step}", self.image)),
                    Style::Json => self.line(&json!({ "event": "step", "step": step })),
                }
            }
            Told::Upload(Event::Progress(progress)) => self.progress(progress),
            Told::Upload(event) => {
                let Some(warning) = event.warning() else { return };
                match self.style {
                    Style::Text => self.printer.warn(&format!("{}: {warning}", self.image)),
                    Style::Json => self.line(&json!({ "event": "warning", "message": warning })),
                }
            }
        }
    }

    pub(super) fn finish(mut self, snapshot: ImageId, written: Written) {
        self.end_task();
        if self.style == Style::Json {
            let Written { image, sent, chunks, sha256 } = written;
            self.line(&json!({
                "event": "snapshot", "snapshot": snapshot, "bytes": image.0, "sent": sent.0, "chunks": chunks,
                "sha256": sha256.to_string(), "seconds": self.began.elapsed().as_secs(),
            }));
        }
    }

    fn progress(&mut self, Progress { done, sent, total }: Progress) {
        match self.style {
            Style::Text => {
                let name = format!("{}: uploading", self.image);
                let task = self.task.get_or_insert_with(|| self.printer.transfer(&name, total.0));
                task.advance(done.0.saturating_sub(self.done));
            }
            Style::Json => {
                // Once a second is enough for every script; the end is always told.
                let is_due = self.told.is_none_or(|told| told.elapsed().as_secs() >= 1);
                if is_due || done == total {
                    self.told = Some(Instant::now());
                    self.line(
                        &json!({ "event": "progress", "done": done.0, "sent": sent.0, "total": total.0 }),
                    );
                }
            }
        }
        self.done = self.done.max(done.0);
    }

    fn end_task(&mut self) {
        if let Some(task) = self.task.take() {
            task.finish("written, and read back");
        }
    }

    fn line(&self, event: &impl Serialize) {
        let Ok(serde_json::Value::Object(mut event)) = serde_json::to_value(event) else { return };
        event.insert("image".to_owned(), self.image.as_str().into());
        self.printer.event(&serde_json::Value::Object(event).to_string());
    }
}
