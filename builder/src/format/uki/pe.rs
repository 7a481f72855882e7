//! The part of PE32+ that a UKI touches: headers read through `object`, fields patched in place.

use object::LittleEndian;
use object::pe::{IMAGE_DIRECTORY_ENTRY_SECURITY, IMAGE_NT_OPTIONAL_HDR32_MAGIC, ImageSectionHeader};
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, PeFile64};

use super::UkiError;
use crate::units::Bytes;

/// Bytes of one section header.
pub(super) const SECTION_HEADER_SIZE: usize = 40;

/// Offsets from the PE signature: file header (after 4 bytes of signature), then optional header.
const NUMBER_OF_SECTIONS: usize = 4 + 2;
const OPTIONAL_HEADER: usize = 4 + 20;
const SIZE_OF_INITIALIZED_DATA: usize = OPTIONAL_HEADER + 8;
const SIZE_OF_IMAGE: usize = OPTIONAL_HEADER + 56;
const CHECKSUM: usize = OPTIONAL_HEADER + 64;
const DLL_CHARACTERISTICS: usize = OPTIONAL_HEADER + 70;

/// What the PE format allows; a damaged file could ask for gigabytes of padding.
const LARGEST_FILE_ALIGNMENT: u32 = 64 << 10;

/// One section of a PE file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Section {
    /// Name, at most 8 bytes.
    pub name: String,
    /// Address in memory, from the beginning of the image.
    pub address: u32,
    /// Bytes in memory; contents of a UKI's sections have this length.
    pub size: u32,
    /// Where its contents are in the file.
    pub offset: u32,
    /// Bytes in the file, with padding.
    pub room: u32,
    /// Attributes (PE format, section flags).
    pub flags: u32,
}

impl Section {
    /// The contents without padding, taken from the file that the section is of.
    pub fn content<'a>(&self, pe: &'a [u8]) -> Option<&'a [u8]> {
        let start = usize::try_from(self.offset).ok()?;
        let end = start.checked_add(usize::try_from(self.size.min(self.room)).ok()?)?;
        pe.get(start..end)
    }

    /// The section's header.
    pub(super) fn header(&self) -> [u8; SECTION_HEADER_SIZE] {
        let mut header = [0; SECTION_HEADER_SIZE];
        put(&mut header, 0, self.name.as_bytes());
        for (at, value) in
            [(8, self.size), (12, self.address), (16, self.room), (20, self.offset), (36, self.flags)]
        {
            put(&mut header, at, &value.to_le_bytes());
        }
        header
    }
}

/// Lists the sections of a PE32+ file, e.g. of a UKI.
pub fn sections(pe: &[u8]) -> Result<Vec<Section>, UkiError> {
    parse("the image", pe).map(|headers| headers.sections)
}

/// What the headers of a PE32+ file say.
pub(super) struct Headers {
    pub(super) machine: u16,
    /// The optional header's DLL characteristics.
    pub(super) characteristics: u16,
    pub(super) file_alignment: u32,
    pub(super) section_alignment: u32,
    pub(super) initialized_data: u32,
    pub(super) section_count: u16,
    pub(super) sections: Vec<Section>,
    /// Where the section headers end.
    pub(super) table_end: Bytes,
    /// Where headers may end at most.
    pub(super) header_room: Bytes,
    /// Length of the file.
    pub(super) length: Bytes,
    is_signed: bool,
    has_symbols: bool,
    /// Where the PE signature is.
    signature: usize,
}

/// Reads the headers of a stub, which must be fit for appending: what is signed or has a symbol
/// table ends with something that is no section.
pub(super) fn parse_stub(data: &[u8]) -> Result<Headers, UkiError> {
    let headers = parse("the stub", data)?;
    let unsupported = |feature| Err(UkiError::Unsupported { what: "the stub", feature });
    if headers.is_signed {
        return unsupported("a signature");
    }
    if headers.has_symbols {
        return unsupported("a symbol table");
    }
    Ok(headers)
}

/// Reads the headers of `data`, which errors call `what`.
pub(super) fn parse(what: &'static str, data: &[u8]) -> Result<Headers, UkiError> {
    let corrupt = |source| UkiError::Corrupt { what, source };
    let unsupported = |feature| Err(UkiError::Unsupported { what, feature });
    if object::read::pe::optional_header_magic(data).map_err(corrupt)? == IMAGE_NT_OPTIONAL_HDR32_MAGIC {
        return unsupported("32-bit headers");
    }
    let file = PeFile64::parse(data).map_err(corrupt)?;
    let header = file.nt_headers().file_header();
    let optional = file.nt_headers().optional_header();
    let (file_alignment, section_alignment) = (optional.file_alignment(), optional.section_alignment());
    if !file_alignment.is_power_of_two() || !section_alignment.is_power_of_two() {
        return unsupported("an alignment that is no power of two");
    }
    if file_alignment > LARGEST_FILE_ALIGNMENT {
        return unsupported("a file alignment above 64 KiB");
    }
    let sections =
        file.section_table().iter().map(|section| section_of(data, section)).collect::<Result<_, _>>();
    let sections: Vec<Section> = sections.map_err(corrupt)?;
    let certificates = file.data_directory(IMAGE_DIRECTORY_ENTRY_SECURITY);
    let count = header.number_of_sections.get(LittleEndian);
    let signature = file.dos_header().nt_headers_offset();
    let optional_end = u64::from(signature)
        .saturating_add(u64::try_from(OPTIONAL_HEADER).unwrap_or_default())
        .saturating_add(u64::from(header.size_of_optional_header.get(LittleEndian)));
    let table = u64::from(count).saturating_mul(u64::try_from(SECTION_HEADER_SIZE).unwrap_or_default());
    let contents = sections.iter().filter(|section| section.room > 0).map(|section| section.offset);
    let header_room = contents.chain([optional.size_of_headers()]).min().unwrap_or_default();
    // A damaged file may claim headers beyond its own end.
    let header_room = Bytes(u64::from(header_room)).min(Bytes::of(data));
    Ok(Headers {
        machine: header.machine.get(LittleEndian),
        characteristics: optional.dll_characteristics(),
        file_alignment,
        section_alignment,
        initialized_data: optional.size_of_initialized_data(),
        section_count: count,
        sections,
        table_end: Bytes(optional_end.saturating_add(table)),
        header_room,
        length: Bytes::of(data),
        is_signed: certificates.is_some_and(|directory| directory.virtual_address.get(LittleEndian) != 0),
        has_symbols: header.pointer_to_symbol_table.get(LittleEndian) != 0,
        signature: usize::try_from(signature).unwrap_or(usize::MAX),
    })
}

fn section_of(data: &[u8], header: &ImageSectionHeader) -> object::read::Result<Section> {
    // Checks that the contents lie within the file.
    header.pe_data(data)?;
    Ok(Section {
        name: String::from_utf8_lossy(header.raw_name()).into_owned(),
        address: header.virtual_address.get(LittleEndian),
        size: header.virtual_size.get(LittleEndian),
        offset: header.pointer_to_raw_data.get(LittleEndian),
        room: header.size_of_raw_data.get(LittleEndian),
        flags: header.characteristics.get(LittleEndian),
    })
}

/// New values of header fields.
pub(super) struct Patch {
    pub(super) section_count: u16,
    pub(super) image_size: u32,
    pub(super) initialized_data: u32,
    pub(super) characteristics: u16,
    /// Headers of new sections, which follow those that are there.
    pub(super) section_headers: Vec<u8>,
}

impl Patch {
    /// Changes the beginning of `image`, a copy of the file that `headers` were read from; the caller
    /// has made sure that there is room for the new section headers.
    pub(super) fn apply(&self, headers: &Headers, image: &mut [u8]) {
        let table = usize::try_from(headers.table_end.0).unwrap_or(usize::MAX);
        put(image, table, &self.section_headers);
        let signature = headers.signature;
        put(image, signature.saturating_add(NUMBER_OF_SECTIONS), &self.section_count.to_le_bytes());
        for (field, value) in [
            (SIZE_OF_INITIALIZED_DATA, self.initialized_data),
            (SIZE_OF_IMAGE, self.image_size),
            (CHECKSUM, 0),
        ] {
            put(image, signature.saturating_add(field), &value.to_le_bytes());
        }
        put(image, signature.saturating_add(DLL_CHARACTERISTICS), &self.characteristics.to_le_bytes());
    }
}

/// Copies `bytes` to `at`, where the parsed headers say that there is room.
fn put(target: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in target.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}
