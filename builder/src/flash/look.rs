//! Which disks there are (sysfs's `block` class; Documentation/ABI/stable/sysfs-block of Linux).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::device::{Bus, Device, Part, Use};
use super::proc::{self, Mount};
use super::udev::Properties;
use crate::units::Bytes;

/// Sizes are told in these, whatever the disk's own are.
const SECTOR: u64 = 512;
/// Devices that are made of devices: no deeper than that.
const DEEPEST: u32 = 8;

/// The kernel does not say what disks there are.
#[derive(Debug, Error)]
#[error("reading `{}`", path.display())]
pub struct LookError {
    /// What it was asked.
    pub path: PathBuf,
    /// What it said.
    pub source: io::Error,
}

/// All disks but those that the kernel makes of files, memory and other disks; by name.
pub fn all(system: &Path) -> Result<Vec<Device>, LookError> {
    let block = system.join("sys/block");
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |source| LookError { path, source }
    };
    let scene = Scene {
        system,
        mounts: proc::mounts(system).map_err(refused(&system.join("proc/self/mountinfo")))?,
        swaps: proc::swaps(system).map_err(refused(&system.join("proc/swaps")))?,
    };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&block).map_err(refused(&block))? {
        names.insert(entry.map_err(refused(&block))?.file_name().to_string_lossy().into_owned());
    }
    // One that goes while it is looked at is not there.
    let devices = names.iter().filter_map(|name| scene.device(name));
    Ok(devices.filter(|device| device.bus != Bus::Virtual).collect())
}

/// What is known of the computer as a whole.
struct Scene<'a> {
    system: &'a Path,
    mounts: Vec<Mount>,
    swaps: Vec<PathBuf>,
}

/// An attribute, trimmed; what is empty is none.
fn attribute(folder: &Path, name: &str) -> Option<String> {
    let text = fs::read(folder.join(name)).ok()?;
    let text = String::from_utf8_lossy(&text).trim_matches(['\0', ' ', '\n', '\t']).to_owned();
    (!text.is_empty()).then_some(text)
}

fn count(folder: &Path, name: &str) -> Option<u64> {
    attribute(folder, name)?.parse().ok()
}

fn is_set(folder: &Path, name: &str) -> bool {
    count(folder, name).is_some_and(|value| value != 0)
}

fn size(folder: &Path) -> Bytes {
    Bytes(count(folder, "size").unwrap_or(0).saturating_mul(SECTOR))
}

fn number(folder: &Path) -> Option<(u32, u32)> {
    proc::number(&attribute(folder, "dev")?)
}

impl Scene<'_> {
    fn class(&self, name: &str) -> PathBuf {
        self.system.join("sys/block").join(name)
    }

    fn device(&self, name: &str) -> Option<Device> {
        let folder = self.class(name);
        let number = number(&folder)?;
        if is_set(&folder, "hidden") {
            return None;
        }
        let udev = Properties::of(self.system, number);
        let bus = bus(&folder);
        let parts = self.parts(&folder, name);
        let mut uses = self.uses(&folder, name, number, DEEPEST);
        for (part, number) in &parts {
            uses.extend(self.uses(&folder.join(&part.name), &part.name, *number, DEEPEST));
        }
        Some(Device {
            name: name.to_owned(),
            // Names such as `cciss!c0d0` are folders below `/dev`.
            path: Path::new("/dev").join(name.replace('!', "/")),
            number,
            sequence: count(&folder, "diskseq").unwrap_or(0),
            bus,
            size: size(&folder),
            sector_size: count(&folder, "queue/logical_block_size").unwrap_or(SECTOR),
            model: model(&folder, &udev),
            serial: serial(&folder, &udev),
            is_removable: is_removable(&folder, bus),
            is_read_only: is_set(&folder, "ro"),
            content: content(&udev).or_else(|| udev.get("ID_PART_TABLE_TYPE").map(str::to_owned)),
            parts: parts.into_iter().map(|(part, _)| part).collect(),
            uses,
        })
    }

    /// With their numbers.
    fn parts(&self, folder: &Path, name: &str) -> Vec<(Part, (u32, u32))> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut parts: Vec<(u64, Part, (u32, u32))> = names
            .filter(|part| part.starts_with(name))
            .filter_map(|part| {
                let folder = folder.join(&part);
                let (index, number) = (count(&folder, "partition")?, number(&folder)?);
                let udev = Properties::of(self.system, number);
                let label =
                    udev.unescaped("ID_FS_LABEL_ENC").or_else(|| udev.unescaped("ID_PART_ENTRY_NAME"));
                let part = Part { name: part, size: size(&folder), content: content(&udev), label };
                Some((index, part, number))
            })
            .collect();
        parts.sort_by_key(|(index, ..)| *index);
        parts.into_iter().map(|(_, part, number)| (part, number)).collect()
    }

    /// Who uses a device, or what is made of it.
    fn uses(&self, folder: &Path, name: &str, number: (u32, u32), depth: u32) -> Vec<Use> {
        let file = Path::new("/dev").join(name.replace('!', "/"));
        // Btrfs and its like have numbers of their own.
        let is_its = |mount: &&Mount| mount.number == number || Path::new(&mount.source) == file;
        let mounts = self.mounts.iter().filter(is_its);
        let mut uses: Vec<Use> =
            mounts.map(|mount| Use::Mount { device: name.to_owned(), at: mount.at.clone() }).collect();
        if self.swaps.contains(&file) {
            uses.push(Use::Swap { device: name.to_owned() });
        }
        let holders = fs::read_dir(folder.join("holders")).into_iter().flatten().flatten();
        let holders: BTreeSet<_> =
            holders.map(|holder| holder.file_name().to_string_lossy().into_owned()).collect();
        for of in holders {
            let holder = self.class(&of);
            uses.push(Use::Member { device: name.to_owned(), by: maker(&holder, &of), of: of.clone() });
            if let Some((number, depth)) = self::number(&holder).zip(depth.checked_sub(1)) {
                uses.extend(self.uses(&holder, &of, number, depth));
            }
        }
        uses
    }
}

/// By the folder that the class's link leads to.
fn bus(folder: &Path) -> Bus {
    let place = fs::read_link(folder).unwrap_or_default();
    let steps: Vec<_> = place.iter().map(|step| step.to_string_lossy()).collect();
    let has = |prefix: &str| {
        steps.iter().any(|step| {
            step.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    // The innermost goes first: a USB reader of SD cards hangs on USB, a SATA disk in a USB case as well.
    if steps.iter().any(|step| step == "virtual") {
        Bus::Virtual
    } else if has("usb") {
        Bus::Usb
    } else if has("mmc") {
        Bus::Mmc
    } else if has("nvme") {
        Bus::Nvme
    } else if has("ata") {
        Bus::Ata
    } else if has("virtio") {
        Bus::Virtio
    } else if has("host") {
        Bus::Scsi
    } else {
        Bus::Other
    }
}

/// What is made to be taken out: what says so itself, everything on USB, and SD cards, but no chip that is soldered in.
fn is_removable(folder: &Path, bus: Bus) -> bool {
    let is_card = || attribute(folder, "device/type").is_some_and(|kind| kind == "SD");
    is_set(folder, "removable") || bus == Bus::Usb || (bus == Bus::Mmc && is_card())
}

fn model(folder: &Path, udev: &Properties) -> String {
    let of_udev = || {
        let model = udev.unescaped("ID_MODEL_ENC").or_else(|| udev.get("ID_MODEL").map(str::to_owned))?;
        let vendor = udev.unescaped("ID_VENDOR_ENC").or_else(|| udev.get("ID_VENDOR").map(str::to_owned));
        Some((vendor, model))
    };
    let of_kernel = || {
        let model = attribute(folder, "device/model").or_else(|| attribute(folder, "device/name"))?;
        Some((attribute(folder, "device/vendor"), model))
    };
    let (vendor, model) = of_udev().or_else(of_kernel).unwrap_or_default();
    // `ATA` says how it speaks, and not who has made it; virtio has a number there.
    let vendor = vendor.filter(|vendor| vendor != "ATA" && !vendor.starts_with("0x"));
    vendor.into_iter().chain([model]).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn serial(folder: &Path, udev: &Properties) -> Option<String> {
    let of_udev = ["ID_SERIAL_SHORT", "ID_SCSI_SERIAL"].into_iter().find_map(|key| udev.get(key));
    let of_kernel = || ["device/serial", "serial"].into_iter().find_map(|name| attribute(folder, name));
    of_udev.map(str::to_owned).or_else(of_kernel)
}

/// What blkid has found.
fn content(udev: &Properties) -> Option<String> {
    udev.get("ID_FS_TYPE").map(str::to_owned)
}

/// Who has made a device of others.
fn maker(folder: &Path, name: &str) -> &'static str {
    let id = attribute(folder, "dm/uuid").unwrap_or_default();
    if id.starts_with("LVM-") {
        "LVM"
    } else if id.starts_with("CRYPT-") {
        "LUKS"
    } else if name.starts_with("md") {
        "RAID"
    } else if id.starts_with("mpath-") {
        "multipath"
    } else {
        "device mapper"
    }
}
