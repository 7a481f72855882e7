//! How two build folders differ, from their settings down to single files of the root.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

use serde::Serialize;

use super::folder::{Folder, FolderError, start};
use super::verify;
use crate::bundle::manifest::{Artifact, DISK, Manifest, Package, Partition};
use crate::bundle::owners::Owners;
use crate::bundle::seal;
use crate::bundle::sparse;
use crate::diagnostic::chain;
use crate::tree::{Entry, Kind, Tree};
use crate::units::{Bytes, SectorSize, Sha256};

/// Something that is in one, in the other, or in both with different values.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Change {
    /// What it is.
    pub name: String,
    /// Its value in A.
    pub a: Option<String>,
    /// Its value in B.
    pub b: Option<String>,
}

/// A partition that differs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PartitionChange {
    /// Its label.
    pub label: String,
    /// Fields of the table that differ.
    pub fields: Vec<Change>,
    /// First byte that differs, from the partition's start.
    pub content: Option<u64>,
}

/// A file, link or directory of the root that differs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// The package that brought it, where one did.
    pub package: Option<String>,
    /// What differs: `entry` where it is in one of them only, else `type`, `mode`, `owner`, `size`, `content`, `target`.
    pub changes: Vec<Change>,
}

/// A folder that is not what its own manifest says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Damaged {
    /// Where it is.
    pub folder: PathBuf,
    /// Everything that is not as the manifest says.
    pub faults: Vec<String>,
}

/// The least that explains a difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A folder is not what its manifest says, so that nobody knows what it was made from.
    Damaged,
    /// Profile, image, architecture or date differ.
    OtherSettings,
    /// Packages differ.
    OtherPackages,
    /// Packages are the same, artifacts differ.
    OtherArtifacts,
    /// All inputs but the node programs are the same.
    OtherPrograms,
    /// The inputs that the manifest names are the same, the results differ: another imgbuild.
    OtherImage,
}

/// Where to look first.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct First {
    /// First partition in disk order whose content differs, and the first byte in it.
    pub partition: Option<(String, Option<u64>)>,
    /// First file of the root by path.
    pub file: Option<String>,
    /// The package of that file; else the first package that differs.
    pub package: Option<String>,
}

/// Everything that differs; empty lists where nothing does.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Differences {
    /// The least that explains them.
    pub cause: Option<Cause>,
    /// Where to look first.
    pub first: Option<First>,
    /// Folders that are not what they say; then only what the manifests say is compared.
    pub damaged: Vec<Damaged>,
    /// Keys of the manifests.
    pub settings: Vec<Change>,
    /// Packages by version, or by digest where the version is the same.
    pub packages: Vec<Change>,
    /// Artifacts by version, or `unpinned`, and digest.
    pub artifacts: Vec<Change>,
    /// Node programs by digest and compiler.
    pub programs: Vec<Change>,
    /// Partitions of the disks.
    pub partitions: Vec<PartitionChange>,
    /// Entries of the roots.
    pub files: Vec<FileChange>,
    /// Files of the folders by digest.
    pub outputs: Vec<Change>,
}

impl Differences {
    /// Compares two folders, each with its manifest first. `advance` is told the bytes that were read.
    pub fn between(a: &Folder, b: &Folder, advance: impl Fn(u64) + Sync) -> Result<Self, FolderError> {
        let (in_a, in_b) = rayon::join(|| damaged(a, &advance), || damaged(b, &advance));
        let damaged: Vec<Damaged> = in_a.into_iter().chain(in_b).collect();
        let (one, other) = (&a.manifest, &b.manifest);
        let settings = settings(one, other);
        let packages = packages(one, other);
        let artifacts = changes(&artifacts(one), &artifacts(other));
        let facts = |manifest: &Manifest| -> Vec<(String, String)> {
            let programs = manifest.programs.iter();
            programs
                .map(|(name, facts)| {
                    (name.clone(), format!("{} {}", facts.sha256, facts.compilers.join(", ")))
                })
                .collect()
        };
        let programs = changes(&facts(one), &facts(other));
        let outputs = |manifest: &Manifest| -> Vec<(String, String)> {
            let disk = (DISK.to_owned(), format!("fs-verity {}", manifest.disk.fs_verity));
            let files = manifest.files.iter().map(|(name, facts)| (name.clone(), facts.sha256.to_string()));
            [disk].into_iter().chain(files).collect()
        };
        let outputs = changes(&outputs(one), &outputs(other));
        // What is damaged is not read, and what has the same digest need not be.
        let is_other = |name: &str| damaged.is_empty() && outputs.iter().any(|change| change.name == name);
        let disks = if is_other(DISK) { Some(Disks::open(a, b)?) } else { None };
        let partitions = partitions(&one.partitions, &other.partitions, disks.as_ref())?;
        let files = if is_other(seal::ROOT) { files(&a.root()?, &b.root()?) } else { Vec::new() };
        let mut all = Self {
            cause: None,
            first: None,
            damaged,
            settings,
            packages,
            artifacts,
            programs,
            partitions,
            files,
            outputs,
        };
        all.cause = all.find_cause();
        all.first = all.cause.map(|_| all.find_first());
        Ok(all)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cause.is_none()
    }

    fn find_cause(&self) -> Option<Cause> {
        const INPUTS: [&str; 5] = ["profile", "image", "arch", "debug", "date"];
        let is_other = self.settings.iter().any(|change| INPUTS.contains(&change.name.as_str()));
        let results = [
            self.settings.is_empty(),
            self.partitions.is_empty(),
            self.files.is_empty(),
            self.outputs.is_empty(),
        ];
        if !self.damaged.is_empty() {
            Some(Cause::Damaged)
        } else if is_other {
            Some(Cause::OtherSettings)
        } else if !self.packages.is_empty() {
            Some(Cause::OtherPackages)
        } else if !self.artifacts.is_empty() {
            Some(Cause::OtherArtifacts)
        } else if !self.programs.is_empty() {
            Some(Cause::OtherPrograms)
        } else if results.contains(&false) {
            Some(Cause::OtherImage)
        } else {
            None
        }
    }

    fn find_first(&self) -> First {
        // All PARTUUIDs follow from the root hash: a partition with other content tells more.
        let partition = self.partitions.iter().find(|change| change.content.is_some());
        let partition =
            partition.or(self.partitions.first()).map(|change| (change.label.clone(), change.content));
        let file = self.files.first();
        let package = self.packages.first().map(|change| change.name.clone());
        First {
            partition,
            file: file.map(|file| file.path.clone()),
            package: file.and_then(|file| file.package.clone()).or(package),
        }
    }
}

fn settings(one: &Manifest, other: &Manifest) -> Vec<Change> {
    let keys = |manifest: &Manifest| {
        [
            ("profile", manifest.profile.clone()),
            ("image", manifest.image.clone()),
            ("sector size", manifest.sector_size.bytes().to_string()),
            ("arch", manifest.arch.to_string()),
            ("debug", manifest.debug.to_string()),
            ("date", manifest.date.to_string()),
            ("kernel", manifest.kernel.clone()),
            ("root hash", manifest.root_hash.to_string()),
            ("command line", manifest.command_line.clone()),
            ("image command line", manifest.image_command_line.clone()),
            ("secure boot", manifest.secure_boot.into()),
            ("initrd size", manifest.initrd_size.0.to_string()),
            ("microcode size", manifest.microcode_size.0.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    };
    changes(&keys(one), &keys(other))
}

fn packages(one: &Manifest, other: &Manifest) -> Vec<Change> {
    let all = |manifest: &Manifest| -> Vec<Package> {
        let mut all: Vec<_> = manifest.packages.iter().chain(&manifest.boot_packages).cloned().collect();
        all.sort_by(|one, other| (&one.name, &one.arch).cmp(&(&other.name, &other.arch)));
        all.dedup();
        all
    };
    let (one, other) = (all(one), all(other));
    // The digest is of interest only where the version does not tell.
    let is_rebuilt = |package: &Package, others: &[Package]| {
        let same = others.iter().find(|other| (&other.name, &other.arch) == (&package.name, &package.arch));
        same.is_some_and(|other| other.version == package.version && other.sha256 != package.sha256)
    };
    let shown = |packages: &[Package], others: &[Package]| -> Vec<(String, String)> {
        let version = |package: &Package| {
            let version = format!("{} {}", package.version, package.arch);
            if is_rebuilt(package, others) { format!("{version} sha256 {}", package.sha256) } else { version }
        };
        packages.iter().map(|package| (package.name.clone(), version(package))).collect()
    };
    changes(&shown(&one, &other), &shown(&other, &one))
}

fn artifacts(manifest: &Manifest) -> Vec<(String, String)> {
    let shown = |artifact: &Artifact| {
        let version = artifact.version.as_deref().unwrap_or("unpinned");
        (artifact.name.clone(), format!("{version} sha256 {}", artifact.sha256))
    };
    manifest.artifacts.iter().map(shown).collect()
}

/// Values that are not the same, in the order of A and then of what only B has.
fn changes(a: &[(String, String)], b: &[(String, String)]) -> Vec<Change> {
    let find = |values: &[(String, String)], name: &str| {
        values.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    let only_b = b.iter().filter(|(name, _)| find(a, name).is_none());
    let names = a.iter().chain(only_b).map(|(name, _)| name);
    names
        .map(|name| Change { name: name.clone(), a: find(a, name), b: find(b, name) })
        .filter(|change| change.a != change.b)
        .collect()
}

fn damaged(folder: &Folder, advance: impl Fn(u64)) -> Option<Damaged> {
    let faults = verify::compare(folder, advance).faults;
    let faults: Vec<String> = faults.iter().map(|fault| chain(fault)).collect();
    (!faults.is_empty()).then(|| Damaged { folder: folder.path.clone(), faults })
}

/// Two disks, to be compared byte by byte.
struct Disks {
    a: (File, SectorSize),
    b: (File, SectorSize),
    path: PathBuf,
}

impl Disks {
    fn open(a: &Folder, b: &Folder) -> Result<Self, FolderError> {
        let disk = |folder: &Folder| Ok((folder.file(DISK)?, folder.manifest.sector_size));
        Ok(Self { a: disk(a)?, b: disk(b)?, path: a.path.join(DISK) })
    }

    /// Distance to the first byte in which two partitions differ, as far as both go.
    fn first_difference(&self, one: &Partition, other: &Partition) -> Result<Option<u64>, FolderError> {
        let one_place = (&self.a.0, start(one, self.a.1));
        let other_place = (&self.b.0, start(other, self.b.1));
        sparse::first_difference(one_place, other_place, one.size.min(other.size).0)
            .map_err(|source| FolderError::Read { path: self.path.clone(), source })
    }
}

/// What the manifests say differently of each partition and, with the disks, what is in it.
fn partitions(
    one: &[Partition],
    other: &[Partition],
    disks: Option<&Disks>,
) -> Result<Vec<PartitionChange>, FolderError> {
    let mut all = Vec::new();
    for index in 0..one.len().max(other.len()) {
        let (left, right) = (one.get(index), other.get(index));
        let Some(label) = left.or(right).map(|partition| partition.label.clone()) else { continue };
        let described = |partition: Option<&Partition>| partition.map(fields).unwrap_or_default();
        let fields = changes(&described(left), &described(right));
        let content = match (disks, left, right) {
            (Some(disks), Some(left), Some(right)) => disks.first_difference(left, right)?,
            _ => None,
        };
        if !fields.is_empty() || content.is_some() {
            all.push(PartitionChange { label, fields, content });
        }
    }
    Ok(all)
}

fn fields(partition: &Partition) -> Vec<(String, String)> {
    [
        ("label", partition.label.clone()),
        ("type", partition.kind.to_string()),
        ("PARTUUID", partition.partuuid.to_string()),
        ("first sector", partition.first.0.to_string()),
        ("size", partition.size.0.to_string()),
        ("used", partition.used.0.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn files(a: &Tree, b: &Tree) -> Vec<FileChange> {
    let owners = (Owners::of(a), Owners::of(b));
    let top = Entry { metadata: a.root(), kind: Kind::Directory };
    let other_top = Entry { metadata: b.root(), kind: Kind::Directory };
    let paths: BTreeSet<&str> = a.iter().chain(b.iter()).map(|(path, _)| path).collect();
    let pairs = paths.into_iter().map(|path| (path, a.get(path), b.get(path)));
    std::iter::once(("", Some(&top), Some(&other_top)))
        .chain(pairs)
        .filter_map(|(path, one, other)| {
            let changes = entry_changes(one, other);
            let package = owners.0.package(path).or_else(|| owners.1.package(path)).map(str::to_owned);
            let path = if path.is_empty() { "/" } else { path }.to_owned();
            (!changes.is_empty()).then_some(FileChange { path, package, changes })
        })
        .collect()
}

fn entry_changes(a: Option<&Entry>, b: Option<&Entry>) -> Vec<Change> {
    match (a, b) {
        (Some(one), Some(other)) if one == other => Vec::new(),
        (Some(one), Some(other)) => changes(&describe(one), &describe(other)),
        (one, other) => {
            let kind = |entry: Option<&Entry>| entry.map(|entry| kind(entry).to_owned());
            vec![Change { name: "entry".to_owned(), a: kind(one), b: kind(other) }]
        }
    }
}

const fn kind(entry: &Entry) -> &'static str {
    match entry.kind {
        Kind::Directory => "directory",
        Kind::File(_) => "file",
        Kind::Symlink(_) => "link",
    }
}

fn describe(entry: &Entry) -> Vec<(String, String)> {
    let metadata = entry.metadata;
    let mut facts = vec![
        ("type", kind(entry).to_owned()),
        ("mode", format!("{:04o}", metadata.mode)),
        ("owner", format!("{}:{}", metadata.uid, metadata.gid)),
    ];
    match &entry.kind {
        Kind::Directory => {}
        Kind::File(content) => {
            facts.push(("size", Bytes::of(content).0.to_string()));
            facts.push(("content", Sha256::of(content).to_string()));
        }
        Kind::Symlink(target) => facts.push(("target", target.clone())),
    }
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::sbom;
    use crate::tree::Metadata;

    fn shown(changes: &[Change]) -> Vec<String> {
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        changes
            .iter()
            .map(|change| format!("{} {} {}", change.name, side(&change.a), side(&change.b)))
            .collect()
    }

    #[test]
    fn names_what_differs_in_each_entry() {
        let mut a = Tree::default();
        a.write("same", Metadata::FILE, &b"x"[..]).unwrap();
        a.write("usr/mode", Metadata::FILE, &b"x"[..]).unwrap();
        a.write("usr/content", Metadata::FILE, &b"x"[..]).unwrap();
        a.symlink("usr/link", "a").unwrap();
        a.write("usr/kind", Metadata::FILE, &b""[..]).unwrap();
        a.write("usr/gone", Metadata::FILE, &b""[..]).unwrap();
        let mut b = a.clone();
        b.write("usr/mode", Metadata { mode: 0o4755, uid: 1, gid: 2 }, &b"x"[..]).unwrap();
        b.write("usr/content", Metadata::FILE, &b"xy"[..]).unwrap();
        b.symlink("usr/link", "b").unwrap();
        b.directory("usr/kind", Metadata::FILE).unwrap();
        b.remove("usr/gone");
        b.directory("var", Metadata::DIRECTORY).unwrap();
        b.set_metadata("", Metadata::root(0o700));
        let (x, xy) = (Sha256::of(b"x"), Sha256::of(b"xy"));
        let found: Vec<_> = files(&a, &b).into_iter().map(|file| (file.path, shown(&file.changes))).collect();
        let empty = Sha256::of(b"");
        let expected: [(&str, &[String]); 7] = [
            ("/", &["mode 0755 0700".to_owned()]),
            ("usr/content", &["size 1 2".to_owned(), format!("content {x} {xy}")]),
            ("usr/gone", &["entry file -".to_owned()]),
            (
                "usr/kind",
                &["type file directory".to_owned(), "size 0 -".to_owned(), format!("content {empty} -")],
            ),
            ("usr/link", &["target a b".to_owned()]),
            ("usr/mode", &["mode 0644 4755".to_owned(), "owner 0:0 1:2".to_owned()]),
            ("var", &["entry - directory".to_owned()]),
        ];
        assert_eq!(found, expected.map(|(path, changes)| (path.to_owned(), changes.to_vec())));
        assert_eq!(files(&a, &a), []);
    }

    #[test]
    fn an_unpinned_artifact_differs_by_its_digest() {
        let (one, other) = (Sha256::of(b"one"), Sha256::of(b"other"));
        let with = |name: &str, version: Option<&str>, sha256: Sha256| {
            let artifact = Artifact {
                name: name.to_owned(),
                version: version.map(str::to_owned),
                sha256,
                size: Bytes(1),
                pinned: version.is_some(),
                places: Vec::new(),
            };
            artifacts(&Manifest { artifacts: vec![artifact], ..sbom::tests::manifest() })
        };
        let found = |a: &[(String, String)], b: &[(String, String)]| shown(&changes(a, b));
        let pinned = with("k3s", Some("v1"), one);
        assert_eq!(found(&pinned, &pinned), [""; 0]);
        assert_eq!(
            found(&pinned, &with("k3s", None, other)),
            [format!("k3s v1 sha256 {one} unpinned sha256 {other}")]
        );
        assert_eq!(
            found(&with("k3s", None, one), &with("k3s", None, other)),
            [format!("k3s unpinned sha256 {one} unpinned sha256 {other}")]
        );
        assert_eq!(found(&pinned, &[]), [format!("k3s v1 sha256 {one} -")]);
    }

    #[test]
    fn tells_versions_from_rebuilds_and_both_from_programs() {
        let a = sbom::tests::manifest();
        let mut b = a.clone();
        b.packages[0].version = "4:14.3.0-1".to_owned();
        b.packages[1].sha256 = Sha256::of(b"rebuilt");
        b.boot_packages.pop();
        let mut extra = b.packages[0].clone();
        extra.name = "added".to_owned();
        b.packages.push(extra);
        b.boot_packages.clear();
        let (old, new) = (Sha256::of(b"libc6"), Sha256::of(b"rebuilt"));
        assert_eq!(
            shown(&packages(&a, &b)),
            [
                "g++ 4:14.2.0-1 amd64 4:14.3.0-1 amd64".to_owned(),
                format!("libc6 2.41-12+b1 amd64 sha256 {old} 2.41-12+b1 amd64 sha256 {new}"),
                "systemd-boot-efi 257.9-1 amd64 -".to_owned(),
                "added - 4:14.3.0-1 amd64".to_owned(),
            ]
        );
        let change = || vec![Change { name: "x".to_owned(), a: None, b: None }];
        let cause = |differences: Differences| differences.find_cause();
        let none = Differences::default;
        assert_eq!(cause(none()), None);
        assert_eq!(cause(Differences { outputs: change(), ..none() }), Some(Cause::OtherImage));
        assert_eq!(
            cause(Differences { programs: change(), outputs: change(), ..none() }),
            Some(Cause::OtherPrograms)
        );
        assert_eq!(
            cause(Differences { artifacts: change(), programs: change(), ..none() }),
            Some(Cause::OtherArtifacts)
        );
        assert_eq!(
            cause(Differences { packages: change(), artifacts: change(), ..none() }),
            Some(Cause::OtherPackages)
        );
        let mut dated = Differences { packages: change(), settings: change(), ..none() };
        dated.settings[0].name = "date".to_owned();
        assert_eq!(cause(dated), Some(Cause::OtherSettings));
    }
}
