//! Names to addresses, by systemd-resolved's varlink service (`io.systemd.Resolve(7)`): a request and an answer in JSON,
//! each followed by a zero byte.
//!
//! Not by `getaddrinfo`: node programs are static, and glibc loads its name services only into dynamic ones.

use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where systemd-resolved listens.
pub const SOCKET: &str = "/run/systemd/resolve/io.systemd.Resolve";

const METHOD: &str = "io.systemd.Resolve.ResolveHostname";
/// Longest answer, in bytes; one address takes about a hundred.
const LONGEST: usize = 64 * 1024;

/// Why a name has no address.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// The service does not answer.
    #[error("asking systemd-resolved at `{}` for `{name}`", socket.display())]
    Service {
        /// What was asked for.
        name: String,
        /// Where.
        socket: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its answer is none.
    #[error("the answer of systemd-resolved about `{name}` is unusable")]
    Answer {
        /// What was asked for.
        name: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It found none.
    #[error("`{name}` has no address: {reason}")]
    None {
        /// What was asked for.
        name: String,
        /// Why, in the service's word.
        reason: String,
    },
}

#[derive(Serialize)]
struct Call<'a> {
    method: &'a str,
    parameters: Parameters<'a>,
}

#[derive(Serialize)]
struct Parameters<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    parameters: Found,
}

#[derive(Default, Deserialize)]
struct Found {
    #[serde(default)]
    addresses: Vec<Address>,
    /// Of a DNS server that said no.
    #[serde(default)]
    rcode: Option<i64>,
}

/// An address as its bytes; how many they are says of which family.
#[derive(Deserialize)]
struct Address {
    address: Vec<u8>,
}

/// All addresses of `name`, in the service's order, asked for at `socket` and answered before `deadline` has passed.
/// The text of an address is its own answer, for which nobody is asked.
pub fn resolve(name: &str, socket: &Path, deadline: Duration) -> Result<Vec<IpAddr>, ResolveError> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let owned = || name.to_owned();
    let text = ask(name, socket, deadline).map_err(|source| ResolveError::Service {
        name: owned(),
        socket: socket.to_owned(),
        source,
    })?;
    let reply: Reply =
        serde_json::from_slice(&text).map_err(|source| ResolveError::Answer { name: owned(), source })?;
    if let Some(error) = reply.error {
        return Err(ResolveError::None { name: owned(), reason: reason(&error, reply.parameters.rcode) });
    }
    let addresses: Vec<IpAddr> =
        reply.parameters.addresses.iter().filter_map(|found| address(&found.address)).collect();
    if addresses.is_empty() {
        return Err(ResolveError::None { name: owned(), reason: "the answer has none".to_owned() });
    }
    Ok(addresses)
}

fn ask(name: &str, socket: &Path, deadline: Duration) -> io::Result<Vec<u8>> {
    let until = Instant::now() + deadline;
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        // Zero would mean for ever.
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    };
    let mut stream = open(socket, left()?)?;
    let mut request = serde_json::to_vec(&Call { method: METHOD, parameters: Parameters { name } })?;
    request.push(0);
    stream.write_all(&request)?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        stream.set_read_timeout(Some(left()?))?;
        let length = match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        };
        answer.extend_from_slice(&piece[..length]);
        if let Some(end) = answer.iter().position(|byte| *byte == 0) {
            answer.truncate(end);
            return Ok(answer);
        }
        if answer.len() > LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// A connection that takes no longer than `time`: where too many wait already, connecting waits, too.
fn open(socket: &Path, time: Duration) -> io::Result<UnixStream> {
    let stream: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&stream, Timeout::Send, Some(time))?;
    connect(&stream, &SocketAddrUnix::new(socket)?)?;
    Ok(stream.into())
}

/// The last word of the error's name, which is what it is about.
fn reason(error: &str, rcode: Option<i64>) -> String {
    // RFC 1035, 4.1.1.
    match (error.rsplit('.').next().unwrap_or(error), rcode) {
        ("DNSError", Some(2)) => "the name server fails (SERVFAIL)".to_owned(),
        ("DNSError", Some(3)) => "there is no such name (NXDOMAIN)".to_owned(),
        ("DNSError", Some(5)) => "the name server refuses (REFUSED)".to_owned(),
        ("DNSError", Some(code)) => format!("the name server answers with code {code}"),
        (word, _) => word.escape_debug().to_string(),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Asks for `name` where the service answers with `answer`; returns what was asked, too.
    fn asked(name: &str, answer: &[u8], deadline: Duration) -> (String, Result<Vec<IpAddr>, String>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("io.systemd.Resolve");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::scope(|scope| {
            let server = scope.spawn(move || {
                let mut stream = listener.accept().unwrap().0;
                let mut request = Vec::new();
                while request.last() != Some(&0) {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                // In pieces, as it may come, and as long as somebody listens.
                let _gone = answer.chunks(16).try_for_each(|piece| stream.write_all(piece));
                let _gone = stream.read(&mut [0]);
                request.pop();
                String::from_utf8(request).unwrap()
            });
            let found = resolve(name, &socket, deadline).map_err(|error| {
                let text = format!("{:#}", anyhow::Error::from(error));
                text.replace(&socket.display().to_string(), "SOCKET")
            });
            (server.join().unwrap(), found)
        })
    }

    #[test]
    fn a_name_is_asked_for_and_answered_in_the_services_words() {
        // As systemd 257 answers.
        let answer = br#"{"parameters":{"addresses":[{"ifindex":2,"family":10,"address":[32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,7]},{"ifindex":2,"family":2,"address":[192,0,2,7]}],"name":"cp1.example.org","flags":1048577}}"#;
        let (request, found) = asked("cp1.example.org", &[&answer[..], b"\0"].concat(), SECOND);
        assert_eq!(
            request,
            r#"{"method":"io.systemd.Resolve.ResolveHostname","parameters":{"name":"cp1.example.org"}}"#
        );
        let expected = ["2001:db8::7", "192.0.2.7"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(found, Ok(expected.to_vec()));
    }

    #[test]
    fn a_name_without_an_address_says_why() {
        for (answer, reason) in [
            (
                r#"{"error":"io.systemd.Resolve.DNSError","parameters":{"rcode":3,"queryString":"x"}}"#,
                "there is no such name (NXDOMAIN)",
            ),
            (
                r#"{"error":"io.systemd.Resolve.DNSError","parameters":{"rcode":9}}"#,
                "the name server answers with code 9",
            ),
            (r#"{"error":"io.systemd.Resolve.NoNameServers","parameters":{}}"#, "NoNameServers"),
            (r#"{"error":"org.varlink.service.InvalidParameter"}"#, "InvalidParameter"),
            (r#"{"parameters":{"addresses":[]}}"#, "the answer has none"),
        ] {
            let (_, found) = asked("x", &[answer.as_bytes(), b"\0"].concat(), SECOND);
            assert_eq!(found, Err(format!("`x` has no address: {reason}")));
        }
    }

    #[test]
    fn a_service_that_is_silent_or_away_holds_nobody_up() {
        let begun = Instant::now();
        let (_, found) = asked("x", b"{", Duration::from_millis(100));
        assert_eq!(found, Err("asking systemd-resolved at `SOCKET` for `x`: timed out".to_owned()));
        assert!(begun.elapsed() < SECOND);
        let error = resolve("x", Path::new("/absent"), SECOND).unwrap_err();
        let expected = "asking systemd-resolved at `/absent` for `x`: No such file or directory (os error 2)";
        assert_eq!(format!("{:#}", anyhow::Error::from(error)), expected);
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let (_, found) = asked("x", b"7\0", SECOND);
        assert!(found.unwrap_err().starts_with("the answer of systemd-resolved about `x` is unusable: "));
        let endless = [vec![b' '; 70_000], vec![0]].concat();
        let (_, found) = asked("x", &endless, SECOND);
        assert_eq!(found, Err("asking systemd-resolved at `SOCKET` for `x`: file too large".to_owned()));
    }

    #[test]
    fn nobody_is_asked_for_what_is_an_address() {
        for text in ["192.0.2.7", "2001:db8::7"] {
            assert_eq!(
                resolve(text, Path::new("/absent"), SECOND).unwrap(),
                [text.parse::<IpAddr>().unwrap()]
            );
        }
    }
}
