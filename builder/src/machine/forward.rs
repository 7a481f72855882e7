//! Ports of this computer that lead into a machine.

use std::fmt;

/// A port of the loopback address that reaches a port of a machine, in QEMU's user network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Forward {
    protocol: Protocol,
    host: u16,
    guest: u16,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    Tcp,
    Udp,
}

impl Forward {
    /// TCP port `host` leads to the machine's port `guest`.
    pub const fn tcp(host: u16, guest: u16) -> Self {
        Self { protocol: Protocol::Tcp, host, guest }
    }

    /// The same for UDP.
    pub const fn udp(host: u16, guest: u16) -> Self {
        Self { protocol: Protocol::Udp, host, guest }
    }

    /// The same port on both sides, TCP and UDP.
    pub const fn both(port: u16) -> [Self; 2] {
        [Self::tcp(port, port), Self::udp(port, port)]
    }
}

/// As an option of QEMU's `-netdev user`.
impl fmt::Display for Forward {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(formatter, "hostfwd={protocol}:127.0.0.1:{}-:{}", self.host, self.guest)
    }
}
