//! What is wrong with a tar archive.

use std::io;

use thiserror::Error;

use crate::printable;

/// What is wrong with an entry. Offsets are those of its header in the decompressed archive, in bytes.
#[derive(Debug, Error)]
pub enum TarFault {
    /// A header is damaged, or the archive ends inside an entry.
    #[error("no valid tar header before byte {offset}")]
    Header {
        /// Bytes read when it showed.
        offset: u64,
        /// The tar reader's reason.
        source: io::Error,
    },
    /// The archive ends without its end mark of zeroes: something was cut off, or all of it.
    #[error("the tar archive ends at byte {offset} without an end mark")]
    NoEnd {
        /// Where the last entry ends.
        offset: u64,
    },
    /// A path or link target is not UTF-8.
    #[error("entry at byte {offset}: path `{}` is no UTF-8", printable::text(path))]
    Encoding {
        /// Where the header is.
        offset: u64,
        /// The path with replacement characters.
        path: String,
    },
    /// A path begins with a slash.
    #[error("entry at byte {offset}: path `{}` is absolute", printable::text(path))]
    Absolute {
        /// Where the header is.
        offset: u64,
        /// The path.
        path: String,
    },
    /// A path has a `..`, or an empty or `.` component in its middle, or a control character.
    #[error("entry at byte {offset}: path `{}` is not plain", printable::text(path))]
    NotPlain {
        /// Where the header is.
        offset: u64,
        /// The path.
        path: String,
    },
    /// A device or pipe.
    #[error("entry at byte {offset}: `{path}` is a {kind}, which no image holds")]
    Special {
        /// Where the header is.
        offset: u64,
        /// The path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// An entry type that neither packages nor artifacts have (sparse files, multi-volume parts).
    #[error("entry at byte {offset}: `{path}` has the unsupported type {kind:?}")]
    Unsupported {
        /// Where the header is.
        offset: u64,
        /// The path.
        path: String,
        /// The type byte as a character.
        kind: char,
    },
    /// An extended attribute, which a tree in memory would lose.
    #[error("entry at byte {offset}: `{path}` has the unsupported attribute `{key}`")]
    Attribute {
        /// Where the header is.
        offset: u64,
        /// The path.
        path: String,
        /// The PAX key.
        key: String,
    },
    /// An owner or mode is no number or out of range.
    #[error("entry at byte {offset}: `{path}` has an unusable {field}")]
    Field {
        /// Where the header is.
        offset: u64,
        /// The path.
        path: String,
        /// Name of the header field.
        field: &'static str,
    },
    /// The header claims more than the archive may hold.
    #[error("entry at byte {offset}: `{path}` claims {size} bytes, at most {limit} may follow")]
    TooLarge {
        /// Where the header is.
        offset: u64,
        /// The path.
        path: String,
        /// Size by the header.
        size: u64,
        /// What the limit leaves.
        limit: u64,
    },
    /// The archive ends before the file does.
    #[error("entry at byte {offset}: `{path}` claims {size} bytes, the archive has {found} more")]
    Short {
        /// Where the header is.
        offset: u64,
        /// The path.
        path: String,
        /// Size by the header.
        size: u64,
        /// Bytes that were there.
        found: u64,
    },
    /// A hard link to a file that does not come before it.
    #[error("entry at byte {offset}: `{path}` is a hard link to `{target}`, which is no file before it")]
    LinkTarget {
        /// Where the header is.
        offset: u64,
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
    /// A symbolic link to nothing.
    #[error("entry at byte {offset}: `{path}` is a symbolic link without a target")]
    NoTarget {
        /// Where the header is.
        offset: u64,
        /// The link.
        path: String,
    },
    /// A symbolic link to a path with a control character.
    #[error(
        "entry at byte {offset}: `{path}` is a symbolic link to `{}`, which is no plain text",
        printable::text(target)
    )]
    Target {
        /// Where the header is.
        offset: u64,
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
    /// A path that was there before.
    #[error("entry at byte {offset}: `{path}` is there twice")]
    Twice {
        /// Where the later header is.
        offset: u64,
        /// The path.
        path: String,
    },
}
