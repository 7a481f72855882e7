//! Sticks, cards and files that are written side by side: chosen, asked for, written, read back, let go.

mod choose;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context as _;
use kernel_ioctl::removal;
use serde::Serialize;

pub(super) use self::choose::count;

use self::choose::Choice;

use super::interrupt::Flag;
use super::{Context, Note as _};
use crate::flash::{self, Bus, Composed, Device, Limits, Step, Target, WriteError};
use crate::printer::Task;
use crate::units::Bytes;

/// Where the system's folders are.
const SYSTEM: &str = "/";

/// Where the content goes.
pub(super) enum Place {
    /// A stick or card.
    Device(Device),
    /// A file that is not there yet, with the size that it gets.
    File(PathBuf, Bytes),
}

/// Something that is written.
pub(super) struct Job<'a> {
    /// What it is to people.
    pub(super) name: String,
    /// Where it goes.
    pub(super) place: Place,
    /// Makes what is written, for a disk of a size.
    pub(super) compose: Box<dyn Fn(Bytes) -> anyhow::Result<Composed> + Sync + 'a>,
}

/// What was written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    /// The device, or the file.
    pub(super) path: PathBuf,
    /// Bytes that were written, and read back.
    pub(super) written: Bytes,
    /// Whether the device was told to let go, and has understood.
    pub(super) ejected: bool,
}

impl Outcome {
    /// What is said of it to people.
    pub(super) fn line(&self, name: &str) -> String {
        let ejected = if self.ejected { ", ejected" } else { "" };
        format!("{name} is on {}: {} written and read back{ejected}\n", self.path.display(), self.written)
    }
}

/// All disks.
pub(super) fn all() -> anyhow::Result<Vec<Device>> {
    flash::all(Path::new(SYSTEM)).context("looking which disks there are")
}

/// The disk of each of several sticks, by their limits.
pub(super) fn choose(limits: &[Limits], named: &[PathBuf]) -> anyhow::Result<Vec<Device>> {
    let choice = Choice { all: &all()?, limits, named };
    choice.devices().map_err(|fault| fault.input().hint("`imgbuild usb --list` shows all disks"))
}

/// Fails unless somebody has seen what the disk is, and lets go of what is on it.
pub(super) fn ask(what: &str, device: &Device, context: &Context) -> anyhow::Result<()> {
    let question = format!(
        "Write {what} to {}: {}, {}, {}, and lose what is on it ({})?",
        device.path.display(),
        device.title(),
        device.size,
        device.bus,
        device.contents()
    );
    // A name that a stick gives itself must not move the cursor.
    context.ask(&crate::printable::text(&question))
}

/// Side by side; one that fails does not end the others, and all faults are told.
pub(super) fn write_all(jobs: &[Job<'_>], flag: &Flag, context: &Context) -> anyhow::Result<Vec<Outcome>> {
    let done: Vec<anyhow::Result<Outcome>> = thread::scope(|scope| {
        let writing: Vec<_> = jobs.iter().map(|job| scope.spawn(|| job.write(flag, context))).collect();
        let ended = writing.into_iter().map(|one| {
            one.join().unwrap_or_else(|_| Err(anyhow::anyhow!("writing it has ended in a panic")))
        });
        ended.collect()
    });
    let mut written = Vec::new();
    let mut faults = Vec::new();
    for one in done {
        match one {
            Ok(one) => written.push(one),
            Err(fault) => faults.push(fault),
        }
    }
    let ended = flag.check().err().filter(|_| !faults.is_empty());
    let last = if ended.is_some() { None } else { faults.pop() };
    for fault in faults {
        context.printer.warn(&format!("{fault:#}"));
    }
    match (ended, last) {
        (Some(ended), _) => Err(ended.into()),
        (None, Some(last)) => {
            // What went well is not written again.
            for one in &written {
                context.printer.note(&format!("{} is written and read back", one.path.display()));
            }
            Err(last)
        }
        (None, None) => Ok(written),
    }
}

impl Job<'_> {
    fn write(&self, flag: &Flag, context: &Context) -> anyhow::Result<Outcome> {
        match &self.place {
            Place::Device(device) => {
                let composed = (self.compose)(device.size)?;
                // What was asked while somebody stopped it was not meant.
                flag.check()?;
                let target = Target::open(Path::new(SYSTEM), device, &|| flag.check().is_ok());
                let target = target.map_err(of_write)?;
                let written = self.fill(&target, &composed, flag, context)?;
                let ejected = let_go(&target, device, context);
                Ok(Outcome { path: device.path.clone(), written, ejected })
            }
            Place::File(path, size) => {
                let composed = (self.compose)(*size)?;
                let folder =
                    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
                let writing = || format!("writing `{}`", path.display());
                // For its owner alone: a ticket is in it. It goes when it is dropped without its name.
                let partial = tempfile::Builder::new().prefix(".usb-").tempfile_in(folder);
                let partial = partial.map_err(|fault| fault.kind()).map_err(std::io::Error::from);
                let partial = partial.with_context(writing)?;
                let file = partial.as_file().try_clone().with_context(writing)?;
                let target = Target::file(file, path, *size).map_err(of_write)?;
                let written = self.fill(&target, &composed, flag, context)?;
                partial.persist_noclobber(path).map_err(|fault| fault.error).with_context(writing)?;
                Ok(Outcome { path: path.clone(), written, ejected: false })
            }
        }
    }

    fn fill(
        &self,
        target: &Target<File>,
        composed: &Composed,
        flag: &Flag,
        context: &Context,
    ) -> anyhow::Result<Bytes> {
        let sections = composed.sections().context("reading the disk image")?;
        let zeros = composed.zeros(&sections);
        let total = |ranges: &[Range<u64>]| ranges.iter().map(|range| range.end - range.start).sum();
        let start = |step: Step| -> Task {
            let (gerund, total) = match step {
                Step::Clearing => ("clearing", total(&zeros)),
                Step::Writing => ("writing", total(&sections)),
                Step::Reading => ("reading back", total(&sections)),
            };
            context.printer.transfer(&format!("{}: {gerund}", self.name), total)
        };
        let finish = |task: Task, step: Step| {
            task.finish(match step {
                Step::Clearing => "clear",
                Step::Writing => "written",
                Step::Reading => "the same",
            });
        };
        let mut running: Option<(Step, Task)> = None;
        let mut told = |step: Step, done: Bytes| {
            if running.as_ref().is_none_or(|(before, _)| *before != step)
                && let Some((before, task)) = running.replace((step, start(step)))
            {
                finish(task, before);
            }
            if let Some((_, task)) = &running {
                task.advance(done.0);
            }
            flag.check().is_ok()
        };
        let written = target.write(composed, &sections, &mut told).map_err(of_write)?;
        if let Some((step, task)) = running {
            finish(task, step);
        }
        Ok(written)
    }
}

/// Tells a stick that it may be taken out. All is on it by now: one that does not know the command may be, too.
fn let_go(target: &Target<File>, device: &Device, context: &Context) -> bool {
    // Cards know no such thing, and need none.
    let ejected = if device.bus == Bus::Mmc { None } else { Some(removal::eject(target.disk())) };
    if let Some(Ok(())) = ejected {
        return true;
    }
    // It stays, and the kernel has its old partitions. Only root may ask for the new ones, and nobody needs them.
    let _ = removal::read_partitions(target.disk());
    let path = device.path.display();
    let fault = ejected.and_then(Result::err).map(|fault| format!(" ({fault})")).unwrap_or_default();
    context.printer.note(&format!("{path} is not ejected{fault}: it may be taken out as it is"));
    false
}

fn of_write(fault: WriteError) -> anyhow::Error {
    let hint = fault.hint();
    let is_input = fault.is_input();
    let fault = anyhow::Error::from(fault).maybe_hint(hint);
    if is_input { fault.input() } else { fault }
}
