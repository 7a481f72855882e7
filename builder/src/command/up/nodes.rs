//! Servers that become nodes: the push to a control plane, and the wait until all are Ready.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use firstboot::claim::objects::Objects;
use firstboot::kubernetes::Api;
use firstboot::serve::MARKER;
use rustls::pki_types::ServerName;

use super::Teller;
use crate::cluster::{Cluster, Role};
use crate::command::Note as _;
use crate::command::api::{self, Credentials};
use crate::command::project::{self, Exclusive, Project};
use crate::hetzner::{HetznerError, Operation};
use crate::identity::ClusterSecrets;
use crate::operator::{Push, Pushed};
use crate::overview::{Overview, Seen, State};

/// How long a server may take from its start until it listens for its bundle.
const BOOTING: Duration = Duration::from_mins(15);
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(2);
/// Certificates for asking are good for so many seconds.
const VALID: u64 = 6 * 60 * 60;

/// Tries all addresses until the node has its bundle. Just before the first of them may get it, `begins` is called once.
pub(super) async fn push(
    operation: &Operation,
    alone: &Exclusive<'_>,
    push: Push,
    node: &str,
    addresses: &[IpAddr],
    begins: impl AsyncFn() -> Result<(), HetznerError>,
) -> anyhow::Result<()> {
    let (push, mut has_begun) = (Arc::new(push), false);
    let mut waited = Duration::ZERO;
    let mut last = "it has no address".to_owned();
    while waited < BOOTING {
        for address in addresses {
            let (began, address) = (std::time::Instant::now(), *address);
            if !has_begun {
                let push = Arc::clone(&push);
                let knocked = tokio::task::spawn_blocking(move || push.knock(address));
                if let Err(reason) = operation.run(knocked).await.map_err(project::of_hetzner)?? {
                    last = format!("{address}: {reason}");
                    waited += began.elapsed();
                    continue;
                }
                begins().await.map_err(project::of_hetzner)?;
                has_begun = true;
            }
            let push = Arc::clone(&push);
            let tried = tokio::task::spawn_blocking(move || push.once(address));
            let tried = operation.run(tried).await.map_err(project::of_hetzner)??;
            waited += began.elapsed();
            match tried {
                Pushed::Kept => return Ok(()),
                Pushed::Refused(reason) => bail!("node `{node}` does not take its bundle: {reason}"),
                Pushed::Silent(reason) => last = format!("{address}: {reason}"),
            }
        }
        alone.keep(operation).await.map_err(project::of_hetzner)?;
        operation.pause(AGAIN, None).await.map_err(project::of_hetzner)?;
        waited += AGAIN;
    }
    let fault = anyhow::anyhow!(
        "node `{node}` does not listen for its bundle {} after it was switched on; the last try: {last}",
        humantime::format_duration(BOOTING)
    );
    Err(fault.hint("its console in the project shows what it waits for"))
}

/// The nodes of a cluster that has begun.
pub(super) struct Nodes {
    cluster: Arc<Cluster>,
    credentials: Credentials,
    /// Addresses of the control planes.
    addresses: Vec<IpAddr>,
}

/// What the cluster says of itself.
struct Look {
    overview: Overview,
    /// Whether the first objects are made.
    has_begun: bool,
}

impl Nodes {
    /// Those of `cluster`, whose control planes have these addresses.
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        secrets: &ClusterSecrets,
        addresses: &[IpAddr],
    ) -> anyhow::Result<Arc<Self>> {
        let (cluster, credentials) = (Arc::clone(cluster), Credentials::mint(secrets, VALID)?);
        Ok(Arc::new(Self { cluster, credentials, addresses: addresses.to_owned() }))
    }

    /// Until all cloud nodes are Ready and the first objects are there; tells what changes meanwhile.
    pub(super) fn wait(
        self: &Arc<Self>,
        project: &Project,
        allowed: Duration,
        teller: &mut Teller<'_>,
    ) -> anyhow::Result<()> {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        let (mut has_answered, mut has_begun) = (false, false);
        let mut last = String::new();
        let done = project.run("waiting for the nodes", allowed, async |operation| {
            loop {
                // A look that hangs is left to itself when somebody stops.
                let nodes = Arc::clone(self);
                let looked = operation.run(tokio::task::spawn_blocking(move || nodes.look())).await;
                let looked = match looked {
                    Err(HetznerError::Deadline { .. }) => return Ok(false),
                    looked => looked?.unwrap_or_else(|error| Err(error.into())),
                };
                match looked {
                    Err(error) => last = format!("{error:#}"),
                    Ok(look) => {
                        if !std::mem::replace(&mut has_answered, true) {
                            teller.ends("the Kubernetes API answers");
                        }
                        if look.has_begun && !std::mem::replace(&mut has_begun, true) {
                            teller.ends("ArgoCD and the other first objects are made");
                        }
                        let nodes: Vec<&Seen> =
                            look.overview.nodes.iter().filter(|node| is_cloud(node)).collect();
                        for node in &nodes {
                            let phase = phase(node);
                            if known.insert(node.name.clone(), phase.clone()).as_ref() != Some(&phase) {
                                teller.node(&node.name, &phase);
                            }
                        }
                        if has_begun && nodes.iter().all(|node| node.state == State::Ready) {
                            teller.ends("all cloud nodes are Ready");
                            return Ok(true);
                        }
                    }
                }
                match operation.pause(AGAIN, None).await {
                    Err(HetznerError::Deadline { .. }) => return Ok(false),
                    waited => waited?,
                }
            }
        })?;
        if done {
            return Ok(());
        }
        let waited: Vec<_> = known.iter().map(|(name, phase)| format!("{name}: {phase}")).collect();
        let state = if has_answered { waited.join("\n  ") } else { last };
        let time = humantime::format_duration(allowed);
        let fault = anyhow::anyhow!("the cluster is not Ready after {time}\n  {state}");
        Err(fault.hint("nothing was undone: `imgbuild up` goes on waiting, `imgbuild down` removes all"))
    }

    fn look(&self) -> anyhow::Result<Look> {
        let api = self.connect()?;
        let nodes = api::nodes(&api)?;
        let has_begun = api.get(MARKER)?.is_some();
        let store = Objects::new(api);
        let overview =
            Overview::new(&self.cluster, &nodes, store.all_reports()?, store.all_known()?, Vec::new());
        Ok(Look { overview, has_begun })
    }

    /// By the addresses: names may not be written yet.
    fn connect(&self) -> anyhow::Result<Api> {
        let name = ServerName::try_from(self.cluster.endpoint.to_string())?;
        let mut last = anyhow::anyhow!("the control plane has no address");
        for address in &self.addresses {
            let address = SocketAddr::from((*address, api::PORT));
            let api = self.credentials.api(address, name.clone())?;
            match api.is_ready() {
                Ok(()) => return Ok(api),
                Err(error) => last = anyhow::Error::from(error).context(address.to_string()),
            }
        }
        Err(last)
    }
}

const fn is_cloud(node: &Seen) -> bool {
    matches!(node.role, Some(Role::ControlPlane | Role::Worker))
}

/// How far a node is, in words.
fn phase(node: &Seen) -> String {
    let said = node.report.as_ref().map(|report| report.phase.words());
    let state = match node.state {
        State::Ready => return "Ready".to_owned(),
        State::NotReady => "not Ready",
        State::Joined => "has joined",
        State::Absent => "has not asked for its place yet",
        State::Revoked => "revoked",
    };
    let reason = node.reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
    format!("{state}{}{reason}", said.map(|said| format!(" ({said})")).unwrap_or_default())
}
