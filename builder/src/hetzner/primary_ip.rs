//! Primary IPs: public addresses that outlive their server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::client::path;
use super::create::{Create, actions_of};
use super::image::Protection;
use super::location::Location;
use super::open_enum::open_enum;
use super::resource::resource;
use super::transport::Body;
use super::{Action, Client, HetznerError, Labels, Operation, PrimaryIpId, Query, ServerId};

open_enum! {
    /// Kind of an address.
    IpType {
        /// One address.
        Ipv4 = "ipv4",
        /// A /64 of them.
        Ipv6 = "ipv6",
    }
}

open_enum! {
    /// What an address is for. Before 2026-08 one without a server was of a server, too.
    AssigneeType {
        /// A server.
        Server = "server",
        /// Nothing.
        Unassigned = "unassigned",
    }
}

/// An address, or the range that a server picks from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(untagged)]
pub enum PublicAddress {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// A range of IPv6 addresses.
    V6(Ipv6Net),
}

impl PublicAddress {
    /// The address that a server has by it: of a range its first host, `::1`.
    pub fn of_server(self) -> IpAddr {
        match self {
            Self::V4(address) => address.into(),
            Self::V6(net) => Ipv6Addr::from_bits(net.network().to_bits() | 1).into(),
        }
    }
}

/// A Primary IP.
#[derive(Clone, Debug, Deserialize)]
pub struct PrimaryIp {
    /// Its number.
    pub id: PrimaryIpId,
    /// Its name.
    pub name: String,
    /// The address.
    pub ip: PublicAddress,
    /// Of which kind.
    #[serde(rename = "type")]
    pub kind: IpType,
    /// The number of the server that has it.
    pub assignee_id: Option<ServerId>,
    /// What it is for.
    pub assignee_type: AssigneeType,
    /// Whether it goes with its server.
    pub auto_delete: bool,
    /// Where it can be used.
    pub location: Location,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// Whether it can be deleted.
    #[serde(default)]
    pub protection: Protection,
}

resource!(PrimaryIp, PrimaryIpId, "primary_ip", "primary_ips", labelled);

/// A Primary IP to be made, which no server has yet.
#[derive(Clone, Debug, Serialize)]
pub struct CreatePrimaryIp {
    /// Its name.
    pub name: String,
    /// Of which kind.
    #[serde(rename = "type")]
    pub kind: IpType,
    /// Where.
    pub location: String,
    /// Always a server.
    pub assignee_type: AssigneeType,
    /// Whether it goes with its server.
    pub auto_delete: bool,
    /// Its labels.
    pub labels: Labels,
}

impl Create for CreatePrimaryIp {
    type Made = PrimaryIp;

    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn query(&self) -> Query {
        Query::default().name(&self.name)
    }

    fn has_made(&self, found: &PrimaryIp) -> bool {
        found.name == self.name
    }

    fn actions(&self, made: &PrimaryIp) -> Option<Vec<String>> {
        Some(actions_of(made))
    }
}

impl Client {
    /// Takes it from its server, which is off.
    pub async fn unassign_primary_ip(
        &self,
        operation: &Operation,
        id: PrimaryIpId,
    ) -> Result<Vec<Action>, HetznerError> {
        self.act_on_primary_ip(operation, id, "unassign", Body::NONE).await
    }

    /// Gives it to a server, which is off.
    pub async fn assign_primary_ip(
        &self,
        operation: &Operation,
        id: PrimaryIpId,
        server: ServerId,
    ) -> Result<Vec<Action>, HetznerError> {
        #[derive(Serialize)]
        struct Assign {
            assignee_id: ServerId,
            assignee_type: AssigneeType,
        }
        let assign = Assign { assignee_id: server, assignee_type: AssigneeType::Server };
        self.act_on_primary_ip(operation, id, "assign", Body::of(&assign)).await
    }

    /// Protects it from deletion, or ends that.
    pub async fn protect_primary_ip(
        &self,
        operation: &Operation,
        id: PrimaryIpId,
        protection: Protection,
    ) -> Result<Vec<Action>, HetznerError> {
        self.act_on_primary_ip(operation, id, "change_protection", Body::of(&protection)).await
    }

    async fn act_on_primary_ip(
        &self,
        operation: &Operation,
        id: PrimaryIpId,
        command: &str,
        body: Body,
    ) -> Result<Vec<Action>, HetznerError> {
        let path = path(["primary_ips", &id.to_string()]);
        self.act(operation, path, command, body, &[]).await?.actions()
    }
}
