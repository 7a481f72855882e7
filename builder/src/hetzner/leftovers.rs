//! What runs have made and not finished: everything that carries the label of a run.
//!
//! A run labels what it makes from the moment of creation, and takes the label away when all of it is done. So what still
//! carries one is either in the making, by a run that holds the lock of its cluster, or left behind, by one that was
//! interrupted: there is no state file that could say otherwise.

use std::collections::BTreeSet;

use super::firewall::Firewall;
use super::image::Image;
use super::network::Network;
use super::placement_group::PlacementGroup;
use super::primary_ip::PrimaryIp;
use super::server::Server;
use super::ssh_key::SshKey;
use super::zone::{RecordType, Rrset, Zone};
use super::{
    Client, FirewallId, HetznerError, ImageId, Labelled, Labels, NetworkId, Operation, PlacementGroupId,
    PrimaryIpId, Query, Resource, Run, Selector, ServerId, SshKeyId, ZoneId,
};
use crate::cloud::wanted::CLUSTER_LABEL;
use crate::hetzner::cluster_lock::LOCK;
use crate::hetzner::label::{BEGUN, RUN};

/// A clean-up that was told of nothing twice has removed everything: a creation of unknown outcome may show late.
pub const QUIET: u32 = 2;

/// Something that carries the label of a run.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// What it is, with its number.
    pub what: What,
    /// Its name; a snapshot's description.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
}

/// A resource of any kind that runs make.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum What {
    /// A server.
    Server(ServerId),
    /// A snapshot.
    Snapshot(ImageId),
    /// An SSH key.
    SshKey(SshKeyId),
    /// The records of a name.
    Records {
        /// In which zone.
        zone: ZoneId,
        /// Relative to the zone.
        name: String,
        /// Their type.
        kind: RecordType,
    },
    /// A Primary IP.
    PrimaryIp(PrimaryIpId),
    /// A placement group.
    PlacementGroup(PlacementGroupId),
    /// A firewall.
    Firewall(FirewallId),
    /// A network.
    Network(NetworkId),
}

impl What {
    /// The word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Server(_) => "server",
            Self::Snapshot(_) => "snapshot",
            Self::SshKey(_) => "SSH key",
            Self::Records { .. } => "records",
            Self::PrimaryIp(_) => "Primary IP",
            Self::PlacementGroup(_) => "placement group",
            Self::Firewall(_) => "firewall",
            Self::Network(_) => "network",
        }
    }
}

impl Leftover {
    fn of<R: Labelled>(what: What, found: &R, fallback: &str) -> Self {
        let name = found.name().unwrap_or(fallback).to_owned();
        Self { what, name, labels: found.labels().clone() }
    }

    /// Number of the run that has made it.
    pub fn run(&self) -> &str {
        self.labels.get(RUN).unwrap_or_default()
    }

    /// Name of the cluster that it is for, where it is for one.
    pub fn cluster(&self) -> Option<&str> {
        self.labels.get(CLUSTER_LABEL)
    }

    /// Whether a cluster has begun there.
    pub fn has_begun(&self) -> bool {
        self.labels.get(BEGUN).is_some()
    }
}

impl Client {
    /// Everything that `selector` selects, in an order in which it can be removed. Locks are not among it.
    pub async fn leftovers(
        &self,
        operation: &Operation,
        selector: &Selector,
    ) -> Result<Vec<Leftover>, HetznerError> {
        let query = Query::default().label(selector);
        let (servers, snapshots, keys, records) = tokio::try_join!(
            self.list::<Server>(operation, &query),
            self.snapshots(operation, selector),
            self.list::<SshKey>(operation, &query),
            self.records(operation, &query),
        )?;
        let (addresses, groups, firewalls, networks) = tokio::try_join!(
            self.list::<PrimaryIp>(operation, &query),
            self.list::<PlacementGroup>(operation, &query),
            self.list::<Firewall>(operation, &query),
            self.list::<Network>(operation, &query),
        )?;
        let mut all: Vec<Leftover> = Vec::new();
        all.extend(servers.iter().map(|found| Leftover::of(What::Server(found.id), found, "")));
        all.extend(
            snapshots.iter().map(|found| Leftover::of(What::Snapshot(found.id), found, &found.description)),
        );
        all.extend(keys.iter().map(|found| Leftover::of(What::SshKey(found.id), found, "")));
        all.extend(records);
        all.extend(addresses.iter().map(|found| Leftover::of(What::PrimaryIp(found.id), found, "")));
        all.extend(groups.iter().map(|found| Leftover::of(What::PlacementGroup(found.id), found, "")));
        let locks = |found: &&Firewall| found.labels.get(LOCK).is_none();
        all.extend(
            firewalls.iter().filter(locks).map(|found| Leftover::of(What::Firewall(found.id), found, "")),
        );
        all.extend(networks.iter().map(|found| Leftover::of(What::Network(found.id), found, "")));
        Ok(all)
    }

    async fn records(&self, operation: &Operation, query: &Query) -> Result<Vec<Leftover>, HetznerError> {
        let mut all = Vec::new();
        for zone in self.list::<Zone>(operation, &Query::default()).await? {
            let found: Vec<Rrset> = self.rrsets(operation, zone.id, query).await?;
            all.extend(found.into_iter().map(|found| {
                let name = match found.name.as_str() {
                    "@" => zone.name.clone(),
                    relative => format!("{relative}.{}", zone.name),
                };
                let name = format!("{name} {}", found.kind);
                let what = What::Records { zone: zone.id, name: found.name, kind: found.kind };
                Leftover { what, name, labels: found.labels }
            }));
        }
        Ok(all)
    }

    /// Removes them in their order. What cannot be removed does not keep the rest; the first such fault is told at the end.
    pub async fn remove(&self, operation: &Operation, leftovers: &[Leftover]) -> Result<(), HetznerError> {
        let mut fault = Ok(());
        for leftover in leftovers {
            let removed = self.remove_one(operation, &leftover.what).await;
            if fault.is_ok() {
                fault = removed;
            }
        }
        fault
    }

    async fn remove_one(&self, operation: &Operation, what: &What) -> Result<(), HetznerError> {
        let actions = match what {
            What::Server(id) => self.delete::<Server>(operation, *id).await?,
            What::Snapshot(id) => self.delete::<Image>(operation, *id).await?,
            What::SshKey(id) => self.delete::<SshKey>(operation, *id).await?,
            What::Records { zone, name, kind } => self.delete_rrset(operation, *zone, name, kind).await?,
            What::PrimaryIp(id) => self.delete::<PrimaryIp>(operation, *id).await?,
            What::PlacementGroup(id) => self.delete::<PlacementGroup>(operation, *id).await?,
            What::Firewall(id) => {
                let actions = self.remove_from_resources(operation, *id).await?;
                self.wait(operation, actions).await?;
                self.delete::<Firewall>(operation, *id).await?
            }
            What::Network(id) => self.delete::<Network>(operation, *id).await?,
        };
        match self.wait(operation, actions).await {
            Err(error) if error.is_not_found() => Ok(()),
            waited => waited,
        }
    }

    /// Removes all that the run has made, and looks until nothing more shows, or the operation's time is over. What is told
    /// is how much went.
    pub async fn clean_up(&self, operation: &Operation, run: &Run) -> Result<usize, HetznerError> {
        let (mut removed, mut quiet) = (0, 0);
        loop {
            let fault = match self.leftovers(operation, &run.selector()).await {
                Ok(leftovers) if leftovers.is_empty() => {
                    quiet += 1;
                    if quiet == QUIET {
                        return Ok(removed);
                    }
                    None
                }
                Ok(leftovers) => {
                    quiet = 0;
                    let fault = self.remove(operation, &leftovers).await.err();
                    if fault.is_none() {
                        removed += leftovers.len();
                    }
                    fault
                }
                Err(fault) => Some(fault),
            };
            match fault {
                Some(fault) if fault.is_of_token() => return Err(fault),
                fault => operation.pause(self.pace().longest_poll, fault).await?,
            }
        }
    }

    /// Names of clusters that have begun.
    pub async fn begun(&self, operation: &Operation) -> Result<BTreeSet<String>, HetznerError> {
        let query = Query::default().label(&Selector::exists(BEGUN));
        let servers = self.list::<Server>(operation, &query).await?;
        Ok(servers.iter().filter_map(|server| server.labels.get(CLUSTER_LABEL)).map(str::to_owned).collect())
    }

    /// Says that a cluster begins at a server, before that gets what it begins with.
    pub async fn begin(&self, operation: &Operation, server: &Server) -> Result<(), HetznerError> {
        if server.labels.get(BEGUN).is_some() {
            return Ok(());
        }
        let labels = server.labels.clone().with(BEGUN, "yes")?;
        self.relabel::<Server>(operation, server.id, &labels).await
    }

    /// Takes the label of its run from all that a cluster has: it is whole, and stays. Where it has begun comes last: as
    /// long as that is not settled, nothing of it is an orphan.
    pub async fn settle(&self, operation: &Operation, cluster: &Selector) -> Result<(), HetznerError> {
        let selector = cluster.clone().and(&Selector::exists(RUN));
        let mut leftovers = self.leftovers(operation, &selector).await?;
        leftovers.sort_by_key(Leftover::has_begun);
        for Leftover { what, labels, .. } in leftovers {
            let labels = labels.without(RUN);
            match what {
                What::Server(id) => self.relabel::<Server>(operation, id, &labels).await?,
                What::Snapshot(id) => self.relabel::<Image>(operation, id, &labels).await?,
                What::SshKey(id) => self.relabel::<SshKey>(operation, id, &labels).await?,
                What::Records { zone, name, kind } => {
                    self.set_rrset_labels(operation, zone, (&name, &kind), &labels).await?;
                }
                What::PrimaryIp(id) => self.relabel::<PrimaryIp>(operation, id, &labels).await?,
                What::PlacementGroup(id) => self.relabel::<PlacementGroup>(operation, id, &labels).await?,
                What::Firewall(id) => self.relabel::<Firewall>(operation, id, &labels).await?,
                What::Network(id) => self.relabel::<Network>(operation, id, &labels).await?,
            }
        }
        Ok(())
    }

    async fn relabel<R: Resource + Labelled>(
        &self,
        operation: &Operation,
        id: R::Id,
        labels: &Labels,
    ) -> Result<(), HetznerError> {
        self.set_labels::<R>(operation, id, labels).await.map(drop)
    }
}
