//! What a running node does to the slots: it mends what power cuts and damage left, commits the slot that it runs,
//! or gives that slot up.

use serde::{Deserialize, Serialize};

use super::entries::{Choice, Entries, Grub};
use super::environment::Environment;
use super::names::{self, UkiName};
use super::{Generation, Slot, starts};
use crate::fat::{Fat, FatError};
use crate::gpt::Disk;
use crate::root_hash::RootHash;

/// What runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Running {
    /// Its slot.
    pub slot: Slot,
    /// Its root.
    pub root_hash: RootHash,
    /// Whether the boot loader counts this start.
    pub is_on_trial: bool,
}

impl Running {
    fn place(self, root: &RootHash) -> Option<Slot> {
        (*root == self.root_hash).then_some(self.slot)
    }
}

/// How the running slot stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is what is booted from now on.
    Committed,
    /// It is given a few starts to show that it works.
    Trial,
    /// It was started in place of the committed slot.
    Substitute,
}

/// What was found and done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// What runs, as far as any boot file says.
    pub generation: Option<Generation>,
    /// How it stands now.
    pub standing: Standing,
    /// Lines worth showing to a person.
    pub notes: Vec<String>,
}

/// Early in a boot: makes both back ends agree, and takes back that this start was counted as failed, by GRUB or by
/// stage0. A block that cannot be read is made anew.
pub fn arrive<D: Disk>(fat: &mut Fat<D>, running: Running, by_grub: bool) -> Result<Report, FatError> {
    let found = Entries::read(fat)?;
    let mut entries = found.clone();
    let generation = entries.generation_of(&running.root_hash);
    if let Some(generation) = generation.filter(|_| !by_grub) {
        entries.names.arrive(generation);
    }
    let mut choice = entries.repaired(|root| running.place(root));
    let mut notes = Vec::new();
    if let Some(Grub { environment: Err(fault), .. }) = &entries.grub {
        if choice.environment.is_none() && !running.is_on_trial {
            choice.environment = generation.map(|generation| committed(running.slot, generation));
        }
        notes.push(match choice.environment {
            Some(block) => format!("{fault}: made anew, slot {} is committed", block.committed),
            None => format!("{fault}: it stays, for no boot file says what slot {} holds", running.slot),
        });
    }
    if let Some(block) = choice.environment.as_mut().filter(|_| by_grub && !running.is_on_trial) {
        block.failures = 0;
    }
    notes.extend(given_up(&entries, generation));
    found.change(&choice, fat)?;
    if !by_grub {
        starts::write(fat, 0)?;
    }
    Ok(Report { generation, standing: standing(&choice, running, generation), notes })
}

/// Once the node is known to work: what it runs is committed, names first. What it replaces stays as the substitute;
/// anything older goes. A substitute is not committed: nobody has staged it.
pub fn commit<D: Disk>(fat: &mut Fat<D>, running: Running) -> Result<Report, FatError> {
    let entries = Entries::read(fat)?;
    let generation = entries.generation_of(&running.root_hash);
    let mut choice = entries.repaired(|root| running.place(root));
    let mut notes = Vec::new();
    let is_newer =
        |generation: &Generation| entries.committed().is_none_or(|committed| committed < *generation);
    if let Some(generation) = generation.filter(is_newer) {
        choice.names.commit(generation);
        let before =
            choice.names.0.iter().filter(|name| name.is_committed() && name.generation < generation).max();
        let before = before.copied();
        choice.names.0.retain(|name| name.generation >= generation || Some(*name) == before);
        if entries.grub.is_some() {
            choice.environment = Some(committed(running.slot, generation));
        }
        notes.push(format!("slot {}, generation {generation}, is committed", running.slot));
    }
    entries.change(&choice, fat)?;
    for name in &entries.unfinished {
        fat.remove(&format!("{}/{name}", names::FOLDER))?;
    }
    Ok(Report { generation, standing: standing(&choice, running, generation), notes })
}

/// Where the committed slot cannot be started: the other one is committed in its place, if there is another that was
/// not given up before, and its slot is returned. `place` knows where a root lies.
pub fn give_up<D: Disk>(
    fat: &mut Fat<D>,
    root: &RootHash,
    place: impl Fn(&RootHash) -> Option<Slot>,
) -> Result<Option<(Slot, Generation)>, FatError> {
    let entries = Entries::read(fat)?;
    let Some(generation) = entries.generation_of(root) else { return Ok(None) };
    if entries.committed() != Some(generation) {
        return Ok(None);
    }
    let is_other = |name: &&UkiName| name.generation != generation && name.is_committed();
    let others = entries.names.0.iter().filter(is_other).map(|name| name.generation);
    // GRUB's files alone are enough on a machine whose ESP has lost its UKIs.
    let by_config = entries.grub.iter().flat_map(|grub| grub.slots.iter().map(|(_, generation)| *generation));
    let by_config = by_config.filter(|other| *other != generation && !entries.names.has_given_up(*other));
    let Some(other) = others.chain(by_config).filter(|other| *other < generation).max() else {
        return Ok(None);
    };
    let lies = |root: &RootHash| place(root);
    let Some(slot) = entries.slot_of(other, lies) else { return Ok(None) };
    let mut choice = entries.choice();
    choice.names.give_up(generation);
    if entries.grub.is_some() {
        choice.environment = Some(committed(slot, other));
    }
    entries.change(&choice, fat)?;
    starts::write(fat, 0)?;
    Ok(Some((slot, other)))
}

fn committed(slot: Slot, generation: Generation) -> Environment {
    Environment { committed: slot, generation, trial: None, failures: 0 }
}

fn standing(choice: &Choice, running: Running, generation: Option<Generation>) -> Standing {
    let block = choice.environment.map(|block| block.generation);
    let committed = choice.names.committed().max(block);
    match generation {
        Some(generation) if committed == Some(generation) => Standing::Committed,
        _ if running.is_on_trial => Standing::Trial,
        // Nothing says what runs, and nothing else is known to be committed: it was started, so it is.
        None => Standing::Committed,
        Some(_) => Standing::Substitute,
    }
}

/// What a person should know of slots that no longer start.
fn given_up(entries: &Entries, running: Option<Generation>) -> Option<String> {
    let is_news =
        |name: &&UkiName| Some(name.generation) > running && entries.names.has_given_up(name.generation);
    let name = entries.names.0.iter().rfind(is_news)?;
    Some(format!("generation {} did not come up and is given up", name.generation))
}

#[cfg(test)]
mod tests;
