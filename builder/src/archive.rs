//! The Debian archive: signatures, indices, solver, lock, download cache; and artifacts, which are locked and
//! fetched alike.

mod apt;
pub mod artifact;
pub mod cache;
pub mod date;
pub mod deb822;
pub mod download;
pub mod index;
pub mod keyring;
pub mod lock;
pub mod mirror;
pub mod relation;
pub mod release;
pub mod select;
pub mod signature;
pub mod solver;
pub mod suite;
pub mod version;

#[cfg(test)]
mod tests;
