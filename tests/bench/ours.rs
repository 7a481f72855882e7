//! imgbuild itself, run as its users run it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use imgbuild::archive::lock::{Lock, Selection};
use imgbuild::bundle::manifest::{self, Manifest};
use imgbuild::units::{Arch, Bytes};
use serde::Deserialize;

use super::program::Program;

/// The profile that the bounds are for.
const PROFILE: &str = "cloud";

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
        ours.imgbuild_build()?;
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
        let output = self.output();
        fs::remove_dir_all(&output).with_context(|| format!("removing `{}`", output.display()))?;
        let seconds = self.imgbuild_build()?;
        let facts: BuildFacts = read(&output.join("build.json"))?;
        let manifest: Manifest = read(&output.join(manifest::FILE))?;
        let uki = manifest.files.get("os.efi").context("the manifest has no `os.efi`")?.size;
        Ok(Build { seconds, peak_memory: facts.peak_memory, initrd: manifest.initrd_size, uki })
    }

    /// Builds what is there already; seconds.
    pub(crate) fn build_again(&self) -> anyhow::Result<f64> {
        self.imgbuild_build()
    }

    fn imgbuild_build(&self) -> anyhow::Result<f64> {
        let program = Program::new(&self.program).argument("-f").argument(self.cluster.join("cluster.toml"));
        let program = program
            .arguments(["--quiet", "build", PROFILE, "--without-artifacts", "-o"])
            .argument(self.output());
        Ok(program.run()?.0)
    }

    fn output(&self) -> PathBuf {
        self.cluster.join("out").join(PROFILE)
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| format!("reading `{}`", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading `{}`", path.display()))
}
