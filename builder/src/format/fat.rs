//! FAT32 volumes through the crate `fatfs`, made in memory and the same on every run.
//!
//! The crate brings no randomness and takes its clock from us; what it gets wrong otherwise is put right
//! in `fat/repair.rs`. Only FAT32 is made, whatever the size: it is the one
//! type that UEFI promises for fixed disks (UEFI 2.10, 13.3.1.1). The rules on cluster counts are
//! those of Microsoft's "FAT32 File System Specification" 1.03.

mod calendar;
mod repair;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use thiserror::Error;

pub use volume::Volume;

use crate::units::{Bytes, SectorSize, Timestamp};

/// What is fixed about a volume before it has files.
#[derive(Clone, Copy, Debug)]
pub struct Format<'a> {
    /// Size of the partition; a rest smaller than a sector stays unused.
    pub size: Bytes,
    /// Sector size of the disk.
    pub sector_size: SectorSize,
    /// At most eleven of the characters `A-Z 0-9 _ -`.
    pub label: &'a str,
    /// Serial number of the volume.
    pub volume_id: u32,
    /// Time of everything on it, 1980 to 2107, as UTC; kept to two seconds by FAT.
    pub time: Timestamp,
}

/// Why a volume cannot be made.
#[derive(Debug, Error)]
pub enum FatError {
    /// There would be fewer clusters than FAT32 is recognised by.
    #[error("FAT32 with {sector}-byte sectors needs at least {minimum}, the partition has {size}")]
    TooSmall {
        /// Size of the partition.
        size: Bytes,
        /// The smallest whole number of MiB that works.
        minimum: Bytes,
        /// Sector size of the disk in bytes.
        sector: u32,
    },
    /// FAT counts sectors in 32 bits.
    #[error("FAT32 with {sector}-byte sectors holds at most {maximum}, the partition has {size}")]
    TooBig {
        /// Size of the partition.
        size: Bytes,
        /// The largest size that works.
        maximum: Bytes,
        /// Sector size of the disk in bytes.
        sector: u32,
    },
    /// The files do not fit.
    #[error("files and directories need {needed}, the volume has room for {available}")]
    Full {
        /// Room for all files and directories in whole clusters.
        needed: Bytes,
        /// All clusters.
        available: Bytes,
    },
    /// A path that FAT cannot hold.
    #[error("`{path}` is no path that FAT can hold")]
    Path {
        /// The path as given.
        path: String,
    },
    /// Two paths that FAT, which ignores case, takes for one, or a file that is also a directory.
    #[error("`{path}` and `{other}` are the same place to FAT")]
    Clash {
        /// The path as given.
        path: String,
        /// The one before it.
        other: String,
    },
    /// A label that firmware would not show as given.
    #[error("`{label}` is no volume label: at most 11 of `A-Z 0-9 _ -`")]
    Label {
        /// The label as given.
        label: String,
    },
    /// FAT's dates begin in 1980 and end in 2107.
    #[error("FAT has no date for {} s after 1970", time.0)]
    Time {
        /// The time as given.
        time: Timestamp,
    },
    /// The file system code refused, which the checks above should have made impossible.
    #[error("writing the FAT volume")]
    Write {
        /// What it said.
        #[from]
        source: io::Error,
    },
}

/// Fewest clusters of FAT32, and the 16 by which to stay away from the limit.
const LEAST_CLUSTERS: u64 = 65_525 + 16;
/// Sectors before the first FAT, as `fatfs` lays it out.
const RESERVED_SECTORS: u64 = 8;
/// Bytes of a directory entry, and characters of a long name that one holds.
const ENTRY_SIZE: u64 = 32;
const ENTRY_CHARACTERS: u64 = 13;

/// Makes a volume with `files`, given as paths with `/` and contents; directories are made as needed.
pub fn build<C: AsRef<[u8]>>(format: &Format<'_>, files: &[(String, C)]) -> Result<Volume, FatError> {
    let cluster = cluster_size(format)?;
    let label = label(format.label)?;
    let time = calendar::date_time(format.time).ok_or(FatError::Time { time: format.time })?;
    let layout = layout(files)?;

    let mut volume = Volume::new(format.size);
    let sector = u16::try_from(format.sector_size.bytes()).unwrap_or(u16::MAX);
    let options = FormatVolumeOptions::new()
        .bytes_per_sector(sector)
        .bytes_per_cluster(cluster)
        .fat_type(fatfs::FatType::Fat32)
        .volume_id(format.volume_id)
        .volume_label(label);
    fatfs::format_volume(&mut volume, options)?;
    volume.rewind();
    {
        let options = FsOptions::new().time_provider(calendar::frozen(time));
        let system = FileSystem::new(&mut volume, options)?;
        // Counting once makes the crate keep the number and write it for fsck and firmware to find.
        let stats = system.stats()?;
        let available = Bytes(u64::from(stats.free_clusters()).saturating_mul(u64::from(cluster)));
        let needed = layout.room(u64::from(cluster));
        if needed > available {
            return Err(FatError::Full { needed, available });
        }
        for directory in layout.directories.keys().filter(|path| !path.is_empty()) {
            system.root_dir().create_dir(directory)?;
        }
        for (path, content) in &layout.files {
            system.root_dir().create_file(path)?.write_all(content)?;
        }
        system.unmount()?;
    }
    repair::repair(&mut volume, time);
    Ok(volume)
}

/// The largest cluster up to 4 KiB that leaves enough of them for FAT32.
fn cluster_size(format: &Format<'_>) -> Result<u32, FatError> {
    let (size, sector) = (format.size, format.sector_size.bytes());
    let maximum = Bytes(u64::from(u32::MAX).saturating_mul(u64::from(sector)));
    if size > maximum {
        return Err(FatError::TooBig { size, maximum, sector });
    }
    let sizes = [4096, 2048, 1024, 512].into_iter().filter(|cluster| *cluster >= sector);
    sizes.into_iter().find(|cluster| least_size(*cluster, sector) <= size).ok_or_else(|| FatError::TooSmall {
        size,
        minimum: whole_mib(least_size(sector, sector)),
        sector,
    })
}

/// Room for the fewest clusters, two FATs of 32-bit entries (two are reserved), and the boot sectors.
fn least_size(cluster: u32, sector: u32) -> Bytes {
    let sector = u64::from(sector);
    let table = (LEAST_CLUSTERS + 2) * 4;
    Bytes(
        LEAST_CLUSTERS * u64::from(cluster) + 2 * table.next_multiple_of(sector) + RESERVED_SECTORS * sector,
    )
}

/// Partitions are laid out in MiB, so a smaller number would be of no use to anyone.
fn whole_mib(size: Bytes) -> Bytes {
    Bytes(size.0.next_multiple_of(Bytes::MIB.0))
}

fn label(label: &str) -> Result<[u8; 11], FatError> {
    let allowed =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if label.is_empty() || label.len() > 11 || !label.bytes().all(allowed) {
        return Err(FatError::Label { label: label.to_owned() });
    }
    let mut padded = [b' '; 11];
    padded.iter_mut().zip(label.bytes()).for_each(|(to, from)| *to = from);
    Ok(padded)
}

/// Files and directories by path, in the order in which they are made.
struct Layout<'a> {
    /// Directory entries of each directory, "" for the root.
    directories: BTreeMap<&'a str, u64>,
    files: BTreeMap<&'a str, &'a [u8]>,
}

impl Layout<'_> {
    /// Bytes in whole clusters.
    fn room(&self, cluster: u64) -> Bytes {
        let directories = self.directories.values().map(|entries| entries.saturating_mul(ENTRY_SIZE));
        let files = self.files.values().map(|content| Bytes::of(content).0);
        Bytes(
            directories
                .chain(files)
                .fold(0, |sum: u64, size| sum.saturating_add(size.next_multiple_of(cluster))),
        )
    }
}

fn layout<C: AsRef<[u8]>>(files: &[(String, C)]) -> Result<Layout<'_>, FatError> {
    // The label is an entry of the root; other directories have `.` and `..`.
    let mut layout = Layout { directories: BTreeMap::from([("", 1)]), files: BTreeMap::new() };
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut directories = BTreeSet::new();
    for (path, content) in files {
        if !path.split('/').all(is_name) {
            return Err(FatError::Path { path: path.clone() });
        }
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        for (place, is_directory) in parents.map(|parent| (parent, true)).chain([(path.as_str(), false)]) {
            match seen.insert(place.to_lowercase(), place) {
                None => {
                    let (parent, name) = place.rsplit_once('/').unwrap_or(("", place));
                    let characters = u64::try_from(name.encode_utf16().count()).unwrap_or(u64::MAX);
                    let entries = layout.directories.entry(parent).or_insert(2);
                    *entries =
                        entries.saturating_add(1).saturating_add(characters.div_ceil(ENTRY_CHARACTERS));
                }
                Some(other) if other == place && is_directory && directories.contains(place) => {}
                Some(other) => return Err(FatError::Clash { path: path.clone(), other: other.to_owned() }),
            }
            if is_directory {
                directories.insert(place);
                layout.directories.entry(place).or_insert(2);
            }
        }
        layout.files.insert(path, content.as_ref());
    }
    Ok(layout)
}

/// Whether `name` is a long file name (FAT32 specification, "Long Directory Entries").
fn is_name(name: &str) -> bool {
    let allowed = |character: char| !character.is_control() && !"\"*/:<>?\\|".contains(character);
    !name.is_empty()
        && !name.ends_with(['.', ' '])
        && name.encode_utf16().count() <= 255
        && name.chars().all(allowed)
}

#[cfg(test)]
mod tests;
