//! What can go wrong with a download.

use thiserror::Error;

use super::Wanted;
use crate::archive::cache::CacheError;
use crate::units::{Bytes, Sha256};

/// Why a file could not be had.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// The HTTP client cannot be set up.
    #[error("setting up HTTP")]
    Client {
        /// Why.
        source: reqwest::Error,
    },
    /// The network or the server broke off, also when tried again.
    #[error("downloading `{url}`")]
    Transport {
        /// What was asked for.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The server refuses.
    #[error("`{url}` answers with HTTP status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// No server has it.
    #[error("`{name}` is not at {}", .urls.join(", nor at "))]
    Absent {
        /// What was wanted.
        name: String,
        /// Where it was looked for.
        urls: Vec<String>,
        /// Why a further place could not be asked, if there is one.
        source: Option<Box<DownloadError>>,
    },
    /// The server ends the file too early, also when tried again.
    #[error("`{url}` ends after {found} bytes, expected {expected}", expected = .expected.0, found = .found.0)]
    Truncated {
        /// What was asked for.
        url: String,
        /// Its real size.
        expected: Bytes,
        /// How much came.
        found: Bytes,
    },
    /// The server sends more than there should be.
    #[error("`{url}` has more than the expected {limit} bytes", limit = .limit.0)]
    TooLong {
        /// What was asked for.
        url: String,
        /// Its real size, or the most that is accepted.
        limit: Bytes,
    },
    /// A size that no real file has, so that the lock or index that says it is wrong.
    #[error("`{name}` should have {size}, more than the {limit} that are accepted")]
    Absurd {
        /// What was wanted.
        name: String,
        /// Its size as said.
        size: Bytes,
        /// The most that is accepted.
        limit: Bytes,
    },
    /// The file is another one.
    #[error("`{url}` has sha256 {found}, expected {expected}")]
    Digest {
        /// What was asked for.
        url: String,
        /// The digest it should have.
        expected: Sha256,
        /// The digest it has.
        found: Sha256,
    },
    /// Nothing may be downloaded, but something is missing.
    #[error("offline, and the cache lacks {}", some(.missing))]
    Offline {
        /// Names of what is missing.
        missing: Vec<String>,
    },
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A worker thread ended early.
    #[error("work was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// Names that a person can take in: the first few, and how many more there are.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let first = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

impl DownloadError {
    pub(super) fn absent(file: &Wanted, urls: Vec<String>, source: Option<Self>) -> Self {
        Self::Absent { name: file.name.clone(), urls, source: source.map(Box::new) }
    }
}
