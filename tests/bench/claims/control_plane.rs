//! A control plane as far as claims need one: the k3s stand-in, and what the claim service knows.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ed25519_dalek::SigningKey;
use firstboot::claim::objects::{Objects, definitions};
use firstboot::claim::service::Service;
use firstboot::claim::store::Store as _;
use firstboot::cluster::{self, ClusterId, ClusterRecord};
use firstboot::kubernetes::Api;
use firstboot::kubernetes::resources::Resources;
use firstboot::node_password::NodePasswordKey;
use firstboot::public_key::PublicKey;
use firstboot::record::VpnKind;
use imgbuild::process::{Program, Running};

pub(super) const CLUSTER: ClusterId = ClusterId([0xc1; 16]);
/// Seeds of keys.
pub(super) const TICKETS: u8 = 0x71;
pub(super) const MEMBERSHIPS: u8 = 0x72;
const OPERATOR: u8 = 0x73;
/// For the stand-in to come up, on a busy host.
const DEADLINE: Duration = Duration::from_mins(1);

/// A key for this run of the bench alone.
pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// The control plane; ends with this.
#[derive(Debug)]
pub(super) struct ControlPlane {
    pub(super) api: Api,
    k3s_hash: String,
    _k3s: Running,
}

impl ControlPlane {
    /// Starts the stand-in in `folder`, and defines the objects of claims.
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?.with_file_name("k3s-standin");
        ensure!(program.is_file(), "`{}` is missing; `make bench` makes it", program.display());
        let mut k3s = Program::new("measuring claims", program)
            .arguments(["server", "--disable-agent", "--https-listen-port=0", "--root"])
            .argument(folder)
            .start()?;
        let started = Instant::now();
        loop {
            let fault = match connect(folder) {
                Ok((api, k3s_hash)) => return Ok(Self { api, k3s_hash, _k3s: k3s }),
                Err(fault) => fault,
            };
            if let Some(status) = k3s.try_wait()? {
                return Err(k3s.ended_badly(status).into());
            }
            ensure!(started.elapsed() < DEADLINE, "the k3s stand-in does not come up: {fault:#}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What the claim service knows.
    pub(super) fn service(&self) -> Service {
        Service {
            cluster: ClusterRecord {
                version: cluster::VERSION,
                id: CLUSTER,
                name: "demo".to_owned(),
                created: 0,
                epoch: 1,
                ticket_key: PublicKey::of(&key(TICKETS)),
                membership_key: PublicKey::of(&key(MEMBERSHIPS)),
                operator_key: PublicKey::of(&key(OPERATOR)),
                claim_addresses: Vec::new(),
                vpn: VpnKind::Wireguard,
            },
            membership_key: key(MEMBERSHIPS),
            password_key: NodePasswordKey::new([5; 32]),
            revocations: Vec::new(),
            hubs: Vec::new(),
            k3s_hash: self.k3s_hash.clone(),
        }
    }
}

/// The API of a stand-in that is on its way up, ready and with the definitions in it, and the hash of its tokens.
fn connect(root: &Path) -> anyhow::Result<(Api, String)> {
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("reading `{path}`"));
    let kubeconfig = read("etc/rancher/k3s/k3s.yaml")?;
    let address = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: https://"));
    let address = address.context("the kubeconfig names no server")?.parse()?;
    let of = |name| read(&format!("var/lib/rancher/k3s/server/tls/{name}"));
    let (authority, certificate, key) =
        (of("server-ca.crt")?, of("client-admin.crt")?, of("client-admin.key")?);
    let api = Api::new(address, authority.as_bytes(), certificate.as_bytes(), key.as_bytes())?;
    let definitions = definitions().context("reading the definitions")?;
    Resources::new(api.clone()).apply_all(&definitions)?;
    Objects::new(api.clone()).all_joined()?;
    let token = read("var/lib/rancher/k3s/server/token")?;
    let hash = token.strip_prefix("K10").and_then(|rest| rest.split_once("::"));
    Ok((api, hash.context("the token has no hash")?.0.to_owned()))
}
