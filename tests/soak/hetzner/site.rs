//! A cluster of the cloud, and its operator.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use ed25519_dalek::SigningKey;
use imgbuild::environment::{HCLOUD_ENDPOINT, HCLOUD_TOKEN};
use imgbuild::machine::USER_NETWORK_HOST;
use imgbuild::process::Program;
use imgbuild::units::Arch;
use machine::{Bundle, Joining, Scene, free_port};

/// A build with its downloads.
const BUILDING: Duration = Duration::from_mins(15);
/// Letters of a digest in a label.
const DIGEST: usize = 48;
/// Name of the cluster: that of its folder.
pub(super) const CLUSTER: &str = "cluster";
/// The zone that its names are written to.
pub(super) const ZONE: &str = "example.org";
/// What the cluster file says of the cloud.
const CLOUD: &str = r#"
[[node]]
name = "worker1"
role = "worker"
private-address = "10.0.0.3"
endpoint = "worker1.example.org"

[hetzner]
location = "fsn1"
server-type = "cx23"
dns-zone = "example.org"
"#;

/// A cluster of two servers with its image; what is run of it may be run side by side.
pub(super) struct Site {
    pub(super) joining: Joining,
    pub(super) scene: Scene,
    /// Value of the label of its snapshot.
    pub(super) digest: String,
    /// Where a control plane waits for its bundle, and answers claims.
    pub(super) port: u16,
    /// What it answers by.
    pub(super) membership_key: SigningKey,
}

impl Site {
    pub(super) fn open() -> anyhow::Result<Self> {
        let scene = Scene::open()?;
        let mut joining = scene.joining_cluster("hetzner-soak", free_port()?, 1)?;
        joining.edit(|text| {
            let address = "role = \"control-plane\"\nprivate-address = \"10.0.0.2\" #";
            text.replace(&format!("\"{USER_NETWORK_HOST}\""), "\"cluster.example.org\"")
                .replace("# private-range", "private-range")
                .replacen("role = \"control-plane\"", address, 1)
                + CLOUD
        })?;
        let folder = joining.folder().join("out/cloud-amd64");
        std::fs::copy(scene.lock_file()?, joining.folder().join("imgbuild.lock"))
            .context("copying the lock")?;
        joining
            .imgbuild(&scene)
            .arguments(["build", "cloud", "--without-artifacts", "--artifact"])
            .argument(format!("k3s={}", scene.k3s_stand_in(Arch::Amd64)?.display()))
            .argument("--output")
            .argument(&folder)
            .output(BUILDING)?;
        let digest = Bundle::load(folder)?.manifest.disk.fs_verity.to_string();
        let digest: String = digest.chars().take(DIGEST).collect();
        ensure!(digest.len() == DIGEST, "`{digest}` is no digest");
        let (port, membership_key) = (joining.vpn_port(), joining.membership_key()?);
        Ok(Self { joining, scene, digest, port, membership_key })
    }

    /// `imgbuild` with these words, at the project of `endpoint`.
    pub(super) fn imgbuild(&self, endpoint: &str, token: &str, words: &[&str]) -> Program {
        self.joining
            .imgbuild(&self.scene)
            .environment(HCLOUD_ENDPOINT, endpoint)
            .environment(HCLOUD_TOKEN, token)
            .arguments(words)
    }

    /// The tester's public key.
    pub(super) fn public_key(&self) -> anyhow::Result<String> {
        std::fs::read_to_string(self.scene.key().with_extension("pub")).context("reading the public key")
    }
}
