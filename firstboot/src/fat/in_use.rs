//! Which bytes of a volume mean anything: the rest may be whatever it likes.

use std::ops::Range;

use super::Fat;
use crate::gpt::Disk;

impl<D: Disk> Fat<D> {
    /// Boot sectors, tables and clusters in use, in bytes from the beginning of the volume: in order, none touching the
    /// next. Whoever copies a volume without its free clusters copies these.
    pub fn in_use(&self) -> Vec<Range<u64>> {
        let sector = u64::try_from(self.geometry.sector).unwrap_or(u64::MAX);
        let bytes = |from: u64, sectors: u64| from * sector..(from + sectors) * sector;
        let mut all = vec![bytes(0, self.geometry.data_at)];
        for cluster in self.table.in_use(&self.geometry) {
            let next = bytes(self.geometry.sector_of(cluster), self.geometry.cluster_sectors);
            match all.last_mut() {
                Some(last) if last.end == next.start => last.end = next.end,
                _ => all.push(next),
            }
        }
        all
    }
}
