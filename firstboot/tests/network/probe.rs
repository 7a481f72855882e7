//! One packet, and whether it arrived: what arrives is answered, if only by a refusal.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, ipproto, recv, send,
    socket_with, sockopt,
};

use super::Namespace;

/// What is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Packet {
    /// The begin of a connection to a port that nobody listens on.
    Tcp(u16),
    /// A datagram to a port that [`UdpEcho`] answers on.
    Udp(u16),
    /// An echo request.
    Icmp,
}

/// What is not answered in that time was dropped; an answer takes far less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Identifiers of echo requests; 0xf7ff is the highest that needs no carry in the checksum.
static IDENTIFIERS: AtomicU16 = AtomicU16::new(1);

/// Sends `packet` from an address of `namespace`, and waits for an answer.
pub(crate) fn arrives(namespace: &Namespace, from: Ipv4Addr, to: Ipv4Addr, packet: Packet) -> bool {
    namespace.inside(|| match packet {
        Packet::Tcp(port) => tcp(from, SocketAddrV4::new(to, port)),
        Packet::Udp(port) => {
            let socket = socket(SocketType::DGRAM, None, from, SocketAddrV4::new(to, port));
            send(&socket, b"hello", SendFlags::empty()).is_ok() && received(&socket, b"hello")
        }
        Packet::Icmp => {
            // Echo request, its checksum, identifier and number 0 (RFC 792); the answer follows a header of 20 bytes.
            // Each has its own identifier: to conntrack it is what ports are.
            let identifier = IDENTIFIERS.fetch_add(1, Ordering::Relaxed);
            let [high, low] = identifier.to_be_bytes();
            let message = |kind: u8| {
                let [first, second] = (!(u16::from(kind) << 8)).wrapping_sub(identifier).to_be_bytes();
                [kind, 0, first, second, high, low, 0, 0]
            };
            let socket = socket(SocketType::RAW, Some(ipproto::ICMP), from, SocketAddrV4::new(to, 0));
            send(&socket, &message(8), SendFlags::empty()).is_ok() && received(&socket, &message(0))
        }
    })
}

fn socket(
    kind: SocketType,
    protocol: Option<rustix::net::Protocol>,
    from: Ipv4Addr,
    to: SocketAddrV4,
) -> OwnedFd {
    let socket =
        socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, protocol)
            .unwrap();
    bind(&socket, &SocketAddrV4::new(from, 0)).unwrap_or_else(|error| panic!("{from}: {error}"));
    match connect(&socket, &to) {
        // The firewall's `output` chain says so to the sender.
        Ok(()) | Err(Errno::INPROGRESS | Errno::PERM) => socket,
        Err(error) => panic!("{from} to {to}: {error}"),
    }
}

fn tcp(from: Ipv4Addr, to: SocketAddrV4) -> bool {
    let socket = socket(SocketType::STREAM, None, from, to);
    if !ready(&socket, PollFlags::OUT, PATIENCE) {
        return false;
    }
    match sockopt::socket_error(&socket).unwrap() {
        Ok(()) | Err(Errno::CONNREFUSED) => true,
        Err(error) => panic!("{from} to {to}: {error}"),
    }
}

fn received(socket: &OwnedFd, expected: &[u8]) -> bool {
    let begun = Instant::now();
    while let Some(left) = PATIENCE.checked_sub(begun.elapsed()) {
        if !ready(socket, PollFlags::IN, left) {
            return false;
        }
        let mut packet = [0; 256];
        match recv(socket, &mut packet[..], RecvFlags::empty()) {
            // A raw socket gets others' packets, too.
            Ok((length, _)) if packet[..length].ends_with(expected) => return true,
            Ok(_) => {}
            Err(error) => panic!("an answer that is none: {error}"),
        }
    }
    false
}

fn ready(socket: &OwnedFd, flags: PollFlags, patience: Duration) -> bool {
    let patience = Timespec::try_from(patience).unwrap();
    poll(&mut [PollFd::new(socket, flags)], Some(&patience)).unwrap() > 0
}

/// Answers datagrams to one port until it is dropped.
pub(crate) struct UdpEcho {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpEcho {
    pub(crate) fn new(namespace: &Namespace, port: u16) -> Self {
        let socket = namespace.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut packet = [0; 256];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut packet) {
                    drop(socket.send_to(&packet[..length], from));
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for UdpEcho {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}
