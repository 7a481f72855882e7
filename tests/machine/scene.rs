//! A cluster folder made by `imgbuild init`, and builds of its profiles.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgbuild::bundle::manifest::{Manifest, Partition};
use imgbuild::bundle::programs::Programs;
use imgbuild::machine::USER_NETWORK_HOST;
use imgbuild::process::Program;
use imgbuild::units::Arch;

use crate::{Joining, free_port, oracle, stand_in};

/// The image that most machines have.
const DISK: &str = "disk";
/// The program under test, beside the test programs' folder.
const PROGRAM: &str = "imgbuild";
/// A build with its downloads.
const BUILD_DEADLINE: Duration = Duration::from_mins(15);

/// This computer as a machine on QEMU's user network sees it.
/// Making keys.
const INIT_DEADLINE: Duration = Duration::from_mins(2);

/// Compressing the k3s stand-in.
const PACK_DEADLINE: Duration = Duration::from_mins(1);

/// Set by the first scene of a run: a lock and builds of another version are none of this one's.
static IS_FRESH: OnceLock<()> = OnceLock::new();

/// A cluster with the nodes of `imgbuild init`. Tests of one run share its builds, and later runs its
/// downloads; one process uses the folder at a time.
#[derive(Debug)]
pub struct Scene {
    folder: PathBuf,
    programs: PathBuf,
    // Holds others off.
    _lock: File,
}

impl Scene {
    /// Finds the programs and makes the cluster folder.
    pub fn open() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("asking where this program lies")?;
        // Programs lie beside it, or one above the tests' `deps`.
        let mut folders = own.ancestors().skip(1).take(2);
        let programs = folders.find(|folder| folder.join(PROGRAM).is_file());
        let programs = programs.with_context(|| format!("`{PROGRAM}` is missing; `make build` makes it"))?;
        let folder = programs.join("machines");
        fs::create_dir_all(folder.join("home/.ssh")).context("making the scene's folder")?;
        let lock = File::create(folder.join("lock")).context("opening the scene's lock")?;
        lock.lock().context("waiting for the scene's lock")?;
        if IS_FRESH.set(()).is_ok() {
            remove_folder(&folder.join("cluster"))?;
        }
        let scene = Self { programs: programs.to_owned(), folder, _lock: lock };
        scene.make_key()?;
        scene.make_cluster()?;
        Ok(scene)
    }

    /// `imgbuild`, about this cluster.
    pub fn imgbuild(&self) -> Program {
        Program::new("testing imgbuild", self.program())
            .argument("--file")
            .argument(self.cluster_file())
            .argument("--cache")
            .argument(self.cache())
    }

    /// The program itself.
    pub fn program(&self) -> PathBuf {
        self.programs.join(PROGRAM)
    }

    /// The Hetzner simulator with machines, whose files lie in `folder`; options and a command are to follow.
    pub fn hetzner_machines(&self, folder: &Path) -> anyhow::Result<Program> {
        const NAME: &str = "hetzner-machines";
        let program = self.programs.join(NAME);
        ensure!(program.is_file(), "`{}` is missing; `cargo build -p {NAME}` makes it", program.display());
        let machines = Program::new("running the Hetzner simulator's machines", program);
        Ok(machines.argument("--folder").argument(folder).argument("--cache").argument(self.cache()))
    }

    /// What runs on nodes, as `make nodes` left it in the target folder.
    pub fn node_programs(&self, arch: Arch) -> anyhow::Result<Programs> {
        let target = self.programs.parent().and_then(Path::parent).context("no target folder")?;
        let folder = target.join("nodes").join(triple(arch)).join("release");
        Programs::load(&folder, arch).context("`make nodes` compiles the node programs")
    }

    /// The cache: the user's own is left alone.
    pub fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    /// The cluster file.
    pub fn cluster_file(&self) -> PathBuf {
        self.folder.join("cluster/cluster.toml")
    }

    /// The private SSH key whose public half is in the cluster file.
    pub fn key(&self) -> PathBuf {
        self.folder.join("home/.ssh/id_ed25519")
    }

    /// Where disks are put: on the same file system as the builds.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Builds `profile` for amd64, or finds it built.
    pub fn build(&self, profile: &str) -> anyhow::Result<Bundle> {
        self.build_for(profile, Arch::Amd64)
    }

    /// Adds a profile to the cluster: `base` with one more unit, enabled, called `probe.service`.
    pub fn add_profile(&self, name: &str, base: &str, unit: &str) -> anyhow::Result<()> {
        let folder = self.folder.join("cluster/profiles");
        fs::create_dir_all(&folder).context("making the folder of profiles")?;
        let text = format!(
            "version = 1\ndescription = \"Test\"\ninherits = \"{base}\"\n\n[units]\nenable = [\"probe.service\"]\n\n\
             [[file]]\npath = \"usr/lib/systemd/system/probe.service\"\ntext = \"\"\"\n{unit}\"\"\"\n"
        );
        fs::write(folder.join(format!("{name}.toml")), text).context("writing a profile")
    }

    /// A stand-in for k3s, as a file.
    pub fn k3s_stand_in(&self, arch: Arch) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(format!("k3s-stand-in-{arch}"));
        fs::write(&path, stand_in::k3s_release(arch)).context("writing the stand-in for k3s")?;
        Ok(path)
    }

    /// ArgoCD's real manifest, as a file.
    pub fn argocd(&self) -> anyhow::Result<PathBuf> {
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/argocd-v3.5.1-install.yaml.zst");
        let packed = File::open(&packed).with_context(|| format!("opening `{}`", packed.display()))?;
        let text = zstd::decode_all(packed).context("unpacking ArgoCD's manifest")?;
        let path = self.folder.join("argocd.yaml");
        fs::write(&path, text).context("writing ArgoCD's manifest")?;
        Ok(path)
    }

    /// The stand-in for k3s that a cluster can be made of, packed as a release is. For this machine's architecture it is
    /// the program that its own tests run; for the other, `nodes.sh … stand-in` compiles it.
    pub fn k3s_cluster_stand_in(&self, arch: Arch) -> anyhow::Result<PathBuf> {
        const NAME: &str = "k3s-standin";
        let host = self.programs.join(NAME);
        ensure!(host.is_file(), "`{}` is missing; `cargo test -p k3s-standin` makes it", host.display());
        let packed = if is_of_this_computer(arch) {
            host.clone()
        } else {
            let target = self.programs.parent().and_then(Path::parent).context("no target folder")?;
            target.join("nodes").join(triple(arch)).join("release").join(NAME)
        };
        ensure!(
            packed.is_file(),
            "`{}` is missing; `tests/setup/nodes.sh target/nodes stand-in` makes it",
            packed.display()
        );
        let path = self.folder.join(format!("k3s-cluster-stand-in-{arch}"));
        Program::new("packing the k3s stand-in", host)
            .arguments(["pack", "--program"])
            .argument(packed)
            .argument(&path)
            .output(PACK_DEADLINE)?;
        Ok(path)
    }

    /// Builds `profile`, or finds it built; with a stand-in for k3s, and without all other artifacts, which
    /// tests do not download.
    pub fn build_for(&self, profile: &str, arch: Arch) -> anyhow::Result<Bundle> {
        self.build_on(DISK, profile, arch)
    }

    /// The same, laid on another image than `disk`.
    pub fn build_on(&self, image: &str, profile: &str, arch: Arch) -> anyhow::Result<Bundle> {
        let name = if image == DISK { profile.to_owned() } else { format!("{profile}-{image}") };
        self.build_as(&name, image, profile, arch, &self.k3s_stand_in(arch)?)
    }

    /// The same with another stand-in for k3s, in an output folder of another name.
    pub fn build_as(
        &self,
        name: &str,
        image: &str,
        profile: &str,
        arch: Arch,
        k3s: &Path,
    ) -> anyhow::Result<Bundle> {
        let folder = self.folder.join("cluster/out").join(format!("{name}-{arch}"));
        self.imgbuild()
            .arguments(["build", profile, "--image", image, "--arch", arch.debian()])
            .arguments(["--without-artifacts", "--artifact"])
            .argument(format!("k3s={}", k3s.display()))
            .argument("--output")
            .argument(&folder)
            .output(BUILD_DEADLINE)?;
        Bundle::load(folder)
    }

    /// The record of `node`, as a file.
    pub fn record(&self, node: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(format!("{node}.json"));
        let program = self.imgbuild().arguments(["record", node, "--output"]).argument(&path);
        program.output(Duration::from_secs(30))?;
        Ok(path)
    }

    /// The lock of this cluster's packages.
    pub fn lock_file(&self) -> anyhow::Result<PathBuf> {
        let path = self.cluster_file().with_file_name("imgbuild.lock");
        if !path.exists() {
            self.imgbuild().argument("lock").output(BUILD_DEADLINE)?;
        }
        Ok(path)
    }

    /// Another cluster with the same profiles, whose control plane is reached at `port` of this computer by machines on
    /// QEMU's user networks, which has an identity and so many edges, `edge1` the first; the others have swap.
    pub fn joining_cluster(&self, name: &str, port: u16, edges: u64) -> anyhow::Result<Joining> {
        let folder = self.folder.join(name);
        remove_folder(&folder)?;
        let init = Program::new("testing imgbuild", self.program())
            .argument("init")
            .argument(folder.join("cluster"))
            .environment("HOME", self.folder.join("home"))
            .environment("XDG_CONFIG_HOME", folder.join("config"))
            .environment("TZ", "Europe/Berlin");
        init.output(INIT_DEADLINE)?;
        let file = folder.join("cluster/cluster.toml");
        let text = fs::read_to_string(&file).context("reading the cluster file")?;
        // Held, lest the same port be found free once more.
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let admin_port = free_port()?;
        drop(held);
        let text = text
            .replace("\"cluster.example.org\"", &format!("\"{USER_NETWORK_HOST}\""))
            .replace("# vpn-port = 51820", &format!("vpn-port = {port}"))
            .replace("# admin-port = 51821", &format!("admin-port = {admin_port}"));
        let more = |edge| {
            format!("\n[[node]]\nname = \"edge{edge}\"\nrole = \"edge\"\nswap = {{ size = \"64 MiB\" }}\n")
        };
        let text = text + &(2..=edges).map(more).collect::<String>();
        fs::write(&file, text).context("writing the cluster file")?;
        Joining::load(&folder.join("cluster"), &folder.join("config"))
    }

    fn make_key(&self) -> anyhow::Result<()> {
        if !self.key().exists() {
            let key = self.key().into_os_string();
            let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", "tester", "-f"].map(Into::into);
            oracle::run("ssh-keygen", arguments.into_iter().chain([key]))?;
        }
        Ok(())
    }

    /// As a new user does: `init` takes key and time zone from where it finds them.
    fn make_cluster(&self) -> anyhow::Result<()> {
        if self.cluster_file().exists() {
            return Ok(());
        }
        let program = Program::new("testing imgbuild", self.program())
            .arguments(["init", "--no-identity"])
            .argument(self.folder.join("cluster"))
            .environment("HOME", self.folder.join("home"))
            .environment("TZ", "Europe/Berlin");
        program.output(Duration::from_secs(30))?;
        Ok(())
    }
}

/// Whether programs for `arch` are those that run here, too.
pub fn is_of_this_computer(arch: Arch) -> bool {
    triple(arch).starts_with(std::env::consts::ARCH)
}

/// The compiler's name of what runs on `arch`.
fn triple(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "x86_64-unknown-linux-gnu",
        Arch::Arm64 => "aarch64-unknown-linux-gnu",
    }
}

/// Removes a folder with all that is in it, if it is there.
pub fn remove_folder(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}

/// A finished build.
#[derive(Debug)]
pub struct Bundle {
    /// Where it lies.
    pub folder: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
}

impl Bundle {
    /// Reads the manifest of `folder`.
    pub fn load(folder: PathBuf) -> anyhow::Result<Self> {
        let manifest = Manifest::load(&folder)?;
        Ok(Self { folder, manifest })
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A partition of its disk by label.
    pub fn partition(&self, label: &str) -> anyhow::Result<&Partition> {
        let found = self.manifest.partitions.iter().find(|partition| partition.label == label);
        found.with_context(|| format!("the manifest has no partition `{label}`"))
    }
}
