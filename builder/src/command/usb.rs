//! `imgbuild usb`: sticks and cards, each with an image and what one node is given.

mod stick;
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use self::stick::Stick;
use super::identity::Unlock;
use super::writing::{self, Job, Outcome, Place};
use super::{Context, Note as _, failure, interrupt};
use crate::cluster::{Cluster, Node, Role};
use crate::flash::Limits;
use crate::units::{Bytes, Size};

/// What `imgbuild init` writes for an address that nobody has yet.
const NO_ENDPOINT: &str = "cluster.example.org";
/// The way to one.
const ENDPOINT: &str = "`endpoint` in `[cluster]` is a name or address of a control plane: with `[hetzner]` and `dns-zone`, \
     `imgbuild up` makes both, and `imgbuild plan` shows them before";

/// Arguments of `usb`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Nodes of the cluster file, a stick for each
    #[arg(required_unless_present = "list")]
    node: Vec<String>,
    /// Show all disks, and why each is written or not
    #[arg(long, conflicts_with_all = ["node", "device", "output"])]
    list: bool,
    /// Disk to write, `/dev/sdb`; for several nodes several, in their order
    #[arg(short, long, value_name = "DEVICE", conflicts_with = "output")]
    device: Vec<PathBuf>,
    /// Write to FILE instead, for a flasher elsewhere; for several nodes several
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,
    /// The largest disk that is taken for a stick
    #[arg(long, value_name = "SIZE", default_value = "256 GiB")]
    largest: Size,
    #[command(flatten)]
    unlock: Unlock,
}

/// A stick that was written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeWritten<'a> {
    node: &'a str,
    #[serde(flatten)]
    written: &'a Outcome,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    if arguments.list {
        return list(arguments, context);
    }
    let cluster = context.cluster().map_err(of_cluster)?;
    if cluster.endpoint.to_string() == NO_ENDPOINT {
        let fault =
            anyhow::anyhow!("a node finds no way to `{NO_ENDPOINT}`, which stands for an address to come");
        return Err(fault.input().hint(ENDPOINT));
    }
    let nodes = nodes(&cluster, &arguments.node)?;
    check_outputs(&arguments.output, nodes.len())?;
    let secrets = arguments.unlock.secrets(&cluster)?;
    let sticks = nodes.into_iter().map(|node| Stick::new(node, &cluster, &secrets, context));
    let sticks: Vec<Stick<'_>> = sticks.collect::<Result<_, _>>()?;
    let places = places(&sticks, arguments, context)?;
    let jobs: Vec<Job<'_>> = sticks.iter().zip(places).map(|(stick, place)| stick.job(place)).collect();
    let flag = interrupt::flag()?;
    let written = writing::write_all(&jobs, &flag, context)?;
    let all = sticks.iter().zip(&written);
    if context.printer.is_json() {
        let all: Vec<_> = all.map(|(stick, written)| NodeWritten { node: stick.name(), written }).collect();
        return Ok(context.printer.json(&all)?);
    }
    let lines: String = all.map(|(stick, written)| written.line(stick.name())).collect();
    Ok(context.printer.data(&lines)?)
}

/// A cluster file that lacks the endpoint says how to get one.
fn of_cluster(fault: anyhow::Error) -> anyhow::Error {
    let faults = failure::faults(&fault).into_iter().flat_map(|faults| &faults.files);
    let mut reasons = faults.flat_map(|file| &file.faults).map(|fault| fault.reason.as_str());
    if reasons.any(|reason| reason == "`[cluster]` lacks the key `endpoint`") {
        return fault.hint(ENDPOINT);
    }
    fault
}

/// Nodes that join by what their media carry, each once.
fn nodes<'a>(cluster: &'a Cluster, names: &[String]) -> anyhow::Result<Vec<&'a Node>> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
        return Err(anyhow::anyhow!("node `{twice}` is named twice").input());
    }
    names.iter().map(|name| node(cluster, name)).collect()
}

fn node<'a>(cluster: &'a Cluster, name: &str) -> anyhow::Result<&'a Node> {
    let node = cluster.node(name).map_err(failure::of_node)?;
    let reason = match node.role {
        Role::ControlPlane => {
            "is a control plane, which is handed its certificates by `imgbuild up` and by no stick"
        }
        Role::Worker if cluster.hetzner.is_some() => "is a server at Hetzner, which `imgbuild up` makes",
        Role::Worker | Role::Edge => return Ok(node),
    };
    Err(anyhow::anyhow!("node `{name}` {reason}").input())
}

/// Before anything that takes a while.
fn check_outputs(outputs: &[PathBuf], nodes: usize) -> anyhow::Result<()> {
    if outputs.is_empty() {
        return Ok(());
    }
    if outputs.len() != nodes {
        let fault = anyhow::anyhow!(
            "`--output` names {} for {}",
            writing::count(outputs.len(), "file"),
            writing::count(nodes, "node")
        );
        return Err(fault.input().hint("each node has a ticket of its own, and a file of its own"));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = outputs.iter().find(|path| !seen.insert(*path)) {
        return Err(anyhow::anyhow!("`{}` is named twice", twice.display()).input());
    }
    match outputs.iter().find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(of_taken(path)),
        None => Ok(()),
    }
}

fn of_taken(path: &Path) -> anyhow::Error {
    let fault = anyhow::anyhow!("`{}` is there already; nothing was changed", path.display()).input();
    let is_device = path.starts_with("/dev");
    fault.hint(if is_device { "`--device` writes a stick" } else { "remove it, or name another file" })
}

/// The files, or the disks, which somebody has seen and let go.
fn places(sticks: &[Stick<'_>], arguments: &Arguments, context: &Context) -> anyhow::Result<Vec<Place>> {
    if !arguments.output.is_empty() {
        let paths = sticks.iter().zip(&arguments.output);
        return Ok(paths.map(|(stick, path)| Place::File(path.clone(), stick.size())).collect());
    }
    let limits = sticks.iter().map(|stick| stick.limits(arguments.largest.0));
    let limits: Vec<Limits> = limits.collect::<anyhow::Result<_>>()?;
    let chosen = writing::choose(&limits, &arguments.device)?;
    for (stick, device) in sticks.iter().zip(&chosen) {
        writing::ask(&format!("node `{}`", stick.name()), device, context)?;
    }
    Ok(chosen.into_iter().map(Place::Device).collect())
}

fn list(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let all = writing::all()?;
    let limits = Limits { least: Bytes(0), most: arguments.largest.0, sector_size: None };
    let shown = table::Shown::all(&all, &limits);
    if context.printer.is_json() {
        return Ok(context.printer.json(&shown)?);
    }
    Ok(context.printer.data(&table::text(&shown))?)
}
