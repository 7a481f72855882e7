//! QEMU machines: finding the programs and firmware, starting, watching, ending.
//!
//! `imgbuild boot` and the machine tests share this; a build never comes here.

mod accelerator;
mod console;
pub mod disk;
mod firmware;
mod monitor;
mod qemu;

pub use accelerator::Accelerator;
pub use console::{Console, ConsoleError};
pub use firmware::{Firmware, FirmwareError};
pub use monitor::MonitorError;
pub use qemu::{Bus, Machine, MachineError, Settings};
