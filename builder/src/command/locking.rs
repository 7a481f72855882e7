//! The lock as commands use it: opened beside the cluster file, completed when needed, saved at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::runtime::Runtime;

use super::{Context, Note as _, failure};
use crate::archive::artifact::{self, FetchError};
use crate::archive::cache::Cache;
use crate::archive::download::Downloader;
use crate::archive::index::Package;
use crate::archive::keyring::Keyring;
use crate::archive::lock::{Lock, LockError, LockedArtifact, LockedPackage, Selection};
use crate::archive::mirror::Mirrors;
use crate::archive::select;
use crate::archive::suite::{self, Archive, Suites};
use crate::cluster::Cluster;
use crate::profile::Profile;
use crate::rootfs::PackageFile;
use crate::rootfs::setup::Numbers;
use crate::units::{Arch, Timestamp};

/// Its file name.
pub(super) const FILE: &str = "imgbuild.lock";

/// The lock of a cluster, and what is needed to complete it.
pub(super) struct Locking<'a> {
    context: &'a Context,
    path: PathBuf,
    lock: Lock,
    /// Fail rather than change the lock.
    is_locked: bool,
    mirror: Option<String>,
    cache: Cache,
    runtime: Runtime,
    /// What was read so far, by architecture and components beside `main`.
    archives: BTreeMap<(Arch, Vec<String>), Archive>,
}

/// Which locked versions stay when packages are chosen anew.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keep<'a> {
    /// All of them.
    All,
    /// All but these.
    AllBut(&'a [String]),
    /// None.
    None,
}

impl Keep<'_> {
    /// Whether the locked version of `name` stays.
    fn keeps(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(names) => !names.iter().any(|changed| changed == name),
            Self::None => false,
        }
    }
}

impl<'a> Locking<'a> {
    /// Opens the lock, an empty one where there is none yet.
    pub(super) fn open(cluster: &Cluster, context: &'a Context, is_locked: bool) -> anyhow::Result<Self> {
        let path = cluster.beside(FILE);
        let lock = load(&path)?;
        let cache = context.cache()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("starting the download threads")?;
        let mirror = cluster.mirror.as_ref().map(ToString::to_string);
        Ok(Self { context, path, lock, is_locked, mirror, cache, runtime, archives: BTreeMap::new() })
    }

    pub(super) fn lock(&self) -> &Lock {
        &self.lock
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The packages and artifacts of a profile: those locked, or chosen now where the profile changed since.
    pub(super) fn selection(&mut self, profile: &Profile) -> anyhow::Result<Selection> {
        let locked = self.lock.selection(&profile.name, profile.arch).cloned();
        let Some(mut selection) = locked.filter(|locked| locked.inputs == select::inputs(profile)) else {
            self.refuse_if_locked(profile, "packages")?;
            return self.choose(profile, Keep::All);
        };
        let artifacts = self.artifacts(profile, Keep::All)?;
        if artifacts != selection.artifacts {
            self.refuse_if_locked(profile, "artifacts")?;
            selection.artifacts = artifacts;
            self.put(&selection)?;
        }
        Ok(selection)
    }

    fn refuse_if_locked(&self, profile: &Profile, what: &str) -> anyhow::Result<()> {
        if !self.is_locked {
            return Ok(());
        }
        let (path, name) = (self.path.display(), &profile.name);
        let fault = anyhow::anyhow!("`{path}` has no {what} for profile `{name}` as it is now");
        Err(fault.input().hint("without `--locked`, `imgbuild build` chooses them"))
    }

    /// The artifacts of a profile, as they are locked or will be.
    fn artifacts(&self, profile: &Profile, keep: Keep<'_>) -> anyhow::Result<Vec<LockedArtifact>> {
        let locked: Vec<_> = self.lock.artifacts(profile.arch).collect();
        let chosen = artifact::choose(&profile.artifacts, &locked, |name| keep.keeps(name))
            .map_err(|changed| anyhow::Error::from(changed).input())?;
        for (pinned, declared) in chosen.iter().zip(&profile.artifacts) {
            if pinned.version != declared.version {
                let (name, old, new) = (&pinned.name, &pinned.version, &declared.version);
                let note = format!("artifact `{name}` stays at {old} as locked, though {new} is declared");
                self.context.printer.note(&format!("{note}: `imgbuild lock --update {name}` takes it"));
            }
        }
        Ok(chosen)
    }

    /// Chooses packages and artifacts of a profile and saves them in the lock.
    pub(super) fn choose(&mut self, profile: &Profile, keep: Keep<'_>) -> anyhow::Result<Selection> {
        let artifacts = self.artifacts(profile, keep)?;
        let key = (profile.arch, profile.packages.components.clone());
        self.update_archive(&key)?;
        let archive = self.archives.get(&key).context("the archive was just read")?;
        let old: Vec<LockedPackage> = self.lock.packages(profile.arch).cloned().collect();
        let candidates = candidates(&archive.packages, &old, keep);
        let selection = select::select(archive, &candidates, profile).map_err(failure::of_select)?;
        refuse_changed(&old, &selection)?;
        let selection = Selection { artifacts, ..selection };
        self.put(&selection)?;
        Ok(selection)
    }

    fn put(&mut self, selection: &Selection) -> anyhow::Result<()> {
        self.change(|lock| {
            lock.put(selection.clone());
            Ok(())
        })
    }

    /// Adds numbers of users and groups; numbers in the lock never change.
    pub(super) fn add_numbers(&mut self, added: &Numbers) -> anyhow::Result<()> {
        if added.users.is_empty() && added.groups.is_empty() {
            return Ok(());
        }
        if self.is_locked {
            let fault = anyhow::anyhow!("`{}` has no numbers for some users and groups", self.path.display());
            return Err(fault.input().hint("`imgbuild lock` adds them"));
        }
        self.change(|lock| {
            add(&mut lock.users, &added.users, "user")?;
            add(&mut lock.groups, &added.groups, "group")
        })
    }

    /// Changes the lock as it is on the disk by now, which may be more than was read when it was opened:
    /// whoever else locks another profile of the cluster meanwhile must not lose what they added.
    fn change(&mut self, edit: impl FnOnce(&mut Lock) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let directory = self.path.parent().filter(|path| !path.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let locking = || format!("locking folder `{}`", directory.display());
        let guard = File::open(directory).with_context(locking)?;
        guard.lock().with_context(locking)?;
        let mut lock = load(&self.path)?;
        edit(&mut lock)?;
        lock.save(&self.path)?;
        self.lock = lock;
        Ok(())
    }

    /// Paths of a selection's packages in the cache: those of the root, and those of the boot files.
    pub(super) fn fetch(
        &self,
        selection: &Selection,
    ) -> anyhow::Result<(Vec<PackageFile>, Vec<PackageFile>)> {
        let all: Vec<LockedPackage> =
            selection.packages.iter().chain(&selection.boot_packages).cloned().collect();
        let downloader = self.downloader()?;
        let mirrors = self.mirrors(selection.date)?;
        let fetched = suite::fetch_packages(&downloader, &mirrors, &all, selection.date);
        let paths = self.runtime.block_on(fetched).map_err(|error| self.without_network(error))?;
        let mut files = all.into_iter().zip(paths).map(|(package, path)| PackageFile {
            name: package.name,
            version: package.version,
            arch: package.arch,
            sha256: package.sha256,
            path,
        });
        let root = files.by_ref().take(selection.packages.len()).collect();
        Ok((root, files.collect()))
    }

    /// Paths of artifacts in the cache, in the same order.
    pub(super) fn fetch_artifacts(&self, artifacts: &[LockedArtifact]) -> anyhow::Result<Vec<PathBuf>> {
        let downloader = self.downloader()?;
        self.runtime.block_on(artifact::fetch(&downloader, artifacts)).map_err(|error| {
            let FetchError::Download { lacking, .. } = &error else { return error.into() };
            let Some(first) = lacking.first() else { return self.without_network(error) };
            let place = self.cache.path(first.sha256);
            let elsewhere = format!(
                "`--artifact {0}=FILE` takes `{0}` from a file, as does a file `{1}`; so with the others",
                first.name,
                place.display()
            );
            let error = anyhow::Error::from(error).hint(elsewhere);
            self.without_network(
                error.hint("`--without-artifacts` builds an image without those that are not given"),
            )
        })
    }

    fn update_archive(&mut self, key: &(Arch, Vec<String>)) -> anyhow::Result<()> {
        let (arch, components) = key;
        if self.archives.contains_key(key) {
            return Ok(());
        }
        let now = super::now()?;
        let (downloader, mirrors) = (self.downloader()?, self.mirrors(now)?);
        let suites = Suites::trixie(Keyring::debian()?).with_components(components);
        let known = self.lock.newest_suites();
        let updated = suite::update_indices(&downloader, &mirrors, &suites, *arch, now, &known);
        let archive = self.runtime.block_on(updated).map_err(|error| self.without_network(error))?;
        self.archives.insert(key.clone(), archive);
        Ok(())
    }

    fn without_network(&self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        if self.context.global.offline { error.hint("leave `--offline` out to download it") } else { error }
    }

    fn downloader(&self) -> anyhow::Result<Downloader<'_>> {
        let printer = &self.context.printer;
        if self.context.global.offline {
            return Ok(Downloader::offline(&self.cache, printer));
        }
        Ok(Downloader::online(&self.cache, printer)?)
    }

    fn mirrors(&self, date: Timestamp) -> anyhow::Result<Mirrors> {
        let argument = self.context.global.mirror.as_deref();
        Mirrors::choose(argument, self.mirror.as_deref(), date)
            .map_err(|error| anyhow::Error::from(error).input())
    }
}

/// The lock is the user's input: it lies in their Git folder.
fn unreadable(error: LockError, path: &Path) -> anyhow::Error {
    match error {
        LockError::Malformed(_) | LockError::Unprintable { .. } => anyhow::Error::from(error)
            .context(format!("reading `{}`", path.display()))
            .hint("take it from Git again, or remove it to have versions chosen anew"),
        other => other.into(),
    }
    .input()
}

/// The lock at `path`, an empty one where there is none.
fn load(path: &Path) -> anyhow::Result<Lock> {
    match Lock::load(path) {
        Err(LockError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Lock::empty()),
        other => other.map_err(|error| unreadable(error, path)),
    }
}

/// Adds numbers that were handed out without knowledge of what others handed out meanwhile.
fn add(known: &mut BTreeMap<String, u32>, added: &BTreeMap<String, u32>, kind: &str) -> anyhow::Result<()> {
    for (name, number) in added {
        let taken = known.iter().find(|(other, taken)| *taken == number && *other != name);
        if taken.is_some() || known.get(name).is_some_and(|other| other != number) {
            bail!(
                "another imgbuild has numbered {kind} `{name}` or number {number} meanwhile: run this again"
            );
        }
        known.insert(name.clone(), *number);
    }
    Ok(())
}

/// What may be chosen: of a package whose locked version stays, that version only, as long as a
/// suite still has it.
fn candidates(offered: &[Package], locked: &[LockedPackage], keep: Keep<'_>) -> Vec<Package> {
    let kept: BTreeMap<&str, &str> = locked
        .iter()
        .filter(|package| keep.keeps(&package.name))
        .filter(|locked| {
            offered.iter().any(|package| package.name == locked.name && package.version == locked.version)
        })
        .map(|package| (package.name.as_str(), package.version.as_str()))
        .collect();
    let may_be_chosen = |package: &&Package| {
        kept.get(package.name.as_str()).is_none_or(|version| *version == package.version)
    };
    offered.iter().filter(may_be_chosen).cloned().collect()
}

/// The same version with other bytes is never right: archives do not replace what they published.
fn refuse_changed(old: &[LockedPackage], new: &Selection) -> anyhow::Result<()> {
    let mut changed = String::new();
    for package in new.packages.iter().chain(&new.boot_packages) {
        let same = |locked: &&LockedPackage| {
            locked.name == package.name && locked.version == package.version && locked.arch == package.arch
        };
        if let Some(locked) = old.iter().find(same)
            && locked.sha256 != package.sha256
        {
            let (name, version) = (&package.name, &package.version);
            let _ =
                write!(changed, "\n  {name} {version}: locked {}, offered {}", locked.sha256, package.sha256);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    bail!("packages have other contents under the same version{changed}")
}
