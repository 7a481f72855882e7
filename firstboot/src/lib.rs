//! What runs on a node.
//!
//! - [`record`]: the node record, which the builder writes and firstboot reads
//! - [`artifacts`]: what the image lacks of its pinned artifacts
//! - [`boot`]: what stage0 hands to firstboot
//! - [`source`]: where the record is looked for
//! - [`plan`]: from record to steps, pure
//! - [`converge`], [`apply`]: carrying the steps out, idempotent and safe against power loss
//! - [`durable`]: files that survive power cuts
//! - [`random`]: random bytes
//! - [`key`]: the node key
//! - [`status`], [`screen`], [`run`], [`cli`]: reporting and the program
//! - [`console`]: showing text on a console that may be stopped
//! - [`stage0`]: the initrd's `/init`
//! - [`gpt`]: partition tables that survive power cuts

pub mod apply;
pub mod artifacts;
pub mod boot;
pub mod cli;
pub mod console;
pub mod converge;
pub mod durable;
pub mod gpt;
pub mod key;
pub mod plan;
pub mod random;
pub mod record;
pub mod run;
pub mod screen;
pub mod source;
pub mod stage0;
pub mod status;

/// The unit that starts `firstboot` on a node.
pub const UNIT: &str = include_str!("../systemd/firstboot.service");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_record_is_not_tried_again() {
        let line = format!("\nRestartPreventExitStatus={}\n", cli::RECORD_FAULT);
        assert!(UNIT.contains("\nRestart=on-failure\n") && UNIT.contains(&line), "{UNIT}");
        assert!(UNIT.contains("\nStartLimitBurst="), "tries are bounded");
    }
}
