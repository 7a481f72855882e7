//! Which bytes of a PE32+ file the image hash covers.

use object::LittleEndian;
use object::pe::{IMAGE_DIRECTORY_ENTRY_SECURITY, IMAGE_NT_OPTIONAL_HDR32_MAGIC};
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, PeFile64};
use sha2::{Digest as _, Sha256 as Hasher};

use super::{ALIGNMENT, AuthenticodeError};
use crate::units::Sha256;

/// Offsets from the PE signature: behind it and the file header, the optional header; in that, the checksum
/// and the data directory's entry for the attribute certificate table.
const OPTIONAL_HEADER: usize = 4 + 20;
const CHECKSUM: usize = OPTIONAL_HEADER + 64;
const ENTRY: usize = OPTIONAL_HEADER + 112 + 8 * IMAGE_DIRECTORY_ENTRY_SECURITY;
/// Bytes that are left out at these two places.
const CHECKSUM_SIZE: usize = 4;
const ENTRY_SIZE: usize = 8;

/// Places in a program. `checksum`, `entry` and `end` come in this order and lie in the file.
pub(super) struct Layout {
    checksum: usize,
    entry: usize,
    /// Where the attribute certificate table begins, or `None`.
    table: Option<usize>,
    pub(super) is_signed: bool,
}

impl Layout {
    pub(super) fn of(program: &[u8]) -> Result<Self, AuthenticodeError> {
        let unsupported = |feature| Err(AuthenticodeError::Unsupported { feature });
        if object::read::pe::optional_header_magic(program)? == IMAGE_NT_OPTIONAL_HDR32_MAGIC {
            return unsupported("32-bit headers");
        }
        let file = PeFile64::parse(program)?;
        // `PeFile64::data_directory` passes over empty entries.
        let Some(directory) = file.data_directories().iter().nth(IMAGE_DIRECTORY_ENTRY_SECURITY) else {
            return unsupported("no place for a signature");
        };
        let optional = file.nt_headers().optional_header();
        let mut sections = Vec::new();
        for section in file.section_table().iter() {
            section.pe_data(program)?;
            let (begin, size) = (section.pointer_to_raw_data, section.size_of_raw_data);
            sections.push((u64::from(begin.get(LittleEndian)), u64::from(size.get(LittleEndian))));
        }
        sections.retain(|(_, size)| *size > 0);
        sections.sort_unstable();
        let mut end = u64::from(optional.size_of_headers());
        for (begin, size) in sections {
            if begin != end {
                return unsupported("gaps or overlaps between its sections");
            }
            end = end.saturating_add(size);
        }
        let table = u64::from(directory.virtual_address.get(LittleEndian));
        let table_end = table.saturating_add(u64::from(directory.size.get(LittleEndian)));
        let length = u64::try_from(program.len()).unwrap_or(u64::MAX);
        if table != 0 && (table < end || table_end != length) {
            return unsupported("data behind or beside its signature");
        }
        let begin = usize::try_from(file.dos_header().nt_headers_offset()).unwrap_or(usize::MAX);
        let (checksum, entry) = (begin.saturating_add(CHECKSUM), begin.saturating_add(ENTRY));
        if end > length || u64::try_from(entry.saturating_add(ENTRY_SIZE)).unwrap_or(u64::MAX) > end {
            return unsupported("headers beyond its end");
        }
        let is_signed = table != 0;
        let table = is_signed.then(|| usize::try_from(table).unwrap_or(usize::MAX));
        Ok(Self { checksum, entry, table, is_signed })
    }

    /// Since sections follow each other, the specification's walk over them is one over the file.
    pub(super) fn digest(&self, program: &[u8]) -> Sha256 {
        let end = self.table.unwrap_or(program.len());
        let mut hasher = Hasher::new();
        for range in [
            0..self.checksum,
            self.checksum.saturating_add(CHECKSUM_SIZE)..self.entry,
            self.entry.saturating_add(ENTRY_SIZE)..end,
        ] {
            hasher.update(program.get(range).unwrap_or_default());
        }
        if self.table.is_none() {
            // What a signature is put behind is padded first, so that one hash stands for both.
            let padding = program.len().next_multiple_of(ALIGNMENT).saturating_sub(program.len());
            hasher.update([0; ALIGNMENT].get(..padding).unwrap_or_default());
        }
        Sha256(hasher.finalize().into())
    }

    /// Sets the entry of the attribute certificate table.
    pub(super) fn point_to_signature(&self, begin: u32, size: u32, program: &mut [u8]) {
        let entry = begin.to_le_bytes().into_iter().chain(size.to_le_bytes());
        for (to, from) in program.iter_mut().skip(self.entry).zip(entry) {
            *to = from;
        }
    }
}
