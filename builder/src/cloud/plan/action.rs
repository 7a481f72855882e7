//! What is done, call by call, in no provider's own words.

use std::net::Ipv4Addr;

use crate::cloud::wanted::{AddressFamily, Rule};
use crate::cluster::Range;

/// One call of the provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Makes the network with its subnet.
    CreateNetwork {
        /// Both.
        range: Range,
        /// Locations that it reaches.
        zone: String,
    },
    /// Adds its subnet to the network.
    AddSubnet {
        /// Which network.
        network: u64,
        /// All of it.
        range: Range,
        /// Locations that it reaches.
        zone: String,
    },
    /// Makes the firewall, applied to all servers of the cluster.
    CreateFirewall {
        /// What it lets in.
        rules: Vec<Rule>,
    },
    /// Gives the firewall these rules and no others.
    SetRules {
        /// Which firewall.
        firewall: u64,
        /// What it lets in.
        rules: Vec<Rule>,
    },
    /// Applies the firewall to all servers of the cluster.
    ApplyFirewall {
        /// Which firewall.
        firewall: u64,
    },
    /// Makes the placement group.
    CreatePlacementGroup,
    /// Makes a Primary IP.
    CreateAddress {
        /// Of which kind.
        family: AddressFamily,
        /// Where.
        location: String,
    },
    /// Makes a server, which stays off.
    CreateServer {
        /// What it is made of.
        server_type: String,
        /// Where.
        location: String,
    },
    /// Gives a server its address in the network.
    AttachToNetwork {
        /// Which server; the one that is made without it.
        server: Option<u64>,
        /// The address.
        address: Ipv4Addr,
    },
    /// Takes a server out of the network.
    DetachFromNetwork {
        /// Which server.
        server: u64,
        /// Which network.
        network: u64,
    },
    /// Gives a server its Primary IP; it is off.
    AssignAddress {
        /// Which address.
        address: u64,
        /// Which server.
        server: u64,
    },
    /// Switches a server off, as its power button does.
    Shutdown {
        /// Which server.
        server: u64,
    },
    /// Gives a server another image.
    Rebuild {
        /// Which server.
        server: u64,
    },
    /// Switches a server on.
    PowerOn {
        /// Which server; the one that is made without it.
        server: Option<u64>,
    },
    /// Removes a server.
    DeleteServer {
        /// Which.
        server: u64,
    },
    /// Removes a Primary IP.
    DeleteAddress {
        /// Which.
        address: u64,
    },
    /// Removes the placement group.
    DeletePlacementGroup {
        /// Which.
        group: u64,
    },
    /// Takes the firewall from all that it is applied to.
    RemoveFirewall {
        /// Which firewall.
        firewall: u64,
    },
    /// Removes the firewall.
    DeleteFirewall {
        /// Which.
        firewall: u64,
    },
    /// Removes the network.
    DeleteNetwork {
        /// Which.
        network: u64,
    },
    /// Removes a snapshot.
    DeleteSnapshot {
        /// Which.
        snapshot: u64,
    },
    /// Makes the records of a name.
    CreateRecords {
        /// The zone.
        zone: u64,
        /// Relative to the zone.
        name: String,
        /// `A` or `AAAA`.
        record: &'static str,
    },
    /// Gives a name these records and no others.
    SetRecords {
        /// The zone.
        zone: u64,
        /// Relative to the zone.
        name: String,
        /// `A` or `AAAA`.
        record: &'static str,
    },
    /// Changes how long others keep the records of a name.
    ChangeTtl {
        /// The zone.
        zone: u64,
        /// Relative to the zone.
        name: String,
        /// `A` or `AAAA`.
        record: &'static str,
    },
    /// Does something to a bucket.
    Bucket {
        /// Its URL.
        url: String,
        /// What is done.
        call: BucketCall,
    },
    /// Removes the records of a name.
    DeleteRecords {
        /// The zone.
        zone: u64,
        /// Relative to the zone.
        name: String,
        /// Their type.
        record: String,
    },
}

/// A call of an S3 service; emptying takes several of the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BucketCall {
    /// Makes the bucket.
    Create,
    /// Marks it with the run, until that is done.
    MarkRun,
    /// Marks it with the cluster.
    Mark {
        /// The cluster.
        cluster: String,
    },
    /// Removes all that is in it.
    Empty,
    /// Takes all marks from it.
    Unmark,
    /// Removes it, where it is empty.
    Delete,
}
