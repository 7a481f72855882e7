//! Ethernet by systemd-networkd, and the VPN interface.

use std::fmt::Write as _;

use super::{Change, PlannedFile};
use crate::hetzner::Network;
use crate::hetzner::network::{Private, Public};
use crate::record::{Admin, Admins, Interface, NodeRecord};

pub(super) fn summary(own: &[Interface], provided: &Network) -> String {
    let count = provided_files(own, provided).len();
    match (own.len(), count) {
        (0, 0) => "asks for addresses by DHCP on every Ethernet interface".to_owned(),
        (0, 1) => "sets up 1 interface as the provider describes it".to_owned(),
        (0, count) => format!("sets up {count} interfaces as the provider describes them"),
        (1, 0) => "sets up 1 interface by its Ethernet address".to_owned(),
        (own, 0) => format!("sets up {own} interfaces by their Ethernet addresses"),
        (own, count) => format!("sets up interfaces: {own} of the record, {count} as the provider describes"),
    }
}

/// Interface of the admins' VPN, on control planes.
pub const ADMIN_INTERFACE: &str = "wg-admin";

const FOLDER: &str = "/etc/systemd/network";
/// Both sort before the image's own `80-…` files, so a named interface leaves the DHCP default; what the record says goes
/// before what the provider says.
const PREFIX: &str = "10-";
const PROVIDED_PREFIX: &str = "20-provided-";
const SUFFIX: &str = ".network";
/// Bytes that a packet in a private network of Hetzner Cloud may have.
const PRIVATE_MTU: u16 = 1450;
/// The node is called what its record says.
const OWN_NAME: &str = "\n[DHCPv4]\nUseHostname=no\n";

/// A file for each interface, and none for those that left the record or the server.
pub(super) fn changes(own: &[Interface], provided: &Network) -> Vec<Change> {
    let named =
        |prefix: &str, mac: &str| format!("{prefix}{}{SUFFIX}", mac.to_ascii_lowercase().replace(':', ""));
    let own_files = own.iter().map(|interface| (named(PREFIX, &interface.mac), networkd(interface)));
    let provided_files = provided_files(own, provided).into_iter();
    let provided_files = provided_files.map(|(mac, text)| (named(PROVIDED_PREFIX, mac), text));
    let mut changes = only(PREFIX, own_files.collect());
    changes.extend(only(PROVIDED_PREFIX, provided_files.collect()));
    changes
}

/// These files, and no others with this prefix.
fn only(prefix: &str, files: Vec<(String, String)>) -> Vec<Change> {
    let no_others = Change::NoOthers {
        folder: FOLDER.to_owned(),
        prefix: prefix.to_owned(),
        suffix: SUFFIX.to_owned(),
        names: files.iter().map(|(name, _)| name.clone()).collect(),
    };
    let file = |(name, text): (String, String)| {
        Change::File(PlannedFile::new(&format!("{FOLDER}/{name}"), 0o644, text))
    };
    std::iter::once(no_others).chain(files.into_iter().map(file)).collect()
}

/// Of the interfaces that the record says nothing about: the Ethernet address, and the file.
fn provided_files<'a>(own: &[Interface], provided: &'a Network) -> Vec<(&'a str, String)> {
    let public = provided.public.iter().map(|interface| (interface.mac.as_str(), public(interface)));
    let is_private_only = provided.public.is_empty();
    let private = provided.private.iter().enumerate().map(|(index, interface)| {
        (interface.mac.as_str(), private(interface, is_private_only && index == 0))
    });
    let is_free = |mac: &str| !own.iter().any(|own| own.mac.eq_ignore_ascii_case(mac));
    public.chain(private).filter(|(mac, _)| is_free(mac)).collect()
}

fn matching(mac: &str) -> String {
    format!("[Match]\nMACAddress={mac}\nType=ether\n\n")
}

fn networkd(interface: &Interface) -> String {
    let mut text = matching(&interface.mac) + "[Network]\n";
    if interface.addresses.is_empty() {
        text += "DHCP=yes\n";
    }
    for address in &interface.addresses {
        let _ = writeln!(text, "Address={address}");
    }
    if let Some(gateway) = &interface.gateway {
        let _ = writeln!(text, "Gateway={gateway}");
    }
    for server in &interface.dns {
        let _ = writeln!(text, "DNS={server}");
    }
    text
}

/// IPv4 by DHCP, whose gateway is on the wire and outside of every range; all else as it is said.
fn public(interface: &Public) -> String {
    let mut text = matching(&interface.mac) + "[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n";
    for address in &interface.addresses {
        let _ = writeln!(text, "Address={address}");
    }
    for gateway in &interface.gateways {
        let _ = writeln!(text, "Gateway={gateway}");
    }
    for server in &interface.dns {
        let _ = writeln!(text, "DNS={server}");
    }
    text + OWN_NAME
}

/// Every other address of the network, in the same subnet too, is behind the gateway. DHCP is asked where there is no
/// other way out, for name servers; else not, for now and then it routes the metadata service to where nobody answers.
fn private(interface: &Private, is_way_out: bool) -> String {
    let Private { mac, address, aliases, range, gateway } = interface;
    let mut text = matching(mac);
    let _ = write!(text, "[Link]\nMTUBytes={PRIVATE_MTU}\n\n[Network]\n");
    text += if is_way_out { "DHCP=ipv4\nIPv6AcceptRA=no\n" } else { "IPv6AcceptRA=no\n" };
    let own = (!is_way_out).then_some(address);
    for address in own.into_iter().chain(aliases) {
        let _ = writeln!(text, "Address={address}/32");
    }
    if is_way_out {
        text += OWN_NAME;
    }
    let everywhere = is_way_out.then(|| "0.0.0.0/0".to_owned());
    for range in std::iter::once(range.to_string()).chain(everywhere) {
        let _ = write!(text, "\n[Route]\nDestination={range}\nGateway={gateway}\nGatewayOnLink=yes\n");
    }
    text
}

/// WireGuard's own settings as `wg showconf` prints them, without private keys, which stay on the state partition, and
/// without the peers of the cluster, which the claim brings. On control planes also those of the admins' VPN.
pub(super) fn wireguard(record: &NodeRecord) -> Vec<PlannedFile> {
    let text = interface(record.vpn.port);
    let cluster = PlannedFile::new("/run/imgbuild/wg0.conf", 0o600, text);
    let admins = record.vpn.admins.as_ref().filter(|admins| admins.address.is_some());
    std::iter::once(cluster).chain(admins.map(admins_vpn)).collect()
}

fn admins_vpn(admins: &Admins) -> PlannedFile {
    let mut text = interface(admins.port);
    for Admin { name, public_key, address } in &admins.peers {
        let _ = write!(text, "\n# {name}\n[Peer]\nPublicKey = {public_key}\nAllowedIPs = {address}/32\n");
    }
    PlannedFile::new(&format!("/run/imgbuild/{ADMIN_INTERFACE}.conf"), 0o600, text)
}

fn interface(port: u16) -> String {
    format!("[Interface]\nListenPort = {port}\n")
}
