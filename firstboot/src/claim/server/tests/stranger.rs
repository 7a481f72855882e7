//! Who means no good, or has no idea: connections that say nothing, nonsense, too much, or all of it too slowly.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::super::{CHALLENGE, CLAIM};
use crate::cluster::tests::membership_key;
use crate::public_key::PublicKey;
use crate::tls;

/// Between two bytes of who is slow.
const SLOW: Duration = Duration::from_secs(1);
/// Until who was turned away comes again.
const AGAIN: Duration = Duration::from_secs(5);

/// What one has to say.
#[derive(Clone, Debug)]
pub(super) struct Speech {
    words: Vec<u8>,
    is_slow: bool,
    is_by_tls: bool,
}

impl Speech {
    /// One of each kind.
    pub(super) fn all() -> Vec<Self> {
        let plain = |words: &[u8]| Self { words: words.to_vec(), is_slow: false, is_by_tls: false };
        let by_tls = |words: String| Self { words: words.into_bytes(), is_slow: false, is_by_tls: true };
        let slow = |speech| Self { is_slow: true, ..speech };
        let request = format!("GET {CHALLENGE} HTTP/1.1\r\n\r\n");
        vec![
            plain(b""),
            // No TLS: another protocol, noise, a record longer than any, and a message that needs 16 MiB of them.
            plain(request.as_bytes()),
            plain(&[0xa5; 4096]),
            plain(&[&[0x16, 3, 1, 0xff, 0xff][..], &[0; 70_000]].concat()),
            plain(&[&[0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 16_380]].concat()),
            slow(plain(&hello())),
            // No HTTP of ours: nonsense, an endless head, a body of 4 GiB, one as long as is allowed, and slow ones.
            by_tls("\0\x01nonsense\r\n\r\n".to_owned()),
            by_tls(format!("GET {CHALLENGE} HTTP/1.1\r\nA: {}", "a".repeat(100_000))),
            by_tls(format!(
                "POST {CLAIM} HTTP/1.1\r\nContent-Length: 4294967296\r\n\r\n{}",
                "a".repeat(100_000)
            )),
            by_tls(format!("POST {CLAIM} HTTP/1.1\r\nContent-Length: 16384\r\n\r\n{}", "a".repeat(16_384))),
            slow(by_tls(request)),
            slow(by_tls(format!("POST {CLAIM} HTTP/1.1\r\nContent-Length: 16384\r\n\r\n"))),
        ]
    }
}

/// The begin of TLS, as an honest node says it.
fn hello() -> Vec<u8> {
    let mut words = Vec::new();
    connection().write_tls(&mut words).unwrap();
    words
}

fn connection() -> ClientConnection {
    let config = tls::client(&PublicKey::of(&membership_key())).unwrap();
    ClientConnection::new(config, ServerName::IpAddress(Ipv4Addr::LOCALHOST.into())).unwrap()
}

/// One who comes again whenever he is turned away.
#[derive(Debug)]
pub(super) struct Stranger {
    from: Ipv4Addr,
    speech: Arc<Speech>,
    line: Option<Line>,
    comes: Instant,
}

/// His connection.
#[derive(Debug)]
struct Line {
    stream: TcpStream,
    tls: Option<ClientConnection>,
    said: usize,
    speaks: Instant,
}

impl Stranger {
    pub(super) fn new(from: Ipv4Addr, speech: Arc<Speech>) -> Self {
        Self { from, speech, line: None, comes: Instant::now() }
    }

    /// Goes on for as long as he need not wait; tells whether he has made a connection.
    pub(super) fn go_on(&mut self, to: SocketAddrV4) -> bool {
        let now = Instant::now();
        if let Some(line) = &mut self.line {
            if line.go_on(&self.speech, now).is_err() {
                (self.line, self.comes) = (None, now + AGAIN);
            }
            return false;
        }
        if now < self.comes {
            return false;
        }
        let tls = self.speech.is_by_tls.then(connection);
        self.line = Some(Line { stream: connect_from(self.from, to), tls, said: 0, speaks: now });
        true
    }
}

impl Line {
    /// An error says that it is over.
    fn go_on(&mut self, speech: &Speech, now: Instant) -> io::Result<()> {
        if now >= self.speaks {
            let left = &speech.words[self.said..];
            let words = if speech.is_slow { &left[..left.len().min(1)] } else { left };
            self.said += match &mut self.tls {
                Some(tls) => tls.writer().write(words)?,
                None => unless_blocked(self.stream.write(words))?.unwrap_or(0),
            };
            if speech.is_slow {
                self.speaks = now + SLOW;
            }
        }
        let Some(tls) = &mut self.tls else {
            return match unless_blocked(self.stream.read(&mut [0; 4096]))? {
                Some(0) => Err(ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            };
        };
        while tls.wants_write() && unless_blocked(tls.write_tls(&mut self.stream))?.is_some() {}
        while let Some(count) = unless_blocked(tls.read_tls(&mut self.stream))? {
            tls.process_new_packets().map_err(io::Error::other)?;
            // Nobody reads the answers.
            unless_blocked(tls.reader().read(&mut [0; 4096]))?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        // Not connected yet.
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(None),
        Err(error) => Err(error),
    }
}

/// A connection from an address of this machine, which may be still on its way.
pub(in super::super) fn connect_from(from: Ipv4Addr, to: SocketAddrV4) -> TcpStream {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    bind(&socket, &SocketAddrV4::new(from, 0)).unwrap();
    match connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => socket.into(),
        Err(error) => panic!("{from} to {to}: {error}"),
    }
}
