//! Cloud nodes as servers of a provider: what the cluster file asks for, what is there, and the difference.
//!
//! ```text
//! cluster file -> Wanted --+
//!                          +--> Plan -> a table, JSON, and later what is carried out
//! provider -> Observed ----+
//! ```
//!
//! All of this is pure. [`upload`] brings an image to where snapshots are made of it. A provider ([`crate::hetzner`]) says what is there, how its reference has a call, and does it.

pub mod observed;
pub mod plan;
pub mod price;
mod render;
pub mod upload;
pub mod wanted;
