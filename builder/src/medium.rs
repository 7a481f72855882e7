//! Lays an OS bundle on a medium.

pub mod disk;
pub mod partition_type;
