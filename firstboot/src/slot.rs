//! The slot contract: which of the two slots a machine boots, on trial or committed.
//!
//! Two back ends keep it, for the same disk may be booted by either firmware. On UEFI the names of the UKIs say
//! everything, and systemd-boot counts tries by renaming them ([`names`]). On BIOS machines GRUB does it by an
//! environment block ([`environment`]). Both are pure: text in, text out. [`entries`] reads and changes the files, and
//! [`node`] is what a running node does to them.
//!
//! The committed *generation* is the truth they share. [`repair`] says which of the two is behind.

pub mod entries;
pub mod environment;
pub mod names;
pub mod node;
pub mod starts;
mod uki;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How often a slot on trial is started.
pub const TRIES: u8 = 3;

/// How often in a row systemd-boot starts a committed slot that never arrives, where another one can stand in for it.
/// More than [`TRIES`], by which the two are told apart, and than stage0 lets pass before it gives the slot up itself.
pub const KEPT_TRIES: u8 = 5;

/// One of the two places an OS can lie in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// Partitions `root-a` and `root-a-verity`.
    A,
    /// Partitions `root-b` and `root-b-verity`.
    B,
}

impl Slot {
    /// `a` or `b`, as in names of partitions and folders.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The slot that is not this one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.letter())
    }
}

/// A text that is neither `a` nor `b`.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{0}` is no slot, expected `a` or `b`")]
pub struct NoSlot(pub String);

impl FromStr for Slot {
    type Err = NoSlot;

    fn from_str(text: &str) -> Result<Self, NoSlot> {
        match text {
            "a" => Ok(Self::A),
            "b" => Ok(Self::B),
            other => Err(NoSlot(other.to_owned())),
        }
    }
}

/// Counts stagings on a disk; what was staged last has the highest. The first image is 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u32);

impl Generation {
    /// What a new disk holds.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for Generation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What one back end must still be told, after a boot that found the two different.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repair {
    /// Both agree.
    Nothing,
    /// UEFI's names commit an older generation than the block, or none.
    Names(Generation),
    /// GRUB's block commits an older generation than the names, or none.
    Environment(Generation),
}

/// Compares what both back ends have committed: commit writes the names first, so the higher one is the truth.
pub fn repair(names: Option<Generation>, environment: Option<Generation>) -> Repair {
    match (names, environment) {
        (Some(names), environment) if environment.is_none_or(|other| other < names) => {
            Repair::Environment(names)
        }
        (names, Some(environment)) if names.is_none_or(|other| other < environment) => {
            Repair::Names(environment)
        }
        _ => Repair::Nothing,
    }
}

#[cfg(test)]
mod tests;
