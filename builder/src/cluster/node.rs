//! A node of the cluster, checked.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use super::{
    DnsLabel, Endpoint, InterfaceAddress, LabelKey, LabelValue, Mac, Role, Serial, StatePath, SwapBehavior,
    Taint,
};
use crate::units::{Arch, Bytes};

/// A node.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Node {
    /// Node and host name, unique.
    pub name: DnsLabel,
    /// What it does.
    pub role: Role,
    /// Profile its bundle is built from.
    pub profile: DnsLabel,
    /// Image the bundle is laid on.
    pub image: DnsLabel,
    /// Architecture.
    pub arch: Arch,
    /// Address inside the VPN, unique.
    pub vpn_address: Ipv4Addr,
    /// Where a cloud node is reached from the Internet; a single control plane by the cluster's endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Address of a cloud node in the private network, unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_address: Option<Ipv4Addr>,
    /// Type of a cloud node's server, where it is not that of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_type: Option<DnsLabel>,
    /// Where it stands; the same for all control planes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<DnsLabel>,
    /// Kubernetes labels.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Kubernetes taints besides those of the role.
    pub taints: Vec<Taint>,
    /// The machine it may run on; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// Swap; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<Swap>,
    /// Volumes it carries; control planes carry some only if told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longhorn: Option<Longhorn>,
    /// Interfaces with settings of their own; empty means DHCP on every Ethernet interface.
    pub interfaces: Vec<Interface>,
}

/// The machine that a node may run on: at least one part is there, and all that are must fit.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hardware {
    /// Serial number of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// Ethernet address of one of its interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Serial number of the disk that may be installed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_serial: Option<Serial>,
}

/// Swap on the state partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Swap {
    /// Size.
    pub size: Bytes,
    /// Who may use it.
    pub behavior: SwapBehavior,
}

/// Volumes that a node carries.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Longhorn {
    /// Copies of a volume lie on nodes that share a scope; no scope has cloud and edge nodes.
    pub scopes: Vec<DnsLabel>,
    /// Folders for volumes.
    pub disks: Vec<Disk>,
}

/// A folder for volumes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Disk {
    /// The folder.
    pub path: StatePath,
    /// Tags: the scopes of the node, then those that the file gives.
    pub tags: Vec<DnsLabel>,
}

/// A network interface with settings of its own.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Interface {
    /// Ethernet address it is found by, unique.
    pub mac: Mac,
    /// Its addresses; empty means DHCP.
    pub addresses: Vec<InterfaceAddress>,
    /// Default gateway, a neighbour of one of the addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
}
