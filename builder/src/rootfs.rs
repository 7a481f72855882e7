//! The root file system as a tree: unpacking packages and artifacts, declared setup, exclusions.

pub mod ar;
pub mod artifact;
pub mod compose;
pub mod deb;
pub mod dpkg;
pub mod elf;
pub mod exclusion;
pub mod ldcache;
pub mod library;
pub mod resolve;
pub mod review;
#[cfg(test)]
pub(crate) mod sample;
pub mod setup;
pub mod stream;
pub mod tarball;
pub mod unpack;

pub use compose::{DebInfo, PackageFile, unpack_all};
pub use exclusion::Exclusions;
