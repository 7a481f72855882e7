//! What is there at a provider: everything that a plan is made from, looked at once.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::price::{Price, PriceByTime};
use super::wanted::{AddressFamily, CLUSTER_LABEL, Rule};
use crate::cluster::Range;
use crate::units::{Arch, Bytes};

/// Label of snapshots; its value is the content digest of the disk image, shortened.
pub const DIGEST_LABEL: &str = "imgbuild.org/digest";

/// Everything of the project that a cluster could meet, its own or not.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Currency of all prices, `EUR`.
    pub currency: String,
    /// Where servers can stand: name, and the zone that one network reaches.
    pub locations: BTreeMap<String, String>,
    /// What servers can be made of.
    pub types: Vec<ServerType>,
    /// What an address costs, by location.
    pub address_prices: BTreeMap<(AddressFamily, String), PriceByTime>,
    /// What each GB of a snapshot costs a month.
    pub snapshot_price: Price,
    /// Networks.
    pub networks: Vec<Found<Network>>,
    /// Firewalls.
    pub firewalls: Vec<Found<Firewall>>,
    /// Placement groups.
    pub placement_groups: Vec<Found<()>>,
    /// Primary IPs.
    pub addresses: Vec<Found<Address>>,
    /// Servers.
    pub servers: Vec<Found<Server>>,
    /// Snapshots that imgbuild has made, of any cluster.
    pub snapshots: Vec<Found<Snapshot>>,
    /// The zone that names are written to, where it is there.
    pub zone: Option<Zone>,
    /// The S3 service of its copies, where it was looked at.
    pub storage: Option<Storage>,
}

/// A resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found<T> {
    /// Its number at the provider.
    pub id: u64,
    /// Its name, unique among its kind.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the provider keeps it from being deleted.
    pub is_protected: bool,
    /// What else is known of it.
    pub is: T,
}

impl Observed {
    /// The snapshot of an image.
    pub fn snapshot(&self, digest: &str, arch: Arch) -> Option<&Found<Snapshot>> {
        let is_it = |found: &&Found<Snapshot>| {
            found.labels.get(DIGEST_LABEL).is_some_and(|label| label == digest)
                && found.is.arch == Some(arch)
                && found.is.is_available
        };
        self.snapshots.iter().find(is_it)
    }
}

impl Observed {
    /// Remembers that a server type could not be had at a location, whatever is said of its stock.
    pub fn sell_out(&mut self, server_type: &str, location: &str) {
        let types = self.types.iter_mut().filter(|known| known.name == server_type);
        for offer in types.filter_map(|known| known.offers.get_mut(location)) {
            offer.is_available = Some(false);
        }
    }

    /// What an address costs where it is.
    pub fn price_of(&self, address: &Address) -> Option<PriceByTime> {
        let family = if address.ip.is_ipv4() { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 };
        self.address_prices.get(&(family, address.location.clone())).copied()
    }
}

impl Records {
    /// Whether they belong to the cluster.
    pub fn is_of(&self, cluster: &str) -> bool {
        is_label_of(&self.labels, cluster)
    }
}

fn is_label_of(labels: &BTreeMap<String, String>, cluster: &str) -> bool {
    labels.get(CLUSTER_LABEL).is_some_and(|owner| owner == cluster)
}

impl Zone {
    /// A name that is relative to the zone, whole; `@` is the zone itself.
    pub fn whole_name(&self, relative: &str) -> String {
        if relative == "@" { self.name.clone() } else { format!("{relative}.{}", self.name) }
    }
}

impl<T> Found<T> {
    /// Whether it belongs to the cluster.
    pub fn is_of(&self, cluster: &str) -> bool {
        is_label_of(&self.labels, cluster)
    }
}

/// What a server can be made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerType {
    /// `cx33`.
    pub name: String,
    /// Of its processor; `None` where no image fits.
    pub arch: Option<Arch>,
    /// Its disk.
    pub disk: Bytes,
    /// Where it is offered.
    pub offers: BTreeMap<String, Offer>,
}

/// A server type at a location.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Offer {
    /// Whether it is in stock, where that is said.
    pub is_available: Option<bool>,
    /// What it costs.
    pub price: PriceByTime,
}

/// A private network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Network {
    /// All of it; `None` where it is no range that a cluster could have.
    pub range: Option<Range>,
    /// Its subnets for servers, with their zones.
    pub subnets: Vec<(Range, String)>,
    /// Numbers of the servers in it.
    pub servers: Vec<u64>,
}

/// A firewall.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Firewall {
    /// What it lets in; `None` for a rule that is none of ours.
    pub rules: Vec<Option<Rule>>,
    /// Whether it is applied to all servers of its cluster, those to come included.
    pub is_applied: bool,
    /// Whether it is applied to anything else.
    pub has_others: bool,
}

/// A Primary IP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// The address that a server has by it: of an IPv6 range its first host, `::1`.
    pub ip: IpAddr,
    /// Where it can be used.
    pub location: String,
    /// The number of the server that has it.
    pub server: Option<u64>,
}

/// A server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// What it is made of.
    pub server_type: String,
    /// Where it stands.
    pub location: String,
    /// What it does.
    pub power: Power,
    /// Its addresses in private networks, by the network's number.
    pub private_addresses: BTreeMap<u64, Ipv4Addr>,
}

/// What a server does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Power {
    /// It runs, or is on its way up.
    On,
    /// It is off.
    Off,
    /// It is being changed by somebody.
    Busy,
}

/// A snapshot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// Which processors it is for.
    pub arch: Option<Arch>,
    /// Smallest disk it fits.
    pub disk: Bytes,
    /// Whether it can be used already.
    pub is_available: bool,
    /// Numbers of the servers that are made of it.
    pub servers: Vec<u64>,
}

/// An S3 service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Storage {
    /// Its URL.
    pub url: String,
    /// Its region.
    pub region: String,
    /// What is known of each bucket that was asked after, by name.
    pub buckets: BTreeMap<String, Bucket>,
}

/// What is known of a bucket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Bucket {
    /// Nobody has one of this name.
    Free,
    /// Another account has it.
    Taken,
    /// It is in another region, whoever has it.
    Elsewhere {
        /// Where, if that is said.
        region: Option<String>,
    },
    /// It is of this account.
    Own(OwnBucket),
}

/// A bucket of the account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OwnBucket {
    /// The clusters that it is marked with.
    pub clusters: Vec<String>,
    /// Numbers of runs that have made it and are not done.
    pub runs: Vec<String>,
    /// Its objects, marks aside, as far as they were counted.
    pub objects: usize,
    /// Whether there are more objects than were counted.
    pub is_more: bool,
}

impl OwnBucket {
    /// Whether it is marked with the cluster.
    pub fn is_of(&self, cluster: &str) -> bool {
        self.clusters.iter().any(|owner| owner == cluster)
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.objects == 0 && !self.is_more
    }

    /// Whether a run has made it for the cluster and went no further.
    pub fn is_begun(&self) -> bool {
        self.clusters.is_empty() && !self.runs.is_empty() && self.is_empty()
    }

    /// What is in it, for people.
    pub fn content(&self) -> String {
        match (self.objects, self.is_more) {
            (0, false) => "empty".to_owned(),
            (1, false) => "1 object".to_owned(),
            (count, false) => format!("{count} objects"),
            (count, true) => format!("more than {count} objects"),
        }
    }
}

/// A DNS zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Zone {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Whether records can be written to it.
    pub is_writable: bool,
    /// Records by name relative to the zone (`@` is its own) and type.
    pub records: BTreeMap<(String, String), Records>,
}

/// All records of a name and a type.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Records {
    /// Their values, sorted.
    pub values: Vec<String>,
    /// Seconds that others keep them; the zone's without.
    pub ttl: Option<u32>,
    /// Labels of the record set.
    pub labels: BTreeMap<String, String>,
    /// Whether the provider keeps it from being changed.
    pub is_protected: bool,
}
