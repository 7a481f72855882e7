//! What the simulator knows of a server, as its machine needs it.

use std::net::Ipv4Addr;

use hetzner_simulator::Simulator;
use ipnet::{Ipv4Net, Ipv6Net};
use serde_json::Value;

/// A server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Facts {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) location: String,
    pub(crate) network_zone: String,
    /// `x86` or `arm`.
    pub(crate) architecture: String,
    /// Of its type, in GB.
    pub(crate) memory: u64,
    pub(crate) processors: u64,
    /// Its public address.
    pub(crate) ipv4: Option<Ipv4Addr>,
    /// Its public network.
    pub(crate) ipv6: Option<Ipv6Net>,
    pub(crate) private: Vec<Private>,
    pub(crate) user_data: String,
    /// Public keys that it was created with.
    pub(crate) keys: Vec<String>,
}

/// A server in a private network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Private {
    pub(crate) network: u64,
    pub(crate) network_name: String,
    pub(crate) range: Ipv4Net,
    pub(crate) subnet: Ipv4Net,
    pub(crate) ip: Ipv4Addr,
    pub(crate) aliases: Vec<Ipv4Addr>,
    pub(crate) mac: String,
}

impl Private {
    /// The first address of the range.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.range.hosts().next().unwrap_or_else(|| self.range.network())
    }
}

impl Facts {
    /// What is known of a server now; none if there is no such server.
    pub(crate) fn of(simulator: &Simulator, id: u64) -> Option<Self> {
        Self::read(&simulator.details(id)?, &simulator.resources())
    }

    fn read(details: &Value, resources: &Value) -> Option<Self> {
        let server = &details["server"];
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let by_id = |kind: &str, id: &Value| list(&resources[kind]).into_iter().find(|one| one["id"] == *id);
        let public = |version: &str| server["public_net"][version]["ip"].as_str();
        let private = list(&server["private_net"]).into_iter().filter_map(|one| {
            let network = by_id("networks", &one["network"])?;
            let ip: Ipv4Addr = one["ip"].as_str()?.parse().ok()?;
            let range: Ipv4Net = network["ip_range"].as_str()?.parse().ok()?;
            let subnets = list(&network["subnets"]);
            let mut subnets = subnets.iter().filter_map(|subnet| subnet["ip_range"].as_str()?.parse().ok());
            Some(Private {
                network: network["id"].as_u64()?,
                network_name: text(&network["name"]),
                range,
                subnet: subnets.find(|subnet: &Ipv4Net| subnet.contains(&ip)).unwrap_or(range),
                ip,
                aliases: list(&one["alias_ips"]).iter().filter_map(|ip| ip.as_str()?.parse().ok()).collect(),
                mac: text(&one["mac_address"]),
            })
        });
        let keys = list(&details["ssh_keys"]);
        let keys = keys.iter().filter_map(|id| Some(text(&by_id("ssh_keys", id)?["public_key"])));
        Some(Self {
            id: server["id"].as_u64()?,
            name: text(&server["name"]),
            location: text(&server["location"]["name"]),
            network_zone: text(&server["location"]["network_zone"]),
            architecture: text(&server["server_type"]["architecture"]),
            memory: whole(&server["server_type"]["memory"]),
            processors: whole(&server["server_type"]["cores"]),
            ipv4: public("ipv4").and_then(|ip| ip.parse().ok()),
            ipv6: public("ipv6").and_then(|ip| ip.parse().ok()),
            private: private.collect(),
            user_data: text(&details["user_data"]),
            keys: keys.collect(),
        })
    }

    /// Ethernet address of the public interface, of the form that the provider's have.
    pub(crate) fn public_mac(&self) -> String {
        let [_, _, _, _, a, b, c, d] = self.id.to_be_bytes();
        format!("96:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }

    /// Whether it is attached to the public network.
    pub(crate) fn is_public(&self) -> bool {
        self.ipv4.is_some() || self.ipv6.is_some()
    }
}

/// Numbers that may be written with a fraction, such as `4.0`.
fn whole(value: &Value) -> u64 {
    let text = value.to_string();
    text.split('.').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// One with all there is.
    pub(crate) fn example() -> Facts {
        Facts {
            id: 1005,
            name: "cp1".to_owned(),
            location: "fsn1".to_owned(),
            network_zone: "eu-central".to_owned(),
            architecture: "x86".to_owned(),
            memory: 4,
            processors: 2,
            ipv4: "192.0.2.1".parse().ok(),
            ipv6: "2001:db8:0:1::/64".parse().ok(),
            private: vec![Private {
                network: 1002,
                network_name: "lab".to_owned(),
                range: "10.0.0.0/16".parse().unwrap(),
                subnet: "10.0.1.0/24".parse().unwrap(),
                ip: "10.0.1.2".parse().unwrap(),
                aliases: Vec::new(),
                mac: "86:00:03:ed:03:ea".to_owned(),
            }],
            user_data: "#cloud-config".to_owned(),
            keys: vec!["ssh-ed25519 AAAA ada".to_owned()],
        }
    }

    #[test]
    fn a_server_is_read_as_the_api_shows_it() {
        let details = json!({
            "user_data": "#cloud-config", "ssh_keys": [1001],
            "server": {
                "id": 1005, "name": "cp1",
                "location": {"name": "fsn1", "network_zone": "eu-central"},
                "server_type": {"architecture": "x86", "memory": 4.0, "cores": 2},
                "public_net": {"ipv4": {"ip": "192.0.2.1"}, "ipv6": {"ip": "2001:db8:0:1::/64"}},
                "private_net": [
                    {"network": 1002, "ip": "10.0.1.2", "alias_ips": [], "mac_address": "86:00:03:ed:03:ea"},
                ],
            },
        });
        let subnets = json!([{"ip_range": "10.0.0.0/24"}, {"ip_range": "10.0.1.0/24"}]);
        let resources = json!({
            "ssh_keys": [{"id": 1001, "public_key": "ssh-ed25519 AAAA ada"}],
            "networks": [{"id": 1002, "name": "lab", "ip_range": "10.0.0.0/16", "subnets": subnets}],
        });
        let facts = Facts::read(&details, &resources).unwrap();
        assert_eq!(facts, example());
        assert_eq!(facts.public_mac(), "96:00:00:00:03:ed");
        assert_eq!(facts.private[0].gateway(), Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(Facts::read(&json!({}), &resources), None);
    }
}
