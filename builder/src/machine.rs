//! QEMU machines: finding the programs and firmware, starting, watching, ending.
//!
//! `imgbuild boot` and the machine tests share this; a build never comes here.

mod accelerator;
mod console;
mod firmware;
mod qemu;

pub use accelerator::Accelerator;
pub use console::{Console, ConsoleError};
pub use firmware::{Firmware, FirmwareError};
pub use qemu::{Machine, MachineError, Settings};
