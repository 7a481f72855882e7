//! Why nothing was staged.

use std::io;

use firstboot::fat::FatError;
use firstboot::gpt;
use firstboot::slot::{Generation, Slot};
use thiserror::Error;

use crate::medium::bios::ArgumentError;
use crate::medium::folder::FolderError;
use crate::units::{Arch, Bytes, RootHash};

/// Why nothing was staged, or not all.
#[derive(Debug, Error)]
pub enum StagingError {
    /// Another kind of disk.
    #[error("the disk has partitions {found}; the bundle is for disks with {expected}")]
    Partitions {
        /// On the disk.
        found: String,
        /// On the bundle's own disk.
        expected: String,
    },
    /// A disk of another kind of machine.
    #[error("the disk is for {disk}, the bundle for {bundle}")]
    Arch {
        /// The disk's, or a partition type that is nobody's.
        disk: String,
        /// The bundle's.
        bundle: Arch,
    },
    /// The slot is too small.
    #[error("{label} is {size}, the disk's slot has room for {room}")]
    Size {
        /// `root` or `hash tree`.
        label: &'static str,
        /// Its size.
        size: Bytes,
        /// The partition's.
        room: Bytes,
    },
    /// The ESP is too small.
    #[error("boot files need {needed}, the disk's ESP has {free} free")]
    Esp {
        /// In whole clusters.
        needed: Bytes,
        /// Once the free slot's own files are gone.
        free: Bytes,
    },
    /// BIOS machines could not boot what is staged.
    #[error("the disk boots by BIOS too, the bundle has no files for GRUB")]
    NoBios,
    /// Nothing says what must not be written over.
    #[error("no boot file of the disk says which slot is committed")]
    NoneCommitted,
    /// The committed generation's root is nowhere.
    #[error("generation {generation} is committed, but neither slot holds its root")]
    Lost {
        /// The generation.
        generation: Generation,
    },
    /// The two slots would have the same PARTUUIDs.
    #[error("slot {slot}, which is committed, holds root {root_hash} already")]
    Same {
        /// The committed slot.
        slot: Slot,
        /// The bundle's root.
        root_hash: RootHash,
    },
    /// The counter is at its end.
    #[error("generation {0} is the last that can be counted")]
    Generation(Generation),
    /// GRUB cannot pass on an argument.
    #[error("writing GRUB's slot")]
    Arguments(#[from] ArgumentError),
    /// A file of the bundle cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A part of the bundle cannot be read.
    #[error("reading the bundle")]
    Bundle(#[source] io::Error),
    /// The bundle's disk has no table that is understood.
    #[error("reading the partition table of the bundle's disk")]
    BundleTable(#[source] gpt::Error),
    /// The bundle's disk has no ESP that is understood.
    #[error("reading the ESP of the bundle's disk")]
    BundleEsp(#[source] FatError),
    /// The disk's ESP cannot be read or written.
    #[error("changing the disk's ESP")]
    Fat(#[from] FatError),
    /// The disk cannot be written.
    #[error("{action} of the disk")]
    Disk {
        /// Gerund and object.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl StagingError {
    /// Whether disk and bundle do not go together, and not the work failed.
    pub const fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Partitions { .. }
                | Self::Arch { .. }
                | Self::Size { .. }
                | Self::Esp { .. }
                | Self::NoBios
                | Self::NoneCommitted
                | Self::Lost { .. }
                | Self::Same { .. }
                | Self::Generation(_)
        )
    }
}
