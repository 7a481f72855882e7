//! The ioctls that the initrd needs and that no maintained crate offers without a C library.
//!
//! - [`dm`]: make a device-mapper device (`linux/dm-ioctl.h`)
//! - [`blkpg`]: tell the kernel of one partition of a disk in use (`linux/blkpg.h`)
//!
//! This is the only crate of the workspace with unsafe code. Requests are plain `repr(C)` integers, so whatever the
//! kernel writes back is a valid value.

pub mod blkpg;
pub mod dm;
