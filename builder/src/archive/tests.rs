//! Whole ways: a small signed archive, served with faults, and the real one.

mod archive;
mod artifacts;
mod downloads;
mod indices;
mod place;
mod real;
mod server;
pub(super) mod signer;
