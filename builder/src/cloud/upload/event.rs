//! What is told while an image is written.

use crate::units::Bytes;

/// Something that whoever waits may want to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// It goes on.
    Progress(Progress),
    /// The disk cannot be discarded, so that all zeros are written.
    NotDiscarded {
        /// What the machine said.
        complaint: String,
    },
    /// A connection was lost, and another one goes on where it ended.
    Resumed {
        /// What happened.
        why: String,
    },
    /// The disk did not hold the image, and what differs is written once more.
    Differs {
        /// How many parts of 64 MiB.
        ranges: usize,
    },
}

/// How far it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Bytes of the image that are on the disk, zeros between them included.
    pub done: Bytes,
    /// Bytes that were sent for it, compressed.
    pub sent: Bytes,
    /// Size of the image.
    pub total: Bytes,
}

impl Event {
    /// The words for a warning, where it is one.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::Progress(_) => None,
            Self::NotDiscarded { complaint } => Some(format!(
                "the server's disk cannot be discarded, so the snapshot may become larger: {complaint}"
            )),
            Self::Resumed { why } => Some(format!("{why}; it goes on over another one")),
            Self::Differs { ranges } => {
                Some(format!("the disk does not hold the image yet: writing {ranges} parts of it once more"))
            }
        }
    }
}
