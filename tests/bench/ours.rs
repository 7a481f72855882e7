//! imgbuild itself, run as its users run it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use imgbuild::archive::lock::{Lock, Selection};
use imgbuild::bundle::manifest::{self, Manifest};
use imgbuild::units::{Arch, Bytes};
use serde::Deserialize;

use super::program::Program;
use super::transport::{self, Transport};

/// The profile that most bounds are for.
pub(crate) const PROFILE: &str = "cloud";
/// The same with a root that is not compressed, which is smallest where the whole disk is.
pub(crate) const PLAIN: &str = "plain";
const PLAIN_PROFILE: &str = "version = 1\ndescription = \"cloud, not compressed\"\ninherits = \"cloud\"\n[root]\ncompression = \"none\"\n";

/// A cluster whose packages are locked and cached.
#[derive(Debug)]
pub(crate) struct Ours {
    program: PathBuf,
    cluster: PathBuf,
}

/// One build.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) seconds: f64,
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
    /// Makes a cluster in `folder` and builds once, which fetches the packages.
    pub(crate) fn prepare(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        Program::new(program).arguments(["--quiet", "init"]).argument(folder).run()?;
        let ours = Self { program: program.to_owned(), cluster: folder.to_owned() };
        let profiles = folder.join("profiles");
        fs::create_dir_all(&profiles)
            .and_then(|()| fs::write(profiles.join(format!("{PLAIN}.toml")), PLAIN_PROFILE))
            .with_context(|| format!("writing a profile into `{}`", profiles.display()))?;
        ours.imgbuild_build(PROFILE, Arch::Amd64)?;
        Ok(ours)
    }

    /// What is locked for this machine's architecture.
    pub(crate) fn selection(&self) -> anyhow::Result<Selection> {
        let lock = Lock::load(&self.cluster.join("imgbuild.lock"))?;
        let selection = lock.selection(PROFILE, Arch::Amd64).cloned();
        selection.context("the lock has no packages for the cloud profile on amd64")
    }

    /// Builds from the cache into a folder that is not there.
    pub(crate) fn build(&self) -> anyhow::Result<Build> {
        let output = self.output(PROFILE, Arch::Amd64);
        fs::remove_dir_all(&output).with_context(|| format!("removing `{}`", output.display()))?;
        let seconds = self.imgbuild_build(PROFILE, Arch::Amd64)?;
        let facts: BuildFacts = read(&output.join("build.json"))?;
        let manifest: Manifest = read(&output.join(manifest::FILE))?;
        let uki = manifest.files.get("os.efi").context("the manifest has no `os.efi`")?.size;
        Ok(Build { seconds, peak_memory: facts.peak_memory, initrd: manifest.initrd_size, uki })
    }

    /// Builds what is there already; seconds.
    pub(crate) fn build_again(&self) -> anyhow::Result<f64> {
        self.imgbuild_build(PROFILE, Arch::Amd64)
    }

    /// What it takes to send the disk of a profile.
    pub(crate) fn transport(&self, profile: &str) -> anyhow::Result<Transport> {
        self.imgbuild_build(profile, Arch::Amd64)?;
        let folder = self.output(profile, Arch::Amd64);
        transport::measure(&folder, &read(&folder.join(manifest::FILE))?)
    }

    /// Size of the initrd of another profile or architecture, whose packages may have to be fetched.
    pub(crate) fn initrd(&self, profile: &str, arch: Arch) -> anyhow::Result<Bytes> {
        self.imgbuild_build(profile, arch)?;
        let manifest: Manifest = read(&self.output(profile, arch).join(manifest::FILE))?;
        Ok(manifest.initrd_size)
    }

    fn imgbuild_build(&self, profile: &str, arch: Arch) -> anyhow::Result<f64> {
        let program = Program::new(&self.program).argument("-f").argument(self.cluster.join("cluster.toml"));
        let program = program
            .arguments(["--quiet", "build", profile, "--arch", arch.debian(), "--without-artifacts", "-o"])
            .argument(self.output(profile, arch));
        Ok(program.run()?.0)
    }

    fn output(&self, profile: &str, arch: Arch) -> PathBuf {
        self.cluster.join("out").join(format!("{profile}-{arch}"))
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| format!("reading `{}`", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading `{}`", path.display()))
}
