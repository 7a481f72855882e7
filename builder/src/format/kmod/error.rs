//! What can be wrong with modules.

use thiserror::Error;

use crate::units::Bytes;

/// Why modules cannot be read or indexed.
#[derive(Debug, Error)]
pub enum KmodError {
    /// The file name says neither a module nor a known packing.
    #[error("`{path}` ends in none of `.ko`, `.ko.xz`, `.ko.zst`, `.ko.gz`")]
    Name {
        /// Path as given.
        path: String,
    },
    /// The packed file is truncated or corrupt.
    #[error("unpacking module `{path}`")]
    Compression {
        /// Path as given.
        path: String,
        /// What the decompressor found.
        source: std::io::Error,
    },
    /// The unpacked module is absurdly large.
    #[error("module `{path}` unpacks to more than {limit}")]
    Size {
        /// Path as given.
        path: String,
        /// Largest size accepted.
        limit: Bytes,
    },
    /// A class, byte order or file type that Debian's amd64 and arm64 kernels do not have.
    #[error("module `{path}` is no 64-bit little-endian relocatable ELF file")]
    Unsupported {
        /// Path as given.
        path: String,
    },
    /// Headers or tables point outside the file.
    #[error("module `{path}` is a corrupt ELF file")]
    Elf {
        /// Path as given.
        path: String,
        /// What is wrong in it.
        source: object::read::Error,
    },
    /// A section without which a file is no kernel module.
    #[error("module `{path}` has no section `{section}`")]
    Section {
        /// Path as given.
        path: String,
        /// Name of the section.
        section: &'static str,
    },
    /// A name or value that is not UTF-8, or a fragment where a string should end.
    #[error("module `{path}` has a malformed string in section `{section}`")]
    Text {
        /// Path as given.
        path: String,
        /// Name of the section.
        section: &'static str,
    },
    /// Two files are the same module.
    #[error("module `{name}` is both `{first}` and `{second}`")]
    Duplicate {
        /// The module's name.
        name: String,
        /// Path of one file.
        first: String,
        /// Path of the other.
        second: String,
    },
    /// Modules need each other's symbols in a circle.
    #[error("modules depend on each other in a circle: {}", modules.join(", "))]
    Cycle {
        /// Names of all modules that can be loaded in no order, sorted.
        modules: Vec<String>,
    },
    /// An alias with an opening but no closing bracket, or the other way round.
    #[error("module `{module}` has alias `{alias}` with an unmatched bracket")]
    Alias {
        /// The module's name.
        module: String,
        /// The alias as it stands.
        alias: String,
    },
    /// The binary indexes hold 7-bit characters only.
    #[error("`{text}` cannot be indexed, for it is not ASCII")]
    Ascii {
        /// Key or value.
        text: String,
    },
    /// Offsets of a binary index have 28 bits.
    #[error("a module index is larger than {limit}")]
    Index {
        /// Largest possible size.
        limit: Bytes,
    },
    /// A record of `modules.builtin.modinfo` is not `module.key=value`.
    #[error("`modules.builtin.modinfo` has record `{record}`, which is not `module.key=value`")]
    Builtin {
        /// The record, with what is not UTF-8 replaced.
        record: String,
    },
    /// A line of `modules.builtin` names no module.
    #[error("`modules.builtin` has line `{line}`, which is no path of a module")]
    BuiltinLine {
        /// The line.
        line: String,
    },
    /// A wanted module is neither a file, built in, nor an alias of one.
    #[error("the kernel has no module `{name}`{}", nearest.as_ref().map(|nearest| format!(" (there is `{nearest}`)")).unwrap_or_default())]
    Unknown {
        /// The name as wanted.
        name: String,
        /// The existing name that is most like it.
        nearest: Option<String>,
    },
}
