//! A netlink socket: a request, and all of its answers (netlink(7)).

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use netlink_packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use rustix::io::retry_on_intr;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};
use thiserror::Error;

/// The kernel answers at once, but for a lock that others may hold.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest message: the kernel makes dumps in pieces of 32 KiB.
const LONGEST: usize = 64 * 1024;
/// How often a dump is begun again because something changed while it was made.
const TRIES: usize = 10;
/// Messages begin at multiples of it.
const ALIGNMENT: usize = 4;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum NetlinkError {
    /// The kernel says no.
    #[error("the kernel refuses")]
    Refused(#[source] io::Error),
    /// The socket does not work.
    #[error("speaking with the kernel")]
    Broken(#[source] io::Error),
    /// The answer is none that this program understands.
    #[error("understanding the kernel")]
    Unusable(#[source] DecodeError),
    /// What is asked for changes all the time.
    #[error("the kernel's answer changed {TRIES} times while it was read")]
    Restless,
}

impl NetlinkError {
    /// Whether the kernel said no for that reason.
    pub(super) fn is(&self, errno: rustix::io::Errno) -> bool {
        matches!(self, Self::Refused(error) if error.raw_os_error() == Some(errno.raw_os_error()))
    }
}

#[derive(Debug)]
pub(super) struct Socket {
    socket: OwnedFd,
    sequence: u32,
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ask {
    /// By what was asked for, if anything, and an acknowledgement.
    Once,
    /// By everything there is, in pieces.
    Dump,
}

/// The answers of one datagram, and whether they were the last.
type Answers<Message> = (Vec<Message>, bool);

impl Socket {
    pub(super) fn open(protocol: Option<Protocol>) -> Result<Self, NetlinkError> {
        let open = || {
            let socket =
                socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
            set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
            bind(&socket, &SocketAddrNetlink::new(0, 0))?;
            Ok(socket)
        };
        let socket = open().map_err(|errno: rustix::io::Errno| NetlinkError::Broken(errno.into()))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends `message` with more `flags` than its kind needs, and returns what is answered.
    pub(super) fn ask<Message>(
        &mut self,
        ask: Ask,
        message: &Message,
        flags: u16,
    ) -> Result<Vec<Message>, NetlinkError>
    where
        Message: Clone + NetlinkSerializable + NetlinkDeserializable,
    {
        let flags = NLM_F_REQUEST | flags | if ask == Ask::Dump { NLM_F_DUMP } else { NLM_F_ACK };
        for _ in 0..TRIES {
            self.send(message.clone(), flags)?;
            if let Some(answers) = self.answers()? {
                return Ok(answers);
            }
        }
        Err(NetlinkError::Restless)
    }

    fn send<Message: NetlinkSerializable>(
        &mut self,
        message: Message,
        flags: u16,
    ) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        sendto(&self.socket, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))
            .map(drop)
            .map_err(|errno| NetlinkError::Broken(errno.into()))
    }

    /// All answers to the last request; none where they do not fit together.
    fn answers<Message: NetlinkDeserializable>(&self) -> Result<Option<Vec<Message>>, NetlinkError> {
        let mut answers = Vec::new();
        let mut is_whole = true;
        let mut buffer = vec![0; LONGEST];
        loop {
            let (_, length) = retry_on_intr(|| recv(&self.socket, &mut buffer[..], RecvFlags::TRUNC))
                .map_err(|errno| NetlinkError::Broken(errno.into()))?;
            let Some(datagram) = buffer.get(..length) else {
                return Err(NetlinkError::Broken(io::ErrorKind::FileTooLarge.into()));
            };
            let (more, is_last) = parse(datagram, self.sequence, &mut is_whole)?;
            answers.extend(more);
            if is_last {
                return Ok(is_whole.then_some(answers));
            }
        }
    }
}

/// Reads a datagram. What answers another request than number `sequence` is left over from one that broke off.
fn parse<Message: NetlinkDeserializable>(
    mut datagram: &[u8],
    sequence: u32,
    is_whole: &mut bool,
) -> Result<Answers<Message>, NetlinkError> {
    let mut answers = Vec::new();
    while !datagram.is_empty() {
        let message = NetlinkMessage::<Message>::deserialize(datagram).map_err(NetlinkError::Unusable)?;
        let (header, payload) = message.into_parts();
        let length = usize::try_from(header.length).unwrap_or(usize::MAX).next_multiple_of(ALIGNMENT);
        datagram = datagram.get(length..).unwrap_or_default();
        if header.sequence_number != sequence {
            continue;
        }
        *is_whole &= header.flags & NLM_F_DUMP_INTR == 0;
        let code = match payload {
            NetlinkPayload::InnerMessage(answer) => {
                answers.push(answer);
                continue;
            }
            NetlinkPayload::Error(error) => error.raw_code(),
            NetlinkPayload::Done(done) => done.code,
            _ => continue,
        };
        return match code {
            0 => Ok((answers, true)),
            // Errors are negative.
            code => Err(NetlinkError::Refused(io::Error::from_raw_os_error(code.saturating_neg()))),
        };
    }
    Ok((answers, false))
}
