//! The last failure in words, on the EFI system partition: a stick or disk that is pulled from a dead box can be read on
//! any computer.

use std::io;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::converge::System;
use crate::esp;
use crate::fat::{Fat, FatError};
use crate::gpt::BlockDisk;
use crate::screen;
use crate::source;
use crate::status::{Phase, Status};

const FOLDER: &str = "firstboot";
/// Where it lies on the partition.
pub const FILE: &str = "firstboot/last-failure.txt";

/// Between two writes to the medium, however often the cause changes: sticks wear out.
pub(crate) const WRITE_AGAIN: Duration = Duration::from_mins(10);

/// What lies there, for who comes later in this boot; on a tmpfs.
const NOTE: &str = "/run/imgbuild/last-failure.json";

/// Tries at a partition that is in use, and the time between two.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

const HEAD: &str =
    "This box has not become the node that it should be. This is what its console showed last.\n\n";

/// What was done to the medium last in this boot.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// The phase that the text tells of; none where no text lies there.
    phase: Option<Phase>,
    at: SystemTime,
}

/// Keeps what a person is shown, unless the same cause lies there, or a text of the same phase that was written lately.
/// A machine that stage0 has not started has no such partition.
pub(crate) fn keep(status: &Status, system: &System) -> anyhow::Result<()> {
    let is_recent = |note: &Note| note.at.elapsed().is_ok_and(|age| age < WRITE_AGAIN);
    if noted(system).is_some_and(|note| note.phase == Some(status.phase) && is_recent(&note)) {
        return Ok(());
    }
    let Some(mut fat) = open(system)? else { return Ok(()) };
    let text = format!("{HEAD}{}", screen::render(status, false));
    let cause = format!(": {}\n", status.reason);
    if fat.read(FILE)?.is_some_and(|kept| String::from_utf8_lossy(&kept).contains(&cause)) {
        return Ok(());
    }
    if fat.list(FOLDER)?.is_none() {
        fat.make_folder(FOLDER)?;
    }
    fat.replace(FILE, text.as_bytes()).with_context(|| format!("writing `{FILE}`"))?;
    note(Some(status.phase), system)
}

/// The node is where it should be: what was is of no use any more.
pub(crate) fn forget(system: &System) -> anyhow::Result<()> {
    if noted(system).is_some_and(|note| note.phase.is_none()) {
        return Ok(());
    }
    let Some(mut fat) = open(system)? else { return Ok(()) };
    if fat.size(FILE)?.is_some() {
        fat.remove(FILE).with_context(|| format!("removing `{FILE}`"))?;
    }
    note(None, system)
}

/// What is none is as good as one that was never made: the medium itself is looked at.
fn noted(system: &System) -> Option<Note> {
    serde_json::from_slice(&system.read(NOTE).ok().flatten()?).ok()
}

fn note(phase: Option<Phase>, system: &System) -> anyhow::Result<()> {
    let note = serde_json::to_vec(&Note { phase, at: SystemTime::now() });
    system.ensure_file(NOTE, &note.context("rendering what lies on the medium")?, 0o644)?;
    Ok(())
}

/// After a run of `firstboot`. A node that joins a cluster has done so only once it is Ready.
pub(crate) fn after_run(status: &Status, system: &System) -> anyhow::Result<()> {
    match status.phase {
        Phase::Stopped => keep(status, system),
        Phase::Configured if source::kept(system)?.cluster.is_none() => forget(system),
        _ => Ok(()),
    }
}

fn open(system: &System) -> anyhow::Result<Option<Fat<BlockDisk>>> {
    let Some(report) = source::boot_report(system)? else { return Ok(None) };
    let device = system.path(&report.esp);
    let mut tries = 0;
    let fat = loop {
        match esp::open(&device) {
            // Another of our programs looks at it, for a moment.
            Err(FatError::Disk { source, .. }) if is_busy(&source) && tries < TRIES => {
                tries += 1;
                thread::sleep(PAUSE);
            }
            opened => break opened,
        }
    };
    Ok(Some(fat.with_context(|| format!("opening `{}`", device.display()))?))
}

fn is_busy(fault: &io::Error) -> bool {
    fault.kind() == io::ErrorKind::ResourceBusy
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::boot;
    use crate::converge::Mode;
    use crate::fat::tests::volume;
    use crate::gpt::{Disk as _, Lba};
    use crate::run::run;

    /// A system that stage0 has started from a medium, whose partition is a file.
    pub(crate) fn started(files: &[(&str, &[u8])]) -> (tempfile::TempDir, System) {
        let folder = tempfile::tempdir().unwrap();
        let system = System::new(folder.path(), Mode::Apply);
        let disk = volume(files);
        let sector = disk.sector_size().in_memory();
        let mut bytes = vec![0; sector * usize::try_from(disk.sectors()).unwrap()];
        for (at, sector) in (0..).zip(bytes.chunks_mut(sector)) {
            disk.read(Lba(at), sector).unwrap();
        }
        system.ensure_file("/dev/vda2", &bytes, 0o600).unwrap();
        let report = boot::tests::example();
        system.ensure_file(boot::PATH, &serde_json::to_vec(&report).unwrap(), 0o644).unwrap();
        (folder, system)
    }

    /// What lies there.
    pub(crate) fn kept(system: &System) -> Option<String> {
        let text = open(system).unwrap().unwrap().read(FILE).unwrap();
        text.map(|text| String::from_utf8(text).unwrap())
    }

    /// Lets so much time pass since the last write.
    pub(crate) fn pass(system: &System, time: Duration) {
        let note = noted(system).unwrap();
        let note = Note { at: note.at.checked_sub(time).unwrap(), ..note };
        system.ensure_file(NOTE, &serde_json::to_vec(&note).unwrap(), 0o644).unwrap();
    }

    #[test]
    fn what_the_console_showed_can_be_read_elsewhere_until_the_node_is_ready() {
        for files in [&[][..], &[("firstboot/record.json", b"{}".as_slice())]] {
            let (_folder, system) = started(files);
            forget(&system).unwrap();
            assert_eq!(kept(&system), None);
            let mut status = run(&system, None).unwrap();
            (status.phase, status.reason) = (Phase::Stopped, "the disk is gone".to_owned());
            for _ in 0..2 {
                keep(&status, &system).unwrap();
                let text = kept(&system).unwrap();
                assert!(text.starts_with(HEAD) && text.contains(": the disk is gone\n"), "{text}");
                assert!(!text.contains("2099"), "it is written once: {text}");
                status.since = "2099-01-01T00:00:00Z".to_owned();
            }
            status.reason = "the disk is back".to_owned();
            keep(&status, &system).unwrap();
            assert!(kept(&system).unwrap().contains(": the disk is gone\n"), "not so soon");
            pass(&system, WRITE_AGAIN);
            keep(&status, &system).unwrap();
            assert!(kept(&system).unwrap().contains("2099-01-01T00:00:00Z: the disk is back\n"));
            forget(&system).unwrap();
            assert_eq!(kept(&system), None);
        }
    }

    #[test]
    fn a_run_that_stops_leaves_it_and_one_that_configures_a_machine_without_a_cluster_takes_it_away() {
        let (_folder, system) = started(&[]);
        let mut status = run(&system, None).unwrap();
        for (phase, is_kept) in [
            (Phase::Unclaimed, false),
            (Phase::Stopped, true),
            (Phase::Unclaimed, true),
            (Phase::Configured, false),
        ] {
            status.phase = phase;
            after_run(&status, &system).unwrap();
            assert_eq!(kept(&system).is_some(), is_kept, "{phase:?}");
        }
    }

    #[test]
    fn a_partition_that_does_not_open_is_named() {
        let (_folder, system) = started(&[]);
        system.ensure_file("/dev/vda2", b"", 0o600).unwrap();
        let fault = format!("{:#}", forget(&system).unwrap_err());
        assert!(fault.starts_with(&format!("opening `{}`: ", system.path("/dev/vda2").display())), "{fault}");
    }
}
