//! The status as text for a console: plain ASCII but for a QR code, 80 columns where the content allows.

use std::fmt::Write as _;

use crate::apply::StepState;
use crate::qr;
use crate::slot::node::Standing;
use crate::status::{Status, StepStatus};

/// First line of every screen; a program that watches a serial console looks for it.
pub const BEGIN: &str = "---------------------------------------------------------------- firstboot ----";
/// Last line of every screen.
pub const END: &str = "------------------------------------------------------------- firstboot end ----";

/// What an operator types, with the code.
pub const APPROVE: &str = "imgbuild node approve";

/// Renders the status. `with_files` shows the content of files that later steps will write.
pub fn render(status: &Status, with_files: bool) -> String {
    let mut text = format!("{BEGIN}\n");
    match &status.node {
        Some(node) => {
            let _ = writeln!(text, "node {}, {} of cluster {}", node.name, node.role.name(), node.cluster);
            let _ = writeln!(text, "record      from {}", node.record);
        }
        None => text += "this machine is no node yet\n",
    }
    if let Some(fingerprint) = &status.fingerprint {
        let _ = writeln!(text, "fingerprint {fingerprint}");
    }
    if let Some(root_hash) = &status.root_hash {
        let _ = writeln!(text, "root hash   {root_hash}");
    }
    if let Some(slot) = &status.slot {
        let generation = slot.generation.map_or_else(String::new, |number| format!(", generation {number}"));
        let _ = writeln!(text, "slot        {}{generation}, {}", slot.name, standing(slot.standing));
    }
    for (what, names) in [("unpinned", &status.unpinned), ("absent", &status.absent)] {
        for name in names {
            let _ = writeln!(text, "artifact    {what}: {name}");
        }
    }
    let _ = writeln!(text, "phase       {} since {}: {}", status.phase.words(), status.since, status.reason);
    if let Some(deadline) = status.phase.deadline().filter(|_| status.overdue) {
        let _ = writeln!(text, "overdue     this should take {} minutes at most", deadline.as_secs() / 60);
    }
    if let Some(hint) = &status.hint {
        let _ = writeln!(text, "hint        {hint}");
    }
    for note in &status.notes {
        let _ = writeln!(text, "note        {note}");
    }
    if let Some(code) = &status.code {
        // Beside it the plan finds no room on a screen.
        let drawn = qr::draw(&format!("{APPROVE} {code}")).unwrap_or_default();
        return text + &drawn + END + "\n";
    }
    if !status.steps.is_empty() {
        text += "plan\n";
    }
    for (index, step) in status.steps.iter().enumerate() {
        let _ =
            writeln!(text, "{:3}. [{:^12}] {:<10} {}", index + 1, state(step.state), step.name, step.summary);
        if with_files {
            files(&mut text, step);
        }
    }
    text + END + "\n"
}

fn files(text: &mut String, step: &StepStatus) {
    if step.state != StepState::Planned {
        return;
    }
    for file in &step.files {
        let _ = writeln!(text, "       {} ({})", file.path, file.mode);
        for line in file.text.lines() {
            let _ = writeln!(text, "       | {line}");
        }
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Committed => "committed",
        Standing::Trial => "on trial",
        Standing::Substitute => "in place of the committed one",
    }
}

fn state(state: StepState) -> &'static str {
    match state {
        StepState::Changed => "changed",
        StepState::Unchanged => "as it was",
        StepState::WouldChange => "would change",
        StepState::Planned => "planned",
    }
}
