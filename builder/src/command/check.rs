//! `imgbuild check`: every fault, or what the cluster file describes.

use clap::Args;
use serde::Serialize;

use super::{Context, failure};
use crate::cluster::{self, Cluster, Node};
use crate::diagnostic::{FaultRecord, Faults};
use crate::image::Image;
use crate::profile::Profile;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the JSON Schema of the cluster file, for editors, and check nothing
    #[arg(long)]
    json_schema: bool,
}

/// What `--json` prints of a valid file.
#[derive(Serialize)]
struct Valid<'cluster> {
    #[serde(rename = "valid")]
    is_valid: bool,
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
        Ok(cluster) if context.printer.is_json() => {
            Ok(context.printer.json(&Valid { is_valid: true, cluster: &cluster })?)
        }
        Ok(cluster) => Ok(context.printer.data(&summary(&cluster))?),
        Err(error) => {
            if let (true, Some(faults)) = (context.printer.is_json(), failure::faults(&error)) {
                context.printer.json(&Faulty { is_valid: false, faults: faults.records() })?;
            }
            Err(error)
        }
    }
}

/// The cluster file, and every profile and image that its nodes use.
fn checked(context: &Context) -> anyhow::Result<Cluster> {
    let cluster = context.cluster()?;
    let mut all: Option<Faults> = None;
    let mut keep = |faults: Faults| match &mut all {
        Some(all) => all.extend(faults),
        None => all = Some(faults),
    };
    for node in &cluster.nodes {
        let profile = Profile::load(node.profile.as_str(), node.arch, cluster.directory()).map(drop);
        let image = Image::load(node.image.as_str(), cluster.directory()).map(drop);
        for error in [profile.err(), image.err()].into_iter().flatten() {
            keep(error.into_faults().map_err(failure::of_settings)?);
        }
    }
    match all {
        Some(faults) => Err(faults.into()),
        None => Ok(cluster),
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
