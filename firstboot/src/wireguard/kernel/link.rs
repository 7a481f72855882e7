//! The interface itself: that it is there, with its MTU and its address, and up (rtnetlink(7)).

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;

use super::socket::{Ask, Socket};
use super::{KernelError, doing};
use crate::converge::Outcome;

/// An interface as it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its kind, as `ip link` calls it: `wireguard`.
    pub kind: String,
    /// The longest packet that goes through it, in bytes.
    pub mtu: u32,
    /// Its address, with the length of the prefix that is on the link.
    pub address: Ipv4Net,
}

/// An interface as it is.
#[derive(Debug)]
struct Present {
    index: u32,
    kind: String,
    mtu: u32,
    is_up: bool,
}

/// Makes the interface what it should be. It is made anew only where there is none.
pub(super) fn ensure(route: &mut Socket, link: &Link) -> Result<Outcome, KernelError> {
    let (present, mut outcome) = match find(route, &link.name)? {
        Some(present) => (present, Outcome::Unchanged),
        None => (make(route, link)?, Outcome::Changed),
    };
    if present.kind != link.kind {
        let (name, wanted) = (link.name.clone(), link.kind.clone());
        return Err(KernelError::Foreign { name, found: present.kind, wanted });
    }
    if present.mtu != link.mtu {
        change(route, &present, link, LinkFlags::empty(), &[LinkAttribute::Mtu(link.mtu)])?;
        outcome = Outcome::Changed;
    }
    outcome = outcome.or(ensure_address(route, &present, link)?);
    if !present.is_up {
        change(route, &present, link, LinkFlags::Up, &[])?;
        outcome = Outcome::Changed;
    }
    Ok(outcome)
}

fn find(route: &mut Socket, name: &str) -> Result<Option<Present>, KernelError> {
    let mut asked = LinkMessage::default();
    asked.attributes.push(LinkAttribute::IfName(name.to_owned()));
    let answers = match route.ask(Ask::Once, &RouteNetlinkMessage::GetLink(asked), 0) {
        Err(error) if error.is(Errno::NODEV) => return Ok(None),
        answers => answers.map_err(doing(|| format!("looking for interface `{name}`")))?,
    };
    Ok(answers.into_iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some(Present::of(&link)),
        _ => None,
    }))
}

impl Present {
    fn of(link: &LinkMessage) -> Self {
        let mut present = Self {
            index: link.header.index,
            // A network card has none.
            kind: "none".to_owned(),
            mtu: 0,
            is_up: link.header.flags.contains(LinkFlags::Up),
        };
        for attribute in &link.attributes {
            match attribute {
                LinkAttribute::Mtu(mtu) => present.mtu = *mtu,
                LinkAttribute::LinkInfo(infos) => {
                    for info in infos {
                        if let LinkInfo::Kind(kind) = info {
                            present.kind = kind.to_string();
                        }
                    }
                }
                _ => {}
            }
        }
        present
    }
}

fn make(route: &mut Socket, link: &Link) -> Result<Present, KernelError> {
    let Link { name, kind, mtu, .. } = link;
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.clone()),
        LinkAttribute::Mtu(*mtu),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::from(kind.as_str()))]),
    ];
    let made = route.ask(Ask::Once, &RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL);
    match made {
        // Of a kind that the kernel has no module for.
        Err(error) if error.is(Errno::OPNOTSUPP) && kind == super::KIND => {
            return Err(KernelError::NoWireguard);
        }
        made => made.map_err(doing(|| format!("making interface `{name}` of kind {kind}")))?,
    };
    find(route, name)?.ok_or_else(|| KernelError::NoInterface(name.clone()))
}

fn change(
    route: &mut Socket,
    present: &Present,
    link: &Link,
    flags: LinkFlags,
    attributes: &[LinkAttribute],
) -> Result<(), KernelError> {
    let mut message = LinkMessage::default();
    message.header.index = present.index;
    message.header.flags = flags;
    message.header.change_mask = flags;
    message.attributes = attributes.to_vec();
    route
        .ask(Ask::Once, &RouteNetlinkMessage::SetLink(message), 0)
        .map(drop)
        .map_err(doing(|| format!("changing interface `{}`", link.name)))
}

/// Others go first: with an address the kernel takes those away that are younger and of the same prefix, ours included.
fn ensure_address(route: &mut Socket, present: &Present, link: &Link) -> Result<Outcome, KernelError> {
    let is_wanted = |address: &AddressMessage| {
        local(address) == Some(link.address.addr()) && address.header.prefix_len == link.address.prefix_len()
    };
    let mut outcome = Outcome::Unchanged;
    let (mut wanted, others): (Vec<_>, Vec<_>) =
        addresses(route, present, link)?.into_iter().partition(is_wanted);
    if !others.is_empty() {
        for other in others {
            remove(route, other, link)?;
        }
        outcome = Outcome::Changed;
        wanted = addresses(route, present, link)?;
        wanted.retain(is_wanted);
    }
    if !wanted.is_empty() {
        return Ok(outcome);
    }
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.index = present.index;
    message.header.prefix_len = link.address.prefix_len();
    let address = IpAddr::V4(link.address.addr());
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    let action = || format!("giving interface `{}` the address {}", link.name, link.address);
    route
        .ask(Ask::Once, &RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
        .map_err(doing(action))?;
    Ok(Outcome::Changed)
}

/// All IPv4 addresses of the interface.
fn addresses(route: &mut Socket, present: &Present, link: &Link) -> Result<Vec<AddressMessage>, KernelError> {
    let mut asked = AddressMessage::default();
    asked.header.family = AddressFamily::Inet;
    let answers = route
        .ask(Ask::Dump, &RouteNetlinkMessage::GetAddress(asked), 0)
        .map_err(doing(|| format!("reading the addresses of interface `{}`", link.name)))?;
    let addresses = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(address) => Some(address),
        _ => None,
    });
    let is_here = |address: &AddressMessage| {
        address.header.index == present.index && address.header.family == AddressFamily::Inet
    };
    Ok(addresses.filter(is_here).collect())
}

fn remove(route: &mut Socket, address: AddressMessage, link: &Link) -> Result<(), KernelError> {
    match route.ask(Ask::Once, &RouteNetlinkMessage::DelAddress(address), 0) {
        // It went together with an older one.
        Err(error) if error.is(Errno::ADDRNOTAVAIL) => Ok(()),
        done => {
            done.map(drop).map_err(doing(|| format!("removing an address from interface `{}`", link.name)))
        }
    }
}

fn local(address: &AddressMessage) -> Option<Ipv4Addr> {
    address.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
        _ => None,
    })
}
