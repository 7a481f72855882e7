//! `imgbuild orphans`: what interrupted runs have left in a project, whatever cluster it was for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::Context;
use super::project::Access;
use super::storage::StorageAccess;
use crate::cloud::observed::{self, Bucket};
use crate::cloud::wanted;
use crate::cluster::Cluster;
use crate::hetzner::cluster_lock::Holder;
use crate::hetzner::firewall::Firewall;
use crate::hetzner::label::RUN;
use crate::hetzner::leftovers::{Leftover, QUIET};
use crate::hetzner::{Client, ClusterLock, FirewallId, HetznerError, Operation, Selector};
use crate::printable::text as printable;
use crate::s3::{S3Error, Storage};

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
    #[command(flatten)]
    storage: StorageAccess,
}

/// What was found in a project, and among the buckets of the cluster file.
#[derive(Default)]
struct Found {
    /// Of runs that go on no more.
    orphans: Vec<Orphan>,
    /// Locks of such runs.
    locks: Vec<(FirewallId, Holder)>,
    /// Why buckets were not looked at.
    unseen: Option<S3Error>,
    /// Of runs that go on, by the run's number.
    living: BTreeMap<String, (Holder, usize)>,
    /// How many things clusters have that have begun, of runs that ended before all was settled.
    begun: BTreeMap<String, usize>,
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

/// Something that a run has made.
#[derive(Clone, Debug)]
enum Orphan {
    Resource(Leftover),
    Bucket(EmptyBucket),
}

/// A bucket that a run has made, with nothing in it.
#[derive(Clone, Debug)]
struct EmptyBucket {
    name: String,
    run: String,
    cluster: Option<String>,
}

impl Orphan {
    fn kind(&self) -> &'static str {
        match self {
            Self::Resource(leftover) => leftover.what.kind(),
            Self::Bucket(_) => "bucket",
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Resource(leftover) => &leftover.name,
            Self::Bucket(bucket) => &bucket.name,
        }
    }

    fn run(&self) -> &str {
        match self {
            Self::Resource(leftover) => leftover.run(),
            Self::Bucket(bucket) => &bucket.run,
        }
    }

    fn cluster(&self) -> Option<&str> {
        match self {
            Self::Resource(leftover) => leftover.cluster(),
            Self::Bucket(bucket) => bucket.cluster.as_deref(),
        }
    }
}

impl<'a> Shown<'a> {
    fn of(orphan: &'a Orphan) -> Self {
        Self { kind: orphan.kind(), name: orphan.name(), run: orphan.run(), cluster: orphan.cluster() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct All<'a> {
    orphans: Vec<Shown<'a>>,
    is_removed: bool,
    /// Numbers of runs that go on.
    living_runs: Vec<&'a str>,
    /// Clusters that have begun, and that `imgbuild up` finishes.
    begun_clusters: Vec<&'a str>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let storage = open_storage(&arguments.storage, context);
    let project = arguments.access.open(context)?.with_storage(storage);
    let (client, storage) = (&project.client, project.storage.as_ref());
    let found = project.run("looking for orphans", LOOKING, async |operation| {
        Found::look(client, storage, operation).await
    })?;
    if let Some(error) = &found.unseen {
        context.printer.warn(&format!("buckets of interrupted runs are not looked for: {error}"));
    }
    let count = found.orphans.len() + found.locks.len();
    if !context.printer.is_json() {
        context.printer.data(&found.to_text())?;
    }
    let is_removed = arguments.remove && count > 0;
    if is_removed {
        project.ask(
            context,
            &format!("Remove {}?", if count == 1 { "it".to_owned() } else { format!("all {count}") }),
        )?;
        project.run("removing orphans", REMOVING, async |operation| {
            found.remove(client, storage, operation).await
        })?;
        context.printer.note("removed");
    }
    if context.printer.is_json() {
        context.printer.json(&found.to_shown(is_removed))?;
    }
    Ok(())
}

/// The S3 service of the cluster file, where there are one and keys.
fn open_storage(access: &StorageAccess, context: &Context) -> Option<Storage> {
    let file = context.cluster_file().ok()?;
    let unseen =
        |why: &str| context.printer.warn(&format!("buckets of interrupted runs are not looked for: {why}"));
    let Ok(cluster) = Cluster::load(&file) else {
        unseen(&format!("`{}` is faulty, as `imgbuild check` shows", file.display()));
        return None;
    };
    let wanted = wanted::Storage::of(&cluster)?;
    let opened = access.open(Some(&wanted), context, "");
    opened.unwrap_or_else(|error| {
        unseen(&format!("{error:#}"));
        None
    })
}

/// Buckets go first: nobody writes to one that is empty. What their service says does not keep the rest.
async fn remove_all(
    orphans: Vec<Orphan>,
    client: &Client,
    storage: Option<&Storage>,
    operation: &Operation,
) -> Result<(), HetznerError> {
    let (mut leftovers, mut fault) = (Vec::new(), Ok(()));
    for orphan in orphans {
        match (orphan, storage) {
            (Orphan::Resource(leftover), _) => leftovers.push(leftover),
            (Orphan::Bucket(bucket), Some(storage)) => {
                let removed = storage.remove_empty(operation, &bucket.name).await;
                if fault.is_ok() {
                    fault = removed;
                }
            }
            // Nobody has looked for one without.
            (Orphan::Bucket(_), None) => {}
        }
    }
    client.remove(operation, &leftovers).await?;
    Ok(fault?)
}

/// Those that a run has made and not finished; what is in one is somebody's.
fn empty_buckets(storage: observed::Storage) -> Vec<EmptyBucket> {
    let empty = |(name, bucket)| match bucket {
        Bucket::Own(own) if own.is_empty() && own.clusters.len() < 2 => {
            let (run, cluster) = (own.runs.into_iter().next()?, own.clusters.into_iter().next());
            Some(EmptyBucket { name, run, cluster })
        }
        _ => None,
    };
    storage.buckets.into_iter().filter_map(empty).collect()
}

impl Found {
    /// Locks are looked at before and after: what a run finishes meanwhile is none that was left.
    async fn look(
        client: &Client,
        storage: Option<&Storage>,
        operation: &Operation,
    ) -> Result<Self, HetznerError> {
        let before = ClusterLock::all(client, operation).await?;
        let leftovers = client.leftovers(operation, &Selector::exists(RUN)).await?;
        let begun = client.begun(operation).await?;
        // Keys of somebody else's may be in the environment, which is no reason to tell nothing.
        let (buckets, unseen) = match storage {
            None => (Vec::new(), None),
            Some(storage) => match storage.observe(operation).await {
                Ok(storage) => (empty_buckets(storage), None),
                Err(S3Error::Operation(error)) => return Err(error),
                Err(error) => (Vec::new(), Some(error)),
            },
        };
        let leftovers = leftovers.into_iter().map(Orphan::Resource);
        let leftovers = leftovers.chain(buckets.into_iter().map(Orphan::Bucket)).collect();
        let mut locks = ClusterLock::all(client, operation).await?;
        let gone: Vec<_> =
            before.into_iter().filter(|(id, ..)| locks.iter().all(|(other, ..)| other != id)).collect();
        locks.extend(gone.into_iter().filter(|(_, _, is_expired)| !is_expired));
        Ok(Self { unseen, ..Self::new(leftovers, locks, &begun) })
    }

    fn new(leftovers: Vec<Orphan>, locks: Vec<(FirewallId, Holder, bool)>, begun: &BTreeSet<String>) -> Self {
        let mut project = Self::default();
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
            // A run goes on with what an earlier one of its cluster has left.
            let is_its = |run: &str, holder: &Holder| {
                leftover.run() == run
                    || (holder.cluster.is_some() && leftover.cluster() == holder.cluster.as_deref())
            };
            let living = project.living.iter_mut().find(|(run, (holder, _))| is_its(run, holder));
            let has_begun = leftover.cluster().filter(|name| begun.contains(*name)).map(str::to_owned);
            match (living, has_begun) {
                (Some((_, (_, count))), _) => *count += 1,
                (None, Some(cluster)) => *project.begun.entry(cluster).or_default() += 1,
                (None, None) => project.orphans.push(leftover),
            }
        }
        project
    }

    /// Removes them, and looks until nothing more of their runs shows: what a run has asked for last may show late.
    async fn remove(
        &self,
        client: &Client,
        storage: Option<&Storage>,
        operation: &Operation,
    ) -> Result<(), HetznerError> {
        let of_locks = self.locks.iter().filter_map(|(_, holder)| holder.run.as_deref());
        let runs: BTreeSet<&str> = self.orphans.iter().map(Orphan::run).chain(of_locks).collect();
        let mut quiet = 0;
        while quiet < QUIET {
            // Somebody may go on with some of it meanwhile.
            let Self { mut orphans, mut locks, unseen, .. } = Self::look(client, storage, operation).await?;
            if let (Some(error), None) = (unseen, &self.unseen) {
                return Err(error.into());
            }
            orphans.retain(|orphan| runs.contains(orphan.run()));
            locks.retain(|(lock, _)| self.locks.iter().any(|(shown, _)| shown == lock));
            if orphans.is_empty() && locks.is_empty() {
                quiet += 1;
            } else {
                quiet = 0;
                remove_all(orphans, client, storage, operation).await?;
                for (lock, _) in &locks {
                    client.delete::<Firewall>(operation, *lock).await?;
                }
            }
            if quiet < QUIET {
                operation.pause(client.pace().longest_poll, None).await?;
            }
        }
        Ok(())
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
                orphan.kind(),
                printable(orphan.name()),
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
        for (cluster, count) in &self.begun {
            let _ = writeln!(
                text,
                "cluster `{}` has begun, a run that was interrupted has not settled it ({count} to do): `imgbuild up` \
                 finishes it, `imgbuild down` removes it",
                printable(cluster)
            );
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
            begun_clusters: self.begun.keys().map(String::as_str).collect(),
        }
    }
}
