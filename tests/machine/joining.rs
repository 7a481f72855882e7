//! A cluster whose machines join: a cluster file with an identity, and what its operator does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use ed25519_dalek::SigningKey;
use firstboot::claim::code::Code;
use firstboot::source::Item;
use firstboot::ticket;
use imgbuild::cluster::Cluster;
use imgbuild::identity::search::Search;
use imgbuild::identity::{Access, ClusterSecrets, FILE, Identity, Named};
use imgbuild::operator;
use imgbuild::process::Program;
use imgbuild::units::Arch;

use crate::{Bundle, Power, Scene};

/// What firstboot shows once the cluster sees a node as Ready.
pub const READY: &str = "phase       ready since";
/// A build with its downloads.
const BUILD_DEADLINE: Duration = Duration::from_mins(15);
/// For one command.
const OPERATING: Duration = Duration::from_mins(1);

/// A cluster, and its operator.
#[derive(Debug)]
pub struct Joining {
    cluster: Cluster,
    identity: Identity,
    /// Folder of the cluster file.
    folder: PathBuf,
    /// What the user's settings folder is for `imgbuild`: it keeps the key of the identity there.
    settings: PathBuf,
}

/// What came of a push.
pub type Pushed = Receiver<Result<(), String>>;

impl Joining {
    /// Opens the cluster of the cluster file in `folder`, by the key file that `imgbuild` made below `settings`.
    pub(crate) fn load(folder: &Path, settings: &Path) -> anyhow::Result<Self> {
        let cluster = Cluster::load(&folder.join("cluster.toml"))?;
        let identity = open(&cluster, folder, settings)?;
        Ok(Self { cluster, identity, folder: folder.to_owned(), settings: settings.to_owned() })
    }

    /// Where everything about it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the user's settings folder is for `imgbuild`.
    pub fn settings(&self) -> &Path {
        &self.settings
    }

    /// `imgbuild`, about this cluster.
    pub fn imgbuild(&self, scene: &Scene) -> Program {
        Program::new("testing imgbuild", scene.program())
            .argument("--file")
            .argument(self.cluster_file())
            .argument("--cache")
            .argument(scene.cache())
            .environment("XDG_CONFIG_HOME", &self.settings)
    }

    /// Reads the identity again, which a command has changed.
    pub fn reopen(&mut self) -> anyhow::Result<()> {
        self.identity = open(&self.cluster, &self.folder, &self.settings)?;
        Ok(())
    }

    /// A build of this cluster, for amd64 on the image `disk`, with the stand-in for k3s that a cluster can be made of and
    /// the packages that `scene` has chosen.
    pub fn build(&self, profile: &str, scene: &Scene) -> anyhow::Result<Bundle> {
        self.build_with(profile, None, scene)
    }

    /// The same with ArgoCD's own manifest, so that the control plane installs it.
    pub fn build_with_argocd(&self, profile: &str, scene: &Scene) -> anyhow::Result<Bundle> {
        self.build_with(profile, Some(&scene.argocd()?), scene)
    }

    fn build_with(&self, profile: &str, argocd: Option<&Path>, scene: &Scene) -> anyhow::Result<Bundle> {
        let lock = scene.lock_file()?;
        fs::copy(&lock, self.folder.join("imgbuild.lock")).context("copying the lock")?;
        let release = scene.k3s_cluster_stand_in(Arch::Amd64)?;
        let folder = self.folder.join("out").join(profile);
        self.imgbuild(scene)
            .arguments(["build", profile, "--without-artifacts", "--artifact"])
            .argument(format!("k3s={}", release.display()))
            .arguments(
                argocd
                    .iter()
                    .flat_map(|file| ["--artifact".to_owned(), format!("argocd={}", file.display())]),
            )
            .argument("--output")
            .argument(&folder)
            .output(BUILD_DEADLINE)?;
        Bundle::load(folder)
    }

    /// Every secret of the identity.
    pub fn secrets(&self) -> Vec<Named> {
        self.identity.secrets(&self.cluster)
    }

    /// Something to look for all of them with.
    pub fn search(&self) -> anyhow::Result<Search> {
        let secrets = self.secrets();
        let search = Search::new(secrets.iter().map(|(name, secret)| (name.as_str(), &secret[..])));
        search.context("preparing to look for secrets")
    }

    /// Adds to the cluster file.
    pub fn add(&mut self, text: &str) -> anyhow::Result<()> {
        self.edit(|before| before + text)
    }

    /// Makes of the cluster file what `change` makes of its text.
    pub fn edit(&mut self, change: impl FnOnce(String) -> String) -> anyhow::Result<()> {
        let path = self.cluster_file();
        let before = fs::read_to_string(&path).context("reading the cluster file")?;
        fs::write(&path, change(before)).context("writing the cluster file")?;
        self.reload()
    }

    /// The cluster file.
    pub fn cluster_file(&self) -> PathBuf {
        self.folder.join("cluster.toml")
    }

    fn reload(&mut self) -> anyhow::Result<()> {
        self.cluster = Cluster::load(&self.cluster_file())?;
        Ok(())
    }

    /// Port of WireGuard and of claims.
    pub fn vpn_port(&self) -> u16 {
        self.cluster.network.vpn_port
    }

    /// UDP port of the admins' VPN.
    pub fn admin_port(&self) -> u16 {
        self.cluster.network.admin_port
    }

    /// Adds an admin, whose configuration of WireGuard is returned; nodes that are switched on later know them.
    pub fn add_admin(&mut self, name: &str, folder: &Path, scene: &Scene) -> anyhow::Result<PathBuf> {
        let program = self.imgbuild(scene).arguments(["admin", "add", name, "--output"]).argument(folder);
        program.output(OPERATING)?;
        self.reload()?;
        Ok(folder.join(format!("{name}.conf")))
    }

    /// Raises the epoch, as an operator does who makes the control plane anew.
    pub fn raise_epoch(&mut self) -> anyhow::Result<()> {
        let secrets = self.identity.cluster.as_mut().context("the identity has no cluster")?;
        Ok(secrets.raise_epoch()?)
    }

    /// What `node` is switched on with, in files below `folder`, and what is pushed to it.
    pub fn power(&self, node: &str, folder: &Path) -> anyhow::Result<(Power, Option<Pushed>)> {
        let Ok(node) = self.cluster.node(node) else { bail!("the cluster has no node `{node}`") };
        let folder = folder.join(format!("given-{}", node.name));
        fs::create_dir(&folder).context("making a folder for what a node is given")?;
        let secrets = self.secrets_of_cluster()?;
        let given = operator::joining(&self.cluster, node, secrets, &folder)?;
        let pushed = given.push.map(operator::Push::begin).transpose()?;
        Ok((Power { given: given.items, forwards: given.forwards, ..Power::default() }, pushed))
    }

    /// What a box is switched on with that knows its cluster and not which node it is, in files below `folder`.
    pub fn newcomer(&self, folder: &Path) -> anyhow::Result<Power> {
        let record = self.secrets_of_cluster()?.record(&self.cluster);
        let path = folder.join("given-cluster");
        fs::write(&path, serde_json::to_vec(&record)?).context("writing the cluster record")?;
        Ok(Power { given: vec![(Item::Cluster, path)], ..Power::default() })
    }

    /// What its operator types, after `imgbuild`: a command that asks the API at `port` of this computer.
    pub fn operate(&self, arguments: &[&str], port: u16, scene: &Scene) -> anyhow::Result<String> {
        let program = self.imgbuild(scene).arguments(arguments);
        Ok(program.arguments(["--server", &format!("127.0.0.1:{port}")]).output(OPERATING)?)
    }

    /// Puts a new ticket for `node` in the place of the one in `power`.
    pub fn renew_ticket(&self, node: &str, power: &Power) -> anyhow::Result<()> {
        let Ok(node) = self.cluster.node(node) else { bail!("the cluster has no node `{node}`") };
        let place = power.given.iter().find(|(item, _)| *item == Item::Ticket);
        let (_, place) = place.context("this node has no ticket")?;
        let secrets = self.secrets_of_cluster()?;
        let text = secrets.ticket(node, ticket::VALID, false, SystemTime::now())?;
        fs::write(place, text).context("writing a ticket")
    }

    /// What a control plane answers claims by.
    pub fn membership_key(&self) -> anyhow::Result<SigningKey> {
        Ok(self.secrets_of_cluster()?.membership_key.clone())
    }

    fn secrets_of_cluster(&self) -> anyhow::Result<&ClusterSecrets> {
        Ok(self.identity.cluster(&self.folder.join(FILE))?)
    }
}

/// The code that a box shows, in the command that its operator types.
pub fn code_on(console: &str) -> anyhow::Result<Code> {
    let shown = console.split("`imgbuild node approve ").nth(1).and_then(|rest| rest.split(' ').next());
    Ok(shown.context("the box shows no code")?.parse()?)
}

fn open(cluster: &Cluster, folder: &Path, settings: &Path) -> anyhow::Result<Identity> {
    let key_file = settings.join(format!("imgbuild/{}.key", cluster.name));
    let access = Access { key_files: vec![key_file], passphrase: None };
    let (identity, _) = Identity::open(&folder.join(FILE), &access)?;
    Ok(identity)
}
