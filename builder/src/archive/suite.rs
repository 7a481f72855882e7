//! Suites: from signed Release files to all packages that a solver may choose from.

use std::path::PathBuf;

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use reqwest::Url;
use thiserror::Error;

use super::download::{DownloadError, Downloader, Wanted};
use super::index::{self, IndexError, Origin, PackageIndex};
use super::keyring::Keyring;
use super::lock::{LockedPackage, LockedSuite};
use super::mirror::{DEBIAN, MirrorError, Mirrors, SECURITY};
use super::release::{Release, ReleaseError};
use super::signature::{self, SignatureError};
use crate::units::{Arch, Bytes, Sha256, Timestamp};

/// Trixie's `InRelease` has 140 KiB.
const RELEASE_LIMIT: Bytes = Bytes(4 << 20);

/// One suite of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suite {
    /// Its codename, which is also its folder below `dists`.
    pub codename: String,
    /// `debian` or `debian-security`.
    pub archive: String,
    /// `main`, perhaps `non-free-firmware`.
    pub components: Vec<String>,
}

/// Suites that packages are chosen from, and the keys they must be signed with.
#[derive(Clone, Debug)]
pub struct Suites {
    /// In no particular order: a package's version decides, not its suite.
    pub all: Vec<Suite>,
    /// Trusted keys.
    pub keyring: Keyring,
}

impl Suites {
    /// Component main of trixie, its updates and its security updates.
    pub fn trixie(keyring: Keyring) -> Self {
        let suite = |codename: &str, archive: &str| Suite {
            codename: codename.to_owned(),
            archive: archive.to_owned(),
            components: vec!["main".to_owned()],
        };
        let all = vec![
            suite("trixie", DEBIAN),
            suite("trixie-updates", DEBIAN),
            suite("trixie-security", SECURITY),
        ];
        Self { all, keyring }
    }

    /// The same suites with further components in each.
    #[must_use]
    pub fn with_components(mut self, components: &[String]) -> Self {
        for suite in &mut self.all {
            suite.components.extend(components.iter().cloned());
        }
        self
    }
}

/// Everything that the suites offer one architecture.
#[derive(Clone, Debug)]
pub struct Archive {
    /// Packages of all suites; the same name and version may occur twice.
    pub packages: PackageIndex,
    /// What the lock records about each suite, in the order of [`Suites::all`].
    pub suites: Vec<LockedSuite>,
    /// Newest Date of the Release files.
    pub date: Timestamp,
}

/// Why the archive cannot be used.
#[derive(Debug, Error)]
pub enum SuiteError {
    /// A file could not be had.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A mirror or archive is wrong.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The signature does not count.
    #[error("verifying `{url}`")]
    Signature {
        /// The `InRelease` file.
        url: String,
        /// Why.
        source: SignatureError,
    },
    /// Signed, but not usable.
    #[error("reading `{url}`")]
    Release {
        /// The `InRelease` file.
        url: String,
        /// Why.
        source: ReleaseError,
    },
    /// The mirror shows an older state than was seen before.
    #[error(
        "the mirror's `{suite}` is of {found}, older than {known} in the lock: it lags behind, use another"
    )]
    Older {
        /// Codename of the suite.
        suite: String,
        /// Date of its Release file.
        found: Timestamp,
        /// Date in the lock.
        known: Timestamp,
    },
    /// The index of packages is not usable.
    #[error("reading packages of `{suite}`")]
    Index {
        /// Codename of the suite.
        suite: String,
        /// Why.
        source: IndexError,
    },
}

/// A verified Release file.
struct Signed {
    release: Release,
    locked: LockedSuite,
}

/// Reads the suites' packages for `arch`, from the mirrors or, offline, from the cache.
///
/// Valid-Until and the keys' expiry are judged at `now`, or at the moment that a snapshot shows. What
/// is older than `known`, the dates of suites seen before, is refused: trixie itself has no Valid-Until,
/// so a mirror could hold security updates back for ever. A snapshot may be as old as it is asked to be.
pub async fn update_indices(
    downloader: &Downloader<'_>,
    mirrors: &Mirrors,
    suites: &Suites,
    arch: Arch,
    now: Timestamp,
    known: &BTreeMap<&str, Timestamp>,
) -> Result<Archive, SuiteError> {
    let now = mirrors.snapshot.unwrap_or(now);
    let signed = try_join_all(
        suites.all.iter().map(|suite| read_release(downloader, mirrors, suite, &suites.keyring, now)),
    )
    .await?;
    if mirrors.snapshot.is_none() {
        refuse_older(&signed, known)?;
    }
    let mut origins = Vec::new();
    let mut wanted = Vec::new();
    for (suite, signed) in suites.all.iter().zip(&signed) {
        for component in &suite.components {
            wanted.push(wanted_index(mirrors, suite, &signed.release, component, arch)?);
            origins.push(Origin { suite: suite.codename.clone(), archive: suite.archive.clone() });
        }
    }
    let paths = downloader.fetch("fetching package indices", &wanted).await?;
    let mut packages = Vec::new();
    for part in try_join_all(paths.into_iter().zip(origins).map(|(path, origin)| load(path, origin))).await? {
        packages.extend(part);
    }
    let suites: Vec<LockedSuite> = signed.into_iter().map(|signed| signed.locked).collect();
    let date = suites.iter().map(|suite| suite.date).max().unwrap_or(Timestamp(0));
    Ok(Archive { packages, suites, date })
}

/// Returns the paths of locked packages in the cache, in the same order, downloading what is missing.
///
/// `date` is the lock's: versions that a mirror has dropped come from the snapshot archive of that moment.
pub async fn fetch_packages(
    downloader: &Downloader<'_>,
    mirrors: &Mirrors,
    packages: &[LockedPackage],
    date: Timestamp,
) -> Result<Vec<PathBuf>, SuiteError> {
    let wanted = packages
        .iter()
        .map(|package| {
            Ok(Wanted {
                name: format!("{} {} ({})", package.name, package.version, package.arch),
                urls: mirrors.sources(&package.archive, &package.path, date)?,
                size: Some(package.size),
                sha256: package.sha256,
            })
        })
        .collect::<Result<Vec<_>, MirrorError>>()?;
    Ok(downloader.fetch("fetching packages", &wanted).await?)
}

fn refuse_older(signed: &[Signed], known: &BTreeMap<&str, Timestamp>) -> Result<(), SuiteError> {
    for Signed { locked: LockedSuite { name, date, .. }, .. } in signed {
        if let Some(known) = known.get(name.as_str()).filter(|known| *known > date) {
            return Err(SuiteError::Older { suite: name.clone(), found: *date, known: *known });
        }
    }
    Ok(())
}

async fn read_release(
    downloader: &Downloader<'_>,
    mirrors: &Mirrors,
    suite: &Suite,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Signed, SuiteError> {
    let url = mirrors.url(&suite.archive, &format!("dists/{}/InRelease", suite.codename))?;
    let data = release_data(downloader, &url).await?;
    let verified = signature::verify(&data, keyring, now)
        .map_err(|source| SuiteError::Signature { url: url.to_string(), source })?;
    let release = Release::parse(&verified.text)
        .and_then(|release| release.check(&suite.codename, now).map(|()| release))
        .map_err(|source| SuiteError::Release { url: url.to_string(), source })?;
    if !downloader.is_offline() {
        downloader.cache().keep_release(url.as_str(), &data).map_err(DownloadError::from)?;
    }
    let locked = LockedSuite {
        name: suite.codename.clone(),
        date: release.date,
        sha256: Sha256::of(&data),
        signed_by: verified.fingerprint,
    };
    Ok(Signed { release, locked })
}

/// The `InRelease` file at `url`; offline the last one that counted.
async fn release_data(downloader: &Downloader<'_>, url: &Url) -> Result<Vec<u8>, DownloadError> {
    if !downloader.is_offline() {
        return downloader.fetch_unchecked(url, RELEASE_LIMIT).await;
    }
    let kept = downloader.cache().release(url.as_str())?;
    kept.ok_or_else(|| DownloadError::Offline { missing: vec![url.to_string()] })
}

/// A suite's `Packages.xz`, by the name that cannot change under us where the archive has it.
fn wanted_index(
    mirrors: &Mirrors,
    suite: &Suite,
    release: &Release,
    component: &str,
    arch: Arch,
) -> Result<Wanted, SuiteError> {
    let Suite { codename, archive, .. } = suite;
    let folder = format!("{component}/binary-{arch}");
    let plain = format!("{folder}/Packages.xz");
    let file = release.file(&plain).map_err(|source| SuiteError::Release {
        url: format!(
            "{}/dists/{codename}/InRelease",
            mirrors.base(archive).map(Url::as_str).unwrap_or_default()
        ),
        source,
    })?;
    let by_hash = format!("{folder}/by-hash/SHA256/{}", file.sha256);
    let paths = if release.has_by_hash { vec![by_hash, plain.clone()] } else { vec![plain.clone()] };
    let urls = paths
        .iter()
        .map(|path| mirrors.url(archive, &format!("dists/{codename}/{path}")))
        .collect::<Result<_, _>>()?;
    Ok(Wanted { name: format!("{codename}/{plain}"), urls, size: Some(file.size), sha256: file.sha256 })
}

async fn load(path: PathBuf, origin: Origin) -> Result<PackageIndex, SuiteError> {
    let suite = origin.suite.clone();
    let loaded = tokio::task::spawn_blocking(move || index::load(&path, &origin)).await;
    loaded.map_err(DownloadError::Interrupted)?.map_err(|source| SuiteError::Index { suite, source })
}
