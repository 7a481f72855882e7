//! The network as the metadata service describes it: `network-config`, of cloud-init's format 1, has the public
//! interface, and `private-networks` one for each network that the server is attached to.
//!
//! Interfaces are known by their Ethernet address alone: their names depend on the kernel and on the kind of server.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::answers::Answers;
use super::yaml;
use crate::record::{escaped, is_mac};

/// The interfaces of a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Network {
    /// On the public side; none where the server has private networks only.
    pub public: Vec<Public>,
    /// In private networks, as they were attached.
    pub private: Vec<Private>,
}

/// An interface on the public side. IPv4 is asked for by DHCP: without a public address, too, for the metadata service
/// is reached by it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Public {
    /// Ethernet address in lower case.
    pub mac: String,
    /// Addresses that no DHCP gives, with prefix length.
    pub addresses: Vec<IpNet>,
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
}

/// An interface in a private network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Private {
    /// Ethernet address in lower case.
    pub mac: String,
    /// The server's address.
    pub address: Ipv4Addr,
    /// Others that lead to it.
    pub aliases: Vec<Ipv4Addr>,
    /// The whole network, each of whose addresses is reached through the gateway.
    pub range: Ipv4Net,
    /// The gateway, which alone is on the wire.
    pub gateway: Ipv4Addr,
}

/// Why a part of the description is of no use.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum NetworkError {
    /// No YAML, or of another form.
    #[error("`{part}` of the metadata: {reason}")]
    Form {
        /// `network-config` or `private-networks`.
        part: &'static str,
        /// The parser's words.
        reason: String,
    },
    /// Of a format that this program does not know.
    #[error("`{part}` of the metadata has version {found}, this image understands version 1")]
    Version {
        /// `network-config`.
        part: &'static str,
        /// The version that it states.
        found: u64,
    },
    /// A value is of the right type but means nothing.
    #[error("`{key}` in `{part}` of the metadata is `{found}`, not {expected}")]
    Value {
        /// `network-config` or `private-networks`.
        part: &'static str,
        /// The key.
        key: &'static str,
        /// The value, control characters escaped.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}

const CONFIG: &str = "network-config";
const PRIVATE: &str = "private-networks";
const MAC: &str = "an Ethernet address, `96:00:00:12:34:56`";
const ADDRESS: &str = "an IP address";
const RANGE: &str = "an address with prefix length, `2001:db8::1/64`";

impl Network {
    /// Reads both parts, and says what is wrong with those that are left out.
    pub(crate) fn of(answers: &Answers) -> (Self, Vec<NetworkError>) {
        let mut faults = Vec::new();
        let mut network = Self::default();
        match public(answers.network_config.as_deref().unwrap_or_default()) {
            Ok(public) => network.public = public,
            Err(fault) => faults.push(fault),
        }
        match private(answers.private_networks.as_deref().unwrap_or_default()) {
            Ok(private) => network.private = private,
            Err(fault) => faults.push(fault),
        }
        (network, faults)
    }
}

#[derive(Deserialize)]
struct RawConfig {
    version: Option<u64>,
    config: Option<Vec<RawInterface>>,
}

#[derive(Deserialize)]
struct RawInterface {
    #[serde(rename = "type")]
    kind: String,
    mac_address: Option<String>,
    subnets: Option<Vec<RawSubnet>>,
}

#[derive(Deserialize)]
struct RawSubnet {
    #[serde(rename = "type")]
    kind: String,
    address: Option<String>,
    gateway: Option<String>,
    dns_nameservers: Option<Vec<String>>,
}

fn public(text: &str) -> Result<Vec<Public>, NetworkError> {
    let Some(RawConfig { version, config }) = parse(CONFIG, text)? else { return Ok(Vec::new()) };
    match version {
        Some(1) => {}
        Some(found) => return Err(NetworkError::Version { part: CONFIG, found }),
        None => {
            return Err(NetworkError::Form { part: CONFIG, reason: "it has no `version`".to_owned() });
        }
    }
    let interfaces = config.unwrap_or_default().into_iter().filter(|interface| interface.kind == "physical");
    interfaces.map(RawInterface::check).collect()
}

impl RawInterface {
    fn check(self) -> Result<Public, NetworkError> {
        let mac = mac(CONFIG, &self.mac_address.unwrap_or_default())?;
        let mut public = Public { mac, addresses: Vec::new(), gateways: Vec::new(), dns: Vec::new() };
        for subnet in self.subnets.unwrap_or_default() {
            // DHCP is asked anyway.
            if !subnet.kind.starts_with("static") {
                continue;
            }
            if let Some(text) = &subnet.address {
                public.addresses.push(value(CONFIG, "address", text, RANGE)?);
            }
            if let Some(text) = &subnet.gateway {
                public.gateways.push(value(CONFIG, "gateway", text, ADDRESS)?);
            }
            for text in subnet.dns_nameservers.iter().flatten() {
                public.dns.push(value(CONFIG, "dns_nameservers", text, ADDRESS)?);
            }
        }
        Ok(public)
    }
}

#[derive(Deserialize)]
struct RawPrivate {
    mac_address: String,
    ip: String,
    alias_ips: Option<Vec<String>>,
    #[serde(default)]
    interface_num: u64,
    network: String,
    gateway: String,
}

fn private(text: &str) -> Result<Vec<Private>, NetworkError> {
    let mut found: Vec<RawPrivate> = parse(PRIVATE, text)?.unwrap_or_default();
    found.sort_by_key(|network| network.interface_num);
    found.into_iter().map(RawPrivate::check).collect()
}

impl RawPrivate {
    fn check(self) -> Result<Private, NetworkError> {
        let aliases = self.alias_ips.iter().flatten();
        Ok(Private {
            mac: mac(PRIVATE, &self.mac_address)?,
            address: value(PRIVATE, "ip", &self.ip, ADDRESS)?,
            aliases: aliases
                .map(|text| value(PRIVATE, "alias_ips", text, ADDRESS))
                .collect::<Result<_, _>>()?,
            range: value(PRIVATE, "network", &self.network, "a range, `10.0.0.0/16`")?,
            gateway: value(PRIVATE, "gateway", &self.gateway, ADDRESS)?,
        })
    }
}

/// Keys that are not asked for are the provider's to add.
fn parse<T: DeserializeOwned>(part: &'static str, text: &str) -> Result<Option<T>, NetworkError> {
    // It is shown on consoles, in one line.
    let form =
        |fault: &dyn std::fmt::Display| NetworkError::Form { part, reason: escaped(&fault.to_string()) };
    let value = yaml::parse(text).map_err(|fault| form(&fault))?;
    serde_json::from_value(value).map_err(|fault| form(&fault))
}

fn mac(part: &'static str, text: &str) -> Result<String, NetworkError> {
    let expected = MAC;
    if is_mac(text) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(NetworkError::Value { part, key: "mac_address", found: escaped(text), expected })
}

fn value<T: std::str::FromStr>(
    part: &'static str,
    key: &'static str,
    text: &str,
    expected: &'static str,
) -> Result<T, NetworkError> {
    text.parse().map_err(|_| NetworkError::Value { part, key, found: escaped(text), expected })
}

#[cfg(test)]
mod tests;
