//! `imgbuild orphans`: what interrupted runs have left in a project, whatever cluster it was for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::Context;
use super::project::Access;
use crate::hetzner::cluster_lock::Holder;
use crate::hetzner::firewall::Firewall;
use crate::hetzner::label::RUN;
use crate::hetzner::leftovers::Leftover;
use crate::hetzner::{ClusterLock, FirewallId, Selector};
use crate::printable::text as printable;

/// For all questions together.
const LOOKING: Duration = Duration::from_mins(2);
/// For all removals together.
const REMOVING: Duration = Duration::from_mins(20);

/// Arguments of `orphans`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Remove them; what belongs to a run that still goes on stays
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    access: Access,
}

/// What was found in the project.
struct Project {
    /// Of runs that go on no more.
    orphans: Vec<Leftover>,
    /// Locks of such runs.
    locks: Vec<(FirewallId, Holder)>,
    /// Of runs that go on, by the run's number.
    living: BTreeMap<String, (Holder, usize)>,
}

/// One thing, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    kind: &'static str,
    name: &'a str,
    run: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn of(leftover: &'a Leftover) -> Self {
        let (kind, name) = (leftover.what.kind(), leftover.name.as_str());
        Self { kind, name, run: leftover.run(), cluster: leftover.cluster() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct All<'a> {
    orphans: Vec<Shown<'a>>,
    is_removed: bool,
    /// Numbers of runs that go on.
    living_runs: Vec<&'a str>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let project = arguments.access.open(context)?;
    let client = &project.client;
    let found = project.run("looking for orphans", LOOKING, async |operation| {
        // The locks last: whatever was seen before was made by a run that had its lock then.
        let leftovers = client.leftovers(operation, &Selector::exists(RUN)).await?;
        let locks = ClusterLock::all(client, operation).await?;
        Ok(Project::new(leftovers, locks))
    })?;
    let is_anything = !found.orphans.is_empty() || !found.locks.is_empty();
    if !context.printer.is_json() {
        context.printer.data(&found.to_text())?;
    }
    if arguments.remove && is_anything {
        let count = found.orphans.len() + found.locks.len();
        context.ask(&format!("Remove {count} of these?"))?;
        project.run("removing orphans", REMOVING, async |operation| {
            client.remove(operation, &found.orphans).await?;
            for (lock, _) in &found.locks {
                client.delete::<Firewall>(operation, *lock).await?;
            }
            Ok(())
        })?;
        context.printer.note("removed");
    }
    if context.printer.is_json() {
        context.printer.json(&found.to_shown(arguments.remove))?;
    }
    Ok(())
}

impl Project {
    fn new(leftovers: Vec<Leftover>, locks: Vec<(FirewallId, Holder, bool)>) -> Self {
        let mut project = Self { orphans: Vec::new(), locks: Vec::new(), living: BTreeMap::new() };
        for (id, holder, is_expired) in locks {
            match holder.run.clone() {
                Some(run) if !is_expired => {
                    project.living.insert(run, (holder, 0));
                }
                _ if is_expired => project.locks.push((id, holder)),
                _ => {}
            }
        }
        for leftover in leftovers {
            match project.living.get_mut(leftover.run()) {
                Some((_, count)) => *count += 1,
                None => project.orphans.push(leftover),
            }
        }
        project
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        if self.orphans.is_empty() && self.locks.is_empty() {
            text.push_str("no orphans\n");
        }
        for orphan in &self.orphans {
            let cluster = orphan.cluster().map(|name| format!(" of cluster `{}`", printable(name)));
            let _ = writeln!(
                text,
                "{:15}  {}, run {}{}",
                orphan.what.kind(),
                printable(&orphan.name),
                printable(orphan.run()),
                cluster.unwrap_or_default()
            );
        }
        for (_, holder) in &self.locks {
            let _ = writeln!(text, "{:15}  {}, of {holder}", "lock", printable(&holder.lock));
        }
        for (run, (holder, count)) in &self.living {
            let _ = writeln!(text, "run {} goes on, with {count} of its own: {holder}", printable(run));
        }
        text
    }

    fn to_shown(&self, is_removed: bool) -> All<'_> {
        let locks = self.locks.iter().map(|(_, holder)| Shown {
            kind: "lock",
            name: &holder.lock,
            run: holder.run.as_deref().unwrap_or_default(),
            cluster: None,
        });
        All {
            orphans: self.orphans.iter().map(Shown::of).chain(locks).collect(),
            is_removed,
            living_runs: self.living.keys().map(String::as_str).collect(),
        }
    }
}
