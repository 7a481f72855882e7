//! The firewall of a machine that no record has made a node yet: it may ask, and is not asked.

use super::Table;
use super::text::{ADMITTED, DHCP, output};

/// Opens nothing. There are no interfaces of a cluster yet, so every one but the loopback is the public side.
pub fn closed() -> Table {
    Table::new(&[
        ("input", format!("{ADMITTED}jump public\n")),
        ("public", DHCP.to_owned()),
        ("forward", "type filter hook forward priority filter; policy drop;\n".to_owned()),
        ("output", output()),
    ])
}
