//! Names of UKIs in `EFI/Linux/`, by which systemd-boot chooses and counts: `imgbuild_<generation>[+left[-done]].efi`.
//!
//! The rules are those of systemd-boot 257 (`docs/AUTOMATIC_BOOT_ASSESSMENT` of systemd): what has no tries left comes
//! last; the highest generation comes first, for nothing else differs between our UKIs; a start of an entry with tries
//! takes one from `left` and adds it to `done`.
//!
//! A slot on trial has a counter of [`TRIES`] starts. A committed slot has none as long as nothing could stand in for
//! it. Once another committed slot lies beside it, it has a counter of [`KEPT_TRIES`], which each boot that arrives
//! makes new ([`Names::settle`]): only systemd-boot can count starts that end before anything of ours runs, as those of
//! a damaged initrd do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{Generation, KEPT_TRIES, TRIES};

/// The folder on the ESP.
pub const FOLDER: &str = "EFI/Linux";
const STEM: &str = "imgbuild_";
const ENDING: &str = ".efi";

/// A counter in a name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Tries {
    /// Starts that are left.
    pub left: u8,
    /// Starts that were made; absent at first.
    pub done: Option<u8>,
}

impl Tries {
    /// Both together, which no start changes.
    fn total(self) -> u8 {
        self.left.saturating_add(self.done.unwrap_or(0))
    }
}

/// The name of a UKI.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct UkiName {
    /// What it starts.
    pub generation: Generation,
    /// Its counter.
    pub tries: Option<Tries>,
}

/// A file that is no UKI of ours.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{0}` is not of the form `imgbuild_<generation>[+left[-done]].efi`")]
pub struct NoUki(pub String);

impl UkiName {
    /// The UKI of a new disk.
    pub const NEW: Self = Self { generation: Generation::FIRST, tries: None };

    /// Whether it was staged and not committed yet; with no start left, too.
    pub fn is_trial(self) -> bool {
        self.tries.is_some_and(|tries| (1..=TRIES).contains(&tries.total()))
    }

    /// Whether it is committed and was not given up.
    pub fn is_committed(self) -> bool {
        self.tries.is_none_or(|tries| tries.total() > TRIES && tries.left > 0)
    }
}

impl fmt::Display for UkiName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{STEM}{}", self.generation)?;
        if let Some(Tries { left, done }) = self.tries {
            write!(formatter, "+{left}")?;
            if let Some(done) = done {
                write!(formatter, "-{done}")?;
            }
        }
        formatter.write_str(ENDING)
    }
}

impl FromStr for UkiName {
    type Err = NoUki;

    fn from_str(name: &str) -> Result<Self, NoUki> {
        let parse = || {
            let (generation, tries) = match name.strip_prefix(STEM)?.strip_suffix(ENDING)?.split_once('+') {
                None => (name.strip_prefix(STEM)?.strip_suffix(ENDING)?, None),
                Some((generation, tries)) => (generation, Some(tries)),
            };
            let tries = match tries.map(|tries| tries.split_once('-').ok_or(tries)) {
                None => None,
                Some(Err(left)) => Some(Tries { left: left.parse().ok()?, done: None }),
                Some(Ok((left, done))) => {
                    Some(Tries { left: left.parse().ok()?, done: Some(done.parse().ok()?) })
                }
            };
            let parsed = Self { generation: Generation(generation.parse().ok()?), tries };
            // `+03` and the like are nobody's.
            (parsed.to_string() == name).then_some(parsed)
        };
        parse().ok_or_else(|| NoUki(name.to_owned()))
    }
}

/// The UKIs on an ESP.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names(pub BTreeSet<UkiName>);

impl Names {
    /// The committed generation: the highest of those that are.
    pub fn committed(&self) -> Option<Generation> {
        self.0.iter().filter(|name| name.is_committed()).map(|name| name.generation).max()
    }

    /// Adds `generation` on trial. What is neither committed nor this goes: its slot is overwritten.
    pub fn stage(&mut self, generation: Generation) {
        let committed = self.committed();
        self.0.retain(|name| name.is_committed() && Some(name.generation) == committed);
        self.settle();
        self.0.insert(UkiName { generation, tries: Some(Tries { left: TRIES, done: None }) });
    }

    /// Whether a UKI of `generation` is there, and each has no start left: systemd-boot takes it where nothing else is.
    pub fn has_given_up(&self, generation: Generation) -> bool {
        let mut own = self.0.iter().filter(|name| name.generation == generation).peekable();
        own.peek().is_some() && own.all(|name| name.tries.is_some_and(|tries| tries.left == 0))
    }

    /// Gives `generation` up: it comes last from now on.
    pub fn give_up(&mut self, generation: Generation) {
        if self.0.iter().any(|name| name.generation == generation) {
            self.0.retain(|name| name.generation != generation);
            self.0.insert(UkiName { generation, tries: Some(Tries { left: 0, done: None }) });
        }
    }

    /// A start of `generation` has arrived: if it is the committed one, nothing counts against it any more, though it
    /// was the last that its counter allowed.
    pub fn arrive(&mut self, generation: Generation) {
        let is_kept = |name: &UkiName| name.tries.is_some_and(|tries| tries.total() > TRIES);
        if self.0.iter().any(|name| name.generation == generation && is_kept(name)) {
            self.commit(generation);
        } else if self.committed() == Some(generation) {
            self.settle();
        }
    }

    /// Gives the committed generation a new counter where another slot can stand in for it, and takes it from every
    /// other: what stands in is started for ever.
    fn settle(&mut self) {
        let committed = self.committed();
        let is_substitute = |name: &UkiName| name.is_committed() && Some(name.generation) != committed;
        let kept = self.0.iter().any(is_substitute).then_some(Tries { left: KEPT_TRIES, done: None });
        let settled = |name: UkiName| match name {
            name if Some(name.generation) == committed && name.is_committed() => {
                UkiName { tries: kept, ..name }
            }
            name if name.is_committed() => UkiName { tries: None, ..name },
            name => name,
        };
        self.0 = std::mem::take(&mut self.0).into_iter().map(settled).collect();
    }

    /// Commits `generation`, if it is there.
    pub fn commit(&mut self, generation: Generation) {
        if !self.0.iter().any(|name| name.generation == generation) {
            return;
        }
        self.0.retain(|name| name.generation != generation);
        self.0.insert(UkiName { generation, tries: None });
        self.settle();
    }

    /// What systemd-boot does at a start: counts, and returns what it starts.
    pub fn boot(&mut self) -> Option<Generation> {
        let has_tries = |name: &UkiName| name.tries.is_none_or(|tries| tries.left > 0);
        let chosen = *self.0.iter().max_by_key(|name| (has_tries(name), name.generation))?;
        if let Some(Tries { left, done }) = chosen.tries.filter(|tries| tries.left > 0) {
            self.0.remove(&chosen);
            let done = done.unwrap_or(0).saturating_add(1);
            self.0.insert(UkiName { tries: Some(Tries { left: left - 1, done: Some(done) }), ..chosen });
        }
        Some(chosen.generation)
    }
}
