//! The VPN as `firstboot vpn status` shows it.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::difference::Present;
use super::kernel::Device;
use super::key::WireguardKey;

/// An interface and its peers, format 1.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Format; 1.
    pub version: u32,
    /// Name of the interface.
    pub interface: String,
    /// The node's public key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<WireguardKey>,
    /// The UDP port it listens on.
    pub port: u16,
    /// Its peers, by address.
    pub peers: Vec<PeerReport>,
}

/// A peer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerReport {
    /// Its address inside the VPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The ranges that are reached through it beside its address; the relay of an edge has one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<String>,
    /// Its public key.
    pub key: WireguardKey,
    /// Where it was last heard of, or is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<SocketAddr>,
    /// When the last handshake was, RFC 3339; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake: Option<String>,
    /// How long ago that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_since: Option<u64>,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
}

impl Report {
    /// Of interface `name`, which is `device`, at `now`.
    pub fn new(name: &str, device: &Device, now: SystemTime) -> Self {
        let mut peers: Vec<PeerReport> = device.peers.iter().map(|peer| PeerReport::new(peer, now)).collect();
        peers.sort_by_key(|peer| (peer.address, peer.key));
        Self {
            version: 1,
            interface: name.to_owned(),
            public_key: device.public_key,
            port: device.port,
            peers,
        }
    }

    /// As text, for people: a line for each peer.
    pub fn render(&self) -> String {
        let key = self.public_key.map_or_else(|| "no key".to_owned(), |key| format!("key {key}"));
        let mut text = format!("{}, UDP port {}, {key}\n", self.interface, self.port);
        for peer in &self.peers {
            let address = peer.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
            let age = peer.seconds_since.map(Duration::from_secs).map(humantime::format_duration);
            let age = age.map_or_else(|| "never".to_owned(), |age| format!("{age} ago"));
            let endpoint = peer.endpoint.map_or_else(|| "-".to_owned(), |endpoint| endpoint.to_string());
            let (received, sent) = (size(peer.received), size(peer.sent));
            let _ = write!(
                text,
                "  {address:15} {age:12} {endpoint:21} {received:>9} received {sent:>9} sent  {}",
                peer.key
            );
            if !peer.ranges.is_empty() {
                let _ = write!(text, "  relays {}", peer.ranges.join(", "));
            }
            text.push('\n');
        }
        text
    }
}

impl PeerReport {
    fn new(peer: &Present, now: SystemTime) -> Self {
        let is_address = |net: &&ipnet::IpNet| net.prefix_len() == net.max_prefix_len();
        let address = peer.allowed.iter().find(is_address).map(ipnet::IpNet::addr);
        let ranges = peer.allowed.iter().filter(|net| !is_address(net) || Some(net.addr()) != address);
        Self {
            address,
            ranges: ranges.map(ToString::to_string).collect(),
            key: peer.key,
            endpoint: peer.endpoint,
            handshake: peer.handshake.map(|time| humantime::format_rfc3339_seconds(time).to_string()),
            seconds_since: peer.handshake.map(|time| now.duration_since(time).unwrap_or_default().as_secs()),
            received: peer.received,
            sent: peer.sent,
        }
    }
}

/// Bytes, to a unit that leaves at most five digits.
fn size(bytes: u64) -> String {
    let mut rest = bytes;
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if rest < 100_000 {
            break;
        }
        rest /= 1024;
        unit = larger;
    }
    format!("{rest} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Report {
        let handshake = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let peer = Present {
            key: WireguardKey([2; 32]),
            endpoint: Some(SocketAddr::from(([192, 0, 2, 2], 51820))),
            allowed: ["10.44.0.0/16", "10.44.0.2/32"].map(|net| net.parse().unwrap()).into(),
            keepalive: 25,
            handshake: Some(handshake),
            received: 99_999,
            sent: 5 << 30,
        };
        let silent = Present {
            key: WireguardKey([1; 32]),
            endpoint: None,
            allowed: ["10.44.0.1/32"].map(|net| net.parse().unwrap()).into(),
            handshake: None,
            received: 0,
            sent: 148,
            ..peer.clone()
        };
        let device = Device {
            private_key: None,
            public_key: Some(WireguardKey([9; 32])),
            port: 51820,
            peers: vec![peer, silent],
        };
        Report::new("wg0", &device, handshake + Duration::from_secs(95))
    }

    #[test]
    fn a_person_sees_who_answers() {
        insta::assert_snapshot!(example().render(), @r"
        wg0, UDP port 51820, key CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=
          10.44.0.1       never        -                           0 B received     148 B sent  AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
          10.44.0.2       1m 35s ago   192.0.2.2:51820         99999 B received  5120 MiB sent  AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=  relays 10.44.0.0/16
        ");
    }

    #[test]
    fn a_program_sees_the_same() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&example()).unwrap(), @r#"
        {
          "version": 1,
          "interface": "wg0",
          "publicKey": "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=",
          "port": 51820,
          "peers": [
            {
              "address": "10.44.0.1",
              "key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
              "received": 0,
              "sent": 148
            },
            {
              "address": "10.44.0.2",
              "ranges": [
                "10.44.0.0/16"
              ],
              "key": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
              "endpoint": "192.0.2.2:51820",
              "handshake": "2027-01-15T08:00:00Z",
              "secondsSince": 95,
              "received": 99999,
              "sent": 5368709120
            }
          ]
        }
        "#);
    }
}
