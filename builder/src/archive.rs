//! The Debian archive: signatures, indices, solver, lock, download cache.

pub mod lock;
