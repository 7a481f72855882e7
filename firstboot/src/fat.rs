//! FAT32 volumes of a disk that may lose power at any write: files are changed so that each change is there or not.
//!
//! ```text
//! what is new      its clusters, then the table that chains them, flush, then the one sector that names it
//! what is replaced the same, and the one sector gets another first cluster
//! what is renamed  the one sector gets another name
//! what goes        the one sector forgets the name, flush, then its clusters are free
//! ```
//!
//! The kernel's and the firmware's drivers promise no such order, so files that decide what is booted are written by
//! this module, past them. A disk writes a sector whole or not at all. An entry is as many 32-byte slots as its long
//! name needs and lies within one sector wherever we place it. What others have written across two is taken apart in
//! an order that never shows a short name of its own.
//!
//! Spec: Microsoft's "FAT32 File System Specification" 1.03. Supported: FAT32 with mirrored tables and sectors of the
//! disk's size. *Corrupt* is what breaks the specification, *unsupported* what is good and unknown here.

mod directory;
mod edit;
mod geometry;
mod in_use;
mod stamp;
mod table;
mod volume;

pub use stamp::{Stamp, TIMES, civil};
pub use volume::{Fat, Item};

use std::io;

use thiserror::Error;

/// Why a volume cannot be read or changed.
#[derive(Debug, Error)]
pub enum FatError {
    /// The disk does not answer.
    #[error("{action} sector {sector} of the FAT volume")]
    Disk {
        /// Gerund.
        action: &'static str,
        /// Sector of the volume.
        sector: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A volume of another kind.
    #[error("the FAT volume has {what}, which is not supported")]
    Unsupported {
        /// What it has.
        what: &'static str,
    },
    /// Something that the specification forbids.
    #[error("the FAT volume is damaged: {what} at {at}")]
    Corrupt {
        /// What is wrong.
        what: &'static str,
        /// Sector or cluster.
        at: u64,
    },
    /// A folder or file is not there.
    #[error("`{path}` is not on the FAT volume")]
    Missing {
        /// Its path.
        path: String,
    },
    /// A file that is a folder, or the other way round.
    #[error("`{path}` is no {expected}")]
    Kind {
        /// Its path.
        path: String,
        /// `file` or `folder`.
        expected: &'static str,
    },
    /// Something else has the name.
    #[error("`{path}` is there already")]
    Exists {
        /// Its path.
        path: String,
    },
    /// A name that is too long, or has characters that FAT does not take.
    #[error("`{name}` is no name that can be written")]
    Name {
        /// The name.
        name: String,
    },
    /// There is no more room.
    #[error("`{path}` needs {needed} bytes, {free} are free on the FAT volume")]
    Full {
        /// What was to be written.
        path: String,
        /// Bytes in whole clusters.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
}

#[cfg(test)]
pub(crate) mod tests;
