//! From .deb files to a tree: reads all packages in parallel and merges them.
//!
//! Declared setup comes afterwards; it is told here what the packages' scripts are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::iter::{ParallelBridge as _, ParallelIterator as _};
use thiserror::Error;

use super::deb::{Control, Deb, DebError, Fault};
use super::exclusion::Exclusions;
use super::unpack::{UnpackError, unpack};
use crate::derived::DerivedCache;
use crate::printer::Task;
use crate::tree::Tree;
use crate::units::Sha256;

/// A .deb in the cache and what it must hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PackageFile {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// `all` or the architecture.
    pub arch: String,
    /// Digest of the file.
    pub sha256: Sha256,
    /// Where the file lies.
    pub path: PathBuf,
}

/// What is left of a package beside its files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DebInfo {
    /// Package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// `all` or the architecture.
    pub arch: String,
    /// The stanza of its `control` file as shipped.
    pub control: String,
    /// Maintainer scripts by file name (`postinst`), and `triggers`; unmodified.
    pub scripts: BTreeMap<String, Vec<u8>>,
    /// Configuration files, below the root, in the package's order.
    pub conffiles: Vec<String>,
    /// The package's `md5sums`, empty where it has none.
    pub md5sums: String,
    /// Files and links that it brought, without the excluded ones, sorted.
    pub files: Vec<String>,
}

/// All packages, unpacked in memory.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// Their files.
    pub tree: Tree,
    /// The packages, sorted by name.
    pub debs: Vec<DebInfo>,
}

/// Why packages could not be unpacked.
#[derive(Debug, Error)]
pub enum ComposeError {
    /// A package file is unusable.
    #[error(transparent)]
    Deb(#[from] DebError),
    /// The packages do not fit together.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
}

/// Reads all packages in parallel, from copies in `cache` where there are any, and merges them. `task` counts the bytes
/// of the package files.
///
/// The result, and which of several errors is reported, do not depend on the number of threads.
pub fn unpack_all(
    packages: &[PackageFile],
    exclusions: &Exclusions,
    cache: &dyn DerivedCache,
    task: &Task,
) -> Result<Unpacked, ComposeError> {
    let mut debs = read_all(packages, exclusions, cache, task)?;
    let (tree, files) = unpack(&mut debs, exclusions)?;
    let debs = debs.into_iter().zip(files).map(|(deb, files)| DebInfo {
        name: deb.control.package,
        version: deb.control.version,
        arch: deb.control.architecture,
        control: deb.control.stanza,
        scripts: deb
            .scripts
            .into_iter()
            .map(|(kind, content)| (kind.file_name().to_owned(), content))
            .collect(),
        conffiles: deb.conffiles,
        md5sums: deb.md5sums,
        files,
    });
    Ok(Unpacked { tree, debs: debs.collect() })
}

fn read_all(
    packages: &[PackageFile],
    exclusions: &Exclusions,
    cache: &dyn DerivedCache,
    task: &Task,
) -> Result<Vec<Deb>, DebError> {
    let size = |package: &PackageFile| package.path.metadata().map_or(0, |metadata| metadata.len());
    let mut by_size: Vec<(u64, &PackageFile)> =
        packages.iter().map(|package| (size(package), package)).collect();
    // Biggest first: a kernel taken up last would leave the other processors idle.
    by_size.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.path.cmp(&other.1.path)));
    // A bridge hands packages out one by one in this order; a split slice would not.
    let mut results: Vec<(&PackageFile, Result<Deb, DebError>)> = by_size
        .into_iter()
        .par_bridge()
        .map(|(size, package)| {
            let deb = read_one(package, exclusions, cache);
            task.advance(size);
            (package, deb)
        })
        .collect();
    results.sort_by(|(one, _), (other, _)| (&one.name, &one.path).cmp(&(&other.name, &other.path)));
    results.into_iter().map(|(_, deb)| deb).collect()
}

fn read_one(
    package: &PackageFile,
    exclusions: &Exclusions,
    cache: &dyn DerivedCache,
) -> Result<Deb, DebError> {
    let deb = Deb::read(&package.path, package.sha256, &|path| !exclusions.excludes(path), cache)?;
    let Control { package: name, version, architecture, .. } = &deb.control;
    if (name, version, architecture) == (&package.name, &package.version, &package.arch) {
        return Ok(deb);
    }
    let fault = Fault::Identity {
        expected: format!("{} {} {}", package.name, package.version, package.arch),
        found: format!("{name} {version} {architecture}"),
    };
    Err(DebError { path: package.path.clone(), fault })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::derived::NoCache;
    use crate::printer::Printer;
    use crate::rootfs::sample::{Item, deb_with};

    fn package(folder: &Path, name: &str, files: &[Item]) -> PackageFile {
        let path = folder.join(name);
        let deb = deb_with(name, &[("triggers", "interest x\n")], files);
        fs::write(&path, &deb).unwrap();
        let sha256 = Sha256::of(&deb);
        PackageFile { name: name.to_owned(), version: "1.0".to_owned(), arch: "all".to_owned(), sha256, path }
    }

    fn unpack_with(packages: &[PackageFile], threads: usize) -> Result<Unpacked, ComposeError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let task = Printer::default().task("unpacking", None);
        pool.install(|| unpack_all(packages, &Exclusions::default(), &NoCache, &task))
    }

    #[test]
    fn the_result_does_not_depend_on_order_or_threads() {
        let folder = tempfile::tempdir().unwrap();
        let name = |index: usize| format!("package{index:02}");
        let mut packages: Vec<_> = (0..12)
            .map(|index| {
                let content = vec![b'x'; index * 100];
                let files =
                    [Item::directory("./usr/"), Item::file(format!("./usr/{}", name(index)), &content)];
                package(folder.path(), &name(index), &files)
            })
            .collect();
        let first = unpack_with(&packages, 1).unwrap();
        packages.reverse();
        let second = unpack_with(&packages, 4).unwrap();
        assert_eq!(first.tree, second.tree);
        let names =
            |unpacked: &Unpacked| -> Vec<_> { unpacked.debs.iter().map(|deb| deb.name.clone()).collect() };
        assert_eq!(names(&first), (0..12).map(name).collect::<Vec<_>>());
        assert_eq!(names(&second), names(&first));
        assert_eq!(first.debs[3].files, ["usr/package03"]);
        assert_eq!(first.debs[3].scripts["triggers"], b"interest x\n");
    }

    #[test]
    fn reports_the_first_bad_package_by_name_whatever_the_threads() {
        let folder = tempfile::tempdir().unwrap();
        let mut packages: Vec<_> =
            ["aa", "bb", "cc", "dd"].into_iter().map(|name| package(folder.path(), name, &[])).collect();
        // The biggest is taken up first.
        fs::write(&packages[2].path, vec![b'x'; 100_000]).unwrap();
        packages[1].version = "2.0".to_owned();
        let expected = format!("reading package `{}`", packages[1].path.display());
        for threads in [1, 4] {
            let Err(ComposeError::Deb(fault)) = unpack_with(&packages, threads) else {
                panic!("no package fault with {threads} threads");
            };
            assert_eq!(fault.to_string(), expected);
            assert_eq!(fault.fault.to_string(), "the file holds bb 1.0 all, not bb 2.0 all");
        }
    }
}
