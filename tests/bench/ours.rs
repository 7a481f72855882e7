//! imgbuild itself, run as its users run it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use imgbuild::archive::cache::Cache;
use imgbuild::archive::lock::{Lock, Selection};
use imgbuild::bundle::manifest::{self, Manifest};
use imgbuild::units::{Arch, Bytes};
use machine::remove_folder;
use serde::Deserialize;

use super::boot::{self, Bootable};
use super::program::{Cost, Program};
use super::transport::{self, Transport};

/// The profile that most bounds are for.
pub(crate) const PROFILE: &str = "cloud";
/// The same with a root that is not compressed, which is smallest where the whole disk is.
pub(crate) const PLAIN: &str = "plain";
const PLAIN_PROFILE: &str = "version = 1\ndescription = \"cloud, not compressed\"\ninherits = \"cloud\"\n[root]\ncompression = \"none\"\n";
/// One that differs from it by a file, which [`Ours::build_changed`] changes.
const CHANGED: &str = "changed";
/// One that tells when its machine was where.
const TELLING: &str = "telling";
/// A node of the cluster that `imgbuild init` makes.
const NODE: &str = "cp1";

/// A cluster whose packages are locked and cached.
#[derive(Debug)]
pub(crate) struct Ours {
    program: PathBuf,
    cluster: PathBuf,
    cache: PathBuf,
}

/// One build.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) cost: Cost,
    pub(crate) peak_memory: Bytes,
    pub(crate) initrd: Bytes,
    pub(crate) uki: Bytes,
}

/// The part of `build.json` that is read here.
#[derive(Deserialize)]
struct BuildFacts {
    peak_memory: Bytes,
}

impl Ours {
    /// Makes a cluster in `folder` and builds once, which fetches the packages into `cache`.
    pub(crate) fn prepare(program: &Path, folder: &Path, cache: &Path) -> anyhow::Result<Self> {
        Program::new(program).arguments(["--quiet", "init", "--no-identity"]).argument(folder).run()?;
        let ours = Self { program: program.to_owned(), cluster: folder.to_owned(), cache: cache.to_owned() };
        ours.write_profile(PLAIN, PLAIN_PROFILE)?;
        ours.build_profile(PROFILE)?;
        Ok(ours)
    }

    /// What is locked for this machine's architecture.
    pub(crate) fn selection(&self) -> anyhow::Result<Selection> {
        let lock = Lock::load(&self.cluster.join("imgbuild.lock"))?;
        let selection = lock.selection(PROFILE, Arch::Amd64).cloned();
        selection.context("the lock has no packages for the cloud profile on amd64")
    }

    /// Builds into a folder that is not there, from packages alone.
    pub(crate) fn build_cold(&self) -> anyhow::Result<Build> {
        let derived = Cache::open(&self.cache)?.derived();
        // Set aside, for a file system looks longer for room where many files were removed just before.
        let aside = derived.with_extension("aside");
        remove_folder(&aside)?;
        fs::rename(&derived, &aside).context("setting the derived files aside")?;
        let build = self.build_warm();
        remove_folder(&aside)?;
        build
    }

    /// Builds into a folder that is not there, from what the cache keeps of a build before.
    pub(crate) fn build_warm(&self) -> anyhow::Result<Build> {
        let output = self.output(PROFILE);
        remove_folder(&output)?;
        let cost = self.build_profile(PROFILE)?;
        let facts: BuildFacts = read(&output.join("build.json"))?;
        let manifest: Manifest = read(&output.join(manifest::FILE))?;
        let uki = manifest.files.get("os.efi").context("the manifest has no `os.efi`")?.size;
        Ok(Build { cost, peak_memory: facts.peak_memory, initrd: manifest.initrd_size, uki })
    }

    /// Builds what is there already.
    pub(crate) fn build_again(&self) -> anyhow::Result<Cost> {
        self.build_profile(PROFILE)
    }

    /// Builds the profile that has a file of its own, whose text is now another.
    pub(crate) fn build_changed(&self, text: &str) -> anyhow::Result<Cost> {
        let profile = format!(
            "version = 1\ndescription = \"Changes\"\ninherits = \"{PROFILE}\"\n\n\
             [[file]]\npath = \"etc/motd\"\ntext = \"{text}\\n\"\n"
        );
        self.write_profile(CHANGED, &profile)?;
        self.build_profile(CHANGED)
    }

    /// A disk whose machine tells its figures, with the record of a node.
    pub(crate) fn bootable(&self, work: &Path) -> anyhow::Result<Bootable> {
        self.write_profile(TELLING, &boot::profile(PROFILE))?;
        self.build_profile(TELLING)?;
        let record = work.join("record.json");
        self.imgbuild().arguments(["record", NODE, "-o"]).argument(&record).run()?;
        Bootable::ours(&self.output(TELLING).join("disk.raw"), &record, work)
    }

    /// Prints a node's record: all that a changed node value needs.
    pub(crate) fn record(&self) -> anyhow::Result<Cost> {
        Ok(self.imgbuild().arguments(["record", NODE]).run()?.0)
    }

    /// What it takes to send the disk of a profile.
    pub(crate) fn transport(&self, profile: &str) -> anyhow::Result<Transport> {
        self.build_profile(profile)?;
        let folder = self.output(profile);
        transport::measure(&folder, &read(&folder.join(manifest::FILE))?)
    }

    /// Size of the initrd of another profile or architecture, whose packages may have to be fetched.
    pub(crate) fn initrd(&self, profile: &str, arch: Arch) -> anyhow::Result<Bytes> {
        let output = self.output(&format!("{profile}-{arch}"));
        self.build_into(&output, profile, arch)?;
        let manifest: Manifest = read(&output.join(manifest::FILE))?;
        Ok(manifest.initrd_size)
    }

    fn write_profile(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let folder = self.cluster.join("profiles");
        fs::create_dir_all(&folder).context("making the folder of profiles")?;
        let path = folder.join(name).with_extension("toml");
        fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))
    }

    fn build_profile(&self, profile: &str) -> anyhow::Result<Cost> {
        self.build_into(&self.output(profile), profile, Arch::Amd64)
    }

    fn build_into(&self, output: &Path, profile: &str, arch: Arch) -> anyhow::Result<Cost> {
        let build = self.imgbuild().arguments(["build", profile, "--arch", arch.debian()]);
        Ok(build.arguments(["--without-artifacts", "-o"]).argument(output).run()?.0)
    }

    fn imgbuild(&self) -> Program {
        let program = Program::new(&self.program).argument("-f").argument(self.cluster.join("cluster.toml"));
        program.argument("--cache").argument(&self.cache).argument("--quiet")
    }

    fn output(&self, profile: &str) -> PathBuf {
        self.cluster.join("out").join(profile)
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| format!("reading `{}`", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading `{}`", path.display()))
}
