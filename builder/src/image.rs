//! Images: the medium a bundle is laid on, as `images/*.toml` says it.
//!
//! This module holds the checked form; `image/raw.rs` reads it. The geometry of a disk is declared
//! here, versioned, and fixed for the life of the disk.

mod check;
mod raw;

use firstboot::stage0::cmdline::STATE_MINIMUM_KEY;
use schemars::Schema;
use serde::{Serialize, Serializer};

use crate::secure_boot::SecureBoot;
use crate::units::{Bytes, SectorSize};

/// The JSON Schema of an image's file.
pub fn schema() -> Schema {
    crate::diagnostic::schema::of::<raw::RawImage>()
}

/// A disk image.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Image {
    /// File name without `.toml`.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// Version of the geometry; a new one means new disks.
    pub layout: u32,
    /// Sector size of the disk.
    pub sector_size: SectorSize,
    /// Partitions in disk order.
    pub partitions: Vec<Partition>,
    /// Kernel arguments that this medium adds.
    pub command_line: Vec<String>,
    /// Least room for the state partition, which the node makes at first boot.
    pub state_minimum: Bytes,
    /// What the medium says of Secure Boot, where the cluster has keys for it.
    pub secure_boot: SecureBoot,
}

impl Image {
    /// All kernel arguments of this medium: what stage0 must know of it, then those it adds.
    pub fn full_command_line(&self) -> String {
        let mut words = vec![format!("{STATE_MINIMUM_KEY}={}", self.state_minimum.0)];
        words.extend(self.command_line.iter().cloned());
        words.join(" ")
    }
}

/// One partition.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Partition {
    /// What it holds.
    pub role: Role,
    /// Its size.
    pub size: Bytes,
}

/// What a partition holds (design §5). The state partition is absent: the node makes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// GRUB's BIOS core.
    BiosBoot,
    /// EFI system partition.
    Esp,
    /// Root file system of slot A.
    RootA,
    /// Hash tree of slot A.
    RootAVerity,
    /// Root file system of slot B.
    RootB,
    /// Hash tree of slot B.
    RootBVerity,
}

impl Role {
    /// All of them, in the order of a disk.
    pub const ALL: [Self; 6] =
        [Self::BiosBoot, Self::Esp, Self::RootA, Self::RootAVerity, Self::RootB, Self::RootBVerity];

    /// The role that a partition with this label is in use as.
    pub fn of_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == label)
    }

    /// Its name in an image file, and the label of such a partition once it is in use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BiosBoot => "bios-boot",
            Self::Esp => "esp",
            Self::RootA => "root-a",
            Self::RootAVerity => "root-a-verity",
            Self::RootB => "root-b",
            Self::RootBVerity => "root-b-verity",
        }
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
