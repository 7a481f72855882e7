//! Where the node record comes from: the first source that answers.
//!
//! QEMU's `fw_cfg` device, then the `firstboot/` folder of the EFI system partition. An applying run
//! keeps what it found at [`KEPT`]: a dry run may not mount anything, and takes it from there.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::boot::{self, BootReport};
use crate::converge::{ConvergeError, Mode, System};
use crate::esp::{MOUNT_POINT, MountError, MountedEsp};

/// The `fw_cfg` item: `-fw_cfg name=opt/org.imgbuild/record,file=record.json`.
pub const FW_CFG: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/org.imgbuild/record/raw";
/// The file on the EFI system partition, relative to it.
pub const ESP_FILE: &str = "firstboot/record.json";
/// The record that this boot's last applying run found, as [`Kept`]; on a tmpfs, mode 0600.
pub const KEPT: &str = "/run/imgbuild/record.json";

/// Why no source could be asked.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ConvergeError),
    /// The boot report is not what stage0 writes.
    #[error("boot report `{}` is unusable", boot::PATH)]
    Report(#[source] serde_json::Error),
    /// stage0 names no device where the system needs one.
    #[error("boot report `{}` has an empty `{key}`", boot::PATH)]
    NoDevice {
        /// Key of the report.
        key: &'static str,
    },
    /// The kept record is not what an applying run writes.
    #[error("kept record `{KEPT}` is unusable")]
    Kept(#[source] serde_json::Error),
    /// The EFI system partition could not be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
}

/// A record as found, not yet parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The source in words for people.
    pub place: String,
    /// The bytes.
    pub text: Vec<u8>,
}

/// A [`Found`] at [`KEPT`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    place: String,
    text: String,
}

/// Reads what stage0 reported; `None` where stage0 did not run, as in a test.
pub fn boot_report(system: &System) -> Result<Option<BootReport>, SourceError> {
    let Some(text) = system.read(boot::PATH)? else { return Ok(None) };
    let report: BootReport = serde_json::from_slice(&text).map_err(SourceError::Report)?;
    for (key, device) in [("disk", &report.disk), ("esp", &report.esp)] {
        if device.is_empty() {
            return Err(SourceError::NoDevice { key });
        }
    }
    Ok(Some(report))
}

/// Asks every source in order; an applying run keeps the answer for the dry runs of this boot.
pub fn find(system: &System, report: Option<&BootReport>) -> Result<Option<Found>, SourceError> {
    let found = ask(system, report)?;
    match system.mode() {
        Mode::Apply => {
            keep(system, found.as_ref())?;
            Ok(found)
        }
        Mode::DryRun if found.is_none() => kept(system),
        Mode::DryRun => Ok(found),
    }
}

/// A record that is no text is no record either, and is not kept.
fn keep(system: &System, found: Option<&Found>) -> Result<(), SourceError> {
    let text = found.and_then(|found| Some((found, String::from_utf8(found.text.clone()).ok()?)));
    match text {
        Some((found, text)) => {
            let kept = Kept { place: found.place.clone(), text };
            let json = serde_json::to_vec(&kept).map_err(SourceError::Kept)?;
            system.ensure_file(KEPT, &json, 0o600)?;
        }
        None => {
            system.ensure_absent(KEPT)?;
        }
    }
    Ok(())
}

fn kept(system: &System) -> Result<Option<Found>, SourceError> {
    let Some(json) = system.read(KEPT)? else { return Ok(None) };
    let Kept { place, text } = serde_json::from_slice(&json).map_err(SourceError::Kept)?;
    Ok(Some(Found { place, text: text.into_bytes() }))
}

fn ask(system: &System, report: Option<&BootReport>) -> Result<Option<Found>, SourceError> {
    if let Some(text) = system.read(FW_CFG)? {
        return Ok(Some(Found { place: "QEMU fw_cfg".to_owned(), text }));
    }
    let esp = match report {
        Some(report) if system.is_live() && system.mode() == Mode::Apply => {
            Some(MountedEsp::mount(system, &report.esp)?)
        }
        _ => None,
    };
    let text = system.read(&format!("{MOUNT_POINT}/{ESP_FILE}"))?;
    drop(esp);
    Ok(text.map(|text| Found { place: format!("EFI system partition, `{ESP_FILE}`"), text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_the_machine_over_the_medium() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), Mode::Apply);
        assert_eq!(find(&system, None).unwrap(), None);
        system.ensure_file(&format!("{MOUNT_POINT}/{ESP_FILE}"), b"esp", 0o600).unwrap();
        assert_eq!(find(&system, None).unwrap().unwrap().text, b"esp");
        system.ensure_file(FW_CFG, b"fw_cfg", 0o400).unwrap();
        assert_eq!(find(&system, None).unwrap().unwrap().text, b"fw_cfg");
    }

    #[test]
    fn a_dry_run_takes_what_the_last_applying_run_found() {
        let directory = tempfile::tempdir().unwrap();
        let apply = System::new(directory.path(), Mode::Apply);
        let dry_run = System::new(directory.path(), Mode::DryRun);
        let on_esp = format!("{MOUNT_POINT}/{ESP_FILE}");
        apply.ensure_file(&on_esp, b"{}", 0o600).unwrap();
        let found = find(&apply, None).unwrap();
        // The partition is mounted only for as long as an applying run reads it.
        apply.ensure_absent(&on_esp).unwrap();
        assert!(found.is_some());
        assert_eq!(find(&dry_run, None).unwrap(), found);
        assert_eq!(find(&apply, None).unwrap(), None, "an applying run asks the source itself");
        assert_eq!(find(&dry_run, None).unwrap(), None, "what left the source is not kept");
    }

    #[test]
    fn says_when_the_boot_report_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), Mode::Apply);
        system.ensure_file(boot::PATH, b"{", 0o644).unwrap();
        let fault = boot_report(&system).unwrap_err();
        assert_eq!(fault.to_string(), "boot report `/run/imgbuild/boot.json` is unusable");
    }

    #[test]
    fn a_boot_report_without_a_device_is_a_fault() {
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), Mode::Apply);
        let mut report = BootReport {
            version: 1,
            disk: "/dev/vda".to_owned(),
            esp: "/dev/vda2".to_owned(),
            slot: "a".to_owned(),
            is_on_trial: false,
            root_hash: "0".repeat(64),
            state: "/dev/vda7".to_owned(),
            state_created: false,
            notes: Vec::new(),
        };
        let read_back = |report: &BootReport| {
            system.ensure_file(boot::PATH, &serde_json::to_vec(report).unwrap(), 0o644).unwrap();
            boot_report(&system)
        };
        assert_eq!(read_back(&report).unwrap(), Some(report.clone()));
        report.esp.clear();
        let fault = read_back(&report).unwrap_err();
        assert_eq!(fault.to_string(), "boot report `/run/imgbuild/boot.json` has an empty `esp`");
    }
}
