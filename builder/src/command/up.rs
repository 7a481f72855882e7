//! `imgbuild up`: from a cluster file to a running control plane in the cloud.

mod nodes;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use firstboot::user_data::EncodeError;
use serde::Serialize;

use self::nodes::Nodes;
use super::api::Server;
use super::cloud::{self, UploadArguments};
use super::identity::Unlock;
use super::plan::of_plan;
use super::project::{self, Access, Exclusive};
use super::{Context, Note as _, file, kubeconfig};
use crate::cloud::observed::Observed;
use crate::cloud::plan::{Action, Built, Intent, Kind, Plan, Step};
use crate::cloud::snapshot::Upload;
use crate::cloud::wanted::{CLUSTER_LABEL, Wanted};
use crate::cluster::{Cluster, Posture, Role};
use crate::hetzner::carry_out::{Given, MADE_BY, Site, Snapshot};
use crate::hetzner::server::Server as HetznerServer;
use crate::hetzner::{ImageId, Operation, Query, Selector, Stop, request_line};
use crate::identity::ClusterSecrets;
use crate::operator::Joining;
use crate::units::Timestamp;

/// For making servers, and until a control plane has its bundle.
const MAKING: Duration = Duration::from_mins(30);
/// For taking the label of the run from all that it has made.
const SETTLING: Duration = Duration::from_mins(10);
/// How long the kubeconfig is good that is written at the end.
const KUBECONFIG_VALID: Duration = Duration::from_hours(24 * 90);

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Address that servers see this computer at; a new control plane is set up from nowhere else
    #[arg(long, value_name = "IP")]
    operator_address: Vec<IpAddr>,
    /// How long nodes may take until they are Ready
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = humantime::parse_duration)]
    wait: Duration,
    #[command(flatten)]
    upload: UploadArguments,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    unlock: Unlock,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    plan: &'a Plan,
    /// Seconds that each part took, in their order.
    steps: Vec<Timed>,
    kubeconfig: &'a std::path::Path,
}

/// A part of the way.
#[derive(Clone, Debug, Serialize)]
struct Timed {
    step: String,
    seconds: u64,
}

/// Seconds of what was done so far.
struct Clock {
    last: Instant,
    steps: Vec<Timed>,
}

impl Clock {
    fn start() -> Self {
        Self { last: Instant::now(), steps: Vec::new() }
    }

    fn ends(&mut self, step: &str, context: &Context) {
        let seconds = self.last.elapsed().as_secs();
        self.last = Instant::now();
        context.printer.note(&format!("{seconds:5} s  {step}"));
        self.steps.push(Timed { step: step.to_owned(), seconds });
    }
}

/// What is known before anything is done.
struct Seen {
    observed: Observed,
    plan: Plan,
    uploads: Vec<Upload>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = Arc::new(context.cluster()?);
    let wanted = Wanted::new(&cluster, project::of(&cluster)?);
    let secrets = arguments.unlock.secrets(&cluster)?;
    let project = arguments.access.open(context)?;
    let mut clock = Clock::start();
    let built = cloud::build_missing(&cluster, &wanted, &arguments.unlock, context)?;
    let look = |observed| see(&cluster, &wanted, observed, &built, arguments);
    let seen = look(project.observe(&wanted)?)?;
    context.printer.note(&seen.plan.to_string());
    clock.ends("the plan", context);
    if seen.plan.is_anything() {
        project.ask(context, &question(&seen.plan))?;
    }
    let allowed = cloud::UPLOADING + MAKING;
    let work = async |operation: &Operation, alone: &Exclusive<'_>| {
        let now = look(alone.client.observe(operation, &wanted).await.map_err(project::of_hetzner)?)?;
        project::must_be_shown(&now.plan, &seen.plan)?;
        let site = Making { cluster: &cluster, wanted: &wanted, secrets: &secrets, arguments, context };
        site.make(operation, alone, now, &built, &mut clock).await
    };
    let control_planes = project.exclusively(context, &wanted.name, ("making the cluster", allowed), work)?;
    // The host firewall and Hetzner's keep everybody else from the API.
    let is_closed = cluster.posture == Posture::Production;
    if is_closed {
        context.printer.note(
            "in posture `production` the API answers to the VPN of the admins alone: `imgbuild status` shows the nodes from there",
        );
    } else {
        let nodes = Nodes::new(&cluster, &secrets, &control_planes)?;
        nodes.wait(&project, arguments.wait, context, &mut |step| clock.ends(step, context))?;
    }
    let reachable = if is_closed { &[][..] } else { &control_planes };
    let kubeconfig = write_kubeconfig(&cluster, &secrets, reachable)?;
    clock.ends(&format!("kubeconfig `{}`", kubeconfig.display()), context);
    if !seen.plan.shown.is_empty() {
        // Their addresses are known now.
        for name in &look(project.observe(&wanted)?)?.plan.shown {
            context.printer.note(&format!("to be written where your DNS is: {name}"));
        }
    }
    if context.printer.is_json() {
        let outcome = Outcome { plan: &seen.plan, steps: clock.steps, kubeconfig: &kubeconfig };
        return Ok(context.printer.json(&outcome)?);
    }
    let line = format!("cluster `{}` is up: KUBECONFIG={}\n", wanted.name, kubeconfig.display());
    Ok(context.printer.data(&line)?)
}

fn see(
    cluster: &Cluster,
    wanted: &Wanted,
    observed: Observed,
    built: &[Built],
    arguments: &Arguments,
) -> anyhow::Result<Seen> {
    let plan = Plan::new(wanted, &observed, built, request_line).map_err(of_plan)?;
    let uploads = cloud::uploads(cluster, wanted, &observed, built, &arguments.upload)?;
    Ok(Seen { observed, plan, uploads })
}

fn question(plan: &Plan) -> String {
    let is_lost = |action: &Action| matches!(action, Action::Rebuild { .. } | Action::DeleteServer { .. });
    let lost = plan.steps.iter().filter(|step| {
        step.kind == Kind::Server && step.intent != Intent::Create && step.actions.iter().any(is_lost)
    });
    let lost: Vec<_> = lost.map(|step| format!("`{}`", step.name)).collect();
    if lost.is_empty() {
        "Do this?".to_owned()
    } else {
        format!("Do this, and lose what is on the disks of {}?", lost.join(", "))
    }
}

/// Makes servers, and hands the control plane what it begins with.
struct Making<'a> {
    cluster: &'a Cluster,
    wanted: &'a Wanted,
    secrets: &'a ClusterSecrets,
    arguments: &'a Arguments,
    context: &'a Context,
}

impl Making<'_> {
    /// Addresses of the control planes. Until one has its bundle, there is nothing that could be lost: so far a failure
    /// undoes all.
    async fn make(
        &self,
        operation: &Operation,
        alone: &Exclusive<'_>,
        seen: Seen,
        built: &[Built],
        clock: &mut Clock,
    ) -> anyhow::Result<Vec<IpAddr>> {
        let (client, printer) = (alone.client, &self.context.printer);
        let uploaded =
            cloud::upload_all(operation, alone, &seen.uploads, &self.arguments.upload, self.context).await?;
        if !uploaded.is_empty() {
            clock.ends("images uploaded", self.context);
        }
        let mut given = Given::default();
        for built in built {
            let made = seen.uploads.iter().zip(&uploaded).find(|(upload, _)| upload.of == built.of);
            let there = seen.observed.snapshot(&built.digest, built.of.arch);
            let snapshot = made.map(|(_, (snapshot, _))| snapshot.clone()).or_else(|| {
                let digest = built.digest.clone();
                there.map(|found| Snapshot { id: ImageId(found.id), digest })
            });
            given.images.extend(snapshot.map(|snapshot| (built.of.clone(), snapshot)));
        }
        given.user_data = self.user_data(&alone.run.to_string())?;
        let site = Site::new(client, &alone.run, self.wanted, &given, &seen.observed);
        let done = |step: &Step| printer.note(&format!("         {} `{}`", step.kind.name(), step.name));
        let before = async || alone.keep(operation).await;
        site.carry_out(operation, &seen.plan, before, &done).await.map_err(project::of_hetzner)?;
        clock.ends("servers made and switched on", self.context);
        let control_planes = self.push(operation, alone, &site).await?;
        clock.ends("the control plane has its bundle", self.context);
        // Nothing stops this: what is not settled counts as left behind.
        let settling = Operation::new("settling what was made", SETTLING, &Stop::never());
        let own = Selector::equals(CLUSTER_LABEL, &self.wanted.name);
        client.settle(&settling, &own).await.map_err(|error| {
            project::of_hetzner(error).hint("nothing was undone: `imgbuild up` once more finishes it")
        })?;
        Ok(control_planes)
    }

    /// What each server finds at the metadata service, by the server's name.
    fn user_data(&self, run: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let each = self.wanted.servers.iter().map(|server| {
            let data = self
                .joining(&server.node, run)?
                .user_data()
                .map_err(|error| of_user_data(error, &server.node))?;
            Ok((server.name.clone(), data))
        });
        each.collect()
    }

    fn joining(&self, node: &str, run: &str) -> anyhow::Result<Joining> {
        let node = self.cluster.node(node).map_err(super::failure::of_node)?;
        Joining::new(self.cluster, node, self.secrets, &self.arguments.operator_address, run)
    }

    /// Until each control plane has its bundle. What a run before this one has made has the key of that run.
    async fn push(
        &self,
        operation: &Operation,
        alone: &Exclusive<'_>,
        site: &Site<'_>,
    ) -> anyhow::Result<Vec<IpAddr>> {
        let mut all = Vec::new();
        for server in self.wanted.servers.iter().filter(|server| server.role == Role::ControlPlane) {
            let query = Query::default().name(&server.name);
            let found = alone.client.list::<HetznerServer>(operation, &query).await;
            let found = found.map_err(project::of_hetzner)?;
            let maker =
                found.first().and_then(|found| found.labels.get(MADE_BY)).unwrap_or_default().to_owned();
            let addresses = site.addresses(server);
            let push = self.joining(&server.node, &maker)?.push.context("a control plane has no bundle")?;
            nodes::push(operation, alone, push, &server.node, &addresses).await?;
            alone.undo_nothing();
            all.extend(addresses);
        }
        Ok(all)
    }
}

fn of_user_data(error: EncodeError, node: &str) -> anyhow::Error {
    let fault = anyhow::Error::from(error).context(format!("what node `{node}` is given does not fit"));
    fault.input().hint("fewer SSH keys, admins and hosts in the cluster file make its records shorter")
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
