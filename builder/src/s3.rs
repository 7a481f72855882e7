//! Buckets of an S3 service: the few requests that a cluster's copies need before there is a cluster.
//!
//! - [`Client`] asks by path (`https://HOST/BUCKET`), signed with [`Keys`] (`SigV4`), and repeats what is worth it.
//! - [`Storage`] knows which buckets a run has made, and how they are marked.
//! - What fails is an [`S3Error`]. Each call belongs to an [`Operation`](crate::hetzner::Operation), which has a deadline
//!   and can be stopped.
//!
//! **Marks.** Whose a bucket is, it says itself: an object of no bytes, `imgbuild.org/cluster/NAME`, and as long as the run
//! goes on that has made it, `imgbuild.org/run/NUMBER`. Tags would be the words for that, but Hetzner's Object Storage has
//! none for buckets. k3s and Longhorn pass over objects without bytes, and over names that are not theirs.
//!
//! Specification: <https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html>; what Hetzner has of it:
//! <https://docs.hetzner.com/storage/object-storage/supported-actions>.

pub use self::client::{Client, Objects};
pub use self::endpoint::{Endpoint, EndpointError};
pub use self::error::{NAMES_OTHERS, Refusal, RequestLine, S3Error};
pub use self::keys::{KeyError, Keys};
pub use self::storage::Storage;

mod client;
mod document;
mod endpoint;
mod error;
mod keys;
mod retry;
mod storage;
#[cfg(test)]
pub(crate) mod tests;
mod transport;
