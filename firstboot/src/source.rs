//! Where a node is told what it is: the first source that answers, for each item by itself.
//!
//! QEMU's `fw_cfg` device, then the `firstboot/` folder of the EFI system partition; for the cluster record the other way
//! round. A node record may also have come with an approval: what a medium says goes before it. An applying run keeps
//! what it found in `/run/imgbuild/`: a dry run may not mount anything, and takes it from there.

mod item;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::boot::{self, BootReport};
use crate::converge::{ConvergeError, Mode, System};
use crate::esp::{MOUNT_POINT, MountError, MountedEsp};

pub use item::Item;

/// The node record that an approval has brought, on the state partition: signed, like every record of a cluster.
pub const APPROVED: &str = "/var/lib/imgbuild/record";

/// That source in words for people.
const AS_APPROVED: &str = "the state partition, as approved";

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
    /// What was kept is not what an applying run writes.
    #[error("`{path}` is unusable")]
    Kept {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The EFI system partition could not be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
}

/// An item as found, not yet parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The source in words for people.
    pub place: String,
    /// The bytes.
    pub text: Vec<u8>,
}

impl Found {
    /// Whether it came with an approval, and neither the medium nor the machine has it.
    pub(crate) fn is_approved(&self) -> bool {
        self.place == AS_APPROVED
    }
}

/// All that a node is given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Given {
    /// The node record.
    pub record: Option<Found>,
    /// The cluster record.
    pub cluster: Option<Found>,
    /// The ticket; a secret until it is burnt.
    pub ticket: Option<Found>,
    /// The one-time key that a control-plane node's bundle is pushed by; a secret until then.
    pub push_key: Option<Found>,
}

impl Given {
    fn gather<E>(mut find: impl FnMut(Item) -> Result<Option<Found>, E>) -> Result<Self, E> {
        Ok(Self {
            record: find(Item::Record)?,
            cluster: find(Item::Cluster)?,
            ticket: find(Item::Ticket)?,
            push_key: find(Item::PushKey)?,
        })
    }

    fn of(&self, item: Item) -> Option<&Found> {
        match item {
            Item::Record => self.record.as_ref(),
            Item::Cluster => self.cluster.as_ref(),
            Item::Ticket => self.ticket.as_ref(),
            Item::PushKey => self.push_key.as_ref(),
        }
    }
}

/// A [`Found`] as it is kept.
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

/// Asks every source in order; an applying run keeps the answers for who comes later in this boot.
pub fn find(system: &System, report: Option<&BootReport>) -> Result<Given, SourceError> {
    let given = ask(system, report)?;
    match system.mode() {
        Mode::Apply => keep_all(system, &given)?,
        Mode::DryRun if given == Given::default() => return kept(system),
        Mode::DryRun => {}
    }
    Ok(given)
}

/// Keeps what was found for who comes later in this boot.
pub fn keep_all(system: &System, given: &Given) -> Result<(), SourceError> {
    Item::ALL.into_iter().try_for_each(|item| keep(system, item, given.of(item)))
}

/// What the last applying run of this boot found.
pub fn kept(system: &System) -> Result<Given, SourceError> {
    Given::gather(|item| {
        let path = item.kept();
        let Some(json) = system.read(&path)? else { return Ok(None) };
        let kept = serde_json::from_slice(&json).map_err(|source| SourceError::Kept { path, source })?;
        let Kept { place, text } = kept;
        Ok(Some(Found { place, text: text.into_bytes() }))
    })
}

/// What is no text is nothing that a node is given, and is not kept.
fn keep(system: &System, item: Item, found: Option<&Found>) -> Result<(), SourceError> {
    let path = item.kept();
    let text = found.and_then(|found| Some((found, String::from_utf8(found.text.clone()).ok()?)));
    match text {
        Some((found, text)) => {
            let kept = Kept { place: found.place.clone(), text };
            let json = serde_json::to_vec(&kept)
                .map_err(|source| SourceError::Kept { path: path.clone(), source })?;
            system.ensure_file(&path, &json, 0o600)?;
        }
        None => {
            system.ensure_absent(&path)?;
        }
    }
    Ok(())
}

/// Asks every source in order, and keeps nothing.
pub fn ask(system: &System, report: Option<&BootReport>) -> Result<Given, SourceError> {
    let by_machine = Given::gather(|item| {
        let text = system.read(&item.fw_cfg())?;
        Ok::<_, SourceError>(text.map(|text| Found { place: "QEMU fw_cfg".to_owned(), text }))
    })?;
    let on_medium = match by_medium(system, report) {
        // A machine that gives the record can do without its medium.
        Err(_) if by_machine.record.is_some() => return Ok(by_machine),
        found => found?,
    };
    let approved = system.read(APPROVED)?;
    let approved = approved.map(|text| Found { place: AS_APPROVED.to_owned(), text });
    Ok(Given {
        record: by_machine.record.or(on_medium.record).or(approved),
        // What the owner wrote to the medium decides which records are taken at all.
        cluster: on_medium.cluster.or(by_machine.cluster),
        ticket: by_machine.ticket.or(on_medium.ticket),
        push_key: by_machine.push_key.or(on_medium.push_key),
    })
}

fn by_medium(system: &System, report: Option<&BootReport>) -> Result<Given, SourceError> {
    let esp = match report {
        Some(report) if system.is_live() && system.mode() == Mode::Apply => {
            Some(MountedEsp::mount(system, &report.esp)?)
        }
        _ => None,
    };
    let given = Given::gather(|item| {
        let file = item.esp_file();
        let text = system.read(&format!("{MOUNT_POINT}/{file}"))?;
        let place = format!("EFI system partition, `{file}`");
        Ok(text.map(|text| Found { place, text }))
    });
    drop(esp);
    given
}

#[cfg(test)]
mod tests;
