//! What takes the room in a build: partitions, packages and artifacts, and their folders; the parts add up to the
//! whole.

use std::collections::BTreeMap;

use serde::Serialize;
use thiserror::Error;

use super::manifest::{Artifact, Manifest, Package, Partition};
use super::owners::Owners;
use crate::image::Role;
use crate::tree::{Kind, Tree, is_within};
use crate::units::Bytes;

/// Where the room of a build goes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Sizes {
    /// Partitions in disk order.
    pub partitions: Vec<Partition>,
    /// Sum of what the partitions use.
    pub used: Bytes,
    /// Parts of the UKI and whatever else is on the ESP; they add up to what it uses.
    pub boot: Vec<Part>,
    /// Packages of the root, the largest first.
    pub packages: Vec<PackageSize>,
    /// Artifacts in the root, the largest first.
    pub artifacts: Vec<ArtifactSize>,
    /// Files of neither: made by setup, our programs, lists for scanners.
    pub others: Vec<Part>,
    /// All files of the root, before the file system packs them: packages, artifacts and others.
    pub files: Bytes,
}

/// A package and where its files lie.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PackageSize {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Bytes of its files.
    pub installed: Bytes,
    /// Its folders, the largest first; they add up to `installed`.
    pub folders: Vec<Part>,
}

/// An artifact and where its files lie.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ArtifactSize {
    /// Name.
    pub name: String,
    /// Bytes of its files, unpacked.
    pub installed: Bytes,
    /// Its folders, the largest first; they add up to `installed`.
    pub folders: Vec<Part>,
}

/// A named share.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Part {
    /// What it is.
    pub name: String,
    /// Its bytes.
    pub size: Bytes,
}

/// Why sizes do not add up: manifest and root are not of one build.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum SizesError {
    /// The files of a package are larger than the manifest says.
    #[error("package `{package}` has {found} of files, the manifest says {expected}")]
    Package {
        /// Its name.
        package: String,
        /// By the manifest.
        expected: Bytes,
        /// In the root.
        found: Bytes,
    },
    /// Packages and artifacts are larger than the root.
    #[error("packages and artifacts have {expected} of files by the manifest, the root has {found}")]
    Root {
        /// By the manifest.
        expected: Bytes,
        /// In the root.
        found: Bytes,
    },
}

impl Sizes {
    /// Measures a build by its manifest and the tree in its root.
    pub fn measure(manifest: &Manifest, tree: &Tree) -> Result<Self, SizesError> {
        let owners = Owners::of(tree);
        let mut owned = folders(tree, &owners, &manifest.artifacts);
        let mut unowned = owned.remove(&Owner::Nobody).unwrap_or_default();
        let mut packages: Vec<PackageSize> = manifest
            .packages
            .iter()
            .map(|package| split(package, owned.remove(&Owner::Package(&package.name)).unwrap_or_default()))
            .collect::<Result<_, _>>()?;
        packages.sort_by(|one, other| {
            other.installed.cmp(&one.installed).then_with(|| one.name.cmp(&other.name))
        });
        let mut artifacts: Vec<ArtifactSize> = manifest
            .artifacts
            .iter()
            .map(|artifact| {
                let folders = owned.remove(&Owner::Artifact(&artifact.name)).unwrap_or_default();
                let installed = sum(folders.values().copied());
                let folders = completed(folders, installed, "");
                ArtifactSize { name: artifact.name.clone(), installed, folders }
            })
            .collect();
        artifacts.sort_by(|one, other| {
            other.installed.cmp(&one.installed).then_with(|| one.name.cmp(&other.name))
        });
        let files = sum(file_sizes(tree));
        let of_artifacts = artifacts.iter().map(|artifact| artifact.installed);
        let installed = sum(packages.iter().map(|package| package.installed).chain(of_artifacts));
        let Some(others) = files.0.checked_sub(installed.0) else {
            return Err(SizesError::Root { expected: installed, found: files });
        };
        // Configuration files have no owner but are installed: they are counted with their packages.
        let listed = sum(unowned.values().copied());
        take(&mut unowned, listed.0.saturating_sub(others));
        Ok(Self {
            used: sum(manifest.partitions.iter().map(|partition| partition.used)),
            partitions: manifest.partitions.clone(),
            boot: boot(manifest),
            packages,
            artifacts,
            others: completed(unowned, Bytes(others), "elsewhere"),
            files,
        })
    }
}

/// Who brought a file.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Owner<'a> {
    /// A package, by name.
    Package(&'a str),
    /// An artifact, by name.
    Artifact(&'a str),
    /// imgbuild itself.
    Nobody,
}

/// Sizes of the folders of each owner.
fn folders<'a>(
    tree: &Tree,
    owners: &'a Owners,
    artifacts: &'a [Artifact],
) -> BTreeMap<Owner<'a>, BTreeMap<String, Bytes>> {
    let owner = |path: &str| {
        let of_package = owners.package(path).map(Owner::Package);
        let has_brought = |artifact: &&Artifact| artifact.places.iter().any(|place| is_within(path, place));
        let of_artifact = || Some(Owner::Artifact(&artifacts.iter().find(has_brought)?.name));
        of_package.or_else(of_artifact).unwrap_or(Owner::Nobody)
    };
    let mut all: BTreeMap<Owner<'a>, BTreeMap<String, Bytes>> = BTreeMap::new();
    for (path, entry) in tree.iter() {
        if let Kind::File(content) = &entry.kind {
            let size = all.entry(owner(path)).or_default().entry(folder(path)).or_default();
            *size = Bytes(size.0.saturating_add(Bytes::of(content).0));
        }
    }
    all
}

/// The first folders of a path: two below `usr` and `var`, one elsewhere.
fn folder(path: &str) -> String {
    let depth = if path.starts_with("usr/") || path.starts_with("var/") { 3 } else { 1 };
    let parts: Vec<&str> = path.split('/').collect();
    let folders = parts.len().saturating_sub(1).min(depth).max(1);
    parts.get(..folders).unwrap_or_default().join("/")
}

fn file_sizes(tree: &Tree) -> impl Iterator<Item = Bytes> {
    tree.iter().filter_map(|(_, entry)| match &entry.kind {
        Kind::File(content) => Some(Bytes::of(content)),
        _ => None,
    })
}

fn split(package: &Package, folders: BTreeMap<String, Bytes>) -> Result<PackageSize, SizesError> {
    let found = sum(folders.values().copied());
    if found > package.installed {
        let (package, expected) = (package.name.clone(), package.installed);
        return Err(SizesError::Package { package, expected, found });
    }
    Ok(PackageSize {
        name: package.name.clone(),
        version: package.version.clone(),
        installed: package.installed,
        folders: completed(folders, package.installed, "configuration"),
    })
}

/// Parts, the largest first, with one more that is what they lack of `total`.
fn completed(parts: BTreeMap<String, Bytes>, total: Bytes, rest: &str) -> Vec<Part> {
    let known = sum(parts.values().copied());
    let rest = (rest.to_owned(), Bytes(total.0.saturating_sub(known.0)));
    let parts = parts.into_iter().chain([rest]).filter(|(_, size)| size.0 > 0);
    let mut parts: Vec<Part> = parts.map(|(name, size)| Part { name, size }).collect();
    parts.sort_by(|one, other| other.size.cmp(&one.size).then_with(|| one.name.cmp(&other.name)));
    parts
}

/// Takes `amount` off the parts, off `etc` as long as it has something.
fn take(parts: &mut BTreeMap<String, Bytes>, mut amount: u64) {
    let mut take_off = |part: &mut Bytes| {
        let taken = part.0.min(amount);
        *part = Bytes(part.0.saturating_sub(taken));
        amount = amount.saturating_sub(taken);
    };
    parts.get_mut("etc").into_iter().for_each(&mut take_off);
    parts.values_mut().for_each(take_off);
}

fn boot(manifest: &Manifest) -> Vec<Part> {
    let used = |role| manifest.partition(role).map(|partition| partition.used).unwrap_or_default();
    let uki = manifest.files.get(super::seal::UKI).map(|facts| facts.size).unwrap_or_default();
    let (initrd, microcode) = (manifest.initrd_size, manifest.microcode_size);
    let kernel = Bytes(uki.0.saturating_sub(initrd.0).saturating_sub(microcode.0));
    let parts = [("initrd", initrd), ("microcode", microcode), ("kernel and stub", kernel)];
    let parts = parts.map(|(name, size)| (name.to_owned(), size)).into_iter().filter(|(_, size)| size.0 > 0);
    // GRUB reads no UKI: all that is in one is there once more.
    let has_copies = used(Role::BiosBoot).0 > 0;
    let rest = if has_copies { "boot loaders, and the same for BIOS" } else { "boot loader" };
    completed(parts.collect(), used(Role::Esp), rest)
}

/// All of them, without an end at 2^64.
pub fn sum(sizes: impl Iterator<Item = Bytes>) -> Bytes {
    Bytes(sizes.fold(0, |sum, size| sum.saturating_add(size.0)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bundle::manifest::FileFacts;
    use crate::bundle::sbom;
    use crate::rootfs::dpkg::STATUS_DIRECTORY;
    use crate::tree::Metadata;
    use crate::units::{Lba, Sha256};

    pub(crate) fn sample() -> (Manifest, Tree) {
        let mut tree = Tree::default();
        let mut put = |path: &str, size: usize| tree.write(path, Metadata::FILE, vec![b'x'; size]).unwrap();
        put("usr/bin/large", 900);
        put("usr/lib/modules/6.12/m.ko", 1100);
        put("usr/lib/modules/6.12/n.ko", 1000);
        put("etc/large.conf", 50);
        put("etc/hostname", 7);
        put("usr/bin/firstboot", 300);
        put("usr/bin/small", 20);
        put("usr/bin/tool", 40);
        put("usr/lib/tool/data/a", 4000);
        put("usr/lib/tool-not", 5);
        let digest = "0".repeat(32);
        let list = |files: &[&str]| -> String {
            files.iter().flat_map(|file| [digest.as_str(), "  ", file, "\n"]).collect()
        };
        let large = list(&["usr/bin/large", "usr/lib/modules/6.12/m.ko", "usr/lib/modules/6.12/n.ko"]);
        for (name, text) in [("large", large), ("small", list(&["usr/bin/small"]))] {
            tree.write(&format!("{STATUS_DIRECTORY}/{name}.md5sums"), Metadata::FILE, text).unwrap();
        }
        let mut manifest = sbom::tests::manifest();
        let template = manifest.packages[0].clone();
        manifest.packages = [("large", 3050), ("small", 20)]
            .map(|(name, size)| Package { name: name.to_owned(), installed: Bytes(size), ..template.clone() })
            .into();
        manifest.artifacts = vec![Artifact {
            name: "tool".to_owned(),
            version: Some("1".to_owned()),
            sha256: Sha256::of(b"tool"),
            size: Bytes(1234),
            pinned: true,
            places: vec!["usr/bin/tool".to_owned(), "usr/lib/tool".to_owned()],
        }];
        manifest.initrd_size = Bytes(2000);
        let facts = FileFacts { size: Bytes(14_000), sha256: Sha256::of(b"") };
        manifest.files.insert("os.efi".to_owned(), facts);
        manifest.partitions = [("esp", 15_000), ("root-a", 3600), ("root-a-verity", 100)]
            .map(|(label, used)| Partition {
                label: label.to_owned(),
                kind: uuid::Uuid::nil(),
                partuuid: uuid::Uuid::nil(),
                first: Lba(0),
                size: Bytes(1 << 20),
                used: Bytes(used),
            })
            .into();
        (manifest, tree)
    }

    fn parts(parts: &[Part]) -> Vec<(&str, u64)> {
        parts.iter().map(|part| (part.name.as_str(), part.size.0)).collect()
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let (manifest, tree) = sample();
        let sizes = Sizes::measure(&manifest, &tree).unwrap();
        assert_eq!(sizes.used, Bytes(18_700));
        assert_eq!(
            parts(&sizes.boot),
            [("kernel and stub", 12_000), ("initrd", 2000), ("boot loader", 1000)]
        );
        let large = &sizes.packages[0];
        assert_eq!(
            parts(&large.folders),
            [("usr/lib/modules", 2100), ("usr/bin", 900), ("configuration", 50)]
        );
        let (mut manifest, _) = sample();
        manifest.microcode_size = Bytes(9000);
        manifest.partitions[0].used = Bytes(30_000);
        let grub = Partition { label: "bios-boot".to_owned(), ..manifest.partitions[1].clone() };
        manifest.partitions.push(grub);
        let of_both = Sizes::measure(&manifest, &tree).unwrap().boot;
        assert_eq!(
            parts(&of_both),
            [
                ("boot loaders, and the same for BIOS", 16_000),
                ("microcode", 9000),
                ("kernel and stub", 3000),
                ("initrd", 2000)
            ]
        );
        let lists = 3 * 34 + "usr/bin/large".len() + 2 * "usr/lib/modules/6.12/m.ko".len() + 3;
        let lists = u64::try_from(lists + 34 + "usr/bin/small".len() + 1).unwrap();
        assert_eq!(
            parts(&sizes.others),
            [("usr/bin", 300), ("usr/share/dpkg", lists), ("etc", 7), ("usr/lib", 5)]
        );
        let [tool] = &sizes.artifacts[..] else { panic!("{:?}", sizes.artifacts) };
        assert_eq!((tool.name.as_str(), tool.installed), ("tool", Bytes(4040)));
        assert_eq!(parts(&tool.folders), [("usr/lib/tool", 4000), ("usr/bin", 40)]);
        let all = sizes.packages.iter().map(|package| package.installed).chain([tool.installed]);
        let others = sizes.others.iter().map(|part| part.size);
        assert_eq!(sum(all.chain(others)), sizes.files);
        assert_eq!(sizes.files, Bytes(900 + 2100 + 57 + 300 + 20 + 4040 + 5 + lists));
    }

    #[test]
    fn tells_when_manifest_and_root_are_of_different_builds() {
        let (mut manifest, tree) = sample();
        manifest.packages[0].installed = Bytes(2000);
        let fault = Sizes::measure(&manifest, &tree).unwrap_err();
        assert_eq!(fault.to_string(), "package `large` has 2.9 KiB of files, the manifest says 1.9 KiB");
        manifest.packages[0].installed = Bytes(1 << 20);
        let fault = Sizes::measure(&manifest, &tree).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "packages and artifacts have 1 MiB of files by the manifest, the root has 7.4 KiB"
        );
    }
}
