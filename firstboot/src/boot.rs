//! The boot report: what stage0 tells the system it starts, at [`PATH`].

use serde::{Deserialize, Serialize};

/// Where stage0 leaves the report; on a tmpfs, so it speaks of this boot only.
pub const PATH: &str = "/run/imgbuild/boot.json";

/// What stage0 found and did.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootReport {
    /// Format; 1.
    pub version: u32,
    /// Disk the machine was booted from, `/dev/vda`.
    pub disk: String,
    /// EFI system partition it was booted from, `/dev/vda2`.
    pub esp: String,
    /// Slot of the running root: `a` or `b`.
    pub slot: String,
    /// Whether the boot loader counts this start, for the slot is on trial.
    #[serde(default)]
    pub is_on_trial: bool,
    /// Root hash of the running root, 64 hexadecimal digits.
    pub root_hash: String,
    /// State partition, `/dev/vda7`.
    pub state: String,
    /// Whether the state partition was made in this boot.
    pub state_created: bool,
    /// Lines worth showing to a person, oldest first.
    #[serde(default)]
    pub notes: Vec<String>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::BootReport;

    /// Of a machine that was booted from its only disk.
    pub(crate) fn example() -> BootReport {
        BootReport {
            version: 1,
            disk: "/dev/vda".to_owned(),
            esp: "/dev/vda2".to_owned(),
            slot: "a".to_owned(),
            is_on_trial: false,
            root_hash: "0".repeat(64),
            state: "/dev/vda7".to_owned(),
            state_created: false,
            notes: Vec::new(),
        }
    }
}
