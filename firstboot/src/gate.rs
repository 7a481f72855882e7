//! The commit gate: a slot is committed once the node is known to work. No unit has failed, and k3s, if it was started,
//! runs for a while without being restarted. Whether it has reached a server is not asked: a dead uplink is no fault of
//! the slot.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::boot::BootReport;
use crate::converge::System;
use crate::esp;
use crate::fat::Fat;
use crate::gpt::BlockDisk;
use crate::root_hash::RootHash;
use crate::slot::node::{self, Report, Running};
use crate::source;
use crate::status::{self, SlotStatus};
use crate::systemd::{self, Process, State};

/// How long a machine may be on its way up; the slowest disks check their state for minutes.
const DEADLINE: Duration = Duration::from_mins(15);
/// How long it must stay as it is: units that are restarted fail and come back.
const SETTLED: Duration = Duration::from_secs(10);
/// How long k3s must run: what a new version cannot live with ends it earlier.
const K3S_SETTLED: Duration = Duration::from_mins(1);
/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// What became of the start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// Every unit has come up.
    Works,
    /// Some have failed, and stay so.
    Failed,
    /// It is still starting.
    Hangs,
    /// It goes down before anything is known.
    Stopping,
}

/// Looks of the gate, each with the time since the first.
#[derive(Debug, Default)]
struct Watch {
    /// The last look, and since when all is like that.
    last: Option<(State, Process, Duration)>,
}

impl Watch {
    fn look(&mut self, state: State, k3s: Process, now: Duration) -> Option<Verdict> {
        let since = match self.last {
            Some((last, process, since)) if (last, process) == (state, k3s) => since,
            _ => now,
        };
        self.last = Some((state, k3s, since));
        let time = now.saturating_sub(since);
        let needed = if k3s == Process::NotStarted { SETTLED } else { K3S_SETTLED };
        match state {
            State::Stopping => Some(Verdict::Stopping),
            State::Running if time >= needed && !matches!(k3s, Process::Down(_)) => Some(Verdict::Works),
            State::Degraded if time >= SETTLED => Some(Verdict::Failed),
            _ if now >= DEADLINE => Some(Verdict::Hangs),
            _ => None,
        }
    }
}

/// What `report` says is running.
fn running(report: &BootReport) -> anyhow::Result<Running> {
    let root_hash = RootHash::parse(&report.root_hash).context("the boot report has no root hash")?;
    Ok(Running { slot: report.slot.parse()?, root_hash, is_on_trial: report.is_on_trial })
}

fn open_esp(report: &BootReport) -> anyhow::Result<Fat<BlockDisk>> {
    esp::open(Path::new(&report.esp)).with_context(|| format!("opening `{}`", report.esp))
}

/// Early in a boot: mends boot entries, and says how the running slot stands.
pub fn arrive(report: &BootReport, by_grub: bool) -> anyhow::Result<Report> {
    Ok(node::arrive(&mut open_esp(report)?, running(report)?, by_grub)?)
}

/// The slot's part of the status.
pub fn slot_status(name: &str, report: &Report) -> SlotStatus {
    SlotStatus { name: name.to_owned(), generation: report.generation, standing: report.standing }
}

/// Waits for the verdict and acts on it.
pub fn commit(system: &System) -> anyhow::Result<ExitCode> {
    let report = source::boot_report(system)?.context("stage0 has not started this system")?;
    let running = running(&report)?;
    let verdict = wait();
    match verdict {
        Verdict::Works => {
            let done = node::commit(&mut open_esp(&report)?, running)?;
            for note in &done.notes {
                say(note);
            }
            show(system, &report.slot, &done)?;
        }
        Verdict::Failed | Verdict::Hangs if running.is_on_trial => {
            let why = match verdict {
                // Who failed is for people to know; the restart does not wait for it.
                Verdict::Failed => match systemd::failed_units() {
                    Ok(units) => format!("failed: {}", units.join(", ")),
                    Err(error) => format!("failed: {error:#}"),
                },
                _ => format!("has not come up in {} minutes", DEADLINE.as_secs() / 60),
            };
            say(&format!("slot {} is on trial and {why}: restarting", running.slot));
            systemd::restart()?;
        }
        Verdict::Failed | Verdict::Hangs | Verdict::Stopping => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn wait() -> Verdict {
    let started = Instant::now();
    let mut watch = Watch::default();
    loop {
        let state = systemd::state().unwrap_or_else(|error| {
            // What does not answer has not come up, and must not go on for ever.
            say(&format!("{error:#}"));
            State::Starting
        });
        let k3s = systemd::k3s().unwrap_or_else(|error| {
            say(&format!("{error:#}"));
            Process::Down(0)
        });
        if let Some(verdict) = watch.look(state, k3s, started.elapsed()) {
            return verdict;
        }
        thread::sleep(INTERVAL);
    }
}

/// To the journal and the console.
fn say(line: &str) {
    // A console that takes nothing must not keep a slot from being committed.
    let _ = writeln!(io::stdout(), "firstboot: {line}");
}

/// Brings the status up to date that this boot's run of firstboot has left.
fn show(system: &System, slot: &str, done: &Report) -> anyhow::Result<()> {
    status::update(system, |status| {
        status.slot = Some(slot_status(slot, done));
        status.notes.extend(done.notes.iter().cloned());
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Degraded, Running, Starting, Stopping};

    fn verdict(looks: &[(u64, State)]) -> Option<Verdict> {
        let mut watch = Watch::default();
        looks
            .iter()
            .find_map(|(second, state)| watch.look(*state, Process::NotStarted, Duration::from_secs(*second)))
    }

    #[test]
    fn k3s_must_run_for_a_minute_where_it_was_started() {
        use Process::{Alive, Down, NotStarted};
        let verdict = |looks: &[(u64, Process)]| {
            let mut watch = Watch::default();
            looks.iter().find_map(|(second, k3s)| watch.look(Running, *k3s, Duration::from_secs(*second)))
        };
        for (looks, expected) in [
            (&[(60, NotStarted), (62, Alive(0)), (72, Alive(0)), (121, Alive(0))][..], None),
            (&[(60, NotStarted), (62, Alive(0)), (122, Alive(0))], Some(Verdict::Works)),
            // Each restart begins the minute anew, and one that never ends is a hang.
            (&[(60, Alive(0)), (100, Alive(1)), (150, Alive(1))], None),
            (&[(60, Down(3)), (200, Down(3))], None),
            (&[(60, Down(3)), (890, Alive(40)), (900, Alive(41))], Some(Verdict::Hangs)),
        ] {
            assert_eq!(verdict(looks), expected, "{looks:?}");
        }
    }

    #[test]
    fn a_start_is_judged_once_it_has_settled() {
        for (looks, expected) in [
            (&[(0, Starting), (60, Running), (69, Running)][..], None),
            (&[(0, Starting), (60, Running), (70, Running)], Some(Verdict::Works)),
            (&[(60, Degraded), (70, Degraded)], Some(Verdict::Failed)),
            // A unit that was restarted came back.
            (&[(60, Degraded), (66, Running), (70, Running)], None),
            (&[(60, Degraded), (66, Running), (76, Running)], Some(Verdict::Works)),
            (&[(60, Running), (64, Degraded), (70, Degraded)], None),
            (&[(0, Starting), (899, Starting)], None),
            (&[(0, Starting), (900, Starting)], Some(Verdict::Hangs)),
            (&[(60, Running), (62, Stopping)], Some(Verdict::Stopping)),
        ] {
            assert_eq!(verdict(looks), expected, "{looks:?}");
        }
    }

    #[test]
    fn the_status_follows_the_commit() {
        use crate::converge::Mode;
        use crate::slot::Generation;
        use crate::slot::node::Standing;
        use crate::status::Status;
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), Mode::Apply);
        let notes = vec!["slot b, generation 2, is committed".to_owned()];
        let done = Report { generation: Some(Generation(2)), standing: Standing::Committed, notes };
        show(&system, "b", &done).unwrap();
        assert_eq!(system.read(status::PATH).unwrap(), None, "a status is firstboot's to begin");
        let before = crate::run::run(&system, None).unwrap();
        system.ensure_file(status::PATH, &serde_json::to_vec(&before).unwrap(), 0o644).unwrap();
        show(&system, "b", &done).unwrap();
        let shown: Status = serde_json::from_slice(&system.read(status::PATH).unwrap().unwrap()).unwrap();
        assert_eq!(shown.notes, done.notes);
        assert_eq!(shown.slot.as_ref().and_then(|slot| slot.generation), Some(Generation(2)));
        assert!(crate::screen::render(&shown, true).contains("\nslot        b, generation 2, committed\n"));
    }
}
