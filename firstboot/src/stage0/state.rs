//! The state partition: found, or made so that a power cut at any instant is harmless.
//!
//! | name in the table | means | at the next boot |
//! |---|---|---|
//! | none | first boot | made |
//! | `state-new` | power failed before the file system was whole | made anew |
//! | `state` | in use | checked and mounted, never formatted |
//!
//! This module decides and edits the table; [`filesystem`] runs the programs.

pub mod filesystem;

use std::io;

use crate::gpt::{self, Disk, Entry, Extent, Fault, Guid, Lba, Name, Table};

/// Name of the partition in use.
pub const LABEL: &str = "state";
/// Name of the partition until its file system is whole.
const UNFINISHED_LABEL: &str = "state-new";
/// Why there is no state partition.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Which of them is right cannot be known.
    #[error("partitions {one} and {other} are both named `{LABEL}` or `{UNFINISHED_LABEL}`")]
    Two {
        /// Number of the first.
        one: u32,
        /// Number of the second.
        other: u32,
    },
    /// The image fills the disk.
    #[error("state partition needs {needed} bytes, the largest free stretch of the disk has {found}")]
    NoRoom {
        /// Bytes that the image asks for.
        needed: u64,
        /// Bytes.
        found: u64,
    },
    /// A partition leaves the disk.
    #[error("partition table does not fit the disk")]
    Misfit(#[source] Fault),
    /// All entries are taken.
    #[error("partition table has no entry left")]
    FullTable,
    /// The disk does not take the table.
    #[error("writing the partition table")]
    Write(#[source] io::Error),
}

/// What the table says about state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// Partition of that number is in use.
    Present(u32),
    /// There is none, or one that was never finished.
    Absent,
}

/// Looks for the state partition.
pub fn find(table: &Table) -> Result<Found, Error> {
    let mut named =
        table.entries().filter(|(_, entry)| entry.name == *LABEL || entry.name == *UNFINISHED_LABEL);
    match (named.next(), named.next()) {
        (Some((one, _)), Some((other, _))) => Err(Error::Two { one, other }),
        (Some((number, entry)), None) if entry.name == *LABEL => Ok(Found::Present(number)),
        _ => Ok(Found::Absent),
    }
}

/// New GUIDs for what is this machine's own; root and hash tree keep theirs, which are the root hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FreshIds {
    /// Of the disk.
    pub disk: Guid,
    /// PARTUUID of the ESP.
    pub esp: Guid,
    /// PARTUUID of the state partition.
    pub state: Guid,
}

/// What a state partition is made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wish {
    /// Number of the ESP, which gets a GUID of its own.
    pub esp: u32,
    /// The GUIDs.
    pub ids: FreshIds,
    /// Bytes it must have at least.
    pub minimum: u64,
}

/// A state partition in the making.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unfinished {
    /// Number of the partition.
    pub number: u32,
    /// Where it lies.
    pub extent: Extent,
}

/// Makes the state partition: table with `state-new`, `format`, table with `state`.
///
/// Both copies of the table must be whole ([`gpt::repair`]). `format` must leave a
/// synced file system with its mark; its error ends the work, and the next boot begins anew.
pub fn create<D: Disk, E: From<Error>>(
    disk: &mut D,
    table: &Table,
    wish: Wish,
    format: impl FnOnce(&mut D, Unfinished) -> Result<(), E>,
) -> Result<(Table, u32), E> {
    let (mut table, unfinished) = stage(table, disk.sectors(), wish)?;
    gpt::write(disk, &table).map_err(Error::Write)?;
    format(disk, unfinished)?;
    disk.flush().map_err(Error::Write)?;
    if let Some(entry) = table.entry_mut(unfinished.number) {
        entry.name = Name::new(LABEL);
    }
    gpt::write(disk, &table).map_err(Error::Write)?;
    Ok((table, unfinished.number))
}

/// The table with `state-new` in the largest free stretch, and fresh GUIDs.
fn stage(table: &Table, sectors: u64, wish: Wish) -> Result<(Table, Unfinished), Error> {
    let Wish { esp, ids, minimum } = wish;
    let mut table = table.clone();
    let stale = table.entries().find(|(_, entry)| entry.name == *UNFINISHED_LABEL).map(|(number, _)| number);
    if let Some(stale) = stale {
        table.remove(stale);
    }
    table.fit(sectors).map_err(Error::Misfit)?;
    table.disk_id = ids.disk;
    if let Some(esp) = table.entry_mut(esp) {
        esp.id = ids.esp;
    }
    let free = table.largest_free();
    let size = free.map_or(0, |extent| extent.sectors().saturating_mul(table.sector_size().bytes()));
    let extent = free.filter(|_| size >= minimum).ok_or(Error::NoRoom { needed: minimum, found: size })?;
    let entry = Entry {
        kind: Guid::LINUX_DATA,
        id: ids.state,
        extent,
        attributes: 0,
        name: Name::new(UNFINISHED_LABEL),
    };
    let number = table.add(entry).ok_or(Error::FullTable)?;
    Ok((table, Unfinished { number, extent }))
}

/// The table with the state partition reaching to the end of a disk that has grown; `None` where it does already.
pub fn grow(table: &Table, sectors: u64, number: u32) -> Result<Option<Table>, Error> {
    if !table.is_misfit(sectors) {
        return Ok(None);
    }
    let mut table = table.clone();
    table.fit(sectors).map_err(Error::Misfit)?;
    let last = table.room_to_grow(number);
    if let (Some(last), Some(entry)) = (last, table.entry_mut(number)) {
        entry.extent.last = last.max(Lba(entry.extent.last.0));
    }
    Ok(Some(table))
}

#[cfg(test)]
mod tests;
