//! Choosing the packages of a profile from what the suites offer.

use sha2::Digest as _;
use thiserror::Error;

use super::index::Package;
use super::lock::{LockedPackage, Selection};
use super::solver::{Request, SolveError, Universe, UniverseError, solve};
use super::suite::Archive;
use super::version::Version;
use crate::profile::Profile;
use crate::units::Sha256;

/// Why a profile's packages cannot be chosen.
#[derive(Debug, Error)]
pub enum SelectError {
    /// An index contradicts itself.
    #[error("reading relations of packages")]
    Universe(#[from] UniverseError),
    /// No set of packages satisfies the profile.
    #[error(transparent)]
    Solve(#[from] SolveError),
    /// A boot package is in no suite.
    #[error("profile `{profile}` wants boot package `{name}`, which no suite has")]
    Boot {
        /// The profile.
        profile: String,
        /// The package.
        name: String,
    },
}

/// Chooses the packages of `profile` among `packages`, a part of what `archive` offers. Boot packages come without their dependencies: only their
/// files are used. Artifacts are chosen elsewhere.
pub fn select(archive: &Archive, packages: &[Package], profile: &Profile) -> Result<Selection, SelectError> {
    let universe = Universe::new(packages)?;
    let mut install = profile.packages.install.clone();
    install.push(profile.kernel.package.clone());
    install.extend(profile.firmware.packages.iter().cloned());
    let names =
        |list: &[crate::profile::Reasoned]| list.iter().map(|item| item.name.clone()).collect::<Vec<_>>();
    let (drop, exclude) = (names(&profile.packages.drop), names(&profile.packages.exclude));
    let request = Request { install: &install, drop: &drop, exclude: &exclude, origin: &profile.name };
    let chosen = solve(&universe, &request)?.into_iter().map(LockedPackage::from).collect();
    let mut boot_packages = Vec::new();
    for name in &profile.packages.boot {
        let newest = newest(packages, name);
        let missing = || SelectError::Boot { profile: profile.name.clone(), name: name.clone() };
        boot_packages.push(newest.ok_or_else(missing)?.into());
    }
    boot_packages.sort();
    // As the lock has them when it is read back: a build of the same selection is the same build.
    let mut suites = archive.suites.clone();
    suites.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Selection {
        profile: profile.name.clone(),
        arch: profile.arch,
        inputs: inputs(profile),
        date: archive.date,
        suites,
        packages: chosen,
        boot_packages,
        artifacts: Vec::new(),
    })
}

/// The newest version of a package in any suite.
fn newest<'a>(packages: &'a [Package], name: &str) -> Option<&'a Package> {
    // A version that does not parse has been refused by the universe.
    packages
        .iter()
        .filter(|package| package.name == name)
        .filter_map(|package| Some((Version::parse(&package.version).ok()?, package)))
        .max_by(|(one, _), (other, _)| one.cmp(other))
        .map(|(_, package)| package)
}

/// Digest of all that decides a selection, given the archive.
pub fn inputs(profile: &Profile) -> Sha256 {
    let mut hasher = sha2::Sha256::new();
    let text =
        serde_json::to_vec(&(&profile.packages, &profile.kernel.package, &profile.firmware, profile.arch));
    hasher.update(text.expect("strings and lists are always JSON"));
    Sha256(hasher.finalize().into())
}
