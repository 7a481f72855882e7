//! What can be wrong with a .deb.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::ControlFault;
use crate::rootfs::ar::ArError;
use crate::rootfs::stream::StreamFault;
use crate::rootfs::tarball::TarFault;

/// A .deb that cannot be used, and why.
#[derive(Debug, Error)]
#[error("reading package `{}`", path.display())]
pub struct DebError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub fault: Fault,
}

/// What is wrong with a .deb. Offsets count bytes from the start of the file.
#[derive(Debug, Error)]
pub enum Fault {
    /// The file cannot be opened.
    #[error("the file cannot be opened")]
    Open {
        /// The system's reason.
        source: io::Error,
    },
    /// The outer container is damaged.
    #[error(transparent)]
    Container(#[from] ArError),
    /// `debian-binary` names a format this program does not read.
    #[error("the format version is {found:?}, not 2.x")]
    Version {
        /// Content of `debian-binary`, at most 16 bytes.
        found: String,
    },
    /// A member that every package has is absent or at the wrong place.
    #[error("no member `{member}` where deb(5) puts it")]
    Missing {
        /// Name of the member, without suffix.
        member: &'static str,
    },
    /// Control information or contents are there twice.
    #[error("a second `{member}` at byte {offset}")]
    Duplicate {
        /// Name of the later member.
        member: String,
        /// Where its content begins.
        offset: u64,
    },
    /// The member's suffix names no compression that Debian uses.
    #[error("member `{member}` has an unknown compression: `.xz`, `.zst`, `.gz` or none are known")]
    Compression {
        /// Name of the member.
        member: String,
    },
    /// The member cannot be decompressed.
    #[error("decompressing member `{member}`")]
    Stream {
        /// Name of the member.
        member: String,
        /// Why not.
        #[source]
        fault: StreamFault,
    },
    /// The member is no acceptable tar archive.
    #[error("reading member `{member}`")]
    Tar {
        /// Name of the member.
        member: String,
        /// Why not.
        #[source]
        fault: TarFault,
    },
    /// The control archive has no control file.
    #[error("no file `control` in member `{member}`")]
    NoControl {
        /// Name of the member.
        member: String,
    },
    /// The control information makes no sense.
    #[error(transparent)]
    Control(#[from] ControlFault),
    /// The file holds another package than the one asked for.
    #[error("the file holds {found}, not {expected}")]
    Identity {
        /// What was asked for: name, version and architecture.
        expected: String,
        /// What the control stanza says.
        found: String,
    },
}
