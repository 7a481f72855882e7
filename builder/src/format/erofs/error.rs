//! What a tree can hold that EROFS, or Linux reading it, cannot.

use std::io;

use thiserror::Error;

use super::layout::{NAME_MAX, TARGET_MAX, VOLUME_NAME_MAX};
use crate::units::Bytes;

/// Why a tree cannot be written as EROFS.
#[derive(Debug, Error)]
pub enum ErofsError {
    /// The last component of a path is too long.
    #[error("the name of `{path}` has {length} bytes, EROFS allows {NAME_MAX}")]
    Name {
        /// Path in the tree.
        path: String,
        /// Bytes of its last component.
        length: usize,
    },
    /// Directories are nested so deeply that no program could name the entry.
    #[error("path `{path}` has {length} bytes, Linux follows {TARGET_MAX}")]
    Path {
        /// Path in the tree.
        path: String,
        /// Its bytes.
        length: usize,
    },
    /// A name or the target of a link holds a NUL byte.
    #[error("`{}` has a NUL byte in its name or its target", path.escape_debug())]
    Nul {
        /// Path in the tree.
        path: String,
    },
    /// A symbolic link is empty, or longer than Linux follows.
    #[error("the target of link `{path}` has {length} bytes, Linux allows 1 to {TARGET_MAX}")]
    Target {
        /// Path in the tree.
        path: String,
        /// Bytes of the target.
        length: usize,
    },
    /// A mode has bits beyond the permissions.
    #[error("the mode of `{path}` is {mode:#o}, the greatest is 0o7777")]
    Mode {
        /// Path in the tree.
        path: String,
        /// The mode as given.
        mode: u16,
    },
    /// The label is too long, or holds a NUL byte.
    #[error("`{}` is no volume name: at most {VOLUME_NAME_MAX} bytes and no NUL", name.escape_debug())]
    VolumeName {
        /// The label as given.
        name: String,
    },
    /// The tree needs more blocks than a 32-bit block address can name.
    #[error("the tree needs more than 16 TiB: {size} up to `{path}`")]
    Size {
        /// Path in the tree where the limit was passed.
        path: String,
        /// Size of the image up to there.
        size: Bytes,
    },
    /// The output does not take the bytes.
    #[error("writing the file system")]
    Write {
        /// Why not.
        #[from]
        source: io::Error,
    },
}
