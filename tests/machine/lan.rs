//! A network that machines of a test share, besides the one on which each reaches this computer.

use anyhow::Context as _;

/// The network: a group of QEMU's own, on this computer alone.
#[derive(Clone, Copy, Debug)]
pub struct Lan {
    port: u16,
}

/// A machine's place in it.
#[derive(Clone, Copy, Debug)]
pub struct Plug {
    lan: Lan,
    member: u8,
}

impl Lan {
    /// One that nobody else uses.
    pub fn open() -> anyhow::Result<Self> {
        Ok(Self { port: crate::free_port().context("opening a network")? })
    }

    /// For machine number `member`.
    pub const fn plug(self, member: u8) -> Plug {
        Plug { lan: self, member }
    }
}

impl Plug {
    /// Ethernet address of the machine there.
    pub fn mac(self) -> String {
        format!("52:54:00:00:01:{:02x}", self.member)
    }

    /// QEMU's arguments for it.
    pub(crate) fn arguments(self) -> [String; 4] {
        let network = format!("socket,id=lan,mcast=239.255.77.1:{},localaddr=127.0.0.1", self.lan.port);
        let device = format!("virtio-net-pci,netdev=lan,mac={}", self.mac());
        ["-netdev".to_owned(), network, "-device".to_owned(), device]
    }
}
