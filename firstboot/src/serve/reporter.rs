//! Where the node stands, told to its status, its consoles and the journal.

use std::io::{self, Write as _};
use std::time::SystemTime;

use crate::apply::StepState;
use crate::consoles;
use crate::converge::System;
use crate::status::{self, Phase};

/// Tells what has changed, once.
#[derive(Debug)]
pub(super) struct Reporter<'a> {
    system: &'a System,
    last: Option<(Phase, String)>,
}

impl<'a> Reporter<'a> {
    pub(super) const fn new(system: &'a System) -> Self {
        Self { system, last: None }
    }

    /// The node is in this phase, for this reason; `hint` is what a person can do about it.
    pub(super) fn phase(&mut self, phase: Phase, reason: &str, hint: Option<&str>) -> anyhow::Result<()> {
        let now = Some((phase, reason.to_owned()));
        if self.last == now {
            return Ok(());
        }
        let is_new_phase = self.last.as_ref().is_none_or(|(last, _)| *last != phase);
        self.last = now;
        let changed = status::update(self.system, |status| {
            // Since when it is so, not since when it is so for this reason.
            if is_new_phase {
                status.since = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
            }
            status.phase = phase;
            reason.clone_into(&mut status.reason);
            status.hint = hint.map(str::to_owned);
        })?;
        say(reason);
        if let Some(status) = changed.filter(|_| is_new_phase && self.system.is_live()) {
            consoles::show(&status);
        }
        Ok(())
    }

    /// The node is where it should be.
    pub(super) fn ready(&mut self) -> anyhow::Result<()> {
        self.phase(Phase::Ready, "the cluster sees this node as Ready", None)
    }

    /// A step of the plan was carried out.
    pub(super) fn step(&self, name: &str, state: StepState) -> anyhow::Result<()> {
        status::update(self.system, |status| {
            for step in status.steps.iter_mut().filter(|step| step.name == name) {
                step.state = state;
            }
        })?;
        Ok(())
    }
}

/// To the journal; what is worth a person's eyes at the machine is a phase.
pub(super) fn say(line: &str) {
    // Nobody is there to be told that nobody can be told.
    let _ = writeln!(io::stdout(), "{line}");
}
