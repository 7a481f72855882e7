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

/// Sorts before the image's own `80-…` files, so a named interface leaves the DHCP default.
pub(super) fn changes(record: &NodeRecord) -> Vec<Change> {
    record
        .interfaces
        .iter()
        .map(|interface| {
            let name = interface.mac.to_ascii_lowercase().replace(':', "");
            let path = format!("/etc/systemd/network/10-{name}.network");
            Change::File(PlannedFile::new(&path, 0o644, networkd(interface)))
        })
        .collect()
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
