//! The node record: what a node of the cluster is told about itself.

use firstboot::record::{self, NodeRecord};

use super::{Cluster, Interface, Node, Role};

impl Cluster {
    /// The record of `node`, a node of this cluster.
    pub fn record(&self, node: &Node) -> NodeRecord {
        let servers = self.nodes.iter().filter(|node| node.role == Role::ControlPlane);
        let mut servers: Vec<_> = servers.map(|node| node.vpn_address).collect();
        servers.sort_unstable();
        NodeRecord {
            version: record::VERSION,
            cluster: record::Cluster { name: self.name.to_string(), endpoint: self.endpoint.to_string() },
            node: record::Node {
                name: node.name.to_string(),
                role: node.role,
                labels: node.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            },
            time_zone: self.time_zone.to_string(),
            ssh_authorized_keys: self.ssh_keys.iter().map(ToString::to_string).collect(),
            interfaces: node.interfaces.iter().map(record::Interface::from).collect(),
            vpn: record::Vpn {
                kind: record::VpnKind::Wireguard,
                address: node.vpn_address,
                range: self.network.vpn_range.to_string(),
                port: self.network.vpn_port,
            },
            k3s: record::K3s {
                version: self.k3s.version.to_string(),
                servers,
                pod_range: self.network.pod_range.to_string(),
                service_range: self.network.service_range.to_string(),
            },
            gitops: self.gitops.as_ref().filter(|_| node.role == Role::ControlPlane).map(|gitops| {
                record::Gitops {
                    repository: gitops.repository.to_string(),
                    revision: gitops.revision.to_string(),
                    path: gitops.path.to_string(),
                }
            }),
        }
    }
}

impl From<&Interface> for record::Interface {
    fn from(interface: &Interface) -> Self {
        Self {
            mac: interface.mac.to_string(),
            addresses: interface.addresses.iter().map(ToString::to_string).collect(),
            gateway: interface.gateway.map(|gateway| gateway.to_string()),
            dns: interface.dns.iter().map(ToString::to_string).collect(),
        }
    }
}
