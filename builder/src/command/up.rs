//! `imgbuild up`: from a cluster file to a running control plane in the cloud.

mod making;
mod nodes;
mod teller;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use self::making::{Made, Making};
use self::nodes::Nodes;
use self::teller::{Part, Teller};
use super::api::Server;
use super::cloud::{self, UploadArguments};
use super::identity::Unlock;
use super::project::{self, Access};
use super::storage::StorageAccess;
use super::{Context, Note as _, file, kubeconfig};
use crate::cloud::plan::{Built, Plan};
use crate::cloud::wanted::Wanted;
use crate::cluster::{Cluster, Posture};
use crate::identity::ClusterSecrets;
use crate::s3::Storage;
use crate::units::Timestamp;

/// Name of the artifact without which no server becomes a node.
const K3S: &str = "k3s";
/// How long the kubeconfig is good that is written at the end.
const KUBECONFIG_VALID: Duration = Duration::from_hours(24 * 90);

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Address that servers see this computer at; a new control plane is set up from nowhere else
    #[arg(long, value_name = "IP")]
    operator_address: Vec<IpAddr>,
    /// How long nodes may take until they are Ready
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = waiting)]
    wait: Duration,
    #[command(flatten)]
    upload: UploadArguments,
    /// Leave the buckets of `[backup]` to somebody else
    #[arg(long, conflicts_with = "s3_key_file")]
    without_buckets: bool,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    storage: StorageAccess,
    #[command(flatten)]
    unlock: Unlock,
}

/// Longer than a week nobody waits.
const LONGEST_WAIT: Duration = Duration::from_hours(7 * 24);

/// A time that somebody waits.
fn waiting(text: &str) -> Result<Duration, String> {
    let wait = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if wait > LONGEST_WAIT {
        return Err(format!("longer than {}", humantime::format_duration(LONGEST_WAIT)));
    }
    Ok(wait)
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    plan: &'a Plan,
    /// Seconds that each part took, in their order.
    steps: Vec<Part>,
    kubeconfig: &'a std::path::Path,
}

impl Arguments {
    /// Fails where there are buckets and no keys: copies would have nowhere to go, unless somebody else cares.
    fn open_storage(&self, wanted: &Wanted, context: &Context) -> anyhow::Result<Option<Storage>> {
        if self.without_buckets {
            return Ok(None);
        }
        let otherwise = "; with `--without-buckets` the buckets of `[backup]` are left to you";
        self.storage.open(wanted.storage.as_ref(), context, otherwise)
    }
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = Arc::new(context.cluster()?);
    let wanted = Wanted::new(&cluster, project::of(&cluster)?);
    // Before anything is billed.
    if let Some(obstacle) = cluster.cannot_begin().into_iter().next() {
        return Err(anyhow::anyhow!("{obstacle}").input());
    }
    let secrets = arguments.unlock.secrets(&cluster)?;
    let project = arguments.access.open(context)?.with_storage(arguments.open_storage(&wanted, context)?);
    let mut teller = Teller::start(arguments.upload.progress, &context.printer);
    let built = cloud::build_missing(&cluster, &wanted, &arguments.unlock, context)?;
    require_k3s(&built)?;
    let making =
        Making { cluster: &cluster, wanted: &wanted, secrets: &secrets, built: &built, arguments, context };
    let Made { plan, control_planes, names } = making.make(&project, &mut teller)?;
    // The host firewall and Hetzner's keep everybody else from the API.
    let is_closed = cluster.posture == Posture::Production;
    if is_closed {
        context.printer.note(
            "in posture `production` the API answers to the VPN of the admins alone: `imgbuild status` shows the nodes from there",
        );
    } else {
        let nodes = Nodes::new(&cluster, &secrets, &control_planes)?;
        nodes.wait(&project, arguments.wait, &mut teller)?;
    }
    let reachable = if is_closed { &[][..] } else { &control_planes };
    let kubeconfig = write_kubeconfig(&cluster, &secrets, reachable)?;
    teller.ends(&format!("kubeconfig `{}`", kubeconfig.display()));
    if !names.is_empty() {
        teller.names(&names);
    }
    if context.printer.is_json() {
        let outcome = Outcome { plan: &plan, steps: teller.into_parts(), kubeconfig: &kubeconfig };
        return Ok(context.printer.json(&outcome)?);
    }
    let line = format!("cluster `{}` is up: KUBECONFIG={}\n", wanted.name, kubeconfig.display());
    Ok(context.printer.data(&line)?)
}

/// Servers without it would be billed, and never become nodes.
fn require_k3s(built: &[Built]) -> anyhow::Result<()> {
    let Some(built) = built.iter().find(|built| built.absent.iter().any(|name| name == K3S)) else {
        return Ok(());
    };
    let fault = anyhow::anyhow!(
        "the image of `{}` was built without k3s: its servers would never be nodes",
        built.of.profile
    );
    Err(fault
        .input()
        .hint(format!("`imgbuild build {}` builds it with all that belongs into it", built.of.profile)))
}

/// Beside the builds, for its owner alone.
fn write_kubeconfig(
    cluster: &Cluster,
    secrets: &ClusterSecrets,
    control_planes: &[IpAddr],
) -> anyhow::Result<std::path::PathBuf> {
    // By address, for names may not be written yet; the certificate has the name.
    let endpoint = cluster.endpoint.to_string();
    let (server, name) = match control_planes.first() {
        Some(address) => (Server::at(*address), Some(endpoint.as_str())),
        None => (kubeconfig::server(cluster, None, None)?, None),
    };
    let now = super::now()?;
    let until = Timestamp(now.0.saturating_add(KUBECONFIG_VALID.as_secs()));
    let text = kubeconfig::mint(cluster, secrets, None, (&server, name), (now, until))?;
    let path = cluster.beside("out").join("kubeconfig");
    file::replace_secret(&path, text.as_bytes()).with_context(|| format!("writing `{}`", path.display()))?;
    Ok(path)
}
