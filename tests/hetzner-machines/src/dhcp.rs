//! DHCP (RFC 2131, 2132, 3442) as the provider does it: every server has one address, a /32, and reaches everything
//! through a gateway that is on the wire though in no range of its own.
//!
//! ```text
//! op 1 | htype hlen hops | xid 4 | secs 2 flags 2 | ciaddr 4 | yiaddr 4 | siaddr 4 | giaddr 4 | chaddr 16
//! sname 64 | file 128 | cookie 4 | options: code, length, value … 255
//! ```
//!
//! Answers go to the server's address, not to all: the network knows its Ethernet address already.

pub(crate) mod service;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Bytes before the options.
const HEAD: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// RFC 951: the least that is sent.
const LEAST: usize = 300;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const END: u8 = 255;
/// Seconds; the provider's are as long.
const LEASE: u32 = 86_400;

/// What a client wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Discover,
    Request,
}

/// A message of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    kind: Kind,
    /// Of its interface.
    pub(crate) mac: String,
    /// Transaction, flags and Ethernet address, which are given back.
    xid: [u8; 4],
    flags: [u8; 2],
    chaddr: [u8; 16],
    /// The address that it has, or would like to.
    wanted: Option<Ipv4Addr>,
}

/// What an interface is given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    /// On the wire; the DHCP server, too.
    pub(crate) gateway: Ipv4Addr,
    /// What is reached through it.
    pub(crate) routes: Vec<Ipv4Net>,
    pub(crate) dns: Vec<Ipv4Addr>,
    /// Bytes.
    pub(crate) mtu: u16,
}

impl Message {
    /// Reads what a client sent; none of what is not for us to answer.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let head = data.get(..HEAD)?;
        if head[0] != REQUEST || head[1] != 1 || head[2] != 6 || head[236..] != COOKIE {
            return None;
        }
        let kind = match option(data, 53)? {
            [1] => Kind::Discover,
            [3] => Kind::Request,
            _ => return None,
        };
        let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from);
        let used = address(&head[12..16]).filter(|address| !address.is_unspecified());
        let mac: Vec<String> = head[28..34].iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Self {
            kind,
            mac: mac.join(":"),
            xid: head[4..8].try_into().ok()?,
            flags: head[10..12].try_into().ok()?,
            chaddr: head[28..44].try_into().ok()?,
            wanted: option(data, 50).and_then(address).or(used),
        })
    }

    /// The answer with a lease; a refusal, where a client insists on another address.
    pub(crate) fn answer(&self, lease: &Lease) -> Vec<u8> {
        let is_other = self.wanted.is_some_and(|wanted| wanted != lease.address);
        let kind = match self.kind {
            Kind::Discover => 2,
            Kind::Request if is_other => 6,
            Kind::Request => 5,
        };
        let mut data = vec![0; HEAD];
        data[..3].copy_from_slice(&[REPLY, 1, 6]);
        data[4..8].copy_from_slice(&self.xid);
        data[10..12].copy_from_slice(&self.flags);
        data[28..44].copy_from_slice(&self.chaddr);
        data[236..].copy_from_slice(&COOKIE);
        let mut put = |code: u8, value: &[u8]| {
            data.extend([code, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
            data.extend(value);
        };
        put(53, &[kind]);
        put(54, &lease.gateway.octets());
        if kind != 6 {
            put(51, &LEASE.to_be_bytes());
            put(1, &[255; 4]);
            put(6, &lease.dns.iter().flat_map(Ipv4Addr::octets).collect::<Vec<_>>());
            put(26, &lease.mtu.to_be_bytes());
            put(121, &routes(lease));
            data[16..20].copy_from_slice(&lease.address.octets());
        }
        data.push(END);
        data.resize(data.len().max(LEAST), 0);
        data
    }
}

/// Classless routes: the gateway is on the wire, all others behind it.
fn routes(lease: &Lease) -> Vec<u8> {
    let on_wire = (Ipv4Net::from(lease.gateway), Ipv4Addr::UNSPECIFIED);
    let behind = lease.routes.iter().map(|route| (*route, lease.gateway));
    let mut data = Vec::new();
    for (route, gateway) in std::iter::once(on_wire).chain(behind) {
        let length = route.prefix_len();
        data.push(length);
        data.extend(route.network().octets().iter().take(usize::from(length.div_ceil(8))));
        data.extend(gateway.octets());
    }
    data
}

/// The value of an option.
fn option(data: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = data.get(HEAD..)?;
    loop {
        match *rest {
            [0, ..] => rest = &rest[1..],
            [code, length, ref tail @ ..] if code != END => {
                let value = tail.get(..usize::from(length))?;
                if code == wanted {
                    return Some(value);
                }
                rest = &tail[usize::from(length)..];
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x96, 0, 0, 0, 3, 0xed];

    fn message(kind: u8, more: &[u8]) -> Vec<u8> {
        let mut data = vec![0; HEAD];
        data[..8].copy_from_slice(&[1, 1, 6, 0, 0xaa, 0xbb, 0xcc, 0xdd]);
        data[28..34].copy_from_slice(&MAC);
        data[236..].copy_from_slice(&COOKIE);
        data.extend([0, 53, 1, kind]);
        data.extend(more);
        data.push(END);
        data
    }

    fn lease() -> Lease {
        Lease {
            address: Ipv4Addr::new(192, 0, 2, 1),
            gateway: Ipv4Addr::new(172, 31, 1, 1),
            routes: vec!["0.0.0.0/0".parse().unwrap(), "10.0.0.0/15".parse().unwrap()],
            dns: vec![Ipv4Addr::new(185, 12, 64, 1), Ipv4Addr::new(185, 12, 64, 2)],
            mtu: 1500,
        }
    }

    fn answer(kind: u8, more: &[u8]) -> Vec<u8> {
        let message = Message::parse(&message(kind, more)).unwrap();
        assert_eq!(message.mac, "96:00:00:00:03:ed");
        message.answer(&lease())
    }

    #[test]
    fn one_address_and_all_else_through_the_gateway() {
        let data = answer(1, &[]);
        assert_eq!(
            (data[0], &data[4..8], &data[16..20]),
            (REPLY, &[0xaa, 0xbb, 0xcc, 0xdd][..], &[192, 0, 2, 1][..])
        );
        assert_eq!(data[28..34], MAC);
        assert_eq!(option(&data, 53), Some(&[2][..]), "an offer");
        assert_eq!(option(&data, 1), Some(&[255; 4][..]), "a /32");
        assert_eq!(option(&data, 26), Some(&[5, 220][..]));
        assert_eq!(option(&data, 6), Some(&[185, 12, 64, 1, 185, 12, 64, 2][..]));
        let expected =
            [&[32, 172, 31, 1, 1, 0, 0, 0, 0][..], &[0, 172, 31, 1, 1], &[15, 10, 0, 172, 31, 1, 1]];
        assert_eq!(option(&data, 121), Some(&expected.concat()[..]));
        assert_eq!(option(&data, 3), None, "RFC 3442: the routes say it");
        assert!(data.len() >= LEAST);
    }

    #[test]
    fn a_client_that_insists_on_another_address_is_refused() {
        assert_eq!(option(&answer(3, &[50, 4, 192, 0, 2, 1]), 53), Some(&[5][..]));
        let refused = answer(3, &[50, 4, 192, 0, 2, 9]);
        assert_eq!((option(&refused, 53), &refused[16..20]), (Some(&[6][..]), &[0; 4][..]));
        // One that was never refused may ask for anything.
        assert_eq!(option(&answer(1, &[50, 4, 192, 0, 2, 9]), 53), Some(&[2][..]));
    }

    #[test]
    fn what_is_no_question_has_no_answer() {
        let whole = message(1, &[]);
        for length in 0..whole.len() - 1 {
            assert_eq!(Message::parse(&whole[..length]), None, "{length}");
        }
        let reply = [&[REPLY], &whole[1..]].concat();
        for data in [reply, message(7, &[]), message(8, &[])] {
            assert_eq!(Message::parse(&data), None);
        }
    }
}
