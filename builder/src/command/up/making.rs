//! Servers are made of a plan that somebody has seen, and the control plane is handed what it begins with.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context as _;
use firstboot::user_data::EncodeError;

use super::{Arguments, Teller, nodes};
use crate::cloud::observed::Observed;
use crate::cloud::plan::{Action, Built, Intent, Kind, Plan, PlannedName, Step};
use crate::cloud::snapshot::Upload;
use crate::cloud::wanted::Wanted;
use crate::cluster::{Cluster, Role};
use crate::command::failure::{self, cause};
use crate::command::plan::of_plan;
use crate::command::project::{self, Exclusive, Project};
use crate::command::{Context, Note as _, cloud};
use crate::diagnostic::chain;
use crate::hetzner::carry_out::{Given, MADE_BY, Site, Snapshot};
use crate::hetzner::server::Server;
use crate::hetzner::{HetznerError, ImageId, Operation, Query, Stop, request_line};
use crate::identity::ClusterSecrets;
use crate::operator::Joining;

/// For making servers, and until a control plane has its bundle.
const MAKING: Duration = Duration::from_mins(30);
/// For taking the label of the run from all that it has made.
const SETTLING: Duration = Duration::from_mins(10);

/// What servers are made of, and for whom.
pub(super) struct Making<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) wanted: &'a Wanted,
    pub(super) secrets: &'a ClusterSecrets,
    pub(super) built: &'a [Built],
    pub(super) arguments: &'a Arguments,
    pub(super) context: &'a Context,
}

/// What there is now.
pub(super) struct Made {
    /// What was carried out.
    pub(super) plan: Plan,
    /// Addresses of the control planes.
    pub(super) control_planes: Vec<IpAddr>,
    /// Names that somebody has to write.
    pub(super) names: Vec<PlannedName>,
}

/// What is known before anything is done.
struct Seen {
    observed: Observed,
    plan: Plan,
    uploads: Vec<Upload>,
}

/// A server type that could not be had at a location, whatever the list of types said.
struct SoldOut {
    server_type: String,
    location: String,
}

impl Making<'_> {
    /// Makes what is wanted, as somebody has let it happen.
    ///
    /// What is sold out when it is wanted, the list of types may have told as in stock: then another plan is made without
    /// it, shown, and asked for.
    pub(super) fn make(&self, project: &Project, teller: &mut Teller<'_>) -> anyhow::Result<Made> {
        let mut sold_out: Vec<SoldOut> = Vec::new();
        loop {
            let seen = self.see(project.observe(self.wanted)?, &sold_out)?;
            teller.plan(&seen.plan);
            teller.ends("the plan");
            if seen.plan.is_anything() {
                project.ask(self.context, &question(&seen.plan))?;
            }
            let made = self.make_as_shown(project, &seen.plan, &sold_out, teller);
            let error = match made {
                Ok((control_planes, names)) => return Ok(Made { plan: seen.plan, control_planes, names }),
                Err(error) => error,
            };
            let Some(HetznerError::OutOfStock { server_type, location, .. }) = cause(&error) else {
                return Err(error);
            };
            // Of each place and type it is said once, so that this ends.
            if sold_out.iter().any(|one| one.server_type == *server_type && one.location == *location) {
                return Err(error);
            }
            self.context.printer.warn(&format!("{}; another plan is made without it", chain(error.as_ref())));
            sold_out.push(SoldOut { server_type: server_type.clone(), location: location.clone() });
        }
    }

    /// The plan for what is there, without what is `sold_out`.
    fn see(&self, mut observed: Observed, sold_out: &[SoldOut]) -> anyhow::Result<Seen> {
        for SoldOut { server_type, location } in sold_out {
            observed.sell_out(server_type, location);
        }
        let plan = Plan::new(self.wanted, &observed, self.built, request_line).map_err(of_plan)?;
        let uploads =
            cloud::uploads(self.cluster, self.wanted, &observed, self.built, &self.arguments.upload)?;
        Ok(Seen { observed, plan, uploads })
    }

    fn make_as_shown(
        &self,
        project: &Project,
        shown: &Plan,
        sold_out: &[SoldOut],
        teller: &mut Teller<'_>,
    ) -> anyhow::Result<(Vec<IpAddr>, Vec<PlannedName>)> {
        let allowed = cloud::UPLOADING + MAKING;
        let work = async |operation: &Operation, alone: &Exclusive<'_>| {
            let now = self.see(alone.observe(operation, self.wanted).await?, sold_out)?;
            project::must_be_shown(&now.plan, shown)?;
            self.carry_out(operation, alone, now, teller).await
        };
        project.exclusively(self.context, &self.wanted.name, ("making the cluster", allowed), work)
    }

    /// Addresses of the control planes, and the names that somebody has to write. Until one has its bundle, there is nothing that could be lost: so far a failure
    /// undoes all but finished snapshots.
    async fn carry_out(
        &self,
        operation: &Operation,
        alone: &Exclusive<'_>,
        seen: Seen,
        teller: &mut Teller<'_>,
    ) -> anyhow::Result<(Vec<IpAddr>, Vec<PlannedName>)> {
        let uploaded =
            cloud::upload_all(operation, alone, &seen.uploads, &self.arguments.upload, self.context).await?;
        if !uploaded.is_empty() {
            teller.ends("images uploaded");
        }
        let mut given = Given::default();
        for built in self.built {
            let made = seen.uploads.iter().zip(&uploaded).find(|(upload, _)| upload.of == built.of);
            let there = seen.observed.snapshot(&built.digest, built.of.arch);
            let snapshot = made.map(|(_, (snapshot, _))| snapshot.clone()).or_else(|| {
                let digest = built.digest.clone();
                there.map(|found| Snapshot { id: ImageId(found.id), digest })
            });
            given.images.extend(snapshot.map(|snapshot| (built.of.clone(), snapshot)));
        }
        given.user_data = self.user_data(&alone.run.to_string())?;
        let site = Site::new(alone.client, &alone.run, self.wanted, &given, &seen.observed);
        let site = site.with_storage(alone.storage);
        let done = |step: &Step| teller.made(step);
        alone.carry_out(operation, &site, &seen.plan, &done).await.map_err(project::of_hetzner)?;
        teller.ends("servers made and switched on");
        let mut names = Vec::new();
        if !seen.plan.shown.is_empty() {
            // Other nodes find the control plane by its name: somebody has to write it while `up` waits for them.
            names = PlannedName::all(self.wanted, &alone.observe(operation, self.wanted).await?);
            teller.names(&names);
        }
        let control_planes = self.push(operation, alone, &site).await?;
        teller.ends("the control plane has its bundle");
        // Nothing stops this: what is not settled counts as left behind.
        let settling = Operation::new("settling what was made", SETTLING, &Stop::never());
        alone.settle(&settling, &self.wanted.name).await.map_err(|error| {
            project::of_hetzner(error).hint("nothing was undone: `imgbuild up` once more finishes it")
        })?;
        Ok((control_planes, names))
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
        let node = self.cluster.node(node).map_err(failure::of_node)?;
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
            let found = alone.client.list::<Server>(operation, &query).await;
            let found = found.map_err(project::of_hetzner)?;
            let found = found.first().with_context(|| format!("the server `{}` is gone", server.name))?;
            let maker = found.labels.get(MADE_BY).unwrap_or_default();
            let addresses = site.addresses(server);
            let push = self.joining(&server.node, maker)?.push.context("a control plane has no bundle")?;
            let begins = async || alone.client.begin(operation, found).await;
            nodes::push(operation, alone, push, &server.node, &addresses, begins).await?;
            alone.undo_nothing();
            all.extend(addresses);
        }
        Ok(all)
    }
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

fn of_user_data(error: EncodeError, node: &str) -> anyhow::Error {
    let fault = anyhow::Error::from(error).context(format!("what node `{node}` is given does not fit"));
    fault.input().hint("fewer SSH keys, admins and hosts in the cluster file make its records shorter")
}
