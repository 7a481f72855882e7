//! Private networks and their subnets.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::client::path;
use super::create::Create;
use super::image::Protection;
use super::open_enum::open_enum;
use super::resource::resource;
use super::transport::Body;
use super::{Action, Client, HetznerError, Labels, NetworkId, Operation, Query, ServerId};

open_enum! {
    /// What a subnet is for.
    SubnetType {
        /// Cloud servers.
        Cloud = "cloud",
        /// Dedicated servers behind a vSwitch.
        Vswitch = "vswitch",
    }
}

/// A network.
#[derive(Clone, Debug, Deserialize)]
pub struct Network {
    /// Its number.
    pub id: NetworkId,
    /// Its name.
    pub name: String,
    /// All its addresses.
    pub ip_range: Ipv4Net,
    /// Parts of them that servers get addresses of.
    #[serde(default)]
    pub subnets: Vec<Subnet>,
    /// Servers in it.
    #[serde(default)]
    pub servers: Vec<ServerId>,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// Whether it can be deleted.
    #[serde(default)]
    pub protection: Protection,
}

/// A subnet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subnet {
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: SubnetType,
    /// Its addresses.
    pub ip_range: Ipv4Net,
    /// Which locations it reaches: `eu-central`.
    pub network_zone: String,
    /// The router's address, which only replies have.
    #[serde(default, skip_serializing)]
    pub gateway: Option<Ipv4Addr>,
}

resource!(Network, NetworkId, "network", "networks", labelled);

/// A network to be made.
#[derive(Clone, Debug, Serialize)]
pub struct CreateNetwork {
    /// Its name.
    pub name: String,
    /// All its addresses.
    pub ip_range: Ipv4Net,
    /// Its subnets; with them here it is whole from the beginning.
    pub subnets: Vec<Subnet>,
    /// Its labels.
    pub labels: Labels,
}

impl Create for CreateNetwork {
    type Made = Network;

    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn query(&self) -> Query {
        Query::default().name(&self.name)
    }

    fn has_made(&self, found: &Network) -> bool {
        found.name == self.name
    }
}

impl Client {
    /// Adds a subnet to a network, unless it has it.
    pub async fn add_subnet(
        &self,
        operation: &Operation,
        id: NetworkId,
        subnet: &Subnet,
    ) -> Result<Vec<Action>, HetznerError> {
        let path = path(["networks", &id.to_string()]);
        let error = match self.act(operation, path, "add_subnet", Body::of(subnet), &[]).await {
            Ok(reply) => return reply.actions(),
            Err(error) => error,
        };
        // What overlaps may be the very subnet, made by an earlier try.
        let network: Option<Network> = self.get(operation, id).await?;
        let is_there = network.is_some_and(|network| {
            network.subnets.iter().any(|other| other.ip_range == subnet.ip_range && other.kind == subnet.kind)
        });
        if is_there { Ok(Vec::new()) } else { Err(error) }
    }
}
