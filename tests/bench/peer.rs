//! The same packages by the tools that a user would take instead: mmdebstrap, `mkfs.erofs`, veritysetup.
//!
//! apt downloads the locked versions beforehand, with what they need for their scripts, into a local
//! repository that mmdebstrap copies from. dpkg is told not to sync, which helps the peer, and
//! `mkfs.erofs` compresses as imgbuild does.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use imgbuild::archive::lock::Selection;
use imgbuild::archive::mirror::Mirrors;
use imgbuild::units::{Bytes, Sha256, Timestamp};

use super::program::{Cost, Program};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const SUITES: [(&str, &str); 3] =
    [("trixie", "debian"), ("trixie-updates", "debian"), ("trixie-security", "debian-security")];

/// What the tools work from.
#[derive(Debug)]
pub(crate) struct Peer {
    repository: PathBuf,
    /// Package names, separated by commas.
    packages: String,
    work: PathBuf,
}

/// One run.
#[derive(Debug)]
pub(crate) struct PeerRun {
    pub(crate) mmdebstrap: Cost,
    pub(crate) erofs: Cost,
    pub(crate) verity: Cost,
}

impl PeerRun {
    pub(crate) fn total(&self) -> Cost {
        self.mmdebstrap + self.erofs + self.verity
    }
}

impl Peer {
    /// Downloads into `folder`, where later runs find it, and makes the repository.
    pub(crate) fn prepare(folder: &Path, work: &Path, selection: &Selection) -> anyhow::Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "the peers need root: run this as root");
        let archives = download(folder, selection)?;
        let repository = work.join("repository");
        index(&archives, &repository)?;
        let names: Vec<&str> = selection.packages.iter().map(|package| package.name.as_str()).collect();
        Ok(Self { repository, packages: names.join(","), work: work.to_owned() })
    }

    /// Makes a root file system in `root`.
    pub(crate) fn bootstrap(&self, root: &Path) -> anyhow::Result<Cost> {
        let include = format!("--include={}", self.packages);
        let source = format!("deb [trusted=yes] copy:{} ./", self.repository.display());
        // In a mount namespace of its own: /proc, /sys and /dev in the root go with it, even when it is killed.
        let mmdebstrap = Program::new("unshare")
            .arguments(["--mount", "mmdebstrap"])
            .arguments(["--variant=essential", "--format=directory", "--dpkgopt=force-unsafe-io", &include])
            .arguments(["--aptopt=APT::Install-Recommends \"false\"", "trixie"])
            .argument(root)
            .argument(source);
        Ok(mmdebstrap.run()?.0)
    }

    /// From packages to a root file system and its hash tree.
    pub(crate) fn run(&self) -> anyhow::Result<PeerRun> {
        let [root, image, tree] = ["root", "root.erofs", "root.verity"].map(|name| self.work.join(name));
        let mmdebstrap = self.bootstrap(&root)?;
        let (erofs, _) = Program::new("mkfs.erofs")
            .arguments(["-zlz4hc,5", "-C65536", "-T0"])
            .argument(&image)
            .argument(&root)
            .run()?;
        let (verity, _) =
            Program::new("veritysetup").argument("format").argument(&image).argument(&tree).run()?;
        fs::remove_dir_all(&root).with_context(|| format!("removing `{}`", root.display()))?;
        for file in [image, tree] {
            fs::remove_file(&file).with_context(|| format!("removing `{}`", file.display()))?;
        }
        Ok(PeerRun { mmdebstrap, erofs, verity })
    }
}

/// Lets an apt with a state of its own download the selection, Essential packages and all they need.
fn download(folder: &Path, selection: &Selection) -> anyhow::Result<PathBuf> {
    let at = folder.join("apt");
    let archives = at.join("cache/archives");
    for part in [at.join("lists/partial"), archives.join("partial")] {
        fs::create_dir_all(&part).with_context(|| format!("making folder `{}`", part.display()))?;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("reading the clock")?;
    let mirrors = Mirrors::choose(None, None, Timestamp(now.as_secs()))?;
    let mut sources = String::new();
    for (suite, archive) in SUITES {
        writeln!(sources, "deb [arch=amd64 signed-by={KEYRING}] {} {suite} main", mirrors.base(archive)?)?;
    }
    let shown = at.display();
    let settings = format!(
        r#"Dir::State "{shown}"; Dir::State::lists "{shown}/lists"; Dir::State::status "{shown}/status";
        Dir::Cache "{shown}/cache"; Dir::Etc::sourcelist "{shown}/sources.list";
        Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
        Acquire::Languages "none"; Acquire::Retries "3"; APT::Sandbox::User "";
        APT::Install-Recommends "false"; APT::Architecture "amd64"; APT::Architectures "amd64";"#
    );
    let settings_file = at.join("apt.conf");
    for (path, text) in
        [(at.join("status"), ""), (at.join("sources.list"), &sources), (settings_file.clone(), &settings)]
    {
        fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))?;
    }
    let apt = || Program::new("apt-get").variable("APT_CONFIG", &settings_file).argument("-qy");
    apt().argument("update").run()?;
    let exact = selection.packages.iter().map(|package| format!("{}={}", package.name, package.version));
    apt().arguments(["--download-only", "install", "?essential"]).arguments(exact).run()?;
    Ok(archives)
}

/// Makes a repository that apt accepts: links to the packages, `Packages`, `Release`.
fn index(archives: &Path, repository: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(repository).with_context(|| format!("making folder `{}`", repository.display()))?;
    let mut packages = String::new();
    let entries = fs::read_dir(archives).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    for entry in entries.with_context(|| format!("reading folder `{}`", archives.display()))? {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "deb") {
            continue;
        }
        let copying = || format!("copying `{}`", path.display());
        // apt writes the colon of an epoch as %3a, and would take that in a URL for a colon.
        let name = entry.file_name().to_string_lossy().replace("%3a", "-");
        let content = fs::read(&path).with_context(copying)?;
        fs::write(repository.join(&name), &content).with_context(copying)?;
        let (_, stanza) = Program::new("dpkg-deb").argument("--field").argument(&path).run()?;
        let (size, sha256) = (Bytes::of(&content).0, Sha256::of(&content));
        write!(packages, "{stanza}Filename: ./{name}\nSize: {size}\nSHA256: {sha256}\n\n")?;
    }
    // mmdebstrap finds Essential packages by the code name.
    let release = format!(
        "Origin: Debian\nSuite: stable\nCodename: trixie\nDate: Thu, 01 Jan 1970 00:00:00 UTC\n\
         SHA256:\n {} {} Packages\n",
        Sha256::of(packages.as_bytes()),
        packages.len()
    );
    for (name, text) in [("Packages", packages), ("Release", release)] {
        fs::write(repository.join(name), text).with_context(|| format!("writing `{name}`"))?;
    }
    Ok(())
}
