//! Lays an OS bundle on a medium.

pub mod difference;
pub mod disk;
pub mod folder;
pub mod partition_type;
pub mod verify;
