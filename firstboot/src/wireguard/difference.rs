//! What has to change so that the kernel's peers are the wanted ones. Pure.
//!
//! A peer that stays keeps its session: the interface is never made again, and nothing is said of what is right.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::SystemTime;

use ipnet::{IpNet, Ipv4Net};

use super::key::WireguardKey;

/// A peer as the kernel has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Present {
    /// Its key.
    pub key: WireguardKey,
    /// Where it was last heard of, or is tried.
    pub endpoint: Option<SocketAddr>,
    /// What is reached through it.
    pub allowed: BTreeSet<IpNet>,
    /// Seconds between two packets without anything to say; 0 is never.
    pub keepalive: u16,
    /// When the last handshake was, by the clock at that time.
    pub handshake: Option<SystemTime>,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
}

impl Present {
    /// One that was just made: nothing is known of it but its key.
    pub(super) const fn new(key: WireguardKey) -> Self {
        Self {
            key,
            endpoint: None,
            allowed: BTreeSet::new(),
            keepalive: 0,
            handshake: None,
            received: 0,
            sent: 0,
        }
    }
}

/// A peer as it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Its key.
    pub key: WireguardKey,
    /// Where it is to be tried; whatever the kernel has, where this is none.
    pub endpoint: Option<SocketAddr>,
    /// What is reached through it.
    pub allowed: BTreeSet<Ipv4Net>,
    /// Seconds between two packets without anything to say; 0 is never.
    pub keepalive: u16,
}

/// What becomes of one peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Its key.
    pub key: WireguardKey,
    /// In what way.
    pub kind: Kind,
    /// Its new endpoint.
    pub endpoint: Option<SocketAddr>,
    /// All that is reached through it from now on.
    pub allowed: Option<BTreeSet<Ipv4Net>>,
    /// Its new interval, in seconds.
    pub keepalive: Option<u16>,
}

/// In what way a peer changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It is new.
    Add,
    /// It stays.
    Update,
    /// It goes.
    Remove,
}

/// From `current` to `wanted`. Who goes comes last, so that an address whose node has a new key is never without one.
pub fn difference(current: &[Present], wanted: &[Wanted]) -> Vec<Change> {
    let mut left: BTreeMap<WireguardKey, &Present> = current.iter().map(|peer| (peer.key, peer)).collect();
    let mut changes = Vec::new();
    for peer in wanted {
        let present = left.remove(&peer.key);
        let keepalive = present.map_or(0, |present| present.keepalive);
        let allowed: BTreeSet<IpNet> = peer.allowed.iter().copied().map(IpNet::from).collect();
        let change = Change {
            key: peer.key,
            kind: if present.is_some() { Kind::Update } else { Kind::Add },
            endpoint: peer
                .endpoint
                .filter(|wanted| present.and_then(|present| present.endpoint) != Some(*wanted)),
            allowed: present.is_none_or(|present| present.allowed != allowed).then(|| peer.allowed.clone()),
            keepalive: (keepalive != peer.keepalive).then_some(peer.keepalive),
        };
        if change.kind == Kind::Add || change.says_something() {
            changes.push(change);
        }
    }
    changes.extend(left.into_keys().map(Change::remove));
    changes
}

impl Change {
    fn remove(key: WireguardKey) -> Self {
        Self { key, kind: Kind::Remove, endpoint: None, allowed: None, keepalive: None }
    }

    fn says_something(&self) -> bool {
        self.endpoint.is_some() || self.allowed.is_some() || self.keepalive.is_some()
    }
}

#[cfg(test)]
mod tests;
