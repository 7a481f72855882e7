//! Unified kernel images and add-ons: sections appended to a stub of systemd's (PE32+).
//!
//! ```text
//! DOS header … PE signature, file header, optional header   as in the stub, four fields changed
//! section headers                                           the stub's, then ours, in the stub's room
//! sections of the stub                                      .text … .sbat .reloc
//! .osrel .cmdline .uname .linux .initrd .ucode .sbat               ours, each only if given
//! ```
//!
//! Spec: Microsoft's PE format, and the UKI specification of the UAPI group (sections). The section
//! attributes, the order and the rule on `NX_COMPAT` are those of systemd's `ukify`.
//! The checksum is set to 0, "not given", as `ukify` does: firmware does not look at it, and a
//! signature added later would make it wrong.

mod pe;

use thiserror::Error;

use pe::{Headers, Patch, SECTION_HEADER_SIZE};
pub use pe::{Section, sections};

use crate::units::Bytes;

/// Contents of a UKI. An add-on is the same with an add-on stub and a command line only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uki<'a> {
    /// systemd's `linuxx64.efi.stub` or `addonx64.efi.stub`.
    pub stub: &'a [u8],
    /// The kernel, itself a PE file for the stub's machine.
    pub kernel: Option<&'a [u8]>,
    /// What the stub puts before the initrd: microcode in an uncompressed cpio archive.
    pub microcode: Option<&'a [u8]>,
    /// The initrd, one or several concatenated cpio archives.
    pub initrd: Option<&'a [u8]>,
    /// Kernel arguments, separated by spaces.
    pub command_line: Option<&'a str>,
    /// Text of an os-release file; it names the boot entry.
    pub os_release: Option<&'a str>,
    /// Release of the kernel (`uname -r`).
    pub uname: Option<&'a str>,
    /// Generations for revocation by shim, as CSV. systemd's UKI stub brings its own, its add-on stub none.
    pub sbat: Option<&'a str>,
}

/// Why a UKI cannot be assembled or read.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum UkiError {
    /// Headers are cut off or point outside the file.
    #[error("{what} is a corrupt PE file")]
    Corrupt {
        /// Stub, kernel or image.
        what: &'static str,
        /// What is wrong in it.
        source: object::read::Error,
    },
    /// A valid PE file of a kind that is no use here.
    #[error("{what} is a PE file with {feature}, which is not supported")]
    Unsupported {
        /// Stub, kernel or image.
        what: &'static str,
        /// What it has.
        feature: &'static str,
    },
    /// The kernel is for another processor than the stub.
    #[error("the kernel is for PE machine {kernel:#06x}, the stub for {stub:#06x}")]
    Machine {
        /// Machine of the kernel.
        kernel: u16,
        /// Machine of the stub.
        stub: u16,
    },
    /// The stub already has a section that would be added.
    #[error("the stub already has a section `{name}`")]
    Exists {
        /// Name of the section.
        name: &'static str,
    },
    /// A section would be empty, which the stub takes for absent.
    #[error("section `{name}` is empty")]
    Empty {
        /// Name of the section.
        name: &'static str,
    },
    /// The headers of the new sections do not fit before the first section's contents.
    #[error("section headers need {needed}, the stub has room for {available}")]
    HeaderRoom {
        /// Bytes from the beginning of the file that all headers need.
        needed: Bytes,
        /// Bytes reserved for headers.
        available: Bytes,
    },
    /// An offset or address would pass 32 bits.
    #[error("section `{name}` ends beyond 4 GiB")]
    TooLarge {
        /// Name of the section.
        name: &'static str,
    },
}

/// Attributes of a section (PE format, section flags).
const CODE: u32 = 0x0000_0020;
const INITIALIZED_DATA: u32 = 0x0000_0040;
const READABLE: u32 = 0x4000_0000;
/// The image works where data is not executable (PE format, DLL characteristics).
const NX_COMPATIBLE: u16 = 0x0100;

/// Appends the given parts to the stub.
pub fn assemble(uki: &Uki<'_>) -> Result<Vec<u8>, UkiError> {
    let stub = pe::parse_stub(uki.stub)?;
    let parts: Vec<(&'static str, &[u8], u32)> = [
        (".osrel", uki.os_release.map(str::as_bytes), INITIALIZED_DATA),
        (".cmdline", uki.command_line.map(str::as_bytes), INITIALIZED_DATA),
        (".uname", uki.uname.map(str::as_bytes), INITIALIZED_DATA),
        // A kernel that the stub has to enter in place is code.
        (".linux", uki.kernel, CODE),
        (".initrd", uki.initrd, INITIALIZED_DATA),
        (".ucode", uki.microcode, INITIALIZED_DATA),
        (".sbat", uki.sbat.map(str::as_bytes), INITIALIZED_DATA),
    ]
    .into_iter()
    .filter_map(|(name, content, kind)| content.map(|content| (name, content, kind | READABLE)))
    .collect();

    let mut layout = Layout::after(&stub)?;
    let mut section_headers = Vec::new();
    for (name, content, flags) in &parts {
        section_headers.extend(layout.add(name, content, *flags)?);
    }
    let needed = Bytes(stub.table_end.0.saturating_add(Bytes::of(&section_headers).0));
    if needed > stub.header_room {
        return Err(UkiError::HeaderRoom { needed, available: stub.header_room });
    }
    let patch = Patch {
        section_count: layout.count,
        image_size: layout.image_end,
        initialized_data: layout.initialized_data,
        characteristics: characteristics(&stub, uki.kernel)?,
        section_headers,
    };

    let mut image = Vec::with_capacity(usize::try_from(layout.file_end).unwrap_or_default());
    image.extend(uki.stub);
    for (_, content, _) in &parts {
        pad(&mut image, stub.file_alignment);
        image.extend(*content);
    }
    pad(&mut image, stub.file_alignment);
    patch.apply(&stub, &mut image);
    Ok(image)
}

/// What the image promises of itself: no more than the kernel inside keeps.
fn characteristics(stub: &Headers, kernel: Option<&[u8]>) -> Result<u16, UkiError> {
    let Some(kernel) = kernel else { return Ok(stub.characteristics) };
    let kernel = pe::parse("the kernel", kernel)?;
    if kernel.machine != stub.machine {
        return Err(UkiError::Machine { kernel: kernel.machine, stub: stub.machine });
    }
    Ok(stub.characteristics & (kernel.characteristics | !NX_COMPATIBLE))
}

/// Places for new sections behind those of a stub.
struct Layout<'s> {
    stub: &'s Headers,
    /// Number of sections so far.
    count: u16,
    /// Where the file ends so far; a multiple of its alignment.
    file_end: u64,
    /// Where the loaded image ends so far; a multiple of its alignment.
    image_end: u32,
    /// Sum of the sizes of sections with initialised data.
    initialized_data: u32,
}

impl<'s> Layout<'s> {
    fn after(stub: &'s Headers) -> Result<Self, UkiError> {
        let last = stub.sections.iter().map(|section| section.address.saturating_add(section.size)).max();
        let image_end = last.unwrap_or_default().checked_next_multiple_of(stub.section_alignment);
        Ok(Self {
            stub,
            count: stub.section_count,
            file_end: stub.length.0.next_multiple_of(u64::from(stub.file_alignment)),
            image_end: image_end.ok_or(UkiError::TooLarge { name: "of the stub" })?,
            initialized_data: stub.initialized_data,
        })
    }

    /// Takes the next place for a section and returns its header.
    fn add(
        &mut self,
        name: &'static str,
        content: &[u8],
        flags: u32,
    ) -> Result<[u8; SECTION_HEADER_SIZE], UkiError> {
        if content.is_empty() {
            return Err(UkiError::Empty { name });
        }
        if self.stub.sections.iter().any(|section| section.name == name) {
            return Err(UkiError::Exists { name });
        }
        let too_large = || UkiError::TooLarge { name };
        let size = u32::try_from(content.len()).map_err(|_| too_large())?;
        let room = size.checked_next_multiple_of(self.stub.file_alignment).ok_or_else(too_large)?;
        let offset = u32::try_from(self.file_end).map_err(|_| too_large())?;
        let section = Section { name: name.to_owned(), address: self.image_end, size, offset, room, flags };
        self.file_end = self.file_end.saturating_add(u64::from(room));
        self.image_end = self
            .image_end
            .checked_add(size)
            .and_then(|end| end.checked_next_multiple_of(self.stub.section_alignment))
            .ok_or_else(too_large)?;
        self.initialized_data = self.initialized_data.checked_add(size).ok_or_else(too_large)?;
        self.count = self.count.checked_add(1).ok_or_else(too_large)?;
        Ok(section.header())
    }
}

fn pad(image: &mut Vec<u8>, alignment: u32) {
    let alignment = usize::try_from(alignment).unwrap_or(1);
    image.resize(image.len().next_multiple_of(alignment), 0);
}

#[cfg(test)]
pub(crate) mod tests;
