//! QEMU machines: finding the programs and firmware, starting, watching, ending.
//!
//! `imgbuild boot` and the machine tests share this; a build never comes here.

mod accelerator;
mod board;
mod console;
pub mod disk;
mod firmware;
mod forward;
pub mod late_timers;
mod monitor;
mod qemu;

pub use accelerator::Accelerator;
pub use board::{Board, NO_TIMER_CHECK};
pub use console::{Console, ConsoleError};
pub use firmware::{Firmware, FirmwareError, FirmwareKind};
pub use forward::Forward;
pub use monitor::MonitorError;
pub use qemu::{Bus, Machine, MachineError, Settings};

/// This computer on the networks of its machines, as `-netdev user` of QEMU has it.
pub const USER_NETWORK_HOST: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 0, 2, 2);
