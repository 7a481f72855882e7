//! Boot entries of both back ends as they lie on an ESP, what is committed by them, and changing them in the order
//! of the contract: UEFI's names first, then GRUB's block.

use super::environment::{self, Environment, EnvironmentError, LENGTH, Trial};
use super::names::{self, Names, UkiName};
use super::{Generation, Repair, Slot, repair, uki};
use crate::fat::{Fat, FatError};
use crate::gpt::Disk;
use crate::root_hash::RootHash;

/// How a UKI's name ends before it is one: no boot loader lists it.
pub const UNFINISHED: &str = ".new";

/// Bytes of GRUB's file of a slot that are read; kernel arguments are shorter.
const LARGEST_CONFIG: usize = 64 << 10;

/// What was found on an ESP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entries {
    /// UKIs by their names.
    pub names: Names,
    /// Which root each generation starts, as far as its files say.
    pub roots: Vec<(Generation, RootHash)>,
    /// Files in the folder of UKIs that a staging has left unfinished.
    pub unfinished: Vec<String>,
    /// What GRUB reads; `None` on disks for UEFI only.
    pub grub: Option<Grub>,
}

/// What GRUB reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grub {
    /// The environment block.
    pub environment: Result<Environment, EnvironmentError>,
    /// What lies in each slot.
    pub slots: Vec<(Slot, Generation)>,
}

/// Which generations are booted how: what a change makes of [`Entries`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice {
    /// UKIs by their names.
    pub names: Names,
    /// GRUB's block, where there is GRUB and it is known what to write.
    pub environment: Option<Environment>,
}

impl Entries {
    /// Looks at an ESP. A single file that cannot be read says nothing, as a damaged one does.
    pub fn read<D: Disk>(fat: &Fat<D>) -> Result<Self, FatError> {
        let mut entries =
            Self { names: Names::default(), roots: Vec::new(), unfinished: Vec::new(), grub: None };
        for item in fat.list(names::FOLDER)?.unwrap_or_default() {
            if item.name.ends_with(UNFINISHED) {
                entries.unfinished.push(item.name.clone());
            }
            let Ok(name) = item.name.parse::<UkiName>() else { continue };
            entries.names.0.insert(name);
            let path = format!("{}/{}", names::FOLDER, item.name);
            let read = |offset, length| Ok(fat.read_range(&path, offset, length)?.unwrap_or_default());
            let text = unless_damaged(uki::command_line(read))?.flatten();
            if let Some(root) = text.as_deref().and_then(root_of) {
                entries.roots.push((name.generation, root));
            }
        }
        entries.grub = entries.read_grub(fat)?;
        Ok(entries)
    }

    fn read_grub<D: Disk>(&mut self, fat: &Fat<D>) -> Result<Option<Grub>, FatError> {
        let mut slots = Vec::new();
        for slot in [Slot::A, Slot::B] {
            let text = unless_damaged(fat.read_range(&config_path(slot), 0, LARGEST_CONFIG))?
                .flatten()
                .unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let number = text.lines().find_map(|line| line.strip_prefix("set generation=")?.parse().ok());
            let Some(generation) = number.map(Generation) else { continue };
            slots.push((slot, generation));
            if let Some(root) = root_of(&text) {
                // Behind what the UKIs say, which is found first.
                self.roots.push((generation, root));
            }
        }
        if fat.list("grub")?.is_none() {
            return Ok(None);
        }
        let block =
            unless_damaged(fat.read_range(environment::PATH, 0, LENGTH + 1))?.flatten().unwrap_or_default();
        Ok(Some(Grub { environment: Environment::parse(&block), slots }))
    }

    /// The block, where it can be read.
    pub fn environment(&self) -> Option<Environment> {
        self.grub.as_ref()?.environment.as_ref().ok().copied()
    }

    /// How things stand.
    pub fn choice(&self) -> Choice {
        Choice { names: self.names.clone(), environment: self.environment() }
    }

    /// The committed generation, the truth that both back ends share; of two, see [`Entries::repaired`].
    pub fn committed(&self) -> Option<Generation> {
        let (names, environment) = (self.names.committed(), self.environment());
        match environment.map(|environment| environment.generation) {
            Some(generation) if self.names.has_given_up(generation) => names.or(Some(generation)),
            other => names.max(other),
        }
    }

    /// The slot of a generation; `place` knows where a root lies.
    pub fn slot_of(&self, generation: Generation, place: impl Fn(&RootHash) -> Option<Slot>) -> Option<Slot> {
        let root = self.roots.iter().find(|(other, _)| *other == generation);
        let by_root = root.and_then(|(_, root)| place(root));
        by_root.or_else(|| {
            let grub = self.grub.as_ref()?;
            let by_config = grub.slots.iter().find(|(_, other)| *other == generation).map(|(slot, _)| *slot);
            let block = grub.environment.as_ref().ok()?;
            let trial = block.trial.filter(|trial| trial.generation == generation).map(|trial| trial.slot);
            by_config.or((block.generation == generation).then_some(block.committed)).or(trial)
        })
    }

    /// The generation that starts `root`; of two, the newer.
    pub fn generation_of(&self, root: &RootHash) -> Option<Generation> {
        self.roots.iter().filter(|(_, other)| other == root).map(|(generation, _)| *generation).max()
    }

    /// The highest generation that any file names.
    pub fn newest(&self) -> Option<Generation> {
        let unfinished = self.unfinished.iter().filter_map(|name| {
            let name = name.strip_suffix(UNFINISHED)?;
            Some(format!("{name}.efi").parse::<UkiName>().ok()?.generation)
        });
        let block = self.environment();
        let trial = block.and_then(|block| block.trial).map(|trial| trial.generation);
        let names = self.names.0.iter().map(|name| name.generation);
        let slots = self.grub.iter().flat_map(|grub| grub.slots.iter().map(|(_, generation)| *generation));
        names.chain(unfinished).chain(slots).chain(block.map(|block| block.generation)).chain(trial).max()
    }

    /// What both back ends should say where they differ: the one that is behind follows, and what one of them has
    /// given up is not tried by the other.
    pub fn repaired(&self, place: impl Fn(&RootHash) -> Option<Slot>) -> Choice {
        let mut choice = self.choice();
        let Some(committed) = self.committed() else { return choice };
        let block = choice.environment.map(|block| block.generation);
        match repair(choice.names.committed(), block) {
            Repair::Names(newer) if newer == committed => choice.names.commit(newer),
            Repair::Nothing if choice.environment.is_some() => {}
            Repair::Names(_) | Repair::Environment(_) | Repair::Nothing => {
                if let Some(slot) = self.slot_of(committed, place).filter(|_| self.grub.is_some()) {
                    let failures = choice.environment.map_or(0, |block| block.failures);
                    choice.environment =
                        Some(Environment { committed: slot, generation: committed, trial: None, failures });
                }
            }
        }
        let is_given_up = |trial: &Trial| self.names.has_given_up(trial.generation);
        if let Some(block) =
            choice.environment.as_mut().filter(|block| block.trial.as_ref().is_some_and(is_given_up))
        {
            block.trial = None;
        }
        choice
    }

    /// Makes the ESP say `choice`: names, then the block. Returns whether anything differed.
    pub fn change<D: Disk>(&self, choice: &Choice, fat: &mut Fat<D>) -> Result<bool, FatError> {
        let is_other = self.change_names(&choice.names, fat)?;
        let environment = choice.environment.filter(|_| self.environment() != choice.environment);
        if let (Some(environment), Some(_)) = (environment, &self.grub) {
            write_environment(&environment, fat)?;
        }
        Ok(is_other || environment.is_some())
    }

    fn change_names<D: Disk>(&self, names: &Names, fat: &mut Fat<D>) -> Result<bool, FatError> {
        let mut generations: Vec<Generation> = self.names.0.iter().map(|name| name.generation).collect();
        // Names are sorted by generation.
        generations.dedup();
        for generation in generations {
            let of = |names: &Names| -> Vec<UkiName> {
                names.0.iter().filter(|name| name.generation == generation).copied().collect()
            };
            let (mut found, wanted) = (of(&self.names), of(names));
            for name in wanted.iter().filter(|name| !self.names.0.contains(name)) {
                if let Some(old) = found.pop() {
                    fat.rename(names::FOLDER, &old.to_string(), &name.to_string())?;
                }
            }
            for name in found.iter().filter(|name| !wanted.contains(name)) {
                fat.remove(&format!("{}/{name}", names::FOLDER))?;
            }
        }
        Ok(self.names != *names)
    }
}

/// Writes the block, in place where there is one of the right length: all that differs lies in one sector.
pub fn write_environment<D: Disk>(environment: &Environment, fat: &mut Fat<D>) -> Result<(), FatError> {
    let block = environment.to_block();
    match fat.read_range(environment::PATH, 0, LENGTH + 1)? {
        Some(old) if old.len() == LENGTH => fat.overwrite(environment::PATH, &block),
        _ => fat.replace(environment::PATH, &block),
    }
}

/// GRUB's file that starts a slot.
pub fn config_path(slot: Slot) -> String {
    format!("grub/{slot}/slot.cfg")
}

/// The root that kernel arguments name, as they stand in a UKI or, quoted, in GRUB's file.
fn root_of(arguments: &str) -> Option<RootHash> {
    let words = arguments.split_whitespace().map(|word| word.trim_matches('\''));
    words.filter_map(|word| word.strip_prefix("roothash=")).find_map(RootHash::parse)
}

/// Damage of the file system around a file is the file's.
fn unless_damaged<T>(outcome: Result<T, FatError>) -> Result<Option<T>, FatError> {
    match outcome {
        Err(FatError::Corrupt { .. } | FatError::Kind { .. }) => Ok(None),
        other => other.map(Some),
    }
}
