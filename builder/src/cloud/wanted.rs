//! What a cluster file asks of its cloud. Pure: the same file asks for the same, whatever is there.
//!
//! ```text
//! network   the private range, one subnet
//! firewall  of all servers, by posture; nodes have rules of their own besides (`firstboot::firewall`)
//! placement spread: no two control planes on one host
//! per node  two Primary IPs, which outlive their server; one server
//! DNS       names of the cluster in the zone, or for somebody to write elsewhere
//! buckets   for copies of datastore and volumes, at an S3 service
//! ```

mod storage;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;

use crate::cluster::{Cluster, Hetzner, Node, Posture, Range, Role, is_in_zone};
use crate::units::Arch;

pub use storage::Storage;

/// Label of everything that belongs to a cluster; its value is the cluster's name.
pub const CLUSTER_LABEL: &str = "imgbuild.org/cluster";
/// Label of what belongs to a node; its value is the node's name.
pub const NODE_LABEL: &str = "imgbuild.org/node";
/// Seconds that resolvers may keep a name of the cluster: it moves with its servers.
const TTL: u32 = 300;

/// All that a cluster asks for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// Name of the cluster, and of what it has one of.
    pub name: String,
    /// Where the servers stand, the first that has room.
    pub locations: Vec<String>,
    /// The network that the servers share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<PrivateNetwork>,
    /// What reaches the servers from the Internet.
    pub firewall: Firewall,
    /// By role, then in the order of the cluster file.
    pub servers: Vec<Server>,
    /// The names.
    pub dns: Dns,
    /// Where its copies go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
}

/// A private network with one subnet.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivateNetwork {
    /// All of it.
    pub range: Range,
}

/// Rules for packets from the Internet; all others are dropped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Firewall {
    /// What is let in.
    pub rules: Vec<Rule>,
}

/// What is let in, from everywhere.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Rule {
    /// Protocol.
    pub protocol: Protocol,
    /// Port; ICMP has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What for.
    pub purpose: &'static str,
}

/// A protocol that rules know.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, of both versions.
    Icmp,
}

/// A server.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// Its name, unique in the project.
    pub name: String,
    /// The node that it is.
    pub node: String,
    /// What that does.
    pub role: Role,
    /// What its disk gets.
    #[serde(flatten)]
    pub disk: DiskImage,
    /// Types, the first that is in stock.
    pub types: Vec<String>,
    /// Its address in the private network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_address: Option<Ipv4Addr>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// What an image is made of.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DiskImage {
    /// Architecture.
    pub arch: Arch,
    /// Profile.
    pub profile: String,
    /// What the profile is laid on.
    pub image: String,
}

/// Names of the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dns {
    /// The zone that they are written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Those in it.
    pub written: Vec<NamedAddress>,
    /// Those that somebody has to write elsewhere.
    pub shown: Vec<NamedAddress>,
    /// Seconds that resolvers may keep them.
    pub ttl: u32,
}

/// A name, and the servers whose addresses it has.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct NamedAddress {
    /// The name, whole.
    pub name: String,
    /// Names of servers.
    pub servers: Vec<String>,
}

/// Which of a server's addresses.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressFamily {
    /// IPv4.
    Ipv4,
    /// IPv6, a /64.
    Ipv6,
}

impl Protocol {
    /// Its name, `tcp`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }
}

impl AddressFamily {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The word in names: `ipv4`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// The type of its DNS records.
    pub const fn record(self) -> &'static str {
        match self {
            Self::Ipv4 => "A",
            Self::Ipv6 => "AAAA",
        }
    }
}

impl Wanted {
    /// What `cluster` asks of `hetzner`.
    pub fn new(cluster: &Cluster, hetzner: &Hetzner) -> Self {
        let roles = [Role::ControlPlane, Role::Worker];
        let nodes = roles.into_iter().flat_map(|role| cluster.nodes_of(role));
        let servers: Vec<Server> = nodes.map(|node| Server::new(node, cluster, hetzner)).collect();
        let locations = std::iter::once(&hetzner.location).chain(&hetzner.other_locations);
        Self {
            name: cluster.name.to_string(),
            locations: locations.map(ToString::to_string).collect(),
            network: cluster.network.private_range.map(|range| PrivateNetwork { range }),
            firewall: Firewall::new(cluster),
            dns: Dns::new(cluster, hetzner, &servers),
            storage: Storage::of(cluster),
            servers,
        }
    }

    /// The images of its servers, each once.
    pub fn images(&self) -> Vec<&DiskImage> {
        let mut images: Vec<&DiskImage> = Vec::new();
        for server in &self.servers {
            if !images.contains(&&server.disk) {
                images.push(&server.disk);
            }
        }
        images
    }
}

impl Server {
    fn new(node: &Node, cluster: &Cluster, hetzner: &Hetzner) -> Self {
        let own = node.server_type.as_ref().unwrap_or(&hetzner.server_type);
        let others = hetzner.other_server_types.iter().filter(|other| *other != own);
        Self {
            name: format!("{}-{}", cluster.name, node.name),
            node: node.name.to_string(),
            role: node.role,
            disk: DiskImage {
                arch: node.arch,
                profile: node.profile.to_string(),
                image: node.image.to_string(),
            },
            types: std::iter::once(own).chain(others).map(ToString::to_string).collect(),
            private_address: node.private_address,
            labels: BTreeMap::from([
                (CLUSTER_LABEL.to_owned(), cluster.name.to_string()),
                (NODE_LABEL.to_owned(), node.name.to_string()),
            ]),
        }
    }

    /// Name of its Primary IP, unique in the project.
    pub fn address_name(&self, family: AddressFamily) -> String {
        format!("{}-{}", self.name, family.name())
    }
}

impl Firewall {
    fn new(cluster: &Cluster) -> Self {
        let network = &cluster.network;
        let rule = |protocol, port: u16, purpose| Rule { protocol, port: Some(port), purpose };
        let mut rules = vec![
            Rule { protocol: Protocol::Icmp, port: None, purpose: "path MTU discovery" },
            rule(Protocol::Tcp, 80, "what the cluster serves"),
            rule(Protocol::Tcp, 443, "what the cluster serves"),
            rule(Protocol::Udp, network.vpn_port, "WireGuard"),
            rule(Protocol::Tcp, network.vpn_port, "claims"),
        ];
        if !cluster.admins.is_empty() {
            rules.push(rule(Protocol::Udp, network.admin_port, "the VPN of admins"));
        }
        if cluster.posture == Posture::BringUp {
            rules.push(rule(Protocol::Tcp, 6443, "the API, while the cluster is set up"));
            if !cluster.ssh_keys.is_empty() {
                rules.push(rule(Protocol::Tcp, 22, "SSH, while the cluster is set up"));
            }
        }
        Self { rules }
    }
}

impl Dns {
    fn new(cluster: &Cluster, hetzner: &Hetzner, servers: &[Server]) -> Self {
        let control_planes = || {
            let control_planes = servers.iter().filter(|server| server.role == Role::ControlPlane);
            control_planes.map(|server| server.name.clone()).collect::<Vec<_>>()
        };
        let mut names: Vec<NamedAddress> = Vec::new();
        let mut add = |name: String, servers: Vec<String>| {
            let is_name = name.parse::<std::net::IpAddr>().is_err();
            if is_name && names.iter().all(|known| known.name != name) {
                names.push(NamedAddress { name, servers });
            }
        };
        add(cluster.endpoint.to_string(), control_planes());
        if let Some(domain) = &cluster.domain {
            for name in [domain.to_string(), format!("*.{domain}")] {
                add(name, control_planes());
            }
        }
        for server in servers {
            let node = cluster.node(&server.node).ok().and_then(|node| node.endpoint.as_ref());
            if let Some(endpoint) = node {
                add(endpoint.to_string(), vec![server.name.clone()]);
            }
        }
        let zone = hetzner.dns_zone.as_ref();
        let (written, shown) =
            names.into_iter().partition(|name| zone.is_some_and(|zone| is_in_zone(&name.name, zone)));
        Self { zone: zone.map(ToString::to_string), written, shown, ttl: TTL }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::cluster::Available;

    pub(crate) const FILE: &str = r#"
version = 1
[cluster]
name = "lab"
endpoint = "cluster.lab.example.org"
domain = "apps.example.net"
[network]
private-range = "10.0.0.0/16"
[k3s]
version = "v1.36.4+k3s1"
[hetzner]
location = "fsn1"
other-locations = ["nbg1"]
server-type = "cx33"
other-server-types = ["cpx32", "cx43"]
dns-zone = "example.org"
[[node]]
name = "worker1"
role = "worker"
server-type = "cx43"
endpoint = "worker1.lab.example.org"
private-address = "10.0.0.5"
[[node]]
name = "cp1"
role = "control-plane"
private-address = "10.0.0.2"
[[node]]
name = "edge1"
role = "edge"
"#;

    pub(crate) fn wanted(text: &str) -> Wanted {
        let available = Available {
            profiles: vec!["cloud".to_owned(), "edge".to_owned()],
            images: vec!["disk".to_owned()],
        };
        let cluster = Cluster::parse(text, Path::new("cluster.toml"), &available);
        let cluster = cluster.unwrap_or_else(|faults| panic!("{faults}"));
        Wanted::new(&cluster, cluster.hetzner.as_ref().unwrap())
    }

    #[test]
    fn cloud_nodes_are_servers_control_planes_first() {
        let wanted = wanted(FILE);
        let servers: Vec<_> =
            wanted.servers.iter().map(|server| (server.name.as_str(), server.types.join(" "))).collect();
        let expected = [("lab-cp1", "cx33 cpx32 cx43".to_owned()), ("lab-worker1", "cx43 cpx32".to_owned())];
        assert_eq!(servers, expected);
        assert_eq!(wanted.servers[0].address_name(AddressFamily::Ipv6), "lab-cp1-ipv6");
        assert_eq!(wanted.locations, ["fsn1", "nbg1"]);
    }

    #[test]
    fn names_outside_the_zone_are_for_somebody_else_to_write() {
        let dns = wanted(FILE).dns;
        let names = |names: &[NamedAddress]| {
            names.iter().map(|name| format!("{} {}", name.name, name.servers.join(" "))).collect::<Vec<_>>()
        };
        let expected = ["cluster.lab.example.org lab-cp1", "worker1.lab.example.org lab-worker1"];
        assert_eq!(names(&dns.written), expected);
        assert_eq!(names(&dns.shown), ["apps.example.net lab-cp1", "*.apps.example.net lab-cp1"]);
    }

    #[test]
    fn the_posture_decides_what_the_internet_reaches() {
        let ports = |text: &str| {
            let rules = wanted(text).firewall.rules;
            rules.iter().filter_map(|rule| rule.port).collect::<Vec<_>>()
        };
        assert_eq!(ports(FILE), [80, 443, 51820, 51820, 6443]);
        let production = FILE.replace("domain =", "posture = \"production\"\ndomain =");
        assert_eq!(ports(&production), [80, 443, 51820, 51820]);
    }
}
