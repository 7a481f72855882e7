//! Sticks and cards: which disks there are, which of them may be written, and writing one so that it is known to be right.
//!
//! ```text
//! sysfs, udev's database, /proc -> Device -> Obstacles: none, or nothing is written
//! disk.raw, what the node is given -> Device, by direct I/O, read back
//! ```
//!
//! No other program is asked. What is there is looked at below a folder that is `/` but for tests.

mod compose;
mod device;
mod look;
mod obstacle;
mod proc;
mod udev;
mod udisks;
mod unpack;
mod write;

pub use compose::{ComposeError, Composed, OwnIds};
pub use device::{Bus, Device, Part, Use};
pub use look::{LookError, all};
pub use obstacle::{Limits, Obstacle};
pub use udisks::UdisksError;
pub use unpack::{Form, UnpackError, form, unpack};
pub use write::{Step, Target, WriteError};

#[cfg(test)]
mod tests;
