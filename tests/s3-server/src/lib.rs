//! An S3 server, for tests.
//!
//! Signatures, routes and documents are those of the crate `s3s`, which knows nothing of imgbuild's client; buckets and
//! objects are kept in memory. It answers on 127.0.0.1 over plain HTTP. There are two accounts, so that a name can be
//! taken, and one region.
//!
//! **What it answers**: lists of buckets, making and removing them, lists of objects (version 2), writing objects
//! without their bytes, removing one or many. **What it does not**: all else, bucket tags above all, which Hetzner's
//! Object Storage does not have either.
//!
//! **Faults** meet requests by method and path, see [`Fault`].

mod fault;
mod server;
mod store;

pub use fault::{Fault, FaultKind};
pub use server::{KEYS, OTHER_KEYS, Options, REGION, S3Server};
