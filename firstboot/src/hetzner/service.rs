//! The metadata service: plain HTTP, one question per connection, no proxy and no redirect.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::answers::Answers;
use crate::converge::System;
use crate::http::{self, HttpError};
use crate::record::escaped;
use crate::tls::Timed;

/// Where it is, on every server.
const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 169, 254), 80);
/// Before every path.
const BASE: &str = "/hetzner/v1";
/// For a connection: the service is at most a host away.
const CONNECT: Duration = Duration::from_secs(2);
/// For a question and its answer.
const EXCHANGE: Duration = Duration::from_secs(10);
/// Longest answer that is taken, in bytes; user data has 32 KiB at most.
const LONGEST: usize = 64 << 10;
/// Network devices.
const INTERFACES: &str = "/sys/class/net";

/// Why there is no answer. All of it may be otherwise a moment later.
#[derive(Debug, Error)]
pub(super) enum ServiceError {
    /// Nobody is there, or no packet arrives.
    #[error("connecting to {address}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("`{path}` is not answered within {} seconds", time.as_secs_f32())]
    Slow {
        /// What was asked for.
        path: String,
        /// How long it may take.
        time: Duration,
    },
    /// The exchange broke off, or is no HTTP.
    #[error("reading `{path}`")]
    Broken {
        /// What was asked for.
        path: String,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// It says something else than what was asked for.
    #[error("`{path}` is answered by status {status}")]
    Status {
        /// What was asked for.
        path: String,
        /// Status code.
        status: u16,
    },
    /// Not what that path has.
    #[error("`{path}` is no text")]
    Text {
        /// What was asked for.
        path: String,
    },
    /// It does not know which server asks.
    #[error("it names no server")]
    NoInstance,
    /// It speaks of another server.
    #[error("it speaks of server {found}, and this is {own}")]
    Instance {
        /// The ID that it gives.
        found: String,
        /// The ID that the firmware gives.
        own: String,
    },
}

/// A metadata service.
#[derive(Clone, Debug)]
pub struct Service {
    address: SocketAddr,
    /// Interfaces that it is asked by where the routes lead nowhere.
    interfaces: Vec<String>,
    connect: Duration,
    exchange: Duration,
}

impl Service {
    /// The one that every server has.
    pub fn of(system: &System) -> Self {
        Self { interfaces: interfaces(system), ..Self::at(ADDRESS.into()) }
    }

    /// One at another address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, interfaces: Vec::new(), connect: CONNECT, exchange: EXCHANGE }
    }

    /// The same with so much time for each exchange.
    #[cfg(test)]
    pub(super) fn within(self, exchange: Duration) -> Self {
        Self { exchange, ..self }
    }

    /// Asks for all that a node needs; `serial` is what the firmware says of who asks.
    pub(super) fn ask(&self, serial: Option<&str>) -> Result<Answers, ServiceError> {
        let mut asking = Asking { service: self, way: None };
        let instance = asking.get("/metadata/instance-id")?.map(|text| text.trim().to_owned());
        let instance = instance.filter(|text| !text.is_empty()).ok_or(ServiceError::NoInstance)?;
        let instance = escaped(&instance);
        if let Some(own) = serial.filter(|serial| *serial != instance) {
            return Err(ServiceError::Instance { found: instance, own: escaped(own) });
        }
        let user_data = asking.get("/userdata")?;
        let network_config = asking.get("/metadata/network-config")?;
        let private_networks = asking.get("/metadata/private-networks")?;
        Ok(Answers::of(instance, user_data, network_config, private_networks))
    }
}

/// Who asks the service several things, by one way.
struct Asking<'a> {
    service: &'a Service,
    /// How it was reached first.
    way: Option<Way<'a>>,
}

/// How the service is reached.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// As the routes say.
    Routes,
    /// By this interface, whatever they say.
    Interface(&'a str),
}

impl Asking<'_> {
    /// What lies at a path; `None` where nothing does.
    fn get(&mut self, path: &str) -> Result<Option<String>, ServiceError> {
        let path = format!("{BASE}{path}");
        let mut stream = Timed::new(self.connect()?, self.service.exchange);
        let host = self.service.address.ip().to_string();
        let answer = http::write_get(&mut stream, &host, &path)
            .map_err(HttpError::from)
            .and_then(|()| http::read_foreign_answer(&mut stream, LONGEST));
        let answer = match answer {
            Ok(answer) => answer,
            Err(HttpError::Connection(fault)) if is_slow(&fault) => {
                return Err(ServiceError::Slow { path, time: self.service.exchange });
            }
            Err(source) => return Err(ServiceError::Broken { path, source }),
        };
        match answer.status {
            200 => String::from_utf8(answer.body).map(Some).map_err(|_| ServiceError::Text { path }),
            204 | 404 => Ok(None),
            status => Err(ServiceError::Status { path, status }),
        }
    }

    /// By the routes, else by each interface. The DHCP of private networks now and then routes the service's address to
    /// where nobody answers, and such a route goes before the default route of the public side.
    fn connect(&mut self) -> Result<TcpStream, ServiceError> {
        let address = self.service.address;
        let refused = |source| ServiceError::Connect { address, source };
        if let Some(way) = self.way {
            return self.service.connect(way).map_err(refused);
        }
        let routed = match self.service.connect(Way::Routes) {
            Ok(stream) => {
                self.way = Some(Way::Routes);
                return Ok(stream);
            }
            Err(source) => refused(source),
        };
        let ways = self.service.interfaces.iter().map(|name| Way::Interface(name));
        let mut reached = ways.filter_map(|way| Some((way, self.service.connect(way).ok()?)));
        let (way, stream) = reached.next().ok_or(routed)?;
        self.way = Some(way);
        Ok(stream)
    }
}

impl Service {
    fn connect(&self, way: Way<'_>) -> io::Result<TcpStream> {
        let Way::Interface(name) = way else {
            return TcpStream::connect_timeout(&self.address, self.connect);
        };
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, Some(Protocol::TCP))?;
        socket.bind_device(Some(name.as_bytes()))?;
        socket.connect_timeout(&self.address.into(), self.connect)?;
        // As it was before it was connected within some time.
        socket.set_nonblocking(false)?;
        Ok(socket.into())
    }
}

/// A socket whose time is over says one or the other.
fn is_slow(fault: &io::Error) -> bool {
    matches!(fault.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Bridges, tunnels and the loopback have no device.
fn interfaces(system: &System) -> Vec<String> {
    let entries = fs::read_dir(system.path(INTERFACES)).into_iter().flatten().flatten();
    let devices = entries.filter(|entry| entry.path().join("device").exists());
    let mut names: Vec<String> = devices.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}
