//! The node record: what a node of the cluster is told about itself.

use std::net::Ipv4Addr;

use firstboot::record::{self, NodeRecord};

use super::{Admin, Argument, Cluster, Disk, Interface, Node, Role};

impl Cluster {
    /// The record of `node`, a node of this cluster.
    pub fn record(&self, node: &Node) -> NodeRecord {
        let is_control_plane = node.role == Role::ControlPlane;
        NodeRecord {
            version: record::VERSION,
            cluster: record::Cluster {
                name: self.name.to_string(),
                endpoint: self.endpoint.to_string(),
                posture: self.posture,
            },
            node: record_of(node),
            time_zone: self.time_zone.to_string(),
            ssh_authorized_keys: self.ssh_keys.iter().map(ToString::to_string).collect(),
            interfaces: node.interfaces.iter().map(record::Interface::from).collect(),
            vpn: self.vpn(node),
            k3s: self.k3s(is_control_plane),
            gitops: self.gitops.as_ref().filter(|_| is_control_plane).map(|gitops| record::Gitops {
                repository: gitops.repository.to_string(),
                revision: gitops.revision.to_string(),
                path: gitops.path.to_string(),
                deploy_key_secret: gitops.deploy_key_secret.as_ref().map(ToString::to_string),
                known_hosts: gitops.known_hosts.iter().map(ToString::to_string).collect(),
            }),
            revocations: self
                .revocations
                .iter()
                .filter(|_| is_control_plane)
                .map(|revocation| record::Revocation {
                    node: revocation.node.to_string(),
                    minimum_generation: revocation.minimum_generation,
                })
                .collect(),
            operator_addresses: Vec::new(),
        }
    }

    fn vpn(&self, node: &Node) -> record::Vpn {
        let is_control_plane = node.role == Role::ControlPlane;
        let admins = (!self.admins.is_empty()).then(|| record::Admins {
            range: self.network.admin_range.to_string(),
            port: self.network.admin_port,
            address: self.admin_address(node),
            peers: self.admins.iter().filter(|_| is_control_plane).map(record::Admin::from).collect(),
        });
        record::Vpn {
            kind: self.network.vpn,
            address: node.vpn_address,
            range: self.network.vpn_range.to_string(),
            port: self.network.vpn_port,
            endpoint: node.endpoint.as_ref().map(ToString::to_string),
            private_address: node.private_address,
            private_range: self.network.private_range.map(|range| range.to_string()),
            admins,
        }
    }

    fn k3s(&self, is_control_plane: bool) -> record::K3s {
        let arguments = |list: &[Argument]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let of_servers = |list| if is_control_plane { arguments(list) } else { Vec::new() };
        let mut servers: Vec<_> = self.nodes_of(Role::ControlPlane).map(|node| node.vpn_address).collect();
        servers.sort_unstable();
        let plain = record::K3s::new(
            self.k3s.version.as_str(),
            &self.network.pod_range.to_string(),
            &self.network.service_range.to_string(),
        );
        record::K3s {
            servers,
            disable: if is_control_plane { self.k3s.disable.clone() } else { plain.disable.clone() },
            max_pods: self.k3s.max_pods,
            apiserver_args: of_servers(&self.k3s.apiserver_args),
            controller_manager_args: of_servers(&self.k3s.controller_manager_args),
            kubelet_args: arguments(&self.k3s.kubelet_args),
            snapshots: self.backup.as_ref().filter(|_| is_control_plane).map(|backup| record::Snapshots {
                interval_hours: backup.interval_hours,
                keep: backup.keep,
                secret: backup.secret.to_string(),
            }),
            ..plain
        }
    }

    /// The place of a control plane in the VPN of the admins: numbered in file order from the first address.
    pub fn admin_address(&self, node: &Node) -> Option<Ipv4Addr> {
        let place = self.nodes_of(Role::ControlPlane).position(|other| other.name == node.name)?;
        self.network.admin_range.nth(u32::try_from(place).ok()?.checked_add(1)?)
    }
}

fn record_of(node: &Node) -> record::Node {
    record::Node {
        labels: node.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        site: node.site.as_ref().map(ToString::to_string),
        taints: node.taints.iter().map(ToString::to_string).collect(),
        hardware: node.hardware.as_ref().map(|hardware| record::Hardware {
            serial: hardware.serial.as_ref().map(ToString::to_string),
            mac: hardware.mac.as_ref().map(ToString::to_string),
            disk_serial: hardware.disk_serial.as_ref().map(ToString::to_string),
        }),
        swap: node.swap.map(|swap| record::Swap { size: swap.size.0, behavior: swap.behavior }),
        longhorn: node.longhorn.as_ref().map(|longhorn| record::Longhorn {
            scopes: longhorn.scopes.iter().map(ToString::to_string).collect(),
            disks: longhorn.disks.iter().map(record::LonghornDisk::from).collect(),
        }),
        ..record::Node::new(node.name.as_str(), node.role)
    }
}

impl From<&Disk> for record::LonghornDisk {
    fn from(disk: &Disk) -> Self {
        Self { path: disk.path.to_string(), tags: disk.tags.iter().map(ToString::to_string).collect() }
    }
}

impl From<&Admin> for record::Admin {
    fn from(admin: &Admin) -> Self {
        Self {
            name: admin.name.to_string(),
            public_key: admin.public_key.to_string(),
            address: admin.address,
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
