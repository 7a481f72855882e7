//! Servers, and what can be done to one.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::client::path;
use super::create::{Create, actions_of};
use super::image::Image;
use super::location::Location;
use super::open_enum::open_enum;
use super::placement_group::PlacementGroup;
use super::resource::resource;
use super::server_type::{Gigabytes, ServerType};
use super::transport::Body;
use super::{
    Action, Client, ErrorCode, FirewallId, HetznerError, ImageId, Labels, NetworkId, Operation,
    PlacementGroupId, PrimaryIpId, Query, ServerId, SshKeyId,
};
use crate::secret::Secret;

/// A system that was asked to end has so long until it is switched off.
const SHUTDOWN: Duration = Duration::from_mins(2);
/// Between two looks at a server that is to go off.
const LOOK: Duration = Duration::from_secs(2);

open_enum! {
    /// What a server does.
    ServerStatus {
        /// It is being made.
        Initializing = "initializing",
        /// It is off.
        Off = "off",
        /// It runs.
        Running = "running",
        /// It is being switched on.
        Starting = "starting",
        /// It is being switched off.
        Stopping = "stopping",
        /// It moves to another host.
        Migrating = "migrating",
        /// Its disk gets an image.
        Rebuilding = "rebuilding",
        /// It goes.
        Deleting = "deleting",
        /// Hetzner does not know.
        Unknown = "unknown",
    }
}

/// A server.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    /// Its number.
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// What it does.
    pub status: ServerStatus,
    /// When it was made, RFC 3339.
    pub created: String,
    /// What it is made of.
    pub server_type: ServerType,
    /// Where it stands.
    pub location: Location,
    /// What it was made of, unless that is gone.
    pub image: Option<Image>,
    /// Its disk.
    pub primary_disk_size: Gigabytes,
    /// Its public addresses.
    pub public_net: PublicNet,
    /// Its private networks.
    #[serde(default)]
    pub private_net: Vec<PrivateNet>,
    /// Its placement group.
    #[serde(default)]
    pub placement_group: Option<PlacementGroup>,
    /// Whether the rescue system is next to start.
    #[serde(default)]
    pub rescue_enabled: bool,
    /// Whether an action holds it.
    #[serde(default)]
    pub locked: bool,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// What must not happen to it.
    #[serde(default)]
    pub protection: ServerProtection,
}

/// Public addresses of a server.
#[derive(Clone, Debug, Deserialize)]
pub struct PublicNet {
    /// Its IPv4 address.
    pub ipv4: Option<PublicIpv4>,
    /// Its IPv6 addresses.
    pub ipv6: Option<PublicIpv6>,
    /// Its firewalls.
    #[serde(default)]
    pub firewalls: Vec<ServerFirewall>,
}

/// IPv4 address of a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub struct PublicIpv4 {
    /// Number of the Primary IP.
    pub id: Option<PrimaryIpId>,
    /// The address.
    pub ip: Ipv4Addr,
}

/// IPv6 addresses of a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub struct PublicIpv6 {
    /// Number of the Primary IP.
    pub id: Option<PrimaryIpId>,
    /// The addresses.
    pub ip: Ipv6Net,
}

/// A firewall of a server.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerFirewall {
    /// Its number.
    pub id: FirewallId,
    /// `applied` or `pending`.
    pub status: String,
}

/// A private network of a server.
#[derive(Clone, Debug, Deserialize)]
pub struct PrivateNet {
    /// Its number.
    pub network: NetworkId,
    /// The server's address there.
    pub ip: Ipv4Addr,
}

/// What must not happen to a server. The API wants both alike.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerProtection {
    /// Deletion.
    #[serde(default)]
    pub delete: bool,
    /// A new image.
    #[serde(default)]
    pub rebuild: bool,
}

resource!(Server, ServerId, "server", "servers", labelled);

/// A server to be made.
#[derive(Clone, Debug, Serialize)]
pub struct CreateServer {
    /// Its name, which is its host name too.
    pub name: String,
    /// `cx23`.
    pub server_type: String,
    /// What its disk gets.
    pub image: ImageName,
    /// `nbg1`.
    pub location: String,
    /// Whether it is switched on at once.
    pub start_after_create: bool,
    /// Who may log in, where the image asks for that. Without any, Hetzner makes a password and mails it.
    pub ssh_keys: Vec<SshKeyId>,
    /// What the image finds at the metadata service, 32 KiB at most. Hetzner stores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// Its addresses.
    pub public_net: CreatePublicNet,
    /// Firewalls beside those that select it by label.
    pub firewalls: Vec<CreateServerFirewall>,
    /// Its placement group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement_group: Option<PlacementGroupId>,
    /// Its labels.
    pub labels: Labels,
}

/// An image, as the API takes it: by number, or of Hetzner's by name. The specification knows texts only; the official
/// client sends numbers (`hcloud/schema/id_or_name.go` of hcloud-go), of SSH keys too.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum ImageName {
    /// Its number.
    Id(ImageId),
    /// Its name.
    Name(String),
}

/// Addresses of a server to be made; a Primary IP of its own where none is named.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CreatePublicNet {
    /// Whether it has an IPv4 address.
    pub enable_ipv4: bool,
    /// Whether it has IPv6 addresses.
    pub enable_ipv6: bool,
    /// Its IPv4 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<PrimaryIpId>,
    /// Its IPv6 addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<PrimaryIpId>,
}

/// A firewall of a server to be made.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CreateServerFirewall {
    /// Its number.
    pub firewall: FirewallId,
}

impl Create for CreateServer {
    type Made = Server;

    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn query(&self) -> Query {
        Query::default().name(&self.name)
    }

    fn has_made(&self, found: &Server) -> bool {
        found.name == self.name
    }

    fn actions(&self, made: &Server) -> Option<Vec<String>> {
        Some(actions_of(made))
    }
}

#[derive(Serialize)]
struct EnableRescue<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    ssh_keys: &'a [SshKeyId],
}

#[derive(Serialize)]
struct Rebuild<'a> {
    image: ImageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_data: Option<&'a str>,
}

#[derive(Serialize)]
struct AttachToNetwork {
    network: NetworkId,
    ip: Ipv4Addr,
}

impl Client {
    /// Switches it on.
    pub async fn poweron(&self, operation: &Operation, id: ServerId) -> Result<Vec<Action>, HetznerError> {
        self.act_on_server(operation, id, "poweron", Body::NONE).await
    }

    /// Switches it off, without a word to its system.
    pub async fn poweroff(&self, operation: &Operation, id: ServerId) -> Result<Vec<Action>, HetznerError> {
        self.act_on_server(operation, id, "poweroff", Body::NONE).await
    }

    /// Asks its system to end. The action's end only says that it was asked.
    pub async fn shutdown(&self, operation: &Operation, id: ServerId) -> Result<Vec<Action>, HetznerError> {
        self.act_on_server(operation, id, "shutdown", Body::NONE).await
    }

    /// Waits for a system that was asked to end, and switches the server off where it does not.
    pub async fn wait_until_off(&self, operation: &Operation, id: ServerId) -> Result<(), HetznerError> {
        let mut waited = Duration::ZERO;
        while waited < SHUTDOWN {
            let found: Option<Server> = self.get(operation, id).await?;
            if found.is_none_or(|server| server.status == ServerStatus::Off) {
                return Ok(());
            }
            operation.pause(LOOK, None).await?;
            waited += LOOK;
        }
        let actions = self.poweroff(operation, id).await?;
        self.wait(operation, actions).await
    }

    /// Switches it off and on.
    pub async fn reset(&self, operation: &Operation, id: ServerId) -> Result<Vec<Action>, HetznerError> {
        self.act_on_server(operation, id, "reset", Body::NONE).await
    }

    /// Has it start the rescue system next time, within the hour. The password is the rescue system's root's.
    pub async fn enable_rescue(
        &self,
        operation: &Operation,
        id: ServerId,
        ssh_keys: &[SshKeyId],
    ) -> Result<(Vec<Action>, Option<Secret>), HetznerError> {
        let body = Body::of(&EnableRescue { kind: "linux64", ssh_keys });
        let reply = self.act(operation, server(id), "enable_rescue", body, &[]).await?;
        Ok((reply.actions()?, reply.optional("root_password")?))
    }

    /// Has it start its own system again.
    pub async fn disable_rescue(
        &self,
        operation: &Operation,
        id: ServerId,
    ) -> Result<Vec<Action>, HetznerError> {
        self.act_on_server(operation, id, "disable_rescue", Body::NONE).await
    }

    /// Gives its disk another image, and new user data where there is some; addresses and networks stay.
    pub async fn rebuild(
        &self,
        operation: &Operation,
        id: ServerId,
        image: ImageId,
        user_data: Option<&str>,
    ) -> Result<Vec<Action>, HetznerError> {
        self.act_on_server(operation, id, "rebuild", Body::of(&Rebuild { image, user_data })).await
    }

    /// Puts it into a network, at an address.
    pub async fn attach_to_network(
        &self,
        operation: &Operation,
        id: ServerId,
        network: NetworkId,
        ip: Ipv4Addr,
    ) -> Result<Vec<Action>, HetznerError> {
        let body = Body::of(&AttachToNetwork { network, ip });
        let settled = [ErrorCode::ServerAlreadyAttached];
        self.act(operation, server(id), "attach_to_network", body, &settled).await?.actions()
    }

    /// Takes it out of a network.
    pub async fn detach_from_network(
        &self,
        operation: &Operation,
        id: ServerId,
        network: NetworkId,
    ) -> Result<Vec<Action>, HetznerError> {
        #[derive(Serialize)]
        struct Detach {
            network: NetworkId,
        }
        self.act_on_server(operation, id, "detach_from_network", Body::of(&Detach { network })).await
    }

    /// Protects it, or ends that.
    pub async fn protect_server(
        &self,
        operation: &Operation,
        id: ServerId,
        protection: ServerProtection,
    ) -> Result<Vec<Action>, HetznerError> {
        self.act_on_server(operation, id, "change_protection", Body::of(&protection)).await
    }

    async fn act_on_server(
        &self,
        operation: &Operation,
        id: ServerId,
        command: &str,
        body: Body,
    ) -> Result<Vec<Action>, HetznerError> {
        self.act(operation, server(id), command, body, &[]).await?.actions()
    }
}

fn server(id: ServerId) -> Vec<String> {
    path(["servers", &id.to_string()])
}
