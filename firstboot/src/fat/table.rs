//! The table that chains clusters, in memory; what was changed is written back sector by sector, into every copy.

use std::collections::BTreeSet;

use super::FatError;
use super::geometry::{FIRST_CLUSTER, Geometry};

/// Cluster numbers have 28 bits.
const MASK: u32 = 0x0fff_ffff;
/// From here on a number ends a chain.
const CHAIN_END: u32 = 0x0fff_fff8;
/// The end of chains that are made here.
const LAST: u32 = 0x0fff_ffff;
const ENTRY: usize = 4;

/// The table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    entries: Vec<u32>,
    /// Where to look for the next free cluster.
    next: u32,
    /// Sectors of the table that differ from the disk, each once.
    changed: Vec<u64>,
    sector: usize,
}

impl Table {
    /// From the bytes of one copy.
    pub(super) fn new(bytes: &[u8], geometry: &Geometry) -> Self {
        let entries = bytes.as_chunks::<ENTRY>().0.iter().map(|entry| u32::from_le_bytes(*entry)).collect();
        Self { entries, next: FIRST_CLUSTER, changed: Vec::new(), sector: geometry.sector }
    }

    /// All clusters of the chain that begins at `first`; none for 0, which empty files have.
    pub(super) fn chain(&self, first: u32, geometry: &Geometry) -> Result<Vec<u32>, FatError> {
        let mut chain = Vec::new();
        let mut cluster = first;
        while first != 0 && cluster < CHAIN_END {
            let corrupt = |what| FatError::Corrupt { what, at: u64::from(cluster) };
            if !geometry.has(cluster) {
                return Err(corrupt("a chain that leads outside"));
            }
            if chain.len() > self.entries.len() {
                return Err(corrupt("a chain that goes round"));
            }
            chain.push(cluster);
            cluster = self.get(cluster);
        }
        Ok(chain)
    }

    fn get(&self, cluster: u32) -> u32 {
        let entry = usize::try_from(cluster).ok().and_then(|index| self.entries.get(index));
        entry.map_or(LAST, |entry| entry & MASK)
    }

    fn set(&mut self, cluster: u32, value: u32) {
        let Ok(index) = usize::try_from(cluster) else { return };
        if let Some(entry) = self.entries.get_mut(index) {
            // The upper four bits are not ours.
            *entry = *entry & !MASK | value & MASK;
            let sector = u64::try_from(index * ENTRY / self.sector).unwrap_or_default();
            if !self.changed.contains(&sector) {
                self.changed.push(sector);
            }
        }
    }

    /// How many clusters are free.
    pub(super) fn free(&self, geometry: &Geometry) -> usize {
        (FIRST_CLUSTER..geometry.end()).filter(|cluster| self.get(*cluster) == 0).count()
    }

    /// All clusters that are not free, in order; bad ones too.
    pub(super) fn in_use(&self, geometry: &Geometry) -> impl Iterator<Item = u32> {
        (FIRST_CLUSTER..geometry.end()).filter(|cluster| self.get(*cluster) != 0)
    }

    /// Chains `count` free clusters; `None` where there are not so many.
    pub(super) fn allocate(&mut self, count: usize, geometry: &Geometry) -> Option<Vec<u32>> {
        let order = (self.next..geometry.end()).chain(FIRST_CLUSTER..self.next);
        let chain: Vec<u32> = order.filter(|cluster| self.get(*cluster) == 0).take(count).collect();
        if chain.len() < count {
            return None;
        }
        for (index, cluster) in chain.iter().enumerate() {
            self.set(*cluster, chain.get(index + 1).copied().unwrap_or(LAST));
        }
        if let Some(last) = chain.last() {
            self.next = last.saturating_add(1);
        }
        Some(chain)
    }

    /// Puts the chain that begins at `other` behind the cluster `last`.
    pub(super) fn append(&mut self, last: u32, other: u32) {
        self.set(last, other);
    }

    /// Gives clusters back.
    pub(super) fn release(&mut self, chain: &[u32]) {
        for cluster in chain {
            self.set(*cluster, 0);
        }
    }

    /// Gives back every cluster in use that is not in `reachable`; how many those were. Bad clusters stay.
    pub(super) fn release_others(&mut self, reachable: &BTreeSet<u32>, geometry: &Geometry) -> usize {
        const BAD: u32 = 0x0fff_fff7;
        let is_lost = |cluster: &u32| !matches!(self.get(*cluster), 0 | BAD) && !reachable.contains(cluster);
        let lost: Vec<u32> = (FIRST_CLUSTER..geometry.end()).filter(is_lost).collect();
        self.release(&lost);
        lost.len()
    }

    /// The sectors that were changed, by their place in the table; they count as written then.
    pub(super) fn take_changed(&mut self) -> Vec<(u64, Vec<u8>)> {
        let per_sector = self.sector / ENTRY;
        let bytes = |sector: &u64| {
            let from = usize::try_from(*sector).unwrap_or_default() * per_sector;
            let entries = self.entries.iter().skip(from).take(per_sector);
            (*sector, entries.flat_map(|entry| entry.to_le_bytes()).collect())
        };
        let changed = self.changed.iter().map(bytes).collect();
        self.changed.clear();
        changed
    }

    /// The cluster that the next search begins at.
    pub(super) fn next_free(&self) -> u32 {
        self.next
    }
}
