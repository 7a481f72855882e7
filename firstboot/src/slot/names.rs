//! Names of UKIs in `EFI/Linux/`, by which systemd-boot chooses and counts: `imgbuild_<generation>[+left[-done]].efi`.
//!
//! The rules are those of systemd-boot 257 (`docs/AUTOMATIC_BOOT_ASSESSMENT` of systemd): what has no tries left comes
//! last; the highest generation comes first, for nothing else differs between our UKIs; a start of an entry with tries
//! takes one from `left` and adds it to `done`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{Generation, TRIES};

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

/// The name of a UKI.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct UkiName {
    /// What it starts.
    pub generation: Generation,
    /// Its counter; without one it is committed.
    pub tries: Option<Tries>,
}

/// A file that is no UKI of ours.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{0}` is not of the form `imgbuild_<generation>[+left[-done]].efi`")]
pub struct NoUki(pub String);

impl UkiName {
    /// The UKI of a new disk.
    pub const NEW: Self = Self { generation: Generation::FIRST, tries: None };
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
    /// The committed generation: the highest without a counter.
    pub fn committed(&self) -> Option<Generation> {
        self.0.iter().filter(|name| name.tries.is_none()).map(|name| name.generation).max()
    }

    /// Adds `generation` on trial. What is neither committed nor this goes: its slot is overwritten.
    pub fn stage(&mut self, generation: Generation) {
        let committed = self.committed();
        self.0.retain(|name| name.tries.is_none() && Some(name.generation) == committed);
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

    /// Takes the counter from `generation`, if it is there.
    pub fn commit(&mut self, generation: Generation) {
        if !self.0.iter().any(|name| name.generation == generation) {
            return;
        }
        self.0.retain(|name| name.generation != generation);
        self.0.insert(UkiName { generation, tries: None });
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
