//! The Debian archive: signatures, indices, solver, lock, download cache.

pub mod date;
pub mod deb822;
pub mod index;
pub mod keyring;
pub mod lock;
pub mod release;
pub mod signature;
