//! Lays an OS bundle on a medium.

pub mod bios;
pub mod difference;
pub mod disk;
pub mod esp;
pub mod folder;
pub mod partition_type;
pub mod staging;
pub mod verify;
