//! Lays an OS bundle on a medium.

pub mod bios;
pub mod disk;
pub mod esp;
pub mod partition_type;
