//! The partitions of a disk that is staged to: is it one of ours, and does the bundle fit?

use firstboot::gpt::{Entry, Extent, Guid, Table};
use firstboot::root_hash::RootHash;
use firstboot::slot::Slot;

use super::StagingError;
use crate::bundle::manifest::{Manifest, Partition};
use crate::image::Role;
use crate::medium::disk::EMPTY;
use crate::medium::partition_type;
use crate::units::{Arch, Bytes};

/// Made by the node.
const STATE: &str = "state";

/// A partition by its number and place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// Number in the table.
    pub number: u32,
    /// Where it lies.
    pub extent: Extent,
}

/// A disk's partitions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    /// GRUB's cores, on disks that BIOS machines boot.
    pub bios_boot: Option<Place>,
    /// The ESP.
    pub esp: Place,
    roots: [Place; 2],
    trees: [Place; 2],
    /// First half of the root hash in each slot.
    root_ids: [Guid; 2],
}

impl Layout {
    /// Checks that `table` is of a disk that the bundle was laid out for: the same partitions in the same order, for
    /// the same architecture.
    pub fn of(table: &Table, manifest: &Manifest) -> Result<Self, StagingError> {
        let names: Vec<String> = labels(table.entries().map(|(_, entry)| entry.name.to_string()));
        let expected =
            labels(manifest.partitions.iter().map(|partition: &Partition| partition.label.clone()));
        let found: Vec<String> = names.iter().filter(|name| *name != STATE).cloned().collect();
        if found != expected {
            let list = |names: &[String]| {
                names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            };
            return Err(StagingError::Partitions { found: list(&found), expected: list(&expected) });
        }
        let place = |role: Role| {
            let label = role.name();
            let found = names.iter().zip(table.entries()).find(|(name, _)| *name == label);
            found.map(|(_, entry)| entry).ok_or_else(|| StagingError::Partitions {
                found: format!("without `{label}`"),
                expected: format!("with `{label}`"),
            })
        };
        let spot = |(number, entry): (u32, &Entry)| Place { number, extent: entry.extent };
        let (root_a, root_b) = (place(Role::RootA)?, place(Role::RootB)?);
        check_arch(root_a.1, manifest.arch)?;
        Ok(Self {
            bios_boot: place(Role::BiosBoot).ok().map(spot),
            esp: spot(place(Role::Esp)?),
            root_ids: [root_a.1.id, root_b.1.id],
            roots: [spot(root_a), spot(root_b)],
            trees: [spot(place(Role::RootAVerity)?), spot(place(Role::RootBVerity)?)],
        })
    }

    /// The root partition of a slot.
    pub fn root(&self, slot: Slot) -> Place {
        self.roots[index(slot)]
    }

    /// The hash tree's partition of a slot.
    pub fn tree(&self, slot: Slot) -> Place {
        self.trees[index(slot)]
    }

    /// The slot that holds a root.
    pub fn slot_of(&self, root: &RootHash) -> Option<Slot> {
        [Slot::A, Slot::B].into_iter().find(|slot| self.root_ids[index(*slot)] == root.root_partition())
    }
}

const fn index(slot: Slot) -> usize {
    match slot {
        Slot::A => 0,
        Slot::B => 1,
    }
}

/// Labels in their order, an empty slot's as they are once it is in use.
fn labels(labels: impl Iterator<Item = String>) -> Vec<String> {
    let mut empty = [Role::RootB, Role::RootBVerity].into_iter();
    labels
        .map(
            |label| {
                if label == EMPTY { empty.next().map_or(label, |role| role.name().to_owned()) } else { label }
            },
        )
        .collect()
}

fn check_arch(root: &Entry, arch: Arch) -> Result<(), StagingError> {
    let kind = |arch| Guid::from_u128(partition_type::of(Role::RootA, arch).as_u128());
    if root.kind == kind(arch) {
        return Ok(());
    }
    let other = [Arch::Amd64, Arch::Arm64].into_iter().find(|other| root.kind == kind(*other));
    Err(StagingError::Arch {
        disk: other.map_or_else(|| root.kind.to_string(), |arch| arch.to_string()),
        bundle: arch,
    })
}

/// Refuses what is larger than its partition.
pub(super) fn check_size(
    label: &'static str,
    size: Bytes,
    place: Place,
    sector: u64,
) -> Result<(), StagingError> {
    let room = Bytes(place.extent.sectors().saturating_mul(sector));
    if size > room { Err(StagingError::Size { label, size, room }) } else { Ok(()) }
}
