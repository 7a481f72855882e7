//! The Debian archive: signatures, indices, solver, lock, download cache.

pub mod index;
pub mod lock;
pub mod relation;
pub mod solver;
pub mod version;
