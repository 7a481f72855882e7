//! Cloud nodes as servers of a provider: what the cluster file asks for, what is there, and the difference.
//!
//! ```text
//! cluster file -> Wanted --+
//!                          +--> Plan -> a table, JSON, and later what is carried out
//! provider -> Observed ----+
//! ```
//!
//! Planning is pure. [`upload`] brings an image onto a disk, [`snapshot`] makes one of that. A provider
//! ([`crate::hetzner`]) says what is there, how its reference has a call, and does it.

pub mod observed;
pub mod plan;
pub mod price;
mod render;
pub mod snapshot;
pub mod upload;
pub mod wanted;
