//! What runs on a node.
//!
//! - [`record`]: the node record, which the builder writes and firstboot reads
//! - [`boot`]: what stage0 hands to firstboot
//! - [`stage0`]: the initrd's `/init`
//! - [`gpt`]: partition tables that survive power cuts

pub mod boot;
pub mod gpt;
pub mod record;
pub mod stage0;
