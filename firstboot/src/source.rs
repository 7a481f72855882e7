//! Where a node is told what it is: the first source that answers, for each item by itself.
//!
//! QEMU's `fw_cfg` device, then the `firstboot/` folder of the EFI system partition, then the user data of a server of
//! Hetzner Cloud; for the cluster record the partition goes first. A node record may also have come with an approval: what
//! a medium or user data says goes before it. User data is what [`crate::hetzner`] has heard, for asking takes a network.
//! An applying run keeps what it found in `/run/imgbuild/`: a dry run may not mount anything, and takes it from there.

mod item;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::boot::{self, BootReport};
use crate::converge::{ConvergeError, Mode, System};
use crate::esp::{MOUNT_POINT, MountError, MountedEsp};
use crate::hetzner;
use crate::user_data::DecodeError;

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
    /// The server was given something else.
    #[error(transparent)]
    UserData(#[from] DecodeError),
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
    if system.mode() == Mode::DryRun && at_hand(system, report)? == Given::default() {
        let kept = kept(system)?;
        if kept != Given::default() {
            return Ok(kept);
        }
    }
    let given = ask(system, report)?;
    if system.mode() == Mode::Apply {
        keep_all(system, &given)?;
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
    let at_hand = at_hand(system, report)?;
    let approved = system.read(APPROVED)?;
    let approved = approved.map(|text| Found { place: AS_APPROVED.to_owned(), text });
    let by_cloud = match by_cloud(system) {
        // A node that is known otherwise can do without.
        Err(SourceError::UserData(_)) if at_hand.record.is_some() || approved.is_some() => Given::default(),
        found => found?,
    };
    Ok(Given {
        record: at_hand.record.or(by_cloud.record).or(approved),
        cluster: at_hand.cluster.or(by_cloud.cluster),
        ticket: at_hand.ticket.or(by_cloud.ticket),
        push_key: at_hand.push_key.or(by_cloud.push_key),
    })
}

/// What machine and medium give.
fn at_hand(system: &System, report: Option<&BootReport>) -> Result<Given, SourceError> {
    let by_machine = Given::gather(|item| {
        let text = system.read(&item.fw_cfg())?;
        Ok::<_, SourceError>(text.map(|text| Found { place: "QEMU fw_cfg".to_owned(), text }))
    })?;
    let on_medium = match by_medium(system, report) {
        // A machine that gives the record can do without its medium.
        Err(_) if by_machine.record.is_some() => return Ok(by_machine),
        found => found?,
    };
    Ok(Given {
        record: by_machine.record.or(on_medium.record),
        // What the owner wrote to the medium decides which records are taken at all.
        cluster: on_medium.cluster.or(by_machine.cluster),
        ticket: by_machine.ticket.or(on_medium.ticket),
        push_key: by_machine.push_key.or(on_medium.push_key),
    })
}

/// What the provider gives: as it was heard in this boot, or what an earlier one has kept.
fn by_cloud(system: &System) -> Result<Given, SourceError> {
    let Some(known) = hetzner::known(system)? else { return Ok(Given::default()) };
    let mut find = known.find()?;
    Given::gather(|item| Ok(find(item)))
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
