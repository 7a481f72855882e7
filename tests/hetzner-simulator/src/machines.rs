//! Where servers become machines, or do not.

use std::fmt;

use crate::project::Ticket;

/// What a server is told to do. Servers and images go by their IDs.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Order {
    /// A server comes into being, switched off, with the content of an image on its disk.
    Create {
        /// Which server.
        server: u64,
        /// What is on the disk.
        image: u64,
        /// Size of the disk in GB.
        disk: u64,
    },
    /// Power on; into the rescue system if it is enabled.
    PowerOn {
        /// Which server.
        server: u64,
        /// Passwords and keys of the rescue system; none to start from the disk.
        rescue: Option<Rescue>,
    },
    /// Power off at once.
    PowerOff {
        /// Which server.
        server: u64,
    },
    /// The power button: the system is asked to end.
    Shutdown {
        /// Which server.
        server: u64,
    },
    /// Started anew: asked to (a reboot) or not (a reset).
    Restart {
        /// Which server.
        server: u64,
        /// Whether the system is asked.
        is_soft: bool,
        /// As of [`Order::PowerOn`].
        rescue: Option<Rescue>,
    },
    /// The disk becomes a snapshot.
    Snapshot {
        /// Which server.
        server: u64,
        /// The image that is made.
        image: u64,
    },
    /// The disk is overwritten by an image, and the server started from it.
    Rebuild {
        /// Which server.
        server: u64,
        /// What comes onto the disk.
        image: u64,
    },
    /// The server is another type from now on, and is started.
    ChangeType {
        /// Which server.
        server: u64,
        /// Size of the disk in GB, which may grow.
        disk: u64,
    },
    /// The server goes.
    Delete {
        /// Which server.
        server: u64,
    },
}

/// Who may log in to a rescue system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rescue {
    /// Of root.
    pub password: String,
    /// Public keys in OpenSSH's form.
    pub keys: Vec<String>,
}

/// What carries out orders. An order is given when its action begins; the action ends when the ticket is handed back,
/// and not before the delay that is set.
pub trait Machines: fmt::Debug + Send + Sync {
    /// Begins to carry out an order. Nothing is locked meanwhile.
    fn begin(&self, order: Order, ticket: Ticket);

    /// A snapshot is gone, and what it holds is needed no more.
    fn image_deleted(&self, _image: u64) {}
}

/// No machines: everything succeeds at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMachines;

impl Machines for NoMachines {
    fn begin(&self, _order: Order, ticket: Ticket) {
        ticket.succeed();
    }
}
