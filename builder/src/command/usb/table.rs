//! All disks, for people and programs.

use serde::Serialize;

use crate::flash::{Device, Limits};
use crate::printable::text as printable;

/// A disk, and what is in its way.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<'a> {
    #[serde(flatten)]
    device: &'a Device,
    /// Whether it may be written; the image has to fit besides.
    is_offered: bool,
    /// Why it is not.
    obstacles: Vec<String>,
}

impl<'a> Shown<'a> {
    pub(super) fn all(devices: &'a [Device], limits: &Limits) -> Vec<Self> {
        let shown = |device: &'a Device| {
            let obstacles: Vec<_> = device.obstacles(limits).iter().map(ToString::to_string).collect();
            Self { device, is_offered: obstacles.is_empty(), obstacles }
        };
        devices.iter().map(shown).collect()
    }
}

pub(super) fn text(all: &[Shown<'_>]) -> String {
    if all.is_empty() {
        return "there is no disk\n".to_owned();
    }
    let mut lines = Vec::new();
    for Shown { device, is_offered, obstacles } in all {
        let mark = if *is_offered { '+' } else { '-' };
        lines.push(format!(
            "{mark} {:14}  {:>10}  {:7}  {}",
            device.path.display(),
            device.size.to_string(),
            device.bus.to_string(),
            printable(&device.title())
        ));
        lines.push(format!("  holds {}", printable(&device.contents())));
        lines.extend(obstacles.iter().map(|obstacle| format!("  not written: {}", printable(obstacle))));
    }
    format!("{}\n\n+ can be written, - is not\n", lines.join("\n"))
}
