//! Both copies of the table on a disk: which one to believe, and how to replace them.

use std::io;

use super::header::{Fault, Header};
use super::table::{Encoded, array_sectors};
use super::{Disk, ENTRY_SIZE, Lba, Table};

/// How one copy looks, compared with the table that was taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CopyState {
    /// Whole, in its place, and the same.
    Good,
    /// Whole, but of another state of the table: power failed between the two.
    Differs,
    /// Unreadable or not there.
    Damaged(Fault),
}

/// What was found on a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Copies {
    /// The table to believe: the primary copy where it is whole.
    pub table: Table,
    /// State of the copy at the start.
    pub primary: CopyState,
    /// State of the copy at the end.
    pub backup: CopyState,
}

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk does not answer.
    #[error("reading sectors {at} to {end} of the disk")]
    Read {
        /// First sector.
        at: u64,
        /// Last sector.
        end: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Neither copy is whole.
    #[error("both copies of the partition table are damaged; at the start: {primary}; at the end: {backup}")]
    NoTable {
        /// Of the copy at the start.
        primary: Fault,
        /// Of the copy at the end.
        backup: Fault,
    },
}

/// Reads both copies; the table comes from the primary, or from the backup where the primary is damaged.
///
/// A table made for a smaller disk is good, but its backup then does not lie at the end and counts as damaged.
pub fn read(disk: &impl Disk) -> Result<Copies, Error> {
    let last = Lba(disk.sectors().saturating_sub(1));
    let primary = read_copy(disk, Lba(1))?;
    let backup = read_copy(disk, last)?;
    match (primary, backup) {
        (Ok(table), Ok(other)) => {
            let backup = if table == other { CopyState::Good } else { CopyState::Differs };
            Ok(Copies { table, primary: CopyState::Good, backup })
        }
        (Ok(table), Err(fault)) => {
            Ok(Copies { table, primary: CopyState::Good, backup: CopyState::Damaged(fault) })
        }
        (Err(fault), Ok(table)) => {
            Ok(Copies { table, primary: CopyState::Damaged(fault), backup: CopyState::Good })
        }
        (Err(primary), Err(backup)) => Err(Error::NoTable { primary, backup }),
    }
}

/// The outer error is the disk's, the inner one the table's.
fn read_copy(disk: &impl Disk, at: Lba) -> Result<Result<Table, Fault>, Error> {
    let size = disk.sector_size();
    let mut sector = vec![0; size.in_memory()];
    if disk.sectors() < 6 {
        return Ok(Err(Fault::NoSignature));
    }
    read_at(disk, at, &mut sector)?;
    let header = match Header::parse(&sector, at) {
        Ok(header) => header,
        Err(fault) => return Ok(Err(fault)),
    };
    let entries = usize::try_from(header.entry_count).unwrap_or(usize::MAX);
    let length = array_sectors(entries, size);
    let expected = if at == Lba(1) { Lba(2) } else { Lba(at.0.saturating_sub(length)) };
    // Also for the backup: whole sectors between the array and its header are never made by any tool known.
    if header.array_at != expected || expected.0 + length > disk.sectors() {
        return Ok(Err(Fault::ArrayPlace { found: header.array_at.0, expected: expected.0 }));
    }
    let bytes = entries * ENTRY_SIZE;
    let mut array = vec![0; bytes.next_multiple_of(size.in_memory())];
    read_at(disk, header.array_at, &mut array)?;
    Ok(Table::assemble(&header, &array[..bytes], size, disk.sectors()))
}

fn read_at(disk: &impl Disk, at: Lba, buffer: &mut [u8]) -> Result<(), Error> {
    let sectors = u64::try_from(buffer.len()).unwrap_or(u64::MAX) / disk.sector_size().bytes();
    disk.read(at, buffer).map_err(|source| Error::Read {
        at: at.0,
        end: at.0.saturating_add(sectors).saturating_sub(1),
        source,
    })
}

/// Writes the copy that is damaged or differs anew, from the other one; says whether anything was written.
///
/// To be called before [`write()`], which needs both copies whole: it begins with the backup, and where the primary
/// is damaged that is the only one.
pub fn repair(disk: &mut impl Disk, copies: &Copies) -> io::Result<bool> {
    let encoded = copies.table.encode(disk.sectors());
    if copies.primary != CopyState::Good {
        write_primary(disk, &encoded)?;
    }
    if copies.backup != CopyState::Good {
        write_backup(disk, &encoded)?;
    }
    Ok(copies.primary != CopyState::Good || copies.backup != CopyState::Good)
}

/// Replaces both copies: the backup at the end of the disk, then the primary, with a flush after each.
///
/// `table` must fit the disk ([`Table::fit`]). A copy is invalid from the first change of its entries until its
/// header is written, so a power cut leaves the other one: the old primary first, then the new backup.
pub fn write(disk: &mut impl Disk, table: &Table) -> io::Result<()> {
    let encoded = table.encode(disk.sectors());
    write_backup(disk, &encoded)?;
    write_primary(disk, &encoded)
}

fn write_backup(disk: &mut impl Disk, encoded: &Encoded) -> io::Result<()> {
    disk.write(encoded.backup_array_at, &encoded.array)?;
    disk.write(Lba(disk.sectors() - 1), &encoded.backup_header)?;
    disk.flush()
}

fn write_primary(disk: &mut impl Disk, encoded: &Encoded) -> io::Result<()> {
    disk.write(Lba(2), &encoded.array)?;
    disk.write(Lba(1), &encoded.primary_header)?;
    disk.flush()
}
