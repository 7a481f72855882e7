//! A disk as the kernel and udev know it.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::units::Bytes;

/// What a disk hangs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    /// USB.
    Usb,
    /// An SD card, or a chip that speaks like one.
    Mmc,
    /// `NVMe`.
    Nvme,
    /// SATA, or its elder.
    Ata,
    /// SCSI that is none of these.
    Scsi,
    /// A virtual machine's.
    Virtio,
    /// None: the kernel makes it, of memory or of other devices.
    Virtual,
    /// Anything else.
    Other,
}

impl fmt::Display for Bus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Usb => "USB",
            Self::Mmc => "SD/MMC",
            Self::Nvme => "NVMe",
            Self::Ata => "SATA",
            Self::Scsi => "SCSI",
            Self::Virtio => "virtio",
            Self::Virtual => "virtual",
            Self::Other => "other",
        })
    }
}

/// A whole disk.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// The kernel's name, `sda`.
    pub name: String,
    /// Its file, `/dev/sda`.
    pub path: PathBuf,
    /// Major and minor number.
    pub number: (u32, u32),
    /// Number that no disk had before it since the computer was started, and none has after it; 0 of old kernels.
    pub sequence: u64,
    /// What it hangs on.
    pub bus: Bus,
    /// Its size; 0 of a reader without a card.
    pub size: Bytes,
    /// Bytes of a sector.
    pub sector_size: u64,
    /// Maker and model, as it says itself.
    pub model: String,
    /// Its serial number, where it tells one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Whether it, or its medium, is made to be taken out.
    pub is_removable: bool,
    /// Whether a switch or the kernel keeps it from being written.
    pub is_read_only: bool,
    /// What lies on it as a whole, as udev has it: a kind of partition table, or a file system without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Its partitions, by number.
    pub parts: Vec<Part>,
    /// Who uses it or one of its partitions now.
    pub uses: Vec<Use>,
}

/// A partition.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The kernel's name, `sda1`.
    pub name: String,
    /// Its size.
    pub size: Bytes,
    /// What udev has found in it: `ext4`, `crypto_LUKS`, `linux_raid_member`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Label of its file system, or its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Who uses a disk, or something that is made of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Use {
    /// It is mounted.
    Mount {
        /// Of which device, `sda1`.
        device: String,
        /// Where.
        at: PathBuf,
    },
    /// The kernel swaps to it.
    Swap {
        /// Which device.
        device: String,
    },
    /// Another device is made of it.
    Member {
        /// Which device.
        device: String,
        /// `md0`, `dm-1`.
        of: String,
        /// `LVM`, `RAID`, `LUKS`.
        by: &'static str,
    },
}

impl fmt::Display for Use {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount { device, at } => write!(formatter, "{device} is mounted at {}", at.display()),
            Self::Swap { device } => write!(formatter, "{device} is swap space in use"),
            Self::Member { device, of, by } => write!(formatter, "{device} is part of {of} ({by})"),
        }
    }
}

impl Device {
    /// Whether it is that very disk, and not one that came into its place.
    pub fn is_same(&self, other: &Self) -> bool {
        let own = |device: &Self| (device.number, device.sequence, device.size, device.is_read_only);
        self.name == other.name
            && own(self) == own(other)
            && (&self.model, &self.serial) == (&other.model, &other.serial)
    }

    /// Maker, model, serial number: what people find on the stick or its package.
    pub fn title(&self) -> String {
        let model = if self.model.is_empty() { "a disk that does not say what it is" } else { &self.model };
        match &self.serial {
            Some(serial) => format!("{model}, serial {serial}"),
            None => model.to_owned(),
        }
    }

    /// What lies on it, in one line.
    pub fn contents(&self) -> String {
        let part = |part: &Part| {
            let label = part.label.as_ref().map(|label| format!(" `{label}`")).unwrap_or_default();
            format!("{}{label}", part.content.as_deref().unwrap_or("unknown"))
        };
        let parts: Vec<_> = self.parts.iter().map(part).collect();
        match (&self.content, parts.is_empty()) {
            (None, true) => "nothing that is known".to_owned(),
            (Some(content), true) => content.clone(),
            (table, false) => format!("{}: {}", table.as_deref().unwrap_or("partitions"), parts.join(", ")),
        }
    }
}
