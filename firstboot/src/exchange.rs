//! One request and one answer over a connection of its own, by TLS, within bounds of size and time.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use thiserror::Error;

use crate::http::{self, Answer, HttpError, Request};
use crate::tls::{self, Timed, TlsError};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ExchangeError {
    /// Nobody listens, or no packet arrives.
    #[error("connecting to {address}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The exchange broke off, or its other end is not who it must be.
    #[error("speaking with {address}")]
    Broken {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: HttpError,
    },
}

/// Who is asked, and how much of it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    /// What its certificate calls it, if that is not its address. Servers with a raw key are known by that alone.
    pub name: Option<ServerName<'static>>,
    /// By what it is believed.
    pub config: Arc<ClientConfig>,
    /// For connecting, and for the exchange.
    pub time: Duration,
    /// Longest body of an answer, in bytes.
    pub longest: usize,
}

impl Peer {
    /// Asks once.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        media_type: &str,
        body: &[u8],
    ) -> Result<Answer, ExchangeError> {
        let address = self.address;
        let stream = TcpStream::connect_timeout(&address, self.time)
            .map_err(|source| ExchangeError::Connect { address, source })?;
        let name = self.name.clone().unwrap_or_else(|| ServerName::IpAddress(address.ip().into()));
        let mut stream = tls::connect(&self.config, name, Timed::new(stream, self.time))?;
        http::write_request(&mut stream, method, path, media_type, body)
            .map_err(HttpError::from)
            .and_then(|()| http::read_answer(&mut stream, self.longest))
            .map_err(|source| ExchangeError::Broken { address, source })
    }
}

/// The other end: reads a request whose body has at most `longest` bytes, and writes what `answer` makes of it. What is
/// no request is told so. The other end has `time` to ask, and as much to take the answer.
pub fn serve(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    (time, longest): (Duration, usize),
    answer: impl FnOnce(&Request) -> Answer,
) -> io::Result<()> {
    let mut stream = tls::accept(config, Timed::new(stream, time)).map_err(io::Error::other)?;
    let answer = match http::read_request(&mut stream, longest) {
        Ok(request) => answer(&request),
        Err(HttpError::Connection(error)) => return Err(error),
        Err(error) => Answer::text(400, &error.to_string()),
    };
    // However long it took to find: what is ready is told.
    stream.sock.renew(time);
    http::write_answer(&mut stream, &answer)?;
    stream.conn.send_close_notify();
    stream.flush()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::cluster::tests::membership_key;
    use crate::public_key::PublicKey;

    #[test]
    fn an_answer_that_took_long_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let time = Duration::from_secs(2);
        let serving = thread::spawn(move || {
            let answer = |request: &Request| {
                thread::sleep(time);
                Answer::text(200, &request.path)
            };
            serve(listener.accept()?.0, &tls::server(&membership_key()).unwrap(), (time, 0), answer)
        });
        let config = tls::client(&PublicKey::of(&membership_key())).unwrap();
        let peer = Peer { address, name: None, config, time: Duration::from_mins(1), longest: 100 };
        let answer = peer.ask("GET", "/slow", "text/plain", &[]).unwrap();
        assert_eq!((answer.status, answer.body), (200, b"/slow".to_vec()));
        serving.join().unwrap().unwrap();
    }
}
