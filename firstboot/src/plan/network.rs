//! Ethernet by systemd-networkd, and the VPN interface.

use std::fmt::Write as _;

use super::{Change, PlannedFile};
use crate::record::{Interface, NodeRecord};

pub(super) fn summary(record: &NodeRecord) -> String {
    match record.interfaces.len() {
        0 => "asks for addresses by DHCP on every Ethernet interface".to_owned(),
        1 => "sets up 1 interface by its Ethernet address".to_owned(),
        count => format!("sets up {count} interfaces by their Ethernet addresses"),
    }
}

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

/// WireGuard's own settings as `wg showconf` prints them, without the private key, which stays on
/// the state partition, and without peers, which the claim brings.
pub(super) fn wireguard(record: &NodeRecord) -> PlannedFile {
    let text = format!("[Interface]\nListenPort = {}\n", record.vpn.port);
    PlannedFile::new("/run/imgbuild/wg0.conf", 0o600, text)
}
