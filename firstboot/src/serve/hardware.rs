//! What machine this is, as the kernel shows it.

use std::io;

use crate::converge::System;
use crate::ticket::Hardware;

/// Serial number by SMBIOS (type 1), readable by root alone.
const SMBIOS: &str = "/sys/class/dmi/id/product_serial";
/// The same by a device tree, with a zero at its end.
const DEVICE_TREE: &str = "/proc/device-tree/serial-number";
const INTERFACES: &str = "/sys/class/net";

/// Looks.
pub(super) fn find(system: &System) -> io::Result<Hardware> {
    let serial = [SMBIOS, DEVICE_TREE].into_iter().find_map(|path| {
        // A firmware that has none says so by an error, or by an empty text.
        let text = std::fs::read(system.path(path)).ok()?;
        let text = String::from_utf8_lossy(&text).trim_matches(['\0', '\n', ' ']).to_owned();
        (!text.is_empty()).then_some(text)
    });
    let mut macs = Vec::new();
    for entry in std::fs::read_dir(system.path(INTERFACES))? {
        let folder = entry?.path();
        // Bridges, tunnels and the loopback have no device.
        if !folder.join("device").exists() {
            continue;
        }
        let address = std::fs::read_to_string(folder.join("address")).unwrap_or_default();
        macs.push(address.trim().to_ascii_lowercase());
    }
    macs.retain(|mac| !mac.is_empty());
    macs.sort();
    Ok(Hardware { serial, macs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converge::Mode;

    #[test]
    fn only_devices_have_an_address_that_counts() {
        let folder = tempfile::tempdir().unwrap();
        let system = System::new(folder.path(), Mode::Apply);
        for (path, text) in [
            ("/sys/class/net/eth0/address", "52:54:00:AA:00:01\n"),
            ("/sys/class/net/eth0/device/vendor", "0x1af4\n"),
            ("/sys/class/net/lo/address", "00:00:00:00:00:00\n"),
            ("/sys/class/net/wg0/address", "\n"),
            ("/proc/device-tree/serial-number", "10000000abcdef\0"),
        ] {
            system.ensure_file(path, text.as_bytes(), 0o644).unwrap();
        }
        let expected = Hardware {
            serial: Some("10000000abcdef".to_owned()),
            macs: vec!["52:54:00:aa:00:01".to_owned()],
        };
        assert_eq!(find(&system).unwrap(), expected);
    }
}
