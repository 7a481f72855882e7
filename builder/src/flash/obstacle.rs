//! Why a disk is not written, whoever asks for it.

use std::fmt;

use super::device::{Device, Use};
use crate::units::Bytes;

/// Sizes between which a stick or a card has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The image has to fit.
    pub least: Bytes,
    /// Larger ones are somebody's backup.
    pub most: Bytes,
    /// Bytes of a sector that the image was made for, where it was made for one.
    pub sector_size: Option<u64>,
}

/// Why not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Obstacle {
    /// A reader without a card.
    Empty,
    /// The running system is on it.
    System(Use),
    /// Somebody uses it.
    InUse(Use),
    /// It stays in the computer.
    Fixed,
    /// It cannot be written.
    ReadOnly,
    /// The image does not fit.
    Small {
        /// What it has.
        size: Bytes,
        /// What it needs.
        least: Bytes,
    },
    /// It is larger than a stick.
    Large {
        /// What it has.
        size: Bytes,
        /// The most that is taken for one.
        most: Bytes,
    },
    /// Its sectors are others than the image's.
    Sectors {
        /// What it has.
        has: u64,
        /// What the image was made for.
        needs: u64,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("there is no medium in it"),
            Self::System(used) => write!(formatter, "the running system is on it: {used}"),
            Self::InUse(used) => write!(formatter, "it is in use: {used}"),
            Self::Fixed => formatter.write_str("it is not made to be taken out"),
            Self::ReadOnly => formatter.write_str("it is write-protected"),
            Self::Small { size, least } => write!(formatter, "it has {size}, the image needs {least}"),
            Self::Large { size, most } => {
                write!(formatter, "it has {size}, more than {most}, the most that is taken for a stick")
            }
            Self::Sectors { has, needs } => {
                write!(formatter, "it has sectors of {has} bytes, the image is made for {needs}")
            }
        }
    }
}

/// Folders without which no system runs.
const SYSTEM: [&str; 7] = ["/", "/boot", "/boot/efi", "/efi", "/usr", "/var", "/home"];

impl Device {
    /// All reasons not to write it; none says that it may be shown and asked for.
    pub fn obstacles(&self, limits: &Limits) -> Vec<Obstacle> {
        let mut all: Vec<Obstacle> = self.uses.iter().cloned().map(of_use).collect();
        if self.size == Bytes(0) {
            all.push(Obstacle::Empty);
            return all;
        }
        let &Limits { least, most, sector_size } = limits;
        let size = self.size;
        all.extend((!self.is_removable).then_some(Obstacle::Fixed));
        all.extend(self.is_read_only.then_some(Obstacle::ReadOnly));
        all.extend((size < least).then_some(Obstacle::Small { size, least }));
        all.extend((size > most).then_some(Obstacle::Large { size, most }));
        let has = self.sector_size;
        all.extend(sector_size.filter(|needs| *needs != has).map(|needs| Obstacle::Sectors { has, needs }));
        all
    }
}

fn of_use(used: Use) -> Obstacle {
    let is_system = match &used {
        Use::Mount { at, .. } => SYSTEM.iter().any(|folder| at.as_os_str() == *folder),
        Use::Swap { .. } => true,
        Use::Member { .. } => false,
    };
    if is_system { Obstacle::System(used) } else { Obstacle::InUse(used) }
}
