//! Puts right what `fatfs` 0.3.6 leaves wrong in a fresh volume, so that fsck finds nothing.
//!
//! - The entries `.` and `..` have long names, which puts them second and fourth in their directory
//!   where they must be first and second.
//! - `..` of a directory in the root has the root's cluster, where it must have 0.
//! - The volume label has no date.
//!
//! Offsets are those of the FAT32 specification: boot sector in 3.1, directory entries in 6.

use super::volume::Volume;
use super::{ENTRY_SIZE, calendar};

const ROOT_CLUSTER: u64 = 2;
/// Cluster numbers have 28 bits; from here on they mean the end of a chain.
const CHAIN_END: u64 = 0x0fff_fff8;
const DIRECTORY: u8 = 0x10;
const LONG_NAME: u8 = 0x0f;
const DELETED: u8 = 0xe5;

/// Repairs the volume and dates its label.
pub(super) fn repair(volume: &mut Volume, time: fatfs::DateTime) {
    let geometry = Geometry::read(volume);
    let (date, clock) = calendar::encode(time);
    // DIR_WrtTime and DIR_WrtDate of the root's first entry.
    let written: Vec<u8> = [clock.to_le_bytes(), date.to_le_bytes()].concat();
    volume.write_at(geometry.offset(ROOT_CLUSTER).saturating_add(22), &written);

    let mut open = vec![ROOT_CLUSTER];
    while let Some(directory) = open.pop() {
        for child in geometry.directories(volume, directory) {
            set_dots(volume, geometry.offset(child), directory == ROOT_CLUSTER);
            open.push(child);
        }
    }
}

/// Moves `.` and `..` to the first two places; the others become deleted entries, for an entry of
/// zeros would end the directory.
fn set_dots(volume: &mut Volume, offset: u64, is_in_root: bool) {
    let size = usize::try_from(ENTRY_SIZE).unwrap_or_default();
    let entries = volume.read_at(offset, size.saturating_mul(4));
    let (Some(dot), Some(parent)) = (entries.get(size..size * 2), entries.get(size * 3..)) else { return };
    let mut parent = parent.to_vec();
    if is_in_root {
        for at in [20, 21, 26, 27] {
            parent[at] = 0;
        }
    }
    let mut deleted = vec![0; size];
    deleted[0] = DELETED;
    volume.write_at(offset, &[dot, &parent, &deleted, &deleted].concat());
}

/// Where things are on a volume.
struct Geometry {
    /// Offset of the first FAT.
    table: u64,
    /// Offset of cluster 2.
    data: u64,
    /// Bytes per cluster.
    cluster: u64,
}

impl Geometry {
    fn read(volume: &Volume) -> Self {
        let sector = number(volume, 11, 2);
        let table = number(volume, 14, 2).saturating_mul(sector);
        let tables = number(volume, 16, 1).saturating_mul(number(volume, 36, 4)).saturating_mul(sector);
        let cluster = number(volume, 13, 1).saturating_mul(sector);
        Self { table, data: table.saturating_add(tables), cluster }
    }

    fn offset(&self, cluster: u64) -> u64 {
        self.data.saturating_add(cluster.saturating_sub(ROOT_CLUSTER).saturating_mul(self.cluster))
    }

    /// First clusters of the directories in the one that begins at `directory`.
    fn directories(&self, volume: &Volume, directory: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let mut cluster = directory;
        while cluster < CHAIN_END {
            let start = self.offset(cluster);
            for place in 0..self.cluster / ENTRY_SIZE {
                let entry = start.saturating_add(place * ENTRY_SIZE);
                let first = volume.read_at(entry, 1);
                let attributes = volume.read_at(entry.saturating_add(11), 1);
                let (Some(first), Some(attributes)) = (first.first(), attributes.first()) else { break };
                if *attributes & LONG_NAME != LONG_NAME
                    && *attributes & DIRECTORY != 0
                    && !matches!(*first, b'.' | DELETED | 0)
                {
                    let high = number(volume, entry.saturating_add(20), 2);
                    found.push(high << 16 | number(volume, entry.saturating_add(26), 2));
                }
            }
            cluster = number(volume, self.table.saturating_add(cluster * 4), 4) & 0x0fff_ffff;
        }
        found
    }
}

/// A little-endian number in the volume.
fn number(volume: &Volume, offset: u64, width: usize) -> u64 {
    volume.read_at(offset, width).iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
