//! The VPN of the admins, which ends at the control planes: an interface of its own with a peer for each of them.

use std::collections::BTreeSet;

use anyhow::Context as _;
use ipnet::Ipv4Net;

use crate::plan::ADMIN_INTERFACE;
use crate::record::{Admin, NodeRecord};
use crate::secret_key::SecretKey;
use crate::wireguard::difference::{Wanted, difference};
use crate::wireguard::{Kernel, Link, MTU, kernel};

/// The interface as it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Admins {
    link: Link,
    port: u16,
    peers: Vec<Wanted>,
}

impl Admins {
    /// Of the node that a record names; most have none.
    pub(super) fn of(record: &NodeRecord) -> anyhow::Result<Option<Self>> {
        let Some(admins) = &record.vpn.admins else { return Ok(None) };
        let Some(address) = admins.address else { return Ok(None) };
        let range: Ipv4Net = admins.range.parse().context("reading the range of the admins' VPN")?;
        let address =
            Ipv4Net::new(address, range.prefix_len()).context("placing this node in the admins' VPN")?;
        Ok(Some(Self {
            link: Link { name: ADMIN_INTERFACE.to_owned(), kind: kernel::KIND.to_owned(), mtu: MTU, address },
            port: admins.port,
            peers: admins.peers.iter().map(wanted).collect::<anyhow::Result<_>>()?,
        }))
    }

    /// Makes the kernel's interface be this, by difference. It has the key of the node's other one: who knows one of them
    /// knows the node.
    pub(super) fn ensure(&self, kernel: &mut Kernel, key: &SecretKey) -> anyhow::Result<()> {
        kernel.ensure_link(&self.link)?;
        let device = kernel.device(ADMIN_INTERFACE)?;
        kernel.ensure_identity(ADMIN_INTERFACE, &device, key, self.port)?;
        kernel.apply(ADMIN_INTERFACE, &difference(&device.peers, &self.peers))?;
        Ok(())
    }
}

/// An admin speaks for one address, from wherever they are.
fn wanted(Admin { name, public_key, address }: &Admin) -> anyhow::Result<Wanted> {
    let key = public_key.parse().with_context(|| format!("reading the key of admin `{name}`"))?;
    Ok(Wanted { key, endpoint: None, allowed: BTreeSet::from([(*address).into()]), keepalive: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;

    #[test]
    fn each_admin_speaks_for_one_address_and_nodes_without_admins_have_no_interface() {
        let mut record = record::example();
        assert_eq!(Admins::of(&record).unwrap(), None);
        let key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
        let ada =
            Admin { name: "ada".to_owned(), public_key: key.to_owned(), address: [10, 45, 0, 9].into() };
        let admins = record::Admins {
            range: "10.45.0.0/24".to_owned(),
            port: 51821,
            address: Some([10, 45, 0, 1].into()),
            peers: vec![ada],
        };
        record.vpn.admins = Some(admins.clone());
        let found = Admins::of(&record).unwrap().unwrap();
        assert_eq!((found.link.name.as_str(), found.port), ("wg-admin", 51821));
        assert_eq!(found.link.address, "10.45.0.1/24".parse().unwrap());
        assert_eq!(found.peers[0].allowed, BTreeSet::from(["10.45.0.9/32".parse().unwrap()]));
        // Edges are told of the range alone.
        record.vpn.admins = Some(record::Admins { address: None, peers: Vec::new(), ..admins });
        assert_eq!(Admins::of(&record).unwrap(), None);
    }
}
