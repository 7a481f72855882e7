//! A node with a ticket.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use anyhow::Context as _;
use ed25519_dalek::SigningKey;
use firstboot::claim::client::Claimant;
use firstboot::claim::message::{Reply, Right};
use firstboot::cluster::ClusterId;
use firstboot::peers::PeerEndpoints;
use firstboot::public_key::PublicKey;
use firstboot::record::Role;
use firstboot::ticket::{self, Hardware, Ticket};

use super::control_plane::{CLUSTER, MEMBERSHIPS, TICKETS, key};

/// A WireGuard key by its form; no tunnel is made.
const WIREGUARD: &str = "c3RhbmRzIGZvciBhIGtleSBvZiBXaXJlR3VhcmQuLi4=";

/// One that claims its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    key: SigningKey,
    right: Right,
}

impl Node {
    /// The `number`th node of a run, other than those of all other runs.
    pub(super) fn new(run: u32, number: u16) -> anyhow::Result<Self> {
        let now = SystemTime::now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).context("asking for the time")?;
        let [high, low] = number.to_be_bytes();
        let name = format!("edge-{run}-{number}");
        let unique = (u128::from(run) << 16) | u128::from(number);
        let mut secret = [0xed; 32];
        secret[..16].copy_from_slice(&unique.to_be_bytes());
        let ticket = Ticket {
            cluster: CLUSTER,
            epoch: 1,
            node: name.clone(),
            role: Role::Edge,
            address: Ipv4Addr::new(10, 44, high.saturating_add(1), low),
            labels: BTreeMap::new(),
            not_after: since.as_secs().saturating_add(3600),
            nonce: ClusterId(unique.to_be_bytes()),
            generation: 1,
            serial: None,
            mac: None,
            approve: false,
        };
        let text = ticket::mint(&ticket, now, &key(TICKETS)).context("minting a ticket")?;
        Ok(Self { name, key: SigningKey::from_bytes(&secret), right: Right::Ticket(text) })
    }

    /// Asks once; says whether it was taken in.
    pub(super) fn claim(&self, address: SocketAddr) -> bool {
        let mut claimant = Claimant {
            key: self.key.clone(),
            wireguard: WIREGUARD.to_owned(),
            hardware: Hardware::default(),
            endpoints: PeerEndpoints::default(),
            first: None,
            last: None,
        };
        let reply = claimant.ask(&self.right, address, &PublicKey::of(&key(MEMBERSHIPS)));
        matches!(reply, Ok(Reply::Granted(_)))
    }
}
