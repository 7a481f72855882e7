//! The rescue system: Debian packages, composed by imgbuild's own library, that start from memory, so that a server's
//! only disk is its own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use bytes::Bytes;
use firstboot::k3s::RunMode;
use imgbuild::archive::cache::Cache;
use imgbuild::archive::download::Downloader;
use imgbuild::archive::keyring::Keyring;
use imgbuild::archive::lock::{Lock, LockError, LockedPackage, Selection};
use imgbuild::archive::mirror::Mirrors;
use imgbuild::archive::select;
use imgbuild::archive::suite::{self, Suites};
use imgbuild::bundle::artifacts::Artifacts;
use imgbuild::bundle::programs::Programs;
use imgbuild::bundle::root::{self, Ingredients};
use imgbuild::derived::{DerivedCache as _, Folder, LIMIT};
use imgbuild::format::cpio;
use imgbuild::printer::Printer;
use imgbuild::profile::Profile;
use imgbuild::rootfs::PackageFile;
use imgbuild::rootfs::review::ReviewTable;
use imgbuild::tree::Tree;
use imgbuild::units::{Arch, Sha256, Timestamp};
use tokio::runtime::Runtime;

const NAME: &str = "rescue";
const PROFILE: &str = include_str!("../rescue.toml");
/// zstd's fastest by far: every start unpacks it.
const LEVEL: i32 = 1;

/// Where the archive's files come from, as `imgbuild` takes it.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    pub(crate) cache: Option<&'a Path>,
    pub(crate) mirror: Option<&'a str>,
    pub(crate) is_offline: bool,
}

/// Kernel and initrd in a folder.
pub(crate) fn kernel(folder: &Path) -> PathBuf {
    folder.join("rescue/linux")
}

pub(crate) fn initrd(folder: &Path) -> PathBuf {
    folder.join("rescue/initrd")
}

/// Makes kernel and initrd, if the cache does not have them made. Packages are those of the lock that lies beside them.
pub(crate) fn make(folder: &Path, sources: &Sources<'_>, printer: &Printer) -> anyhow::Result<()> {
    let cache = match sources.cache {
        Some(folder) => Cache::open(folder)?,
        None => Cache::open_default()?,
    };
    let profile = profile()?;
    fs::create_dir_all(folder.join(NAME)).context("making the rescue system's folder")?;
    let archive = Archive {
        printer,
        cache: &cache,
        sources,
        runtime: tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
    };
    let path = folder.join("rescue/imgbuild.lock");
    let (lock, selection) = archive.lock(&path, &profile)?;
    let program = fs::read("/proc/self/exe").context("reading the running program")?;
    let derived = Folder::new(cache.derived(), Sha256::of(&program));
    let digests: Vec<&[u8]> = selection.packages.iter().map(|package| &package.sha256.0[..]).collect();
    let key = |part: &[u8]| Sha256::of_all(&[&[part, PROFILE.as_bytes()], &digests[..]].concat());
    let keys = [key(b"rescue kernel"), key(b"rescue initrd")];
    let made = keys.map(|key| derived.find(key));
    let [kernel_image, initrd_image] = if let [Some(kernel), Some(initrd)] = made {
        [kernel, initrd]
    } else {
        let packages = archive.fetch(&selection)?;
        let ingredients = Ingredients {
            profile: &profile,
            lock: &lock,
            date: selection.date,
            packages: &packages,
            artifacts: &Artifacts::default(),
            reviews: &ReviewTable::built_in().context("reading what scripts were reviewed")?,
            programs: &Programs { firstboot: Bytes::new(), stage0: Bytes::new() },
            cache: &derived,
        };
        let made = compose(&ingredients, &path, printer)?;
        for (key, content) in keys.iter().zip(&made) {
            derived.keep(*key, content);
        }
        derived.trim(LIMIT);
        made
    };
    for (path, content) in [(kernel(folder), kernel_image), (initrd(folder), initrd_image)] {
        fs::write(&path, content).with_context(|| format!("writing `{}`", path.display()))?;
    }
    Ok(())
}

/// Kernel and initrd. Numbers that users and groups are given are added to the lock at `path`.
fn compose(ingredients: &Ingredients<'_>, path: &Path, printer: &Printer) -> anyhow::Result<[Bytes; 2]> {
    let root = root::compose(ingredients, printer)?;
    let mut lock = ingredients.lock.clone();
    lock.users.extend(root.added.users);
    lock.groups.extend(root.added.groups);
    lock.save(path)?;
    Ok([root.kernel.image, pack(root.tree, root.date)?])
}

fn profile() -> anyhow::Result<Profile> {
    let folder = tempfile::tempdir().context("making a folder for the rescue system's profile")?;
    fs::create_dir(folder.path().join("profiles"))?;
    fs::write(folder.path().join(format!("profiles/{NAME}.toml")), PROFILE)?;
    Profile::load(NAME, Arch::Amd64, folder.path()).context("reading the rescue system's profile")
}

/// The whole root as an initrd, without what makes nodes of servers.
fn pack(mut tree: Tree, timestamp: Timestamp) -> anyhow::Result<Bytes> {
    let is_nodes = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.starts_with("firstboot")
            || [RunMode::Server, RunMode::Agent].iter().any(|mode| name == mode.unit_name())
    };
    let nodes: Vec<String> =
        tree.iter().map(|(path, _)| path.to_owned()).filter(|path| is_nodes(path)).collect();
    for path in nodes {
        tree.remove(&path);
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    cpio::write(&tree, &cpio::Options { timestamp, console: false }, &mut encoder)?;
    encoder.flush()?;
    Ok(encoder.finish()?.into())
}

/// Debian's archive.
struct Archive<'a> {
    printer: &'a Printer,
    cache: &'a Cache,
    sources: &'a Sources<'a>,
    runtime: Runtime,
}

impl Archive<'_> {
    fn downloader(&self) -> anyhow::Result<Downloader<'_>> {
        if self.sources.is_offline {
            return Ok(Downloader::offline(self.cache, self.printer));
        }
        Ok(Downloader::online(self.cache, self.printer)?)
    }

    /// The packages that are locked; chosen now, where none are or others are wanted.
    fn lock(&self, path: &Path, profile: &Profile) -> anyhow::Result<(Lock, Selection)> {
        let mut lock = match Lock::load(path) {
            Err(LockError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Lock::empty()
            }
            other => other?,
        };
        let locked = lock.selection(NAME, profile.arch).filter(|one| one.inputs == select::inputs(profile));
        if let Some(selection) = locked.cloned() {
            return Ok((lock, selection));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("asking the clock")?;
        let now = Timestamp(now.as_secs());
        let mirrors = Mirrors::choose(self.sources.mirror, None, now)?;
        let suites = Suites::trixie(Keyring::debian()?).with_components(&profile.packages.components);
        let (downloader, known) = (self.downloader()?, lock.newest_suites());
        let updated = suite::update_indices(&downloader, &mirrors, &suites, profile.arch, now, &known);
        let archive = self.runtime.block_on(updated)?;
        let selection = select::select(&archive, &archive.packages, profile)?;
        lock.put(selection.clone());
        lock.save(path)?;
        Ok((lock, selection))
    }

    fn fetch(&self, selection: &Selection) -> anyhow::Result<Vec<PackageFile>> {
        let (downloader, mirrors) =
            (self.downloader()?, Mirrors::choose(self.sources.mirror, None, selection.date)?);
        let fetched = suite::fetch_packages(&downloader, &mirrors, &selection.packages, selection.date);
        let paths = self.runtime.block_on(fetched)?;
        let files = selection.packages.iter().cloned().zip(paths);
        Ok(files.map(|(package, path)| file(package, path)).collect())
    }
}

fn file(package: LockedPackage, path: PathBuf) -> PackageFile {
    let LockedPackage { name, version, arch, sha256, .. } = package;
    PackageFile { name, version, arch, sha256, path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_valid_and_has_what_uploads_use() {
        let profile = profile().unwrap();
        for package in ["bash", "coreutils", "openssh-server", "util-linux", "zstd"] {
            assert!(profile.packages.install.iter().any(|name| name == package), "{package}");
        }
    }
}
