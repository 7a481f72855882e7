//! Carrying out a plan, step by step.

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::converge::{ConvergeError, Mode, Outcome, System};
use crate::firewall::{self, Loaded, Table};
use crate::plan::{Change, Effect, PlannedFile, Step};

/// Where the kernel keeps its host name.
const KERNEL_HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// Loads the firewall.
const NFT: &str = "/usr/sbin/nft";

/// What became of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Something differed and is now as wanted.
    Changed,
    /// All was as wanted.
    Unchanged,
    /// Something differs; a dry run leaves it.
    WouldChange,
    /// To be carried out by `firstboot serve`, on a node that joins a cluster.
    Planned,
}

/// Why a step stopped.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// A file could not be made as wanted.
    #[error("step `{step}` stopped")]
    Converge {
        /// Name of the step.
        step: &'static str,
        /// Why.
        #[source]
        source: ConvergeError,
    },
    /// The kernel refused the host name.
    #[error("step `{step}` stopped: setting host name `{name}`")]
    HostName {
        /// Name of the step.
        step: &'static str,
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel refused the firewall.
    #[error("step `{step}` stopped")]
    Firewall {
        /// Name of the step.
        step: &'static str,
        /// Why.
        source: anyhow::Error,
    },
    /// A link would lead nowhere.
    #[error("step `{step}` stopped: the image has no `{target}`")]
    Missing {
        /// Name of the step.
        step: &'static str,
        /// What the link should lead to.
        target: String,
    },
}

/// Carries out one step.
pub fn apply(step: &Step, system: &System) -> Result<StepState, ApplyError> {
    let changes = match &step.effect {
        Effect::Joining(files) => return joining(step.name, files, system),
        Effect::Converge(changes) => changes,
    };
    let mut outcome = Outcome::Unchanged;
    for change in changes {
        outcome = outcome.or(converge(step.name, change, outcome, system)?);
    }
    Ok(match (outcome, system.mode()) {
        (Outcome::Unchanged, _) => StepState::Unchanged,
        (Outcome::Changed, Mode::Apply) => StepState::Changed,
        (Outcome::Changed, Mode::DryRun) => StepState::WouldChange,
    })
}

/// An applying run leaves these to `firstboot serve`; a dry run says where that has been.
fn joining(step: &'static str, files: &[PlannedFile], system: &System) -> Result<StepState, ApplyError> {
    if files.is_empty() || system.mode() == Mode::Apply {
        return Ok(StepState::Planned);
    }
    for PlannedFile { path, mode, content } in files {
        let found = system.ensure_file(path, content.for_file(), *mode);
        if found.map_err(|source| ApplyError::Converge { step, source })? == Outcome::Changed {
            return Ok(StepState::Planned);
        }
    }
    Ok(StepState::Unchanged)
}

/// Carries out a change; `before` is what became of the step's changes before it.
fn converge(
    step: &'static str,
    change: &Change,
    before: Outcome,
    system: &System,
) -> Result<Outcome, ApplyError> {
    let refused = |source| ApplyError::Converge { step, source };
    match change {
        Change::File(PlannedFile { path, mode, content }) => {
            system.ensure_file(path, content.for_file(), *mode).map_err(refused)
        }
        Change::Absent { path } => system.ensure_absent(path).map_err(refused),
        Change::NoOthers { folder, prefix, suffix, names } => {
            system.ensure_no_others(folder, (prefix, suffix), names).map_err(refused)
        }
        Change::Symlink { path, target } => {
            // Links are written as from /etc, one level below the root.
            let leads_to = target.trim_start_matches("..");
            if !system.path(leads_to).is_file() {
                return Err(ApplyError::Missing { step, target: leads_to.to_owned() });
            }
            system.ensure_symlink(path, target).map_err(refused)
        }
        Change::HostName(name) => host_name(step, name, system),
        Change::Firewall(table) => load(step, table, before, system),
    }
}

/// The kernel's rules are looked at where they may be changed; a dry run tells by their file. Where the file, which lies
/// on a tmpfs, was not as wanted, they cannot be either, and nobody needs to look: on a machine that is switched on, the
/// starts of `nft` take most of the time that this takes.
fn load(step: &'static str, table: &Table, of_file: Outcome, system: &System) -> Result<Outcome, ApplyError> {
    if !system.is_live() || system.mode() == Mode::DryRun {
        return Ok(Outcome::Unchanged);
    }
    let loaded = match of_file {
        Outcome::Changed => firewall::replace(table, Path::new(NFT)).map(|()| Loaded::Replaced),
        Outcome::Unchanged => firewall::load(table, Path::new(NFT)),
    };
    match loaded.map_err(|source| ApplyError::Firewall { step, source })? {
        Loaded::Unchanged => Ok(Outcome::Unchanged),
        Loaded::Replaced => Ok(Outcome::Changed),
    }
}

fn host_name(step: &'static str, name: &str, system: &System) -> Result<Outcome, ApplyError> {
    let found = system.read(KERNEL_HOST_NAME).map_err(|source| ApplyError::Converge { step, source })?;
    if found.is_some_and(|found| found.trim_ascii() == name.as_bytes()) {
        return Ok(Outcome::Unchanged);
    }
    if system.is_live() && system.mode() == Mode::Apply {
        rustix::system::sethostname(name.as_bytes()).map_err(|error| ApplyError::HostName {
            step,
            name: name.to_owned(),
            source: error.into(),
        })?;
    }
    Ok(Outcome::Changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use crate::record::example;

    fn zoneinfo(system: &System) {
        System::new(system.path("/"), Mode::Apply)
            .ensure_file("/usr/share/zoneinfo/Europe/Berlin", b"TZif", 0o644)
            .unwrap();
    }

    fn states(system: &System) -> Vec<(&'static str, StepState)> {
        plan(&example()).iter().map(|step| (step.name, apply(step, system).unwrap())).collect()
    }

    #[test]
    fn converges_once() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), Mode::Apply);
        zoneinfo(&system);
        system.ensure_file(KERNEL_HOST_NAME, b"edge1\n", 0o644).unwrap();
        assert_eq!(
            states(&system)[..5],
            [
                ("firewall", StepState::Changed),
                ("host-name", StepState::Changed),
                ("time-zone", StepState::Changed),
                ("ssh-keys", StepState::Changed),
                ("network", StepState::Changed),
            ]
        );
        assert!(states(&system)[..5].iter().all(|(_, state)| *state == StepState::Unchanged));
        assert_eq!(system.read("/etc/hostname").unwrap().unwrap(), b"edge1\n");
    }

    #[test]
    fn a_dry_run_tells_whether_joining_has_done_a_step_and_a_boot_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let system = |mode| System::new(directory.path(), mode);
        let step = plan(&example()).into_iter().find(|step| step.name == "vpn").unwrap();
        let Effect::Joining(files) = &step.effect else { panic!("{step:?}") };
        assert_eq!(apply(&step, &system(Mode::DryRun)).unwrap(), StepState::Planned);
        for file in files {
            system(Mode::Apply).ensure_file(&file.path, file.content.for_file(), file.mode).unwrap();
        }
        assert_eq!(apply(&step, &system(Mode::DryRun)).unwrap(), StepState::Unchanged);
        assert_eq!(apply(&step, &system(Mode::Apply)).unwrap(), StepState::Planned);
        system(Mode::Apply).ensure_file(&files[0].path, b"other", 0o600).unwrap();
        assert_eq!(apply(&step, &system(Mode::DryRun)).unwrap(), StepState::Planned);
    }

    #[test]
    fn interfaces_that_left_the_record_leave_the_node() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), Mode::Apply);
        let old = "/etc/systemd/network/10-525400aaaaaa.network";
        let others = "/etc/systemd/network/20-lab.network";
        for path in [old, others] {
            system.ensure_file(path, b"[Match]\n", 0o644).unwrap();
        }
        let step = plan(&example()).into_iter().find(|step| step.name == "network").unwrap();
        assert_eq!(apply(&step, &system).unwrap(), StepState::Changed);
        assert_eq!(system.read(old).unwrap(), None);
        assert!(system.read(others).unwrap().is_some(), "only firstboot's own names are its to remove");
        assert!(system.read("/etc/systemd/network/10-525400123456.network").unwrap().is_some());
        assert_eq!(apply(&step, &system).unwrap(), StepState::Unchanged);
    }

    #[test]
    fn stops_at_a_time_zone_that_the_image_lacks() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), Mode::Apply);
        zoneinfo(&system);
        for (zone, missing) in [("Europe/Berlim", true), ("Europe", true), ("Europe/Berlin", false)] {
            let mut record = example();
            record.time_zone = zone.to_owned();
            let step = plan(&record).into_iter().find(|step| step.name == "time-zone").unwrap();
            let fault = apply(&step, &system).err().map(|error| error.to_string());
            let expected = format!("step `time-zone` stopped: the image has no `/usr/share/zoneinfo/{zone}`");
            assert_eq!(fault, missing.then_some(expected));
        }
    }
}
