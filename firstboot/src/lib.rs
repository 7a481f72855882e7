//! What runs on a node.
//!
//! - [`record`]: the node record, which the builder writes and firstboot reads
//! - [`boot`]: what stage0 hands to firstboot

pub mod boot;
pub mod record;
