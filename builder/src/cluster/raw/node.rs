//! A node as it stands in the file.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;

use crate::cluster::{
    DnsLabel, Endpoint, InterfaceAddress, LabelKey, LabelValue, Mac, Role, Serial, StatePath, SwapBehavior,
    Taint,
};
use crate::diagnostic::{Located, Span, Table};
use crate::units::{Arch, Size};

/// Names of the roles in the file.
const ROLES: [(&str, Role); 3] =
    [("control-plane", Role::ControlPlane), ("worker", Role::Worker), ("edge", Role::Edge)];

/// Names of the architectures in the file.
const ARCHES: [(&str, Arch); 2] = [("amd64", Arch::Amd64), ("arm64", Arch::Arm64)];

/// Who may use swap, by its name in the file.
const SWAP_BEHAVIORS: [(&str, SwapBehavior); 2] =
    [("limited", SwapBehavior::LimitedSwap), ("system", SwapBehavior::NoSwap)];

/// A node.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "node", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawNode {
    /// The table's header.
    #[schemars(skip)]
    pub(in crate::cluster) span: Span,
    /// Node and host name, a DNS label, unique in the cluster.
    #[schemars(required)]
    pub(in crate::cluster) name: Option<Located<DnsLabel>>,
    /// What the node does.
    #[schemars(required, with = "String", extend("enum" = ["control-plane", "worker", "edge"]))]
    pub(in crate::cluster) role: Option<Located<Role>>,
    /// Profile of its bundle; `edge` for edge nodes and `cloud` for all others unless given.
    pub(in crate::cluster) profile: Option<Located<DnsLabel>>,
    /// Image the bundle is laid on.
    #[schemars(extend("default" = "disk"))]
    pub(in crate::cluster) image: Option<Located<DnsLabel>>,
    /// Architecture.
    #[schemars(with = "Option<String>", extend("enum" = ["amd64", "arm64"], "default" = "amd64"))]
    pub(in crate::cluster) arch: Option<Located<Arch>>,
    /// Address inside the VPN; assigned in file order unless given.
    pub(in crate::cluster) vpn_address: Option<Located<Ipv4Addr>>,
    /// DNS name or address under which a cloud node is reached from the Internet; the cluster's for a single control plane.
    pub(in crate::cluster) endpoint: Option<Located<Endpoint>>,
    /// Address of a cloud node in the `private-range`.
    pub(in crate::cluster) private_address: Option<Located<Ipv4Addr>>,
    /// Type of a cloud node's server; the `server-type` of `[hetzner]` unless given.
    pub(in crate::cluster) server_type: Option<Located<DnsLabel>>,
    /// Where the node stands, a DNS label; all control planes stand in one place.
    pub(in crate::cluster) site: Option<Located<DnsLabel>>,
    /// Kubernetes labels.
    #[schemars(with = "Option<BTreeMap<String, LabelValue>>", extend("default" = {}))]
    pub(in crate::cluster) labels: Vec<(Located<LabelKey>, Located<LabelValue>)>,
    /// Kubernetes taints, besides the one that every edge node has.
    #[schemars(with = "Option<Vec<Taint>>", extend("default" = []))]
    pub(in crate::cluster) taints: Vec<Located<Taint>>,
    /// The machine that the node may run on; any unless given.
    pub(in crate::cluster) hardware: Option<RawHardware>,
    /// Swap; none unless given.
    pub(in crate::cluster) swap: Option<RawSwap>,
    /// Volumes that the node carries; workers and edge nodes do unless told where.
    pub(in crate::cluster) longhorn: Option<RawLonghorn>,
    /// Interfaces with settings of their own; with none, every Ethernet interface uses DHCP.
    #[schemars(with = "Option<Vec<RawInterface>>", extend("default" = []))]
    pub(in crate::cluster) interfaces: Vec<RawInterface>,
}

/// A network interface with settings of its own.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "interface", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawInterface {
    /// Ethernet address that the interface is found by.
    #[schemars(required)]
    pub(in crate::cluster) mac: Option<Located<Mac>>,
    /// Addresses with prefix length; DHCP when empty.
    #[schemars(with = "Option<Vec<InterfaceAddress>>", extend("default" = []))]
    pub(in crate::cluster) addresses: Vec<Located<InterfaceAddress>>,
    /// Default gateway, a neighbour of one of the addresses.
    pub(in crate::cluster) gateway: Option<Located<IpAddr>>,
    /// Name servers.
    #[schemars(with = "Option<Vec<IpAddr>>", extend("default" = []))]
    pub(in crate::cluster) dns: Vec<Located<IpAddr>>,
}

/// The machine that a node may run on: every part that is given must fit.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "hardware", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawHardware {
    /// The table's place.
    #[schemars(skip)]
    pub(in crate::cluster) span: Span,
    /// Whether no part is given, right or wrong.
    #[schemars(skip)]
    pub(in crate::cluster) is_empty: bool,
    /// Serial number of the machine, as its firmware says.
    pub(in crate::cluster) serial: Option<Located<Serial>>,
    /// Ethernet address of one of its interfaces.
    pub(in crate::cluster) mac: Option<Located<Mac>>,
    /// Serial number of the disk that may be installed to, and wiped for it.
    pub(in crate::cluster) disk_serial: Option<Located<Serial>>,
}

/// Swap, a file on the state partition.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "swap", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawSwap {
    /// Its size, such as `4 GiB`.
    #[schemars(required, with = "Option<String>")]
    pub(in crate::cluster) size: Option<Located<Size>>,
    /// Who may use it: `system` without pods, or `limited`, pods in proportion to the memory they ask for.
    #[schemars(with = "Option<String>", extend("enum" = ["limited", "system"], "default" = "limited"))]
    pub(in crate::cluster) behavior: Option<Located<SwapBehavior>>,
}

/// Volumes that a node carries.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "longhorn", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawLonghorn {
    /// Scopes: copies of a volume lie on nodes that share one. `cloud` for cloud nodes, for edge nodes their site or `edge`,
    /// unless given.
    #[schemars(with = "Option<Vec<DnsLabel>>")]
    pub(in crate::cluster) scopes: Vec<Located<DnsLabel>>,
    /// Folders for volumes; one, `/var/lib/longhorn`, unless given.
    #[schemars(with = "Option<Vec<RawDisk>>")]
    pub(in crate::cluster) disks: Vec<RawDisk>,
}

/// A folder for volumes.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "longhorn-disk", rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::cluster) struct RawDisk {
    /// The folder, below `/var`.
    #[schemars(required)]
    pub(in crate::cluster) path: Option<Located<StatePath>>,
    /// Tags besides the scopes of the node.
    #[schemars(with = "Option<Vec<DnsLabel>>", extend("default" = []))]
    pub(in crate::cluster) tags: Vec<Located<DnsLabel>>,
}

impl RawNode {
    pub(in crate::cluster) fn read(table: &mut Table<'_>) -> Self {
        Self {
            span: table.span(),
            name: table.required("name").parsed(),
            role: table.required("role").choice(&ROLES),
            profile: table.optional("profile").parsed(),
            image: table.optional("image").parsed(),
            arch: table.optional("arch").choice(&ARCHES),
            vpn_address: table.optional("vpn-address").address(),
            endpoint: table.optional("endpoint").parsed(),
            private_address: table.optional("private-address").address(),
            server_type: table.optional("server-type").parsed(),
            site: table.optional("site").parsed(),
            labels: table.optional("labels").map(),
            taints: table.optional("taints").list(),
            hardware: table.optional("hardware").table(RawHardware::read),
            swap: table.optional("swap").table(RawSwap::read),
            longhorn: table.optional("longhorn").table(RawLonghorn::read),
            interfaces: table.optional("interfaces").tables(RawInterface::read),
        }
    }
}

impl RawInterface {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            mac: table.required("mac").parsed(),
            addresses: table.optional("addresses").list(),
            gateway: table.optional("gateway").address(),
            dns: table.optional("dns").addresses(),
        }
    }
}

impl RawHardware {
    fn read(table: &mut Table<'_>) -> Self {
        let [serial, mac, disk_serial] = ["serial", "mac", "disk-serial"].map(|key| table.optional(key));
        Self {
            span: table.span(),
            is_empty: !serial.is_given() && !mac.is_given() && !disk_serial.is_given(),
            serial: serial.parsed(),
            mac: mac.parsed(),
            disk_serial: disk_serial.parsed(),
        }
    }
}

impl RawSwap {
    fn read(table: &mut Table<'_>) -> Self {
        Self {
            size: table.required("size").parsed(),
            behavior: table.optional("behavior").choice(&SWAP_BEHAVIORS),
        }
    }
}

impl RawLonghorn {
    fn read(table: &mut Table<'_>) -> Self {
        Self { scopes: table.optional("scopes").list(), disks: table.optional("disks").tables(RawDisk::read) }
    }
}

impl RawDisk {
    fn read(table: &mut Table<'_>) -> Self {
        Self { path: table.required("path").parsed(), tags: table.optional("tags").list() }
    }
}
