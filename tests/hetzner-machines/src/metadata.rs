//! What the metadata service tells a server of itself, below `/hetzner/v1`.
//!
//! Forms are those that the provider's own client library, cloud-init and afterburn read.

pub(crate) mod service;

use std::fmt::Write as _;

use serde_json::json;

use crate::facts::{Facts, Private};
use crate::network::DNS_V6;

/// The text at a path; none if there is nothing.
pub(crate) fn text(facts: &Facts, path: &str) -> Option<String> {
    let below = path.strip_prefix("/hetzner/v1/")?;
    let Some(leaf) = below.strip_prefix("metadata") else {
        return (below == "userdata" && !facts.user_data.is_empty()).then(|| facts.user_data.clone());
    };
    match leaf.strip_prefix('/').unwrap_or(leaf) {
        "" => Some(summary(facts)),
        "hostname" => Some(facts.name.clone()),
        "instance-id" => Some(facts.id.to_string()),
        "public-ipv4" => Some(facts.ipv4.map(|ip| ip.to_string()).unwrap_or_default()),
        "private-networks" => Some(private_networks(&facts.private)),
        "network-config" => Some(network_config(facts)),
        "availability-zone" => Some(availability_zone(facts)),
        "region" => Some(facts.network_zone.clone()),
        "public-keys" => Some(json!(facts.keys).to_string()),
        _ => None,
    }
}

fn availability_zone(facts: &Facts) -> String {
    format!("{}-dc1", facts.location)
}

/// All but networks that are private, and user data. Text in double quotes is YAML as it is JSON.
fn summary(facts: &Facts) -> String {
    let mut text = format!(
        "availability-zone: {}\nhostname: {}\ninstance-id: {}\npublic-ipv4: {}\nregion: {}\npublic-keys:{}\n",
        availability_zone(facts),
        json!(facts.name),
        facts.id,
        json!(facts.ipv4.map(|ip| ip.to_string()).unwrap_or_default()),
        facts.network_zone,
        if facts.keys.is_empty() { " []" } else { "" }
    );
    for key in &facts.keys {
        // Writing to a String cannot go wrong.
        let _ = writeln!(text, "- {}", json!(key));
    }
    text.push_str("network-config:\n");
    for line in network_config(facts).lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// Of cloud-init's format 1: the public interface alone.
fn network_config(facts: &Facts) -> String {
    if !facts.is_public() {
        return "config: []\nversion: 1\n".to_owned();
    }
    let mut text = format!("config:\n- mac_address: \"{}\"\n  name: eth0\n  subnets:\n", facts.public_mac());
    if facts.ipv4.is_some() {
        text.push_str("  - ipv4: true\n    type: dhcp\n");
    }
    if let Some(v6) = facts.ipv6 {
        let own = v6.hosts().nth(1).unwrap_or_else(|| v6.addr());
        let _ = writeln!(text, "  - address: {own}/{}\n    dns_nameservers:", v6.prefix_len());
        for server in DNS_V6 {
            let _ = writeln!(text, "    - {server}");
        }
        text.push_str("    gateway: fe80::1\n    ipv6: true\n    type: static\n");
    }
    text.push_str("  type: physical\nversion: 1\n");
    text
}

fn private_networks(networks: &[Private]) -> String {
    if networks.is_empty() {
        return "[]\n".to_owned();
    }
    let mut text = String::new();
    for (network, number) in networks.iter().zip(1..) {
        let Private { network: id, network_name, range, subnet, ip, aliases, mac } = network;
        let aliases: Vec<String> = aliases.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "- ip: {ip}\n  alias_ips: [{}]\n  interface_num: {number}\n  mac_address: \"{mac}\"\n  \
             network_id: {id}\n  network_name: {}\n  network: {range}\n  subnet: {subnet}\n  gateway: {}",
            aliases.join(", "),
            json!(network_name),
            network.gateway()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::example;

    fn told(facts: &Facts, leaf: &str) -> Option<String> {
        text(facts, &format!("/hetzner/v1/{leaf}"))
    }

    #[test]
    fn leaves_are_plain() {
        let facts = example();
        for (leaf, expected) in [
            ("metadata/hostname", Some("cp1")),
            ("metadata/instance-id", Some("1005")),
            ("metadata/public-ipv4", Some("192.0.2.1")),
            ("metadata/availability-zone", Some("fsn1-dc1")),
            ("metadata/region", Some("eu-central")),
            ("metadata/public-keys", Some("[\"ssh-ed25519 AAAA ada\"]")),
            ("userdata", Some("#cloud-config")),
            ("metadata/no-such-leaf", None),
            ("metadata-of-others", None),
            ("", None),
        ] {
            assert_eq!(told(&facts, leaf).as_deref(), expected, "{leaf}");
        }
        assert_eq!(text(&facts, "/latest/meta-data"), None);
        assert_eq!(told(&Facts { user_data: String::new(), ..facts }, "userdata"), None);
    }

    #[test]
    fn the_public_interface_has_ipv4_by_dhcp_and_ipv6_as_told() {
        let facts = example();
        let expected = "config:\n- mac_address: \"96:00:00:00:03:ed\"\n  name: eth0\n  subnets:\n  \
                        - ipv4: true\n    type: dhcp\n  - address: 2001:db8:0:1::1/64\n    dns_nameservers:\n    \
                        - 2a01:4ff:ff00::add:1\n    - 2a01:4ff:ff00::add:2\n    gateway: fe80::1\n    ipv6: true\n    \
                        type: static\n  type: physical\nversion: 1\n";
        assert_eq!(told(&facts, "metadata/network-config").unwrap(), expected);
        let hidden = Facts { ipv4: None, ipv6: None, ..facts };
        assert_eq!(told(&hidden, "metadata/network-config").unwrap(), "config: []\nversion: 1\n");
        assert_eq!(told(&hidden, "metadata/public-ipv4").unwrap(), "");
    }

    #[test]
    fn private_networks_are_a_list() {
        let facts = example();
        let expected = "- ip: 10.0.1.2\n  alias_ips: []\n  interface_num: 1\n  mac_address: \"86:00:03:ed:03:ea\"\n  \
                        network_id: 1002\n  network_name: \"lab\"\n  network: 10.0.0.0/16\n  \
                        subnet: 10.0.1.0/24\n  gateway: 10.0.0.1\n";
        assert_eq!(told(&facts, "metadata/private-networks").unwrap(), expected);
        let alone = Facts { private: Vec::new(), ..facts };
        assert_eq!(told(&alone, "metadata/private-networks").unwrap(), "[]\n");
    }

    #[test]
    fn the_summary_has_the_public_part() {
        let facts = example();
        let expected = "availability-zone: fsn1-dc1\nhostname: \"cp1\"\ninstance-id: 1005\n\
                        public-ipv4: \"192.0.2.1\"\nregion: eu-central\npublic-keys:\n\
                        - \"ssh-ed25519 AAAA ada\"\nnetwork-config:\n  config:\n  - mac_address: ";
        let summary = told(&facts, "metadata").unwrap();
        assert!(summary.starts_with(expected), "{summary}");
        assert_eq!(told(&facts, "metadata/").unwrap(), summary);
    }
}
