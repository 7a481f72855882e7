//! What runs on a node.
//!
//! - [`record`]: the node record, which the builder writes and firstboot reads
//! - [`cluster`]: the cluster record, which every medium carries
//! - [`document`], [`public_key`]: what a key vouches for
//! - [`ticket`], [`membership`]: the permission to join, and what a joined node holds
//! - [`tls`], [`http`], [`exchange`]: connections to who holds a key
//! - [`control_plane`]: what a control-plane node is given, once, by its operator
//! - [`kubernetes`]: the API of the control plane on the same machine
//! - [`claim`]: the exchange of the one for the other; [`peers`], [`node_password`]: what comes with it
//! - [`serve`]: becoming a member of the cluster, and staying one
//! - [`artifacts`]: what the image lacks of its pinned artifacts
//! - [`boot`]: what stage0 hands to firstboot
//! - [`source`]: where the record is looked for; [`user_data`]: what a cloud server is given
//! - [`plan`]: from record to steps, pure
//! - [`converge`], [`apply`]: carrying the steps out, idempotent and safe against power loss
//! - [`durable`]: files that survive power cuts
//! - [`process`]: waiting for other programs; [`printable`]: characters that show as what they are
//! - [`clock`]: what time it is where no clock can be trusted
//! - [`random`]: random bytes; [`keyed_hash`]: what is derived from the cluster's keys
//! - [`key`]: the node key; [`secret_key`]: what all keys of 32 bytes share
//! - [`status`], [`screen`], [`run`], [`cli`]: reporting and the program
//! - [`console`]: showing text on a console that may be stopped; `consoles`: the report on all of them;
//!   [`qr`]: codes in it
//! - [`last_failure`]: the report where another computer can read it
//! - [`k3s`]: k3s' places on the node, and its start
//! - [`stage0`]: the initrd's `/init`
//! - [`gpt`]: partition tables that survive power cuts
//! - [`fat`]: files on the EFI system partition that survive power cuts
//! - [`esp`]: the EFI system partition
//! - [`hetzner`]: what the metadata service says of a server, and of its network
//! - [`root_hash`]: what vouches for a root, and names it
//! - [`slot`]: which of the two slots is booted
//! - [`wireguard`]: the VPN; [`resolve`]: names to addresses
//! - [`firewall`]: what may reach the node, pass it and leave it
//! - [`gate`]: committing a slot once the node is known to work

pub mod apply;
pub mod artifacts;
pub mod boot;
mod by_text;
pub mod claim;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod console;
mod consoles;
pub mod control_plane;
pub mod converge;
pub mod document;
pub mod durable;
pub mod esp;
pub mod exchange;
pub mod fat;
pub mod firewall;
pub mod gate;
pub mod gpt;
pub mod hetzner;
pub mod http;
pub mod k3s;
pub mod key;
pub mod keyed_hash;
pub mod kubernetes;
pub mod last_failure;
pub mod lifetime;
pub mod membership;
pub mod node_password;
pub mod peers;
pub mod plan;
pub mod printable;
pub mod process;
pub mod public_key;
pub mod qr;
pub mod random;
pub mod record;
pub mod resolve;
pub mod root_hash;
pub mod run;
pub mod screen;
pub mod secret_key;
pub mod serve;
pub mod slot;
pub mod source;
pub mod stage0;
pub mod status;
mod systemd;
pub mod ticket;
pub mod tls;
pub mod user_data;
pub mod wireguard;

/// The unit that starts `firstboot` on a node.
pub const UNIT: &str = include_str!("../systemd/firstboot.service");

/// The unit that asks the metadata service, on servers of Hetzner Cloud.
pub const METADATA_UNIT: &str = include_str!("../systemd/firstboot-metadata.service");

/// The unit that makes the node a member of its cluster, and keeps it one.
pub const SERVE_UNIT: &str = include_str!("../systemd/firstboot-serve.service");

/// The unit that commits the running slot.
pub const COMMIT_UNIT: &str = include_str!("../systemd/firstboot-commit.service");

/// Drop-in of `emergency.service` and `rescue.service`: shows the failure and restarts, without a shell.
pub const EMERGENCY: &str = include_str!("../systemd/emergency.conf");

/// Drop-in of `systemd-journal-flush.service`: the journal leaves `/var` before that is unmounted.
pub const JOURNAL_FLUSH: &str = include_str!("../systemd/journal-flush.conf");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_record_is_not_tried_again() {
        let line = format!("\nRestartPreventExitStatus={}\n", cli::RECORD_FAULT);
        assert!(UNIT.contains("\nRestart=on-failure\n") && UNIT.contains(&line), "{UNIT}");
        assert!(UNIT.contains("\nStartLimitBurst="), "tries are bounded");
    }

    #[test]
    fn who_joins_waits_for_what_the_metadata_service_says() {
        let after = |unit: &str| {
            let line = unit.lines().find_map(|line| line.strip_prefix("After=")).unwrap();
            line.split(' ').map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(after(SERVE_UNIT).contains(&"firstboot-metadata.service".to_owned()));
        // It asks by the network, which `firstboot.service` comes before.
        for unit in ["firstboot.service", "systemd-networkd.service"] {
            assert!(after(METADATA_UNIT).contains(&unit.to_owned()), "{METADATA_UNIT}");
        }
        let line = format!("\nRestartPreventExitStatus={}\n", cli::RECORD_FAULT);
        assert!(METADATA_UNIT.contains(&line) && METADATA_UNIT.contains("\nTimeoutStartSec=infinity\n"));
    }

    #[test]
    fn the_gate_does_not_hold_up_what_it_waits_for() {
        // A unit that counts as starting while it waits would keep the machine from ever having started.
        assert!(COMMIT_UNIT.contains("\nType=exec\nExecStart=/usr/bin/firstboot commit\n"), "{COMMIT_UNIT}");
        // It must see a machine that hangs on its way up, too.
        assert!(COMMIT_UNIT.contains("\nDefaultDependencies=no\n"), "{COMMIT_UNIT}");
    }

    #[test]
    fn an_emergency_shows_the_report_and_restarts_after_ten_minutes() {
        let values = |key: &str| -> Vec<&str> {
            EMERGENCY.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
        };
        // An empty value drops what the unit itself would run: a shell behind a password.
        assert_eq!(values("ExecStart"), ["", "/usr/bin/sleep 600"]);
        assert_eq!(values("ExecStartPre").first(), Some(&""));
        assert_eq!(values("ExecStopPost"), [""]);
        assert!(values("ExecStartPre").contains(&"-/usr/bin/firstboot --console status"));
        assert_eq!((values("SuccessAction"), values("FailureAction")), (vec!["reboot"], vec!["reboot"]));
        assert_eq!(values("StandardInput"), ["null"]);
    }
}
