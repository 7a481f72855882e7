//! Ethernet by systemd-networkd, and the VPN interface.

use std::fmt::Write as _;

use super::{Change, PlannedFile};
use crate::record::{Admin, Admins, Interface, NodeRecord};

pub(super) fn summary(record: &NodeRecord) -> String {
    match record.interfaces.len() {
        0 => "asks for addresses by DHCP on every Ethernet interface".to_owned(),
        1 => "sets up 1 interface by its Ethernet address".to_owned(),
        count => format!("sets up {count} interfaces by their Ethernet addresses"),
    }
}

/// Interface of the admins' VPN, on control planes.
pub const ADMIN_INTERFACE: &str = "wg-admin";

const FOLDER: &str = "/etc/systemd/network";
/// Sorts before the image's own `80-…` files, so a named interface leaves the DHCP default.
const PREFIX: &str = "10-";
const SUFFIX: &str = ".network";

/// A file for each interface, and none for those that left the record.
pub(super) fn changes(record: &NodeRecord) -> Vec<Change> {
    let name = |interface: &Interface| {
        let mac = interface.mac.to_ascii_lowercase().replace(':', "");
        format!("{PREFIX}{mac}{SUFFIX}")
    };
    let no_others = Change::NoOthers {
        folder: FOLDER.to_owned(),
        prefix: PREFIX.to_owned(),
        suffix: SUFFIX.to_owned(),
        names: record.interfaces.iter().map(name).collect(),
    };
    let file = |interface: &Interface| {
        let path = format!("{FOLDER}/{}", name(interface));
        Change::File(PlannedFile::new(&path, 0o644, networkd(interface)))
    };
    std::iter::once(no_others).chain(record.interfaces.iter().map(file)).collect()
}

fn networkd(interface: &Interface) -> String {
    let mut text = format!("[Match]\nMACAddress={}\nType=ether\n\n[Network]\n", interface.mac);
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
