//! Artifacts: which pin counts, the declared or the locked one, and downloads by it.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use reqwest::Url;
use thiserror::Error;

use super::cache::CacheError;
use super::download::{DownloadError, Downloader, Wanted};
use super::lock::LockedArtifact;
use crate::profile::Artifact;
use crate::units::Sha256;

/// Artifacts whose declared contents are not those that were locked under the same version; at least one.
#[derive(Debug, Error)]
#[error("artifacts have other contents under the same version{}", shown(.changed))]
pub struct Changed {
    /// Which, and how.
    pub changed: Vec<Conflict>,
}

/// One version with two contents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    /// The artifact.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The locked digest.
    pub locked: Sha256,
    /// The declared digest.
    pub declared: Sha256,
}

fn shown(changed: &[Conflict]) -> String {
    changed.iter().fold(String::new(), |mut text, Conflict { name, version, locked, declared }| {
        let _ = write!(text, "\n  {name} {version}: locked {locked}, declared {declared}");
        text
    })
}

/// Why artifacts can't be had.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The lock names no URL.
    #[error("artifact `{name}` has the URL `{url}`, which is none")]
    Url {
        /// The artifact.
        name: String,
        /// What stands in the lock.
        url: String,
    },
    /// They are not in the cache, and a download failed.
    #[error("{}", Lacking(.lacking))]
    Download {
        /// What is not in the cache.
        lacking: Vec<LockedArtifact>,
        /// What ended the download.
        source: DownloadError,
    },
    /// The cache can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

struct Lacking<'a>(&'a [LockedArtifact]);

impl fmt::Display for Lacking<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let are = if self.0.len() == 1 { "artifact is" } else { "artifacts are" };
        write!(formatter, "{} {are} not in the cache", self.0.len())?;
        for LockedArtifact { name, version, url, sha256, .. } in self.0 {
            write!(formatter, "\n  {name} {version}\n    {url}\n    sha256 {sha256}")?;
        }
        Ok(())
    }
}

/// The pins of a profile's artifacts: the locked one of each name that `stays`, else the declared one.
///
/// One version has one content for ever: a declared digest that differs from the locked one is refused.
pub fn choose(
    declared: &[Artifact],
    locked: &[&LockedArtifact],
    stays: impl Fn(&str) -> bool,
) -> Result<Vec<LockedArtifact>, Changed> {
    let mut chosen = Vec::new();
    let mut changed = Vec::new();
    for Artifact { name, version, url, sha256, size, evidence, .. } in declared {
        let same = locked.iter().find(|locked| locked.name == *name && locked.version == *version);
        if let Some(other) = same.filter(|locked| locked.sha256 != *sha256) {
            changed.push(Conflict {
                name: name.clone(),
                version: version.clone(),
                locked: other.sha256,
                declared: *sha256,
            });
        }
        let kept = locked.iter().copied().find(|locked| locked.name == *name && stays(name));
        chosen.push(kept.cloned().unwrap_or_else(|| LockedArtifact {
            name: name.clone(),
            version: version.clone(),
            url: url.clone(),
            size: *size,
            sha256: *sha256,
            evidence: evidence.clone(),
        }));
    }
    if changed.is_empty() { Ok(chosen) } else { Err(Changed { changed }) }
}

/// Returns the paths of artifacts in the cache, in the same order, downloading what is missing.
pub async fn fetch(
    downloader: &Downloader<'_>,
    artifacts: &[LockedArtifact],
) -> Result<Vec<PathBuf>, FetchError> {
    let wanted = artifacts.iter().map(wanted).collect::<Result<Vec<_>, _>>()?;
    match downloader.fetch("fetching artifacts", &wanted).await {
        Ok(paths) => Ok(paths),
        Err(source) => {
            let mut lacking = Vec::new();
            for artifact in artifacts {
                if downloader.cache().find(artifact.size, artifact.sha256)?.is_none() {
                    lacking.push(artifact.clone());
                }
            }
            Err(FetchError::Download { lacking, source })
        }
    }
}

fn wanted(artifact: &LockedArtifact) -> Result<Wanted, FetchError> {
    let LockedArtifact { name, version, url, size, sha256, .. } = artifact;
    let parsed = Url::parse(url).map_err(|_| FetchError::Url { name: name.clone(), url: url.clone() })?;
    Ok(Wanted { name: format!("{name} {version}"), urls: vec![parsed], size: *size, sha256: *sha256 })
}
