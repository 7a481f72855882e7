//! The sockets of DHCP.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::thread;

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketType, bind, socket};

use super::Message;
use crate::lease::Leases;

const SERVER: u16 = 67;
const CLIENT: u16 = 68;
/// More than a frame holds.
const LONGEST: usize = 2048;

/// Answers from `leases` until the process ends.
pub(crate) fn start(leases: &Arc<Leases>) -> io::Result<()> {
    let (socket, leases) = (open(Ipv4Addr::UNSPECIFIED)?, Arc::clone(leases));
    thread::Builder::new().name("dhcp".to_owned()).spawn(move || serve(&socket, &leases))?;
    Ok(())
}

/// Sockets share the port.
fn open(address: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(address, SERVER))?;
    Ok(socket.into())
}

fn serve(socket: &UdpSocket, leases: &Leases) {
    let mut buffer = [0; LONGEST];
    while let Ok((length, _)) = socket.recv_from(&mut buffer) {
        let Some(message) = buffer.get(..length).and_then(Message::parse) else { continue };
        let Some(lease) = leases.of_interface(&message.mac) else { continue };
        // As the gateway, whose address clients know: nobody else reaches a private network. A machine may be switched
        // off meanwhile; clients ask again.
        let answer = |gateway: UdpSocket| gateway.send_to(&message.answer(&lease), (lease.address, CLIENT));
        let _ = open(lease.gateway).and_then(answer);
    }
}
