//! Servers.

pub(crate) mod attach;
pub(crate) mod create;
pub(crate) mod disk;
pub(crate) mod power;

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{kept_in, primary_ip};
use crate::catalog::{Location, ServerType};
use crate::clock::Time;
use crate::machines::Rescue;
use crate::page::Shape;
use crate::state::{Head, Kind, Resource, State};

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    Initializing,
    Starting,
    Running,
    Stopping,
    Off,
    Deleting,
    Rebuilding,
    Migrating,
}

const STATUSES: [(Status, &str); 8] = [
    (Status::Initializing, "initializing"),
    (Status::Starting, "starting"),
    (Status::Running, "running"),
    (Status::Stopping, "stopping"),
    (Status::Off, "off"),
    (Status::Deleting, "deleting"),
    (Status::Rebuilding, "rebuilding"),
    (Status::Migrating, "migrating"),
];

impl Status {
    fn name(self) -> &'static str {
        STATUSES.iter().find(|(status, _)| *status == self).map_or("unknown", |(_, name)| name)
    }

    /// The states in which machines rest.
    pub(crate) fn by_name(text: &str) -> Option<Self> {
        let resting = STATUSES.iter().filter(|(status, _)| matches!(status, Self::Running | Self::Off));
        resting.into_iter().find(|(_, name)| *name == text).map(|(status, _)| *status)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    head: Head,
    pub(crate) status: Status,
    model: &'static ServerType,
    pub(crate) location: &'static Location,
    image: u64,
    /// GB; it may be smaller than the type's.
    disk: u64,
    pub(crate) private_net: Vec<Attachment>,
    pub(crate) placement_group: Option<u64>,
    /// For the next start, until a time.
    rescue: Option<(Rescue, Time)>,
    /// Whether the last start was into the rescue system.
    pub(crate) is_in_rescue: bool,
    has_rebuild_protection: bool,
    pub(crate) keys: Vec<u64>,
    pub(crate) user_data: String,
}

/// A server in a network.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) network: u64,
    pub(crate) ip: Ipv4Addr,
    pub(crate) aliases: Vec<Ipv4Addr>,
    /// Before that, only the address is kept.
    is_ready: bool,
}

impl Attachment {
    /// Of the form that the provider's have; unlike in every network and server of a test.
    fn mac(&self, server: u64) -> String {
        let [_, _, _, _, _, _, a, b] = server.to_be_bytes();
        let [_, _, _, _, _, _, c, d] = self.network.to_be_bytes();
        format!("86:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }
}

impl Server {
    pub(crate) fn attachment(&self, network: u64) -> Option<&Attachment> {
        self.private_net.iter().find(|attachment| attachment.network == network && attachment.is_ready)
    }

    pub(crate) fn detach(&mut self, network: u64) {
        self.private_net.retain(|attachment| attachment.network != network);
    }

    pub(crate) fn has_public_net(&self, state: &State) -> bool {
        [false, true].into_iter().any(|is_v6| state.address_of(self.head.id, is_v6).is_some())
    }

    /// Whether a start at a time is one into the rescue system.
    fn rescue(&self, now: Time) -> Option<&Rescue> {
        self.rescue.as_ref().filter(|(_, until)| now < *until).map(|(rescue, _)| rescue)
    }

    /// What the API does not show: for tests.
    pub(crate) fn details(&self) -> Value {
        json!({
            "id": self.head.id, "is_in_rescue": self.is_in_rescue, "user_data": self.user_data, "ssh_keys": self.keys,
        })
    }
}

impl Resource for Server {
    const KIND: Kind = Kind::Server;
    const SHAPE: Shape = Shape {
        name: "servers",
        sort: &["id", "name", "created"],
        filters: &[
            ("name", &[]),
            (
                "status",
                &[
                    "running",
                    "initializing",
                    "starting",
                    "stopping",
                    "off",
                    "deleting",
                    "migrating",
                    "rebuilding",
                    "unknown",
                ],
            ),
        ],
        has_labels: true,
    };
    kept_in!(servers);

    fn json(&self, state: &State) -> Value {
        let id = self.head.id;
        let address = |is_v6| state.address_of(id, is_v6).map(primary_ip::brief);
        let firewalls = state.firewalls.iter().filter(|firewall| firewall.is_for(&self.head));
        let firewalls: Vec<Value> =
            firewalls.map(|firewall| json!({"id": firewall.head().id, "status": "applied"})).collect();
        let has_public_net = self.has_public_net(state);
        let networks = self.private_net.iter().filter(|attachment| attachment.is_ready);
        let group = self.placement_group.and_then(|group| state.placement_groups.find(group));
        json!({
            "id": id, "name": self.head.name, "status": self.status.name(),
            "created": self.head.created.to_string(), "labels": self.head.labels,
            "server_type": self.model.to_json(state), "location": self.location.to_json(),
            "image": state.images.find(self.image).map(|image| image.json(state)),
            "primary_disk_size": self.disk, "locked": state.actions.holds(Kind::Server, id),
            "protection": {"delete": self.head.is_protected, "rebuild": self.has_rebuild_protection},
            "public_net": {
                "ipv4": address(false), "ipv6": address(true), "floating_ips": [],
                "firewalls": if has_public_net { firewalls } else { Vec::new() },
            },
            "private_net": networks.map(|attachment| json!({
                "network": attachment.network, "ip": attachment.ip.to_string(),
                "alias_ips": attachment.aliases.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "mac_address": attachment.mac(id),
            })).collect::<Vec<_>>(),
            "placement_group": group.map(|group| group.json(state)),
            "rescue_enabled": self.rescue(state.clock.now()).is_some(),
            "backup_window": null, "iso": null, "volumes": [], "load_balancers": [],
            "included_traffic": 21_990_232_555_520_u64, "ingoing_traffic": 0, "outgoing_traffic": 0,
        })
    }
}
