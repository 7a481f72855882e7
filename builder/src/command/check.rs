//! `imgbuild check`: every fault, or what the cluster file describes.

mod online;

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::identity::Unlock;
use super::project::Access;
use super::storage::StorageAccess;
use super::{Context, failure};
use crate::cluster::{self, Cluster, LoadError, Node};
use crate::diagnostic::{FaultRecord, Faults};
use crate::image::Image;
use crate::profile::Profile;
use crate::rootfs::review::ReviewTable;
use crate::settings::{self, Kind};
use crate::units::Arch;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the JSON Schema of the cluster file, for editors, and check nothing
    #[arg(long)]
    json_schema: bool,
    /// Ask Hetzner, the S3 service and the repository whether what the file names is there, and can be had
    #[arg(long, conflicts_with = "json_schema")]
    online: bool,
    /// Leave the buckets of `[backup]` to somebody else
    #[arg(long, requires = "online")]
    without_buckets: bool,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    storage: StorageAccess,
    #[command(flatten)]
    unlock: Unlock,
}

/// What `--json` prints of a valid file.
#[derive(Serialize)]
struct Fine<'cluster> {
    #[serde(rename = "valid")]
    is_valid: bool,
    /// What the file asks for and this release does not do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_yet: Vec<String>,
    cluster: &'cluster Cluster,
}

/// What `--json` prints of a faulty file.
#[derive(Serialize)]
struct Faulty<'faults> {
    #[serde(rename = "valid")]
    is_valid: bool,
    faults: Vec<FaultRecord<'faults>>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    if arguments.json_schema {
        return Ok(context.printer.json(&cluster::schema())?);
    }
    match checked(context) {
        Ok(cluster) if arguments.online => online::run(&cluster, arguments, context),
        Ok(cluster) if context.printer.is_json() => Ok(context.printer.json(&Fine {
            is_valid: true,
            not_yet: cluster.not_yet(),
            cluster: &cluster,
        })?),
        Ok(cluster) => {
            context.printer.data(&summary(&cluster))?;
            cluster.not_yet().iter().for_each(|what| context.printer.warn(what));
            Ok(())
        }
        Err(error) => {
            if let (true, Some(faults)) = (context.printer.is_json(), failure::faults(&error)) {
                context.printer.json(&Faulty { is_valid: false, faults: faults.records() })?;
            }
            Err(error)
        }
    }
}

/// The cluster file, then every profile, every image and the reviews that could be used with it: a
/// fault of one hides none of another.
fn checked(context: &Context) -> anyhow::Result<Cluster> {
    let file = context.cluster_file()?;
    let mut found = Found::default();
    let cluster = match Cluster::load(&file).map_err(LoadError::into_faults) {
        Ok(cluster) => Some(cluster),
        Err(Ok(faults)) => found.add(faults),
        Err(Err(error)) => return Err(failure::of_cluster(error)),
    };
    let directory = cluster::directory_of(&file);
    let nodes = cluster.as_ref().map_or(&[][..], |cluster| &cluster.nodes);
    found.profiles(nodes, directory).map_err(failure::of_settings)?;
    for name in settings::names(Kind::Image, directory)? {
        found.keep(Image::load(&name, directory)).map_err(failure::of_settings)?;
    }
    found.keep(ReviewTable::load(directory).map_err(Into::into)).map_err(failure::of_settings)?;
    match (found.faults, cluster) {
        (None, Some(cluster)) => Ok(cluster),
        (faults, _) => Err(faults.expect("a cluster file without value has faults").into()),
    }
}

/// The faults found so far.
#[derive(Default)]
struct Found {
    faults: Option<Faults>,
}

impl Found {
    fn add<T>(&mut self, faults: Faults) -> Option<T> {
        match &mut self.faults {
            Some(all) => all.extend(faults),
            None => self.faults = Some(faults),
        }
        None
    }

    /// Keeps faults; what else kept a file from being read is passed on.
    fn keep<T>(&mut self, loaded: Result<T, settings::LoadError>) -> Result<(), settings::LoadError> {
        if let Err(error) = loaded {
            self.add::<()>(error.into_faults()?);
        }
        Ok(())
    }

    /// What a node uses must be right for its architecture; what no node uses, for one of them.
    fn profiles(&mut self, nodes: &[Node], directory: &Path) -> Result<(), settings::LoadError> {
        for name in settings::names(Kind::Profile, directory)? {
            let used: BTreeSet<Arch> =
                nodes.iter().filter(|node| node.profile.as_str() == name).map(|node| node.arch).collect();
            for arch in &used {
                self.keep(Profile::load(&name, *arch, directory))?;
            }
            if used.is_empty() {
                let [amd64, arm64] =
                    [Arch::Amd64, Arch::Arm64].map(|arch| Profile::load(&name, arch, directory));
                self.keep(amd64.or(arm64))?;
            }
        }
        Ok(())
    }
}

fn summary(cluster: &Cluster) -> String {
    let count = cluster.nodes.len();
    let nodes = if count == 1 { "node" } else { "nodes" };
    let head = ["NAME", "ROLE", "PROFILE", "IMAGE", "ARCH", "VPN ADDRESS"].map(ToOwned::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(cluster.nodes.iter().map(row)).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut text =
        format!("{} is valid: cluster `{}`, {count} {nodes}\n\n", cluster.file.display(), cluster.name);
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn row(node: &Node) -> [String; 6] {
    [
        node.name.to_string(),
        node.role.name().to_owned(),
        node.profile.to_string(),
        node.image.to_string(),
        node.arch.to_string(),
        node.vpn_address.to_string(),
    ]
}
