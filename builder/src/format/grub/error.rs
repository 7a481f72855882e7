//! What can be wrong with GRUB's files.

use thiserror::Error;

use crate::units::Bytes;

/// Why a core cannot be assembled.
#[derive(Debug, Error)]
pub enum GrubError {
    /// Headers or tables point outside the file.
    #[error("`{file}` is a corrupt ELF file")]
    Elf {
        /// Name of the file.
        file: String,
        /// What is wrong in it.
        source: object::read::Error,
    },
    /// A valid ELF file of another kind.
    #[error("`{file}` is no {expected}")]
    Kind {
        /// Name of the file.
        file: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Code begins where nobody jumps to.
    #[error("`kernel.img` begins at {found:#x}, not at {expected:#x}")]
    Start {
        /// Address of its first section.
        found: u32,
        /// Address that the decompressor jumps to.
        expected: u32,
    },
    /// A section of the kernel is where no kernel can be.
    #[error("`kernel.img` has {size} at {address:#x}, which is not between {:#x} and {:#x}", range.0, range.1)]
    Place {
        /// Address of the section.
        address: u32,
        /// Its size.
        size: Bytes,
        /// First address, and first one too many.
        range: (u32, u32),
    },
    /// A line of the list of dependencies has another form.
    #[error("line {number} of `moddep.lst` is `{line}`, expected `NAME: NAME…`")]
    Line {
        /// Line, from 1.
        number: usize,
        /// The line.
        line: String,
    },
    /// A module is wanted, or needed by another, and not there.
    #[error("there is no GRUB module `{name}`{}", needed_by.as_ref().map(|by| format!(", which `{by}` needs")).unwrap_or_default())]
    Unknown {
        /// Its name.
        name: String,
        /// Module that needs it.
        needed_by: Option<String>,
    },
    /// A module that is called otherwise inside, or has no name at all.
    #[error("GRUB module `{file}` calls itself `{found}`")]
    Name {
        /// Name of the file.
        file: String,
        /// What its section `.modname` says.
        found: String,
    },
    /// A module needs one that comes later or never: the list of dependencies is of other modules.
    #[error("GRUB module `{name}` needs `{needs}`, which `moddep.lst` does not say")]
    Order {
        /// The module.
        name: String,
        /// What its section `.moddeps` names.
        needs: String,
    },
    /// Something does not fit where BIOS machines load it to.
    #[error("{what} has {size}, at most {limit} fit")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        size: Bytes,
        /// The most.
        limit: Bytes,
    },
    /// A boot program is cut off, or none.
    #[error("`{file}` has {found} bytes, expected {expected}")]
    Length {
        /// Name of the file.
        file: &'static str,
        /// Its length.
        found: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// The compressor gave up.
    #[error("compressing GRUB's core")]
    Compress(#[from] std::io::Error),
}
