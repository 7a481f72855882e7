//! `imgbuild snapshots`: what `imgbuild cloud` has uploaded, and what of it is still needed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use super::project::Access;
use crate::cloud::observed::DIGEST_LABEL;
use crate::cloud::price::Amount;
use crate::cloud::wanted::CLUSTER_LABEL;
use crate::hetzner::image::{Image, ImageStatus};
use crate::hetzner::label::RUN;
use crate::hetzner::server::Server;
use crate::hetzner::{Client, HetznerError, ImageId, Operation, Query, Selector};
use crate::printable::text as printable;

/// For everything together.
const ALLOWED: Duration = Duration::from_mins(10);

/// Arguments of `snapshots`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show them: what they hold, what they cost, who uses them
    List(List),
    /// Remove old ones, but none that a server is made of
    Prune(Prune),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
struct Prune {
    /// How many of each cluster, image and architecture stay, the newest
    #[arg(long, value_name = "N", default_value_t = 2)]
    keep: usize,
    #[command(flatten)]
    access: Access,
}

/// A snapshot.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    id: ImageId,
    description: String,
    /// The cluster that has uploaded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    architecture: String,
    digest: String,
    created: String,
    /// What is billed.
    #[serde(skip_serializing_if = "Option::is_none")]
    gigabytes: Option<f64>,
    /// Net, a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly: Option<Amount>,
    /// Names of the servers that are made of it.
    servers: Vec<String>,
    /// Whether it is still being made, or its run was interrupted.
    is_unfinished: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    match &arguments.action {
        Action::List(List { access }) => list(access, context),
        Action::Prune(arguments) => prune(arguments, context),
    }
}

fn list(access: &Access, context: &Context) -> anyhow::Result<()> {
    let project = access.open(context)?;
    let found = project
        .run("looking at the snapshots", ALLOWED, async |operation| all(&project.client, operation).await)?;
    if context.printer.is_json() {
        Ok(context.printer.json(&found)?)
    } else {
        Ok(context.printer.data(&text(&found))?)
    }
}

fn prune(arguments: &Prune, context: &Context) -> anyhow::Result<()> {
    let project = arguments.access.open(context)?;
    let client = &project.client;
    let found =
        project.run("looking at the snapshots", ALLOWED, async |operation| all(client, operation).await)?;
    let old = superfluous(&found, arguments.keep);
    if old.is_empty() {
        if context.printer.is_json() {
            return Ok(context.printer.json(&old)?);
        }
        return Ok(context.printer.data("nothing to remove\n")?);
    }
    context.printer.note(&text(&old));
    project.ask(context, &format!("Remove {} of {} snapshots?", old.len(), found.len()))?;
    project.run("removing snapshots", ALLOWED, async |operation| {
        // Somebody may have made a server of one while the question stood.
        let now = superfluous(&all(client, operation).await?, arguments.keep);
        for snapshot in old.iter().filter(|snapshot| now.iter().any(|left| left.id == snapshot.id)) {
            let actions = client.delete::<Image>(operation, snapshot.id).await?;
            client.wait(operation, actions).await?;
            context.printer.note(&format!("removed snapshot {}", snapshot.id));
        }
        Ok(())
    })?;
    if context.printer.is_json() { Ok(context.printer.json(&old)?) } else { Ok(()) }
}

/// The newest first.
async fn all(client: &Client, operation: &Operation) -> Result<Vec<Snapshot>, HetznerError> {
    let images = client.snapshots(operation, &Selector::exists(DIGEST_LABEL)).await?;
    let everything = Query::default();
    let (servers, pricing) =
        tokio::try_join!(client.list::<Server>(operation, &everything), client.pricing(operation))?;
    let price = pricing.image.price_per_gb_month.net;
    let snapshot = |image: &Image| {
        let users = servers.iter().filter(|server| server.image.as_ref().is_some_and(|of| of.id == image.id));
        Snapshot {
            id: image.id,
            description: image.description.clone(),
            cluster: image.labels.get(CLUSTER_LABEL).map(str::to_owned),
            architecture: image.architecture.to_string(),
            digest: image.labels.get(DIGEST_LABEL).unwrap_or_default().to_owned(),
            created: image.created.clone(),
            gigabytes: image.image_size.map(|size| size.0),
            monthly: image.image_size.map(|size| price.times(size.0)),
            servers: users.map(|server| server.name.clone()).collect(),
            is_unfinished: image.status != ImageStatus::Available || image.labels.get(RUN).is_some(),
        }
    };
    let mut all: Vec<Snapshot> = images.iter().map(snapshot).collect();
    // Times of RFC 3339 in UTC sort as texts.
    all.sort_by(|one, other| other.created.cmp(&one.created).then(other.id.cmp(&one.id)));
    Ok(all)
}

/// All but the newest of each kind, and those in use or in the making.
fn superfluous(found: &[Snapshot], keep: usize) -> Vec<Snapshot> {
    let mut counts: BTreeMap<(Option<&str>, &str, &str), usize> = BTreeMap::new();
    let finished = found.iter().filter(|snapshot| !snapshot.is_unfinished);
    finished
        .filter(|snapshot| {
            let Snapshot { cluster, description, architecture, .. } = snapshot;
            let count = counts.entry((cluster.as_deref(), description, architecture)).or_default();
            *count += 1;
            *count > keep && snapshot.servers.is_empty()
        })
        .cloned()
        .collect()
}

fn text(found: &[Snapshot]) -> String {
    let mut text = format!(
        "{:>10}  {:12}  {:20}  {:4}  {:25}  {:>7}  {:>8}  USED BY\n",
        "SNAPSHOT", "OF", "IS", "ARCH", "MADE", "GB", "A MONTH"
    );
    for snapshot in found {
        let size = snapshot.gigabytes.map(|size| format!("{size:.2}")).unwrap_or_default();
        let price = snapshot.monthly.map(|price| price.rounded(3)).unwrap_or_default();
        let mut users: Vec<_> = snapshot.servers.iter().map(|name| printable(name)).collect();
        if snapshot.is_unfinished {
            users.push("(unfinished)".into());
        }
        let line = format!(
            "{:>10}  {:12}  {:20}  {:4}  {:25}  {size:>7}  {price:>8}  {}",
            snapshot.id,
            printable(snapshot.cluster.as_deref().unwrap_or("-")),
            printable(&snapshot.description),
            snapshot.architecture,
            printable(&snapshot.created),
            users.join(", ")
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if found.is_empty() { "no snapshots\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(id: u64, of: &str, servers: &[&str]) -> Snapshot {
        Snapshot {
            id: ImageId(id),
            description: of.to_owned(),
            cluster: None,
            architecture: "x86".to_owned(),
            digest: String::new(),
            created: String::new(),
            gigabytes: None,
            monthly: None,
            servers: servers.iter().map(ToString::to_string).collect(),
            is_unfinished: false,
        }
    }

    #[test]
    fn the_newest_stay_and_those_in_use() {
        let unfinished = Snapshot { is_unfinished: true, ..snapshot(9, "cloud", &[]) };
        let found = [
            unfinished,
            snapshot(8, "cloud", &[]),
            snapshot(7, "edge", &[]),
            snapshot(6, "cloud", &[]),
            snapshot(5, "cloud", &["lab-cp1"]),
            snapshot(4, "cloud", &[]),
        ];
        let numbers =
            |keep| superfluous(&found, keep).iter().map(|snapshot| snapshot.id.0).collect::<Vec<_>>();
        assert_eq!(numbers(2), [4]);
        assert_eq!(numbers(1), [6, 4]);
        assert_eq!(numbers(0), [8, 7, 6, 4]);
    }
}
