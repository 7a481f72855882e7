//! GRUB's environment block, `grub/grubenv` on the ESP: 1024 bytes that GRUB reads and rewrites in place.
//!
//! ```text
//! # GRUB Environment Block
//! committed=a            slot that is started when none is on trial
//! generation=1           what lies in it
//! trial=b                slot on trial, or empty
//! trial_generation=2     what lies in it, or empty
//! tries=3                starts that the trial has left, or empty
//! failures=0             starts in a row that did not reach a running system
//! ###########…           up to 1024 bytes
//! ```
//!
//! All keys lie in the first 512 bytes, so that a power cut leaves the old sector or the new one. The rules by which
//! GRUB uses the block are `builder/src/medium/bios/grub.cfg`; [`Environment::boot`] is the same in Rust.

use thiserror::Error;

use super::{Generation, Slot, TRIES};

/// Its place on the ESP.
pub const PATH: &str = "grub/grubenv";
/// Length of the block.
pub const LENGTH: usize = 1024;
/// GRUB's signature; what has another beginning it refuses.
const HEADER: &str = "# GRUB Environment Block\n";
/// GRUB counts no further: the longest wait is reached.
pub const MOST_FAILURES: u8 = 6;

/// A slot on trial.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trial {
    /// The slot.
    pub slot: Slot,
    /// What lies in it.
    pub generation: Generation,
    /// Starts that are left.
    pub tries: u8,
}

/// What the block says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Environment {
    /// Slot that is started when none is on trial.
    pub committed: Slot,
    /// What lies in it.
    pub generation: Generation,
    /// Slot on trial.
    pub trial: Option<Trial>,
    /// Starts in a row that did not reach a running system.
    pub failures: u8,
}

/// What is wrong with a block.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum EnvironmentError {
    /// Zeroed, cut off, or another file.
    #[error("the environment block has no signature, or is not {LENGTH} bytes of text")]
    Signature,
    /// A key that must be there is not.
    #[error("the environment block has no `{key}`")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value has another form.
    #[error("`{key}` of the environment block is `{value}`, expected {form}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it should look like.
        form: &'static str,
    },
}

impl Environment {
    /// The block of a new disk: its one slot is committed, for nobody may ever come by to confirm it.
    pub const NEW: Self =
        Self { committed: Slot::A, generation: Generation::FIRST, trial: None, failures: 0 };

    /// Reads a block.
    pub fn parse(block: &[u8]) -> Result<Self, EnvironmentError> {
        let text = str::from_utf8(block).ok().filter(|text| text.len() == LENGTH);
        let lines = text.and_then(|text| text.strip_prefix(HEADER)).ok_or(EnvironmentError::Signature)?;
        let values = Values(lines);
        let trial = match values.text("trial") {
            Ok("") => None,
            _ => Some(Trial {
                slot: values.slot("trial")?,
                generation: values.generation("trial_generation")?,
                tries: values.count("tries", TRIES)?,
            }),
        };
        Ok(Self {
            committed: values.slot("committed")?,
            generation: values.generation("generation")?,
            trial,
            failures: values.count("failures", MOST_FAILURES)?,
        })
    }

    /// Renders the block.
    pub fn to_block(&self) -> [u8; LENGTH] {
        let trial = |text: fn(&Trial) -> String| self.trial.as_ref().map_or_else(String::new, text);
        let text = format!(
            "{HEADER}committed={}\ngeneration={}\ntrial={}\ntrial_generation={}\ntries={}\nfailures={}\n",
            self.committed,
            self.generation,
            trial(|trial| trial.slot.to_string()),
            trial(|trial| trial.generation.to_string()),
            trial(|trial| trial.tries.to_string()),
            self.failures,
        );
        let mut block = [b'#'; LENGTH];
        block.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        block
    }

    /// Puts `generation`, which lies in the slot that is not committed, on trial.
    pub fn stage(&mut self, generation: Generation) {
        self.trial = Some(Trial { slot: self.committed.other(), generation, tries: TRIES });
    }

    /// Commits what is in `slot`; it is running, so it has not failed.
    pub fn commit(&mut self, slot: Slot, generation: Generation) {
        *self = Self { committed: slot, generation, trial: None, failures: 0 };
    }

    /// What GRUB does at a start: counts, and returns the slot that it starts first.
    pub fn boot(&mut self) -> Slot {
        if let Some(trial) = self.trial.as_mut().filter(|trial| trial.tries > 0) {
            trial.tries -= 1;
            return trial.slot;
        }
        self.trial = None;
        // From the last count on, the two longest waits alternate, and with them the slots.
        self.failures = if self.failures >= MOST_FAILURES { MOST_FAILURES - 1 } else { self.failures + 1 };
        if self.failures.is_multiple_of(2) { self.committed.other() } else { self.committed }
    }
}

/// Keys and values as they stand.
struct Values<'a>(&'a str);

impl<'a> Values<'a> {
    fn text(&self, key: &'static str) -> Result<&'a str, EnvironmentError> {
        // Of two, GRUB takes the last.
        let value = self.0.lines().rev().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.ok_or(EnvironmentError::Missing { key })
    }

    fn read<T>(
        &self,
        key: &'static str,
        form: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, EnvironmentError> {
        let value = self.text(key)?;
        read(value).ok_or_else(|| EnvironmentError::Value { key, value: value.to_owned(), form })
    }

    fn slot(&self, key: &'static str) -> Result<Slot, EnvironmentError> {
        self.read(key, "`a` or `b`", |value| value.parse().ok())
    }

    fn generation(&self, key: &'static str) -> Result<Generation, EnvironmentError> {
        self.read(key, "a number", |value| value.parse().ok().map(Generation))
    }

    fn count(&self, key: &'static str, most: u8) -> Result<u8, EnvironmentError> {
        self.read(key, "a small number", |value| value.parse().ok().filter(|count| *count <= most))
    }
}
