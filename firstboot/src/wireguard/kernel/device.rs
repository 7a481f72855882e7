//! WireGuard's side of the interface: its keys and its peers (`include/uapi/linux/wireguard.h`).

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use ipnet::{IpNet, Ipv4Net};
use netlink_packet_core::Emitable as _;
use netlink_packet_generic::GenlMessage;
use netlink_packet_generic::ctrl::nlas::GenlCtrlAttrs;
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_wireguard::{
    WireguardAddressFamily, WireguardAllowedIp, WireguardAllowedIpAttr, WireguardAttribute, WireguardCmd,
    WireguardMessage, WireguardPeer, WireguardPeerAttribute, WireguardPeerFlags, WireguardTimeSpec,
};
use rustix::io::Errno;

use super::socket::{Ask, Socket};
use super::{KIND, KernelError, doing};
use crate::secret_key::SecretKey;
use crate::wireguard::difference::{Change, Kind, Present};
use crate::wireguard::key::WireguardKey;

/// Most bytes of peers in one message; an attribute has at most 65535.
const MOST: usize = 16 * 1024;

/// An interface of kind `wireguard`, as the kernel has it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Device {
    /// Its private key, told to root alone.
    pub private_key: Option<SecretKey>,
    /// The public half.
    pub public_key: Option<WireguardKey>,
    /// The UDP port it listens on.
    pub port: u16,
    /// Its peers.
    pub peers: Vec<Present>,
}

/// The number that the kernel gives to WireGuard's messages.
pub(super) fn family(generic: &mut Socket) -> Result<u16, KernelError> {
    let nlas = vec![GenlCtrlAttrs::FamilyName(KIND.to_owned())];
    let message = GenlMessage::from_payload(GenlCtrl { cmd: GenlCtrlCmd::GetFamily, nlas });
    let answers = match generic.ask(Ask::Once, &message, 0) {
        Err(error) if error.is(Errno::NOENT) => return Err(KernelError::NoWireguard),
        answers => answers.map_err(doing(|| "asking for WireGuard".to_owned()))?,
    };
    let number =
        answers.iter().flat_map(|answer| &answer.payload.nlas).find_map(|attribute| match attribute {
            GenlCtrlAttrs::FamilyId(number) => Some(*number),
            _ => None,
        });
    number.ok_or(KernelError::NoWireguard)
}

pub(super) fn read(generic: &mut Socket, family: u16, name: &str) -> Result<Device, KernelError> {
    let message = message(family, WireguardCmd::GetDevice, vec![WireguardAttribute::IfName(name.to_owned())]);
    let answers = match generic.ask(Ask::Dump, &message, 0) {
        Err(error) if error.is(Errno::NODEV) => return Err(KernelError::NoInterface(name.to_owned())),
        answers => answers.map_err(doing(|| format!("reading the peers of interface `{name}`")))?,
    };
    Ok(Device::of(answers.into_iter().map(|answer| answer.payload)))
}

/// Sets what is given: never more than one attribute beside the name, unless both are set for the first time.
pub(super) fn set(
    generic: &mut Socket,
    family: u16,
    name: &str,
    attributes: Vec<WireguardAttribute>,
) -> Result<(), KernelError> {
    let named = [WireguardAttribute::IfName(name.to_owned())].into_iter().chain(attributes).collect();
    let message = message(family, WireguardCmd::SetDevice, named);
    let answers = generic.ask(Ask::Once, &message, 0);
    answers.map(drop).map_err(doing(|| format!("changing WireGuard's interface `{name}`")))
}

pub(super) fn change(
    generic: &mut Socket,
    family: u16,
    name: &str,
    changes: &[Change],
) -> Result<(), KernelError> {
    messages(changes)
        .into_iter()
        .try_for_each(|peers| set(generic, family, name, vec![WireguardAttribute::Peers(peers)]))
}

fn message(
    family: u16,
    cmd: WireguardCmd,
    attributes: Vec<WireguardAttribute>,
) -> GenlMessage<WireguardMessage> {
    let mut message = GenlMessage::from_payload(WireguardMessage { cmd, attributes });
    message.set_resolved_family_id(family);
    message
}

/// The changes as WireGuard understands them, in pieces that fit into messages.
fn messages(changes: &[Change]) -> Vec<Vec<WireguardPeer>> {
    let mut messages: Vec<Vec<WireguardPeer>> = Vec::new();
    let mut room = 0_usize;
    for peer in changes.iter().map(peer) {
        let length = peer.buffer_len();
        if let Some(message) = messages.last_mut().filter(|_| length <= room) {
            room -= length;
            message.push(peer);
        } else {
            room = MOST.saturating_sub(length);
            messages.push(vec![peer]);
        }
    }
    messages
}

fn peer(change: &Change) -> WireguardPeer {
    let mut flags = match change.kind {
        Kind::Add => WireguardPeerFlags::empty(),
        // One that has gone meanwhile does not come back with half of its settings.
        Kind::Update => WireguardPeerFlags::UpdateOnly,
        Kind::Remove => WireguardPeerFlags::RemoveMe,
    };
    flags.set(WireguardPeerFlags::ReplaceAllowedIps, change.allowed.is_some());
    let mut attributes =
        vec![WireguardPeerAttribute::PublicKey(change.key.0), WireguardPeerAttribute::Flags(flags)];
    attributes.extend(change.endpoint.map(WireguardPeerAttribute::Endpoint));
    attributes.extend(change.keepalive.map(WireguardPeerAttribute::PersistentKeepalive));
    if let Some(allowed) = &change.allowed {
        attributes
            .push(WireguardPeerAttribute::AllowedIps(allowed.iter().copied().map(allowed_ip).collect()));
    }
    WireguardPeer(attributes)
}

fn allowed_ip(net: Ipv4Net) -> WireguardAllowedIp {
    WireguardAllowedIp(vec![
        WireguardAllowedIpAttr::Family(WireguardAddressFamily::Ipv4),
        WireguardAllowedIpAttr::IpAddr(IpAddr::V4(net.addr())),
        WireguardAllowedIpAttr::Cidr(net.prefix_len()),
    ])
}

impl Device {
    /// Puts the pieces together: a peer that is cut between two of them begins again with its key.
    fn of(messages: impl IntoIterator<Item = WireguardMessage>) -> Self {
        let mut device = Self::default();
        for attribute in messages.into_iter().flat_map(|message| message.attributes) {
            match attribute {
                // A key that was never set is told as zeroes.
                WireguardAttribute::PrivateKey(key) => {
                    device.private_key = (key != [0; 32]).then(|| SecretKey::new(key));
                }
                WireguardAttribute::PublicKey(key) => {
                    device.public_key = (key != [0; 32]).then_some(WireguardKey(key));
                }
                WireguardAttribute::ListenPort(port) => device.port = port,
                WireguardAttribute::Peers(peers) => {
                    for peer in peers.iter().filter_map(Present::of) {
                        match device.peers.last_mut().filter(|last| last.key == peer.key) {
                            Some(last) => last.allowed.extend(peer.allowed),
                            None => device.peers.push(peer),
                        }
                    }
                }
                _ => {}
            }
        }
        device
    }
}

impl Present {
    fn of(peer: &WireguardPeer) -> Option<Self> {
        let key = peer.iter().find_map(|attribute| match attribute {
            WireguardPeerAttribute::PublicKey(key) => Some(WireguardKey(*key)),
            _ => None,
        })?;
        let mut present = Self::new(key);
        for attribute in &peer.0 {
            match attribute {
                WireguardPeerAttribute::Endpoint(address) => present.endpoint = Some(*address),
                WireguardPeerAttribute::PersistentKeepalive(seconds) => present.keepalive = *seconds,
                WireguardPeerAttribute::LastHandshake(time) => present.handshake = moment(*time),
                WireguardPeerAttribute::RxBytes(bytes) => present.received = *bytes,
                WireguardPeerAttribute::TxBytes(bytes) => present.sent = *bytes,
                WireguardPeerAttribute::AllowedIps(allowed) => {
                    present.allowed.extend(allowed.iter().filter_map(net));
                }
                _ => {}
            }
        }
        Some(present)
    }
}

/// None where there was none yet, which is told as zeroes.
fn moment(time: WireguardTimeSpec) -> Option<SystemTime> {
    let seconds = u64::try_from(time.seconds).ok().filter(|seconds| *seconds != 0)?;
    let rest = u32::try_from(time.nano_seconds).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, rest))
}

fn net(allowed: &WireguardAllowedIp) -> Option<IpNet> {
    let mut address = None;
    let mut prefix = None;
    for attribute in &allowed.0 {
        match attribute {
            WireguardAllowedIpAttr::IpAddr(ip) => address = Some(*ip),
            WireguardAllowedIpAttr::Cidr(length) => prefix = Some(*length),
            _ => {}
        }
    }
    IpNet::new(address?, prefix?).ok()
}

#[cfg(test)]
mod tests;
