//! The buckets of a cluster: what is there, and what a run has made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::{Client, S3Error};
use crate::cloud::observed::{self, Bucket, OwnBucket};
use crate::cloud::wanted::CLUSTER_LABEL;
use crate::hetzner::label::RUN;
use crate::hetzner::leftovers::QUIET;
use crate::hetzner::{Operation, Run};

/// What keys of marks begin with.
const MARKS: &str = "imgbuild.org/";

/// The buckets of a cluster.
#[derive(Debug)]
pub struct Storage {
    client: Client,
    buckets: Vec<String>,
    /// What this run has tried to make.
    tried: Mutex<BTreeSet<String>>,
}

/// The mark of a cluster: `imgbuild.org/cluster/lab`.
fn cluster_mark(cluster: &str) -> String {
    format!("{CLUSTER_LABEL}/{cluster}")
}

/// The mark of a run: `imgbuild.org/run/0123456789abcdef`.
fn run_mark(run: &str) -> String {
    format!("{RUN}/{run}")
}

impl Storage {
    /// Buckets of these names.
    pub fn new(client: Client, buckets: Vec<String>) -> Self {
        Self { client, buckets, tried: Mutex::default() }
    }

    /// Looks at all of them.
    pub async fn observe(&self, operation: &Operation) -> Result<observed::Storage, S3Error> {
        // First of all: keys that are no good are told of here.
        let own = self.client.buckets(operation).await?;
        let mut buckets = BTreeMap::new();
        for name in &self.buckets {
            let bucket = self.look(operation, name, own.contains(name)).await?;
            buckets.insert(name.clone(), bucket);
        }
        let endpoint = self.client.endpoint();
        Ok(observed::Storage { url: endpoint.to_string(), region: endpoint.region().to_owned(), buckets })
    }

    async fn look(&self, operation: &Operation, name: &str, is_own: bool) -> Result<Bucket, S3Error> {
        let elsewhere = |region: Option<&str>| Bucket::Elsewhere { region: region.map(str::to_owned) };
        match self.own(operation, name).await {
            Ok(own) if is_own => Ok(Bucket::Own(own)),
            // One that everybody may read.
            Ok(_) => Ok(Bucket::Taken),
            Err(error) if error.is("NoSuchBucket") => Ok(Bucket::Free),
            Err(error) => match error.is_elsewhere() {
                Some(region) => Ok(elsewhere(region)),
                None if !is_own && error.is("AccessDenied") => Ok(Bucket::Taken),
                None => Err(error),
            },
        }
    }

    async fn own(&self, operation: &Operation, name: &str) -> Result<OwnBucket, S3Error> {
        let all = self.client.objects(operation, name, "").await?;
        // Among many they may be on a later page.
        let marks = if all.is_more {
            self.client.objects(operation, name, MARKS).await?.keys
        } else {
            all.keys.clone()
        };
        let named = |label: &str| {
            let names = marks.iter().filter_map(|key| key.strip_prefix(label)?.strip_prefix('/'));
            names.map(str::to_owned).collect()
        };
        let objects = all.keys.iter().filter(|key| !key.starts_with(MARKS)).count();
        Ok(OwnBucket { clusters: named(CLUSTER_LABEL), runs: named(RUN), objects, is_more: all.is_more })
    }

    /// Makes a bucket. One that has appeared since somebody looked is not this run's.
    pub async fn create(&self, operation: &Operation, name: &str) -> Result<(), S3Error> {
        if self.client.buckets(operation).await?.contains(name) {
            return Err(S3Error::Appeared { bucket: name.to_owned() });
        }
        // Before anything is sent: of an answer that never comes nobody knows what it would say.
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        self.client.create(operation, name).await
    }

    /// Marks a bucket with the run that has made it, until that is done.
    pub async fn mark_run(&self, operation: &Operation, name: &str, run: &Run) -> Result<(), S3Error> {
        self.client.put_nothing(operation, name, &run_mark(&run.to_string())).await
    }

    /// Marks a bucket with its cluster.
    pub async fn mark(&self, operation: &Operation, name: &str, cluster: &str) -> Result<(), S3Error> {
        self.client.put_nothing(operation, name, &cluster_mark(cluster)).await
    }

    /// Removes all that is in a bucket but its marks.
    pub async fn empty(&self, operation: &Operation, name: &str) -> Result<(), S3Error> {
        self.client.empty(operation, name, MARKS).await
    }

    /// Removes a bucket with its marks, unless something else is in it. Where it stays, the marks of runs stay, too: by them
    /// it is found again.
    pub async fn remove_empty(&self, operation: &Operation, name: &str) -> Result<(), S3Error> {
        let runs = self.take_marks(operation, name).await?;
        let deleted = self.client.delete(operation, name).await;
        if !matches!(deleted, Ok(()) | Err(S3Error::Full { .. })) {
            for run in runs {
                self.client.put_nothing(operation, name, &run_mark(&run)).await?;
            }
        }
        deleted
    }

    /// Takes the marks from a bucket, unless something else is in it.
    pub async fn unmark(&self, operation: &Operation, name: &str) -> Result<(), S3Error> {
        self.take_marks(operation, name).await.map(drop)
    }

    /// The same; returns the runs that it was marked with.
    async fn take_marks(&self, operation: &Operation, name: &str) -> Result<Vec<String>, S3Error> {
        let own = match self.own(operation, name).await {
            Err(error) if error.is("NoSuchBucket") => return Ok(Vec::new()),
            own => own?,
        };
        if !own.is_empty() {
            return Err(S3Error::Full { bucket: name.to_owned() });
        }
        // The run's last: what was left half-way is known by it.
        let marks = own.clusters.iter().map(|cluster| cluster_mark(cluster));
        for mark in marks.chain(own.runs.iter().map(|run| run_mark(run))) {
            self.client.delete_object(operation, name, &mark).await?;
        }
        Ok(own.runs)
    }

    /// Removes a bucket that is empty. Whatever somebody has put there meanwhile stays, and so does the mark of `cluster`.
    pub async fn delete(&self, operation: &Operation, name: &str, cluster: &str) -> Result<(), S3Error> {
        let deleted = self.client.delete(operation, name).await;
        if let Err(S3Error::Full { .. }) = &deleted {
            self.mark(operation, name, cluster).await?;
        }
        deleted
    }

    /// Takes the marks of runs from all buckets of a cluster: they are whole, and stay.
    pub async fn settle(&self, operation: &Operation, cluster: &str) -> Result<(), S3Error> {
        let found = self.observe(operation).await?;
        for (name, bucket) in found.buckets {
            let Bucket::Own(own) = bucket else { continue };
            for run in own.runs.iter().filter(|_| own.is_of(cluster)) {
                self.client.delete_object(operation, &name, &run_mark(run)).await?;
            }
        }
        Ok(())
    }

    /// Removes all buckets that this run has tried to make, and looks until none shows any more, or the operation's time is
    /// over. What is told is how many went. One with something in it is a fault, and stays.
    pub async fn clean_up(&self, operation: &Operation) -> Result<usize, S3Error> {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut removed, mut quiet, mut full) = (0, 0, None);
        while !tried.is_empty() && quiet < QUIET {
            let fault = match self.remove_own(operation, &mut tried, &mut full).await {
                Ok(0) => {
                    quiet += 1;
                    None
                }
                Ok(count) => {
                    (removed, quiet) = (removed + count, 0);
                    None
                }
                Err(fault) if fault.is_of_keys() => return Err(fault),
                Err(fault) => Some(fault),
            };
            if quiet < QUIET && !tried.is_empty() {
                operation.pause(self.client.pace().longest_poll, fault.map(Into::into)).await?;
            }
        }
        full.map_or(Ok(removed), Err)
    }

    /// How many went of those that show.
    async fn remove_own(
        &self,
        operation: &Operation,
        tried: &mut BTreeSet<String>,
        full: &mut Option<S3Error>,
    ) -> Result<usize, S3Error> {
        let mut removed = 0;
        for name in self.client.buckets(operation).await?.intersection(&tried.clone()) {
            match self.remove_empty(operation, name).await {
                Ok(()) => removed += 1,
                Err(error @ S3Error::Full { .. }) => *full = Some(error),
                Err(error) => return Err(error),
            }
            tried.remove(name);
        }
        Ok(removed)
    }
}
