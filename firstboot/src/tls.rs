//! TLS between machines that know each other's keys: TLS 1.3 with raw public keys (RFC 7250, RFC 8446 4.4.2).
//!
//! There is no certificate, and so none that expires, that names a host, or that a wrong clock makes invalid: the
//! server proves to hold the private half of the one key that the client expects.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned,
};
use thiserror::Error;

use crate::public_key::PublicKey;

/// What stands before the 32 bytes of a private key in PKCS #8 (RFC 8410, 7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// What stands before the 32 bytes of a public key in its `SubjectPublicKeyInfo` (RFC 8410, 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// Why a side of a connection could not be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A key or a protocol that the library does not take.
    #[error("setting up TLS")]
    Setup(#[from] rustls::Error),
}

/// A connection whose other end has proven its key, or that must still do so with the first byte.
pub type Secured<Connection> = StreamOwned<Connection, Timed>;

/// The server's side: it proves to hold `key`.
pub fn server(key: &SigningKey) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let private = [&PKCS8[..], key.as_bytes()].concat();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private));
    let signer = provider.key_provider.load_private_key(private)?;
    let public = CertificateDer::from([&SPKI[..], key.verifying_key().as_bytes()].concat());
    let certified = Arc::new(CertifiedKey::new(vec![public], signer));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
    // Nobody comes back soon: what would be remembered of ten thousand strangers is memory.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// The client's side: the server must prove to hold the private half of `key`.
pub fn client(key: &PublicKey) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let pinned = Pinned { key: *key, provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    config.enable_sni = false;
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Accepts over a connection that a listener has given.
pub fn accept(config: &Arc<ServerConfig>, stream: Timed) -> Result<Secured<ServerConnection>, TlsError> {
    Ok(StreamOwned::new(ServerConnection::new(Arc::clone(config))?, stream))
}

/// Connects over a connection that is open, to a server that is called so where it has a certificate.
pub fn connect(
    config: &Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: Timed,
) -> Result<Secured<ClientConnection>, TlsError> {
    Ok(StreamOwned::new(ClientConnection::new(Arc::clone(config), name)?, stream))
}

/// A connection that must be done by some moment, however slowly its other end speaks.
#[derive(Debug)]
pub struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Timed {
    /// Everything over `stream` takes no longer than `time` from now on.
    pub fn new(stream: TcpStream, time: Duration) -> Self {
        Self { stream, until: Instant::now() + time }
    }

    /// Everything from now on takes no longer than `time`.
    pub fn renew(&mut self, time: Duration) {
        self.until = Instant::now() + time;
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        // Zero would mean for ever.
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Takes one key and no other.
#[derive(Debug)]
struct Pinned {
    key: PublicKey,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_it = end_entity.as_ref().strip_prefix(&SPKI) == Some(self.key.0.as_bytes());
        if is_it {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // Never asked: only TLS 1.3 is spoken.
        Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(cert.as_ref());
        verify_tls13_signature_with_raw_key(
            message,
            &key,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::cluster::tests::{membership_key, operator_key};

    /// What a client that expects `expected` gets from a server that holds `held`.
    fn exchange(held: &SigningKey, expected: &PublicKey) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = server(held).unwrap();
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = accept(&config, Timed::new(stream, Duration::from_secs(20))).unwrap();
            let mut asked = [0; 5];
            stream.read_exact(&mut asked)?;
            stream.write_all(b"well")?;
            stream.conn.send_close_notify();
            stream.flush()
        });
        let stream = Timed::new(TcpStream::connect(address).unwrap(), Duration::from_secs(20));
        let name = ServerName::IpAddress(address.ip().into());
        let mut stream = connect(&client(expected).unwrap(), name, stream).unwrap();
        let mut said = String::new();
        let outcome = stream
            .write_all(b"hello")
            .and_then(|()| stream.flush())
            .and_then(|()| stream.read_to_string(&mut said));
        drop(stream);
        let _refused = serving.join().unwrap();
        outcome.map(|_| said)
    }

    #[test]
    fn the_one_who_holds_the_key_is_believed_and_nobody_else() {
        let key = PublicKey::of(&membership_key());
        assert_eq!(exchange(&membership_key(), &key).unwrap(), "well");
        let fault = exchange(&operator_key(), &key).unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::InvalidData, "{fault}");
    }

    #[test]
    fn who_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut timed = Timed::new(stream, Duration::from_millis(50));
        let fault = timed.read(&mut [0]).unwrap_err();
        assert!(matches!(fault.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{fault}");
        thread::sleep(Duration::from_millis(60));
        assert_eq!(timed.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
