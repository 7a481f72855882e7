//! A volume: reading, and changes of which each is there or not after a power cut.

use std::collections::BTreeSet;

use super::directory::{self, Entry, Folder, SLOT};
use super::edit::free_slot;
use super::geometry::Geometry;
use super::table::Table;
use super::{FatError, Stamp};
use crate::gpt::{Disk, Lba};

/// Folders in folders, more than any ESP has.
const DEEPEST: usize = 16;
/// Bytes of clusters that are read or written at once.
const LARGEST_TRANSFER: usize = 1 << 20;

/// A volume on a disk.
#[derive(Debug)]
pub struct Fat<D> {
    pub(super) disk: D,
    pub(super) geometry: Geometry,
    pub(super) table: Table,
    stamp: Stamp,
}

/// Something in a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Bytes of a file.
    pub size: u32,
}

impl<D: Disk> Fat<D> {
    /// Reads the volume that fills `disk`; what is written gets the date `stamp`.
    pub fn open(disk: D, stamp: Stamp) -> Result<Self, FatError> {
        let mut boot = vec![0; disk.sector_size().in_memory()];
        read(&disk, 0, &mut boot)?;
        let geometry = Geometry::parse(&boot, disk.sectors())?;
        let sectors = usize::try_from(geometry.table_sectors).unwrap_or(usize::MAX);
        let used = (usize::try_from(geometry.end()).unwrap_or(usize::MAX) * 4).div_ceil(geometry.sector);
        let mut table = vec![0; sectors.min(used) * geometry.sector];
        read(&disk, geometry.table_at, &mut table)?;
        let table = Table::new(&table, &geometry);
        Ok(Self { disk, geometry, table, stamp })
    }

    /// What is in a folder; `None` where there is no such folder.
    pub fn list(&self, path: &str) -> Result<Option<Vec<Item>>, FatError> {
        let Some(first) = self.folder_cluster(path)? else { return Ok(None) };
        let entries = self.folder(first)?.entries();
        let item = |entry: Entry| Item { is_folder: entry.is_folder(), size: entry.size(), name: entry.name };
        Ok(Some(entries.into_iter().map(item).collect()))
    }

    /// A file's content; `None` where there is no such file.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, FatError> {
        self.read_range(path, 0, usize::MAX)
    }

    /// Bytes of a file; `None` where there is no such file.
    pub fn size(&self, path: &str) -> Result<Option<u32>, FatError> {
        Ok(self.find(path)?.map(|entry| entry.size()))
    }

    /// At most `length` bytes of a file from `offset` on; `None` where there is no such file.
    pub fn read_range(&self, path: &str, offset: usize, length: usize) -> Result<Option<Vec<u8>>, FatError> {
        let Some(entry) = self.find(path)? else { return Ok(None) };
        if entry.is_folder() {
            return Err(FatError::Kind { path: path.to_owned(), expected: "file" });
        }
        let size = bytes_of(&entry);
        let (start, end) = (offset.min(size), offset.saturating_add(length).min(size));
        let cluster = self.geometry.cluster_bytes();
        let chain = self.table.chain(entry.first_cluster(), &self.geometry)?;
        let clusters = chain.get(start / cluster..end.div_ceil(cluster)).ok_or(FatError::Corrupt {
            what: "a chain that is shorter than its file",
            at: u64::from(entry.first_cluster()),
        })?;
        let mut content = Vec::new();
        for (first, count) in runs(clusters, LARGEST_TRANSFER / cluster) {
            let from = content.len();
            content.resize(from + count * cluster, 0);
            read(&self.disk, self.geometry.sector_of(first), &mut content[from..])?;
        }
        content.drain(..start % cluster);
        content.truncate(end - start);
        Ok(Some(content))
    }

    /// Makes a file that is not there, in a folder that is; it has its name once its content is safe.
    pub fn create(&mut self, path: &str, content: &[u8]) -> Result<(), FatError> {
        let (folder, name) = self.place(path)?;
        let first = self.store(path, content)?;
        let slot = directory::new_slot(false, first, length(path, content)?, self.stamp);
        self.add(folder, name, slot)
    }

    /// Puts other content into a file, or makes it: at every instant the file has its old content or the new one.
    pub fn replace(&mut self, path: &str, content: &[u8]) -> Result<(), FatError> {
        let Some(entry) = self.find(path)? else { return self.create(path, content) };
        if entry.is_folder() {
            return Err(FatError::Kind { path: path.to_owned(), expected: "file" });
        }
        let old = self.table.chain(entry.first_cluster(), &self.geometry)?;
        let first = self.store(path, content)?;
        let mut slot = entry.short;
        directory::point(&mut slot, first, length(path, content)?, self.stamp);
        let last = entry.slots.last().copied().into_iter();
        self.patch(last.map(|place| (place, slot)))?;
        self.table.release(&old);
        self.write_table()
    }

    /// Writes over the beginning of a file, where it lies. Each sector is the old or the new one after a power cut.
    pub fn overwrite(&mut self, path: &str, content: &[u8]) -> Result<(), FatError> {
        let missing = || FatError::Missing { path: path.to_owned() };
        let entry = self.find(path)?.ok_or_else(missing)?;
        if entry.is_folder() || content.len() > bytes_of(&entry) {
            return Err(FatError::Kind { path: path.to_owned(), expected: "file of that size" });
        }
        let cluster = self.geometry.cluster_bytes();
        let chain = self.table.chain(entry.first_cluster(), &self.geometry)?;
        let clusters = chain.into_iter().zip(content.chunks(cluster));
        for (number, part) in clusters {
            let at = self.geometry.sector_of(number);
            let mut sectors = vec![0; part.len().next_multiple_of(self.geometry.sector)];
            read(&self.disk, at, &mut sectors)?;
            sectors[..part.len()].copy_from_slice(part);
            self.write(at, &sectors)?;
        }
        self.flush()
    }

    /// Makes a folder that is not there, in one that is.
    pub fn make_folder(&mut self, path: &str) -> Result<(), FatError> {
        let (folder, name) = self.place(path)?;
        let parent = if folder == self.geometry.root { 0 } else { folder };
        let own =
            self.new_folder_cluster(path, |own, stamp| directory::first_slots(own, parent, stamp).concat())?;
        let slot = directory::new_slot(true, own, 0, self.stamp);
        self.add(folder, name, slot)
    }

    /// Gives a file of `folder` another name, in one write of one sector where its slots allow that; else there are
    /// two names for an instant, and the old one goes first thing at the next change.
    pub fn rename(&mut self, folder: &str, from: &str, to: &str) -> Result<(), FatError> {
        let missing = |path: &str| FatError::Missing { path: path.to_owned() };
        let first = self.folder_cluster(folder)?.ok_or_else(|| missing(folder))?;
        let content = self.folder(first)?;
        let old = content.find(from).ok_or_else(|| missing(&format!("{folder}/{from}")))?;
        if content.find(to).is_some_and(|other| other.slots != old.slots) {
            return Err(FatError::Exists { path: format!("{folder}/{to}") });
        }
        let slots = directory::slots(to, content.free_short_name(to)?, old.short)?;
        let is_together =
            old.slots.iter().all(|place| old.slots.first().is_some_and(|one| one.sector == place.sector));
        if !is_together || slots.len() > old.slots.len() {
            self.add(first, to, old.short)?;
            return self.forget(&old);
        }
        // The new name takes the last slots; those before are free.
        let unused = old.slots.len() - slots.len();
        let freed = old.slots.iter().take(unused).map(|place| (*place, free_slot()));
        let named = old.slots.iter().skip(unused).copied().zip(slots);
        self.patch(freed.chain(named))
    }

    /// Removes a file. Clusters that another entry of the folder has too, as a rename that was cut short leaves it,
    /// stay that one's.
    pub fn remove(&mut self, path: &str) -> Result<(), FatError> {
        let missing = || FatError::Missing { path: path.to_owned() };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let first = self.folder_cluster(folder)?.ok_or_else(missing)?;
        let content = self.folder(first)?;
        let entry = content.find(name).ok_or_else(missing)?;
        if entry.is_folder() {
            return Err(FatError::Kind { path: path.to_owned(), expected: "file" });
        }
        let is_shared = |other: &Entry| {
            other.first_cluster() == entry.first_cluster() && other.slots.last() != entry.slots.last()
        };
        let is_shared = content.entries().iter().any(is_shared);
        let chain = self.table.chain(entry.first_cluster(), &self.geometry)?;
        self.forget(&entry)?;
        if !is_shared {
            self.table.release(&chain);
        }
        self.write_table()
    }

    /// Gives back clusters that no folder leads to, which power cuts leave behind; how many those were.
    pub fn reclaim(&mut self) -> Result<usize, FatError> {
        let mut reachable = BTreeSet::new();
        self.walk(self.geometry.root, 0, &mut reachable)?;
        let lost = self.table.release_others(&reachable, &self.geometry);
        self.write_table()?;
        Ok(lost)
    }

    fn walk(&self, folder: u32, depth: usize, reachable: &mut BTreeSet<u32>) -> Result<(), FatError> {
        if depth > DEEPEST {
            return Err(FatError::Corrupt { what: "a folder in itself", at: u64::from(folder) });
        }
        let content = self.folder(folder)?;
        reachable.extend(&content.chain);
        for entry in content.entries() {
            if entry.is_folder() {
                self.walk(entry.first_cluster(), depth + 1, reachable)?;
            } else {
                reachable.extend(self.table.chain(entry.first_cluster(), &self.geometry)?);
            }
        }
        Ok(())
    }

    /// Notes for other drivers how much is free, and lets everything reach the disk.
    pub fn finish(&mut self) -> Result<(), FatError> {
        if let Some(at) = self.geometry.info_at {
            let mut info = vec![0; self.geometry.sector];
            read(&self.disk, at, &mut info)?;
            if info.get(..4) == Some(b"RRaA".as_slice()) && info.len() >= 512 {
                let free = u32::try_from(self.table.free(&self.geometry)).unwrap_or(u32::MAX);
                let before = info.clone();
                info[488..492].copy_from_slice(&free.to_le_bytes());
                info[492..496].copy_from_slice(&self.table.next_free().to_le_bytes());
                if info != before {
                    self.write(at, &info)?;
                }
            }
        }
        self.flush()
    }

    /// Bytes of clusters that are free.
    pub fn free(&self) -> u64 {
        self.bytes_of_clusters(self.table.free(&self.geometry))
    }

    /// Bytes that a file of `length` bytes takes up, in whole clusters.
    pub fn room_for(&self, length: u64) -> u64 {
        let cluster = u64::try_from(self.geometry.cluster_bytes()).unwrap_or(u64::MAX);
        length.div_ceil(cluster).saturating_mul(cluster)
    }

    fn bytes_of_clusters(&self, clusters: usize) -> u64 {
        u64::try_from(clusters.saturating_mul(self.geometry.cluster_bytes())).unwrap_or(u64::MAX)
    }

    /// Folder and name of something that is to be made.
    fn place<'path>(&self, path: &'path str) -> Result<(u32, &'path str), FatError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let first =
            self.folder_cluster(folder)?.ok_or_else(|| FatError::Missing { path: folder.to_owned() })?;
        match self.folder(first)?.find(name) {
            None => Ok((first, name)),
            Some(_) => Err(FatError::Exists { path: path.to_owned() }),
        }
    }

    pub(super) fn find(&self, path: &str) -> Result<Option<Entry>, FatError> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(first) = self.folder_cluster(folder)? else { return Ok(None) };
        Ok(self.folder(first)?.find(name))
    }

    /// First cluster of a folder.
    pub(super) fn folder_cluster(&self, path: &str) -> Result<Option<u32>, FatError> {
        let mut cluster = self.geometry.root;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match self.folder(cluster)?.find(name) {
                None => return Ok(None),
                Some(entry) if entry.is_folder() => cluster = entry.first_cluster(),
                Some(_) => return Err(FatError::Kind { path: path.to_owned(), expected: "folder" }),
            }
        }
        Ok(Some(cluster))
    }

    pub(super) fn folder(&self, first: u32) -> Result<Folder, FatError> {
        /// The specification allows 65536 slots.
        const MOST_BYTES: usize = 65_536 * SLOT;
        let chain = self.table.chain(first, &self.geometry)?;
        let at = u64::from(first);
        if chain.is_empty() {
            return Err(FatError::Corrupt { what: "a folder without a cluster", at });
        }
        if chain.len().saturating_mul(self.geometry.cluster_bytes())
            > MOST_BYTES.max(self.geometry.cluster_bytes())
        {
            return Err(FatError::Corrupt { what: "a folder that is too long", at });
        }
        let mut sectors = Vec::new();
        for cluster in &chain {
            let mut bytes = vec![0; self.geometry.cluster_bytes()];
            let at = self.geometry.sector_of(*cluster);
            read(&self.disk, at, &mut bytes)?;
            sectors.extend((at..).zip(bytes.chunks(self.geometry.sector).map(<[u8]>::to_vec)));
        }
        Ok(Folder { sectors, chain })
    }

    /// Writes content to free clusters and returns the first; nothing names it yet, but it is safe.
    fn store(&mut self, path: &str, content: &[u8]) -> Result<u32, FatError> {
        let cluster = self.geometry.cluster_bytes();
        let chain = self.allocate(path, content.len().div_ceil(cluster))?;
        let mut rest = content;
        for (first, count) in runs(&chain, LARGEST_TRANSFER / cluster) {
            let (part, behind) = rest.split_at(rest.len().min(count * cluster));
            rest = behind;
            let at = self.geometry.sector_of(first);
            if part.len() == count * cluster {
                self.write(at, part)?;
            } else {
                let mut padded = part.to_vec();
                padded.resize(count * cluster, 0);
                self.write(at, &padded)?;
            }
        }
        self.write_table()?;
        self.flush()?;
        Ok(chain.first().copied().unwrap_or(0))
    }

    fn allocate(&mut self, path: &str, count: usize) -> Result<Vec<u32>, FatError> {
        self.table.allocate(count, &self.geometry).ok_or_else(|| FatError::Full {
            path: path.to_owned(),
            needed: self.bytes_of_clusters(count),
            free: self.free(),
        })
    }

    /// A safe cluster of a folder that nothing leads to yet, with what `content` makes of its number.
    pub(super) fn new_folder_cluster(
        &mut self,
        path: &str,
        content: impl Fn(u32, Stamp) -> Vec<u8>,
    ) -> Result<u32, FatError> {
        let own = self.allocate(path, 1)?.first().copied().unwrap_or_default();
        let mut bytes = content(own, self.stamp);
        bytes.resize(self.geometry.cluster_bytes(), 0);
        self.write(self.geometry.sector_of(own), &bytes)?;
        self.write_table()?;
        self.flush()?;
        Ok(own)
    }

    /// Writes what was changed of the table into every copy.
    pub(super) fn write_table(&mut self) -> Result<(), FatError> {
        let changed = self.table.take_changed();
        for copy in 0..self.geometry.tables {
            let at = self.geometry.table_at + copy * self.geometry.table_sectors;
            for (sector, bytes) in &changed {
                self.write(at + sector, bytes)?;
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), FatError> {
        let failed = |source| FatError::Disk { action: "writing", sector, source };
        self.disk.write(Lba(sector), bytes).map_err(failed)
    }

    pub(super) fn flush(&mut self) -> Result<(), FatError> {
        self.disk.flush().map_err(|source| FatError::Disk { action: "flushing", sector: 0, source })
    }
}

pub(super) fn read(disk: &impl Disk, sector: u64, buffer: &mut [u8]) -> Result<(), FatError> {
    disk.read(Lba(sector), buffer).map_err(|source| FatError::Disk { action: "reading", sector, source })
}

fn bytes_of(entry: &Entry) -> usize {
    usize::try_from(entry.size()).unwrap_or(usize::MAX)
}

fn length(path: &str, content: &[u8]) -> Result<u32, FatError> {
    u32::try_from(content.len()).map_err(|_| FatError::Full {
        path: path.to_owned(),
        needed: u64::MAX,
        free: 0,
    })
}

/// Stretches of neighbours in a chain, of at most `most` clusters: first cluster and number.
fn runs(chain: &[u32], most: usize) -> Vec<(u32, usize)> {
    let mut runs: Vec<(u32, usize)> = Vec::new();
    for cluster in chain {
        match runs.last_mut() {
            Some((first, count))
                if *count < most.max(1)
                    && u32::try_from(*count).is_ok_and(|count| *first + count == *cluster) =>
            {
                *count += 1;
            }
            _ => runs.push((*cluster, 1)),
        }
    }
    runs
}
