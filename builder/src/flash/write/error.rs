//! Why a stick is not what it should be, and what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::diagnostic::chain;
use crate::flash::udisks::UdisksError;
use crate::units::Bytes;

/// Why a stick is not what it should be.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The system does not let it be opened.
    #[error("opening `{}`", path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not let this user open it, and udisks does not open it either.
    #[error("opening `{}`", path.display())]
    Denied {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What udisks said.
        udisks: UdisksError,
    },
    /// Somebody else has it.
    #[error("`{}` is in use by somebody else", path.display())]
    Busy {
        /// Its file.
        path: PathBuf,
    },
    /// It is another than the one that was shown.
    #[error("`{}` is another disk than the one that was shown", path.display())]
    Changed {
        /// Its file.
        path: PathBuf,
    },
    /// The image cannot be read, or a random number.
    #[error("reading what is to be written")]
    Source(#[source] io::Error),
    /// The stick does not take it; it may be gone.
    #[error("{action} `{}` at byte {at}", path.display())]
    Disk {
        /// Gerund.
        action: &'static str,
        /// Its file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What the system said.
        source: io::Error,
    },
    /// It reads back as something else.
    #[error("`{}` reads back at byte {at} as something else than was written", path.display())]
    Differs {
        /// Its file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
    /// It has less memory than it says.
    #[error("`{}` says that it has {told}, and keeps nothing at byte {at}", path.display())]
    Counterfeit {
        /// Its file.
        path: PathBuf,
        /// The size that it tells.
        told: Bytes,
        /// Where the first mark was lost.
        at: u64,
    },
    /// Somebody wants it to end.
    #[error("writing `{}` was interrupted: it is not finished, and cannot be used", path.display())]
    Stopped {
        /// Its file.
        path: PathBuf,
    },
}

impl WriteError {
    /// Whether another disk, or the right to write this one, is what it needs.
    pub const fn is_input(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Denied { .. } | Self::Busy { .. } | Self::Changed { .. })
    }

    /// What to do, where there is something.
    pub fn hint(&self) -> Option<String> {
        let fixed = match self {
            Self::Denied { udisks, .. } => {
                return Some(format!(
                    "be a member of the group that the device file belongs to, or run it by `sudo`; {}",
                    chain(udisks)
                ));
            }
            Self::Busy { .. } => "unmount it first; a desktop may have mounted it by itself",
            Self::Changed { .. } => "look at `imgbuild usb --list`, and run it again",
            Self::Differs { .. } | Self::Counterfeit { .. } => {
                "throw it away: nothing that is on it can be relied on"
            }
            Self::Disk { .. } | Self::Stopped { .. } => "its content is lost: write it again, or another one",
            Self::Open { .. } | Self::Source(_) => return None,
        };
        Some(fixed.to_owned())
    }
}
