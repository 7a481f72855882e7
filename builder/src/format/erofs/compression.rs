//! How file contents are compressed: a choice, checked once.

use std::fmt;

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::layout::{BLOCK_BITS, BLOCK_BYTES};
use crate::units::Bytes;

/// `Z_EROFS_PCLUSTER_MAX_SIZE`.
const CLUSTER_MAX: Bytes = Bytes::MIB;

/// A way of compressing, by the name that profiles give it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// LZ4, by the slow and thorough compressor; read faster than anything else.
    Lz4Hc,
    /// Zstandard; smaller, slower to read.
    Zstd,
}

/// Algorithm, level and size of the clusters that are compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Compression {
    algorithm: Algorithm,
    level: u8,
    #[serde(rename = "cluster_size", serialize_with = "as_bytes")]
    cluster_bits: u8,
}

/// Why a compression cannot be had.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum CompressionError {
    /// The algorithm has no such level.
    #[error("{algorithm} has levels {least} to {greatest}, not {level}")]
    Level {
        /// The algorithm.
        algorithm: Algorithm,
        /// Its least level.
        least: u8,
        /// Its greatest level.
        greatest: u8,
        /// The level as given.
        level: u8,
    },
    /// Clusters have another size.
    #[error("clusters have 4 KiB to {CLUSTER_MAX}, a power of two, not {size}")]
    ClusterSize {
        /// The size as given.
        size: Bytes,
    },
}

impl Algorithm {
    /// All of them by their names.
    pub const ALL: [(&'static str, Self); 2] = [("lz4hc", Self::Lz4Hc), ("zstd", Self::Zstd)];

    const fn levels(self) -> (u8, u8) {
        match self {
            Self::Lz4Hc => (3, 12),
            Self::Zstd => (1, 22),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, algorithm)| algorithm == self).map(|(name, _)| *name);
        formatter.write_str(name.unwrap_or_default())
    }
}

/// The defaults of an algorithm, measured on a whole root.
impl From<Algorithm> for Compression {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            // Level 9 takes twice the time of level 5 for 0.6 % of the size.
            Algorithm::Lz4Hc => Self { algorithm, level: 5, cluster_bits: 16 },
            Algorithm::Zstd => Self { algorithm, level: 3, cluster_bits: 17 },
        }
    }
}

impl Compression {
    /// The same with another level.
    pub fn with_level(self, level: u8) -> Result<Self, CompressionError> {
        let (algorithm, (least, greatest)) = (self.algorithm, self.algorithm.levels());
        if !(least..=greatest).contains(&level) {
            return Err(CompressionError::Level { algorithm, least, greatest, level });
        }
        Ok(Self { level, ..self })
    }

    /// The same with another size of compressed clusters: a power of two from 4 KiB to 1 MiB. What is
    /// read from the disk at once grows with it, and so does what is saved.
    pub fn with_cluster_size(self, size: Bytes) -> Result<Self, CompressionError> {
        let is_size = size.0.is_power_of_two() && (BLOCK_BYTES..=CLUSTER_MAX.0).contains(&size.0);
        let bits = u8::try_from(size.0.trailing_zeros()).ok().filter(|_| is_size);
        bits.map(|cluster_bits| Self { cluster_bits, ..self }).ok_or(CompressionError::ClusterSize { size })
    }

    /// How it is compressed.
    pub const fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// How thoroughly.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Greatest size of a compressed cluster.
    pub const fn cluster_size(self) -> Bytes {
        Bytes(1 << self.cluster_bits)
    }

    /// Binary logarithm of the blocks in the greatest compressed cluster.
    pub(super) const fn cluster_block_bits(self) -> u8 {
        self.cluster_bits - BLOCK_BITS
    }

    /// Binary logarithm of the most that one compressed cluster may hold: a reader unpacks all of that
    /// for one byte, and zstd's windows end at 1 MiB in the kernel (`Z_EROFS_ZSTD_MAX_DICT_SIZE`).
    pub(super) const fn extent_bits(self) -> u8 {
        if self.cluster_bits < 17 { self.cluster_bits + 3 } else { 20 }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_bytes<S: Serializer>(bits: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(1 << bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_levels_by_algorithm() {
        let level = |algorithm: Algorithm, level| Compression::from(algorithm).with_level(level);
        assert_eq!(level(Algorithm::Lz4Hc, 12).map(Compression::level), Ok(12));
        let fault = |algorithm, number| level(algorithm, number).unwrap_err().to_string();
        assert_eq!(fault(Algorithm::Lz4Hc, 2), "lz4hc has levels 3 to 12, not 2");
        assert_eq!(fault(Algorithm::Zstd, 23), "zstd has levels 1 to 22, not 23");
    }

    #[test]
    fn takes_clusters_that_are_powers_of_two() {
        let size = |size| Compression::from(Algorithm::Zstd).with_cluster_size(Bytes(size));
        for bits in 12..=20 {
            assert_eq!(size(1 << bits).map(Compression::cluster_size), Ok(Bytes(1 << bits)));
        }
        for (bytes, shown) in [(0, "0 B"), (2048, "2 KiB"), (12_288, "12 KiB"), (2 << 20, "2 MiB")] {
            let fault = size(bytes).unwrap_err().to_string();
            assert_eq!(fault, format!("clusters have 4 KiB to 1 MiB, a power of two, not {shown}"));
        }
    }
}
