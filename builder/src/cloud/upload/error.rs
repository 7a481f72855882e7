//! Why an image does not lie on a disk.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::hetzner::HetznerError;
use crate::ssh::SshError;
use crate::units::Bytes;

/// Why a machine has not proved that it is the one that was rented.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ShadowError {
    /// There is no line of root's.
    #[error("it has no entry of `root` among its passwords")]
    NoEntry,
    /// `root` cannot log in by password there.
    #[error("its `root` has no password")]
    NoPassword,
    /// The hash is of a scheme that is unknown here.
    #[error("its password of `root` is hashed by the unknown scheme `{scheme}`")]
    Scheme {
        /// What stands between the first two dollar signs.
        scheme: String,
    },
    /// The hash is not as its scheme has it.
    #[error("the hash of its password of `root` is malformed or too costly to check")]
    Malformed,
    /// The hash is of another password.
    #[error("its password of `root` is not the one that the provider told")]
    Mismatch,
}

/// Why an image was not written.
#[derive(Debug, Error)]
pub enum UploadError {
    /// The machine was not reached, or a command failed.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// It may be another machine.
    #[error("the host at the server's address has not proved that it is the server")]
    Trust(#[from] ShadowError),
    /// The image cannot be read.
    #[error("reading disk image `{}`", path.display())]
    Image {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The image has no bytes.
    #[error("disk image `{}` is empty", path.display())]
    Empty {
        /// Where it is.
        path: PathBuf,
    },
    /// Programs are absent there.
    #[error("the rescue system has no {}", .names.join(", "))]
    Programs {
        /// Their names.
        names: Vec<String>,
    },
    /// There is nothing to write to.
    #[error("the server has no disk")]
    NoDisk,
    /// There are several things to write to.
    #[error("the server has more than one disk: {}", .names.join(", "))]
    Disks {
        /// Their paths.
        names: Vec<String>,
    },
    /// The image does not fit.
    #[error("the image of {image} does not fit on the server's disk `{disk}` of {size}")]
    TooSmall {
        /// The disk's path.
        disk: String,
        /// Its size.
        size: Bytes,
        /// The image's size.
        image: Bytes,
    },
    /// The machine answers with something else than the answer.
    #[error("{what}: the server's answer is none: `{answer}`")]
    Answer {
        /// What was asked for: a gerund and its object.
        what: &'static str,
        /// The beginning of what it said, printable.
        answer: String,
    },
    /// Connections break faster than anything gets through.
    #[error("{losses} connections in a row were lost before anything was done over them")]
    Unstable {
        /// How many.
        losses: u32,
        /// The last loss.
        source: Box<UploadError>,
    },
    /// The disk does not keep what is written to it.
    #[error(
        "disk `{disk}` differs from the image, written twice: {ranges} of {all} parts of 64 MiB were wrong"
    )]
    Differs {
        /// Its path.
        disk: String,
        /// How many parts differed after the first time.
        ranges: usize,
        /// How many there are.
        all: usize,
    },
}

impl From<HetznerError> for UploadError {
    fn from(error: HetznerError) -> Self {
        Self::Ssh(error.into())
    }
}

impl UploadError {
    /// Whether the connection broke, so that another one may bring what this one did not.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Ssh(error) if error.is_lost())
    }

    /// What to do, where there is something.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Ssh(error) => return error.hint(),
            Self::Unstable { source, .. } => return source.hint(),
            Self::Trust(ShadowError::Mismatch) => {
                "somebody may stand between here and the server: nothing was sent to it; try again, from another network"
            }
            Self::Trust(_) => {
                "only trust on first use goes on without this proof; it is for networks in which nobody else could answer"
            }
            Self::Programs { .. } => "the rescue system must be `linux64`",
            Self::Disks { .. } => "the server that writes images must have no volumes",
            Self::TooSmall { .. } => {
                "name server types with larger disks in the cluster file, or make the image smaller"
            }
            Self::Differs { .. } => "try again: another server has another disk",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
