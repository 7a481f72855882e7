//! mkosi, with a configuration that the environment names: the folder of a `mkosi.conf`.
//!
//! Its first build, which no clock counts, downloads packages and makes the tools tree; both are kept in
//! the bench's folder. Packages, compression and partitions are the configuration's affair.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::program::{Cost, Program};

/// Names the folder.
pub(crate) const VARIABLE: &str = "MKOSI";
/// What is copied into the image, which the incremental build changes.
const EXTRA: &str = "mkosi.extra/etc/motd";
/// Definitions of partitions.
const PARTITIONS: &str = "mkosi.repart";
/// Asks for the smallest file system, which takes several attempts.
const MINIMIZE: &str = "Minimize=best";
/// Instead: room for any of them.
const ROOM: &str = "SizeMinBytes=512M";

/// A copy of the configuration with what mkosi keeps between builds.
#[derive(Debug)]
pub(crate) struct Mkosi {
    folder: PathBuf,
}

impl Mkosi {
    /// Copies the configuration into `folder` and builds once.
    pub(crate) fn prepare(configuration: &Path, folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("making folder `{}`", folder.display()))?;
        Program::new("cp").argument("-R").argument(configuration.join(".")).argument(&folder).run()?;
        let mkosi = Self { folder };
        mkosi.write(EXTRA, "before\n")?;
        mkosi.build(&[])?;
        Ok(mkosi)
    }

    /// Everything but downloads and the tools tree.
    pub(crate) fn full(&self) -> anyhow::Result<Cost> {
        self.build(&[])
    }

    /// The same without asking for the smallest file system.
    pub(crate) fn full_unminimized(&self) -> anyhow::Result<Cost> {
        let folder = self.folder.join(PARTITIONS);
        let mut before = Vec::new();
        for path in files(&folder)? {
            let text = read(&path)?;
            write(&path, &text.replace(MINIMIZE, ROOM))?;
            before.push((path, text));
        }
        let cost = self.build(&[]);
        for (path, text) in before {
            write(&path, &text)?;
        }
        cost
    }

    /// Makes the caches of incremental builds.
    pub(crate) fn prepare_incremental(&self) -> anyhow::Result<()> {
        self.build(&["--incremental=yes"]).map(drop)
    }

    /// One file of the image is another, the rest comes from those caches.
    pub(crate) fn incremental(&self, text: &str) -> anyhow::Result<Cost> {
        self.write(EXTRA, text)?;
        self.build(&["--incremental=yes"])
    }

    fn build(&self, options: &[&str]) -> anyhow::Result<Cost> {
        let program = Program::new("mkosi").folder(&self.folder).argument("--force").arguments(options);
        Ok(program.argument("build").run()?.0)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("making folder `{}`", folder.display()))?;
        }
        write(&path, text)
    }
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|it| Ok(it?.path())).collect());
    entries.with_context(|| format!("reading folder `{}`", folder.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("writing `{}`", path.display()))
}
