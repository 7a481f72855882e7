//! Where things lie on a volume, by its boot sector (specification, 3.1 to 3.5).

use super::FatError;

/// More than any ESP has; the table is kept in memory and has four bytes for each.
const MOST_CLUSTERS: u64 = 1 << 22;
/// Fewer, and the volume is a FAT16.
const LEAST_CLUSTERS: u64 = 65_525;
/// Cluster numbers begin here.
pub(super) const FIRST_CLUSTER: u32 = 2;

/// All places are sectors of the volume.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Geometry {
    /// Bytes of a sector.
    pub(super) sector: usize,
    /// Sectors of a cluster.
    pub(super) cluster_sectors: u64,
    /// The first table.
    pub(super) table_at: u64,
    /// Sectors of each table.
    pub(super) table_sectors: u64,
    /// One or two.
    pub(super) tables: u64,
    /// Cluster 2.
    pub(super) data_at: u64,
    /// Number of clusters.
    pub(super) clusters: u32,
    /// First cluster of the root folder.
    pub(super) root: u32,
    /// The sector that says how much is free.
    pub(super) info_at: Option<u64>,
}

impl Geometry {
    /// Reads the boot sector of a volume on `sectors` sectors.
    pub(super) fn parse(boot: &[u8], sectors: u64) -> Result<Self, FatError> {
        let corrupt = |what| FatError::Corrupt { what, at: 0 };
        let unsupported = |what| Err(FatError::Unsupported { what });
        let number = |at: usize, width: usize| {
            boot.get(at..at + width)
                .map(|bytes| bytes.iter().rev().fold(0, |value: u64, byte| value << 8 | u64::from(*byte)))
                .unwrap_or_default()
        };
        if number(510, 2) != 0xaa55 {
            return Err(corrupt("no boot sector"));
        }
        let sector = boot.len();
        if number(11, 2) != u64::try_from(sector).unwrap_or(u64::MAX) {
            return unsupported("sectors of another size than the disk");
        }
        let (cluster_sectors, table_at, tables) = (number(13, 1), number(14, 2), number(16, 1));
        if !cluster_sectors.is_power_of_two() || table_at == 0 || tables == 0 {
            return Err(corrupt("a boot sector with empty fields"));
        }
        if number(17, 2) != 0 || number(22, 2) != 0 {
            return unsupported("tables of FAT12 or FAT16");
        }
        if tables > 2 {
            return unsupported("more than two tables");
        }
        if number(40, 2) & 0x80 != 0 {
            return unsupported("tables that do not mirror each other");
        }
        let (table_sectors, total) = (number(36, 4), number(32, 4));
        let data_at = table_at + tables * table_sectors;
        if total > sectors || data_at >= total {
            return Err(corrupt("a boot sector that tells of more sectors than there are"));
        }
        let clusters = (total - data_at) / cluster_sectors;
        if clusters < LEAST_CLUSTERS {
            return unsupported("tables of FAT12 or FAT16");
        }
        if clusters > MOST_CLUSTERS {
            return unsupported("more than 4 million clusters");
        }
        let entries = table_sectors * u64::try_from(sector / 4).unwrap_or_default();
        if entries < clusters + u64::from(FIRST_CLUSTER) {
            return Err(corrupt("a table that is too short"));
        }
        let info = number(48, 2);
        let geometry = Self {
            sector,
            cluster_sectors,
            table_at,
            table_sectors,
            tables,
            data_at,
            clusters: u32::try_from(clusters).unwrap_or(u32::MAX),
            root: u32::try_from(number(44, 4)).unwrap_or_default(),
            info_at: (1..table_at).contains(&info).then_some(info),
        };
        if geometry.has(geometry.root) { Ok(geometry) } else { Err(corrupt("a root folder outside")) }
    }

    /// Whether there is such a cluster.
    pub(super) fn has(&self, cluster: u32) -> bool {
        (FIRST_CLUSTER..self.end()).contains(&cluster)
    }

    /// The number behind the last cluster.
    pub(super) fn end(&self) -> u32 {
        self.clusters.saturating_add(FIRST_CLUSTER)
    }

    /// First sector of a cluster that there is.
    pub(super) fn sector_of(&self, cluster: u32) -> u64 {
        self.data_at + u64::from(cluster - FIRST_CLUSTER) * self.cluster_sectors
    }

    /// Bytes of a cluster.
    pub(super) fn cluster_bytes(&self) -> usize {
        usize::try_from(self.cluster_sectors).unwrap_or(usize::MAX).saturating_mul(self.sector)
    }
}
