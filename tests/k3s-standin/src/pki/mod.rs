//! Certificates as k3s makes them: ECDSA on P-256, leaves signed by the first certificate of a CA's file and
//! written with the whole file behind them.

pub mod hash;
pub mod server;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rustix::rand::{GetRandomFlags, getrandom};
use thiserror::Error;
use x509_cert::builder::{Builder as _, CertificateBuilder, Profile, RequestBuilder};
use x509_cert::der::asn1::{Ia5String, OctetString};
use x509_cert::der::oid::db::rfc4519::{COMMON_NAME, ORGANIZATION_NAME};
use x509_cert::der::oid::db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH};
use x509_cert::der::{Decode as _, DecodePem as _, Encode as _, EncodePem as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};
use x509_cert::name::Name;
use x509_cert::request::CertReq;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::{Time, Validity};

pub use x509_cert::Certificate;

/// Lifetime of CAs that k3s makes itself: ten years.
const CA_DAYS: u64 = 3650;
/// Lifetime of leaves.
const LEAF_DAYS: u64 = 365;
/// Clocks of other machines may be slow.
const DAY: u64 = 24 * 60 * 60;

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A file.
    #[error("`{path}`")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What a certificate consists of.
    #[error("encoding a certificate")]
    Der(#[from] x509_cert::der::Error),
    /// Making one.
    #[error("making a certificate")]
    Build(#[from] x509_cert::builder::Error),
    /// A key.
    #[error("private key: only ECDSA on P-256 is known to the stand-in, as PKCS #8 or SEC 1 in PEM")]
    Key,
    /// No certificate in a file of certificates.
    #[error("no certificate in the CA's file")]
    Empty,
    /// A request that is none.
    #[error("certificate request")]
    Request,
    /// No random numbers.
    #[error("random numbers")]
    Random(#[from] rustix::io::Errno),
}

/// A private key.
#[derive(Clone)]
pub struct Key(SigningKey);

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key")
    }
}

impl Key {
    /// A new one.
    pub fn generate() -> Result<Self, PkiError> {
        loop {
            let mut bytes = [0_u8; 32];
            getrandom(&mut bytes, GetRandomFlags::empty())?;
            // All but one in 2^32 numbers are keys.
            if let Ok(key) = SigningKey::from_slice(&bytes) {
                return Ok(Self(key));
            }
        }
    }

    /// From PEM, of which the first key counts.
    pub fn from_pem(pem: &str) -> Result<Self, PkiError> {
        if let Ok(key) = SigningKey::from_pkcs8_pem(pem.trim()) {
            return Ok(Self(key));
        }
        let key = p256::SecretKey::from_sec1_pem(pem.trim()).map_err(|_| PkiError::Key)?;
        Ok(Self(SigningKey::from(key)))
    }

    /// PKCS #8 in PEM.
    pub fn to_pem(&self) -> Result<String, PkiError> {
        Ok(self.0.to_pkcs8_pem(LineEnding::LF).map_err(|_| PkiError::Key)?.to_string())
    }

    /// PKCS #8.
    pub fn to_der(&self) -> Result<Vec<u8>, PkiError> {
        Ok(self.0.to_pkcs8_der().map_err(|_| PkiError::Key)?.as_bytes().to_vec())
    }

    /// A request with an empty subject, as k3s' agents send it, in DER.
    pub fn request(&self) -> Result<Vec<u8>, PkiError> {
        let builder = RequestBuilder::new(Name::default(), &self.0)?;
        Ok(builder.build::<DerSignature>()?.to_der()?)
    }

    fn public(&self) -> Result<SubjectPublicKeyInfoOwned, PkiError> {
        SubjectPublicKeyInfoOwned::from_key(*self.0.verifying_key()).map_err(|_| PkiError::Key)
    }
}

/// A certificate authority: its file, and the key of the file's first certificate.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The file, byte for byte.
    pub bundle: String,
    /// Its certificates.
    pub certificates: Vec<Certificate>,
    key: Key,
}

/// What a leaf is for.
#[derive(Clone, Debug, Default)]
pub struct Leaf<'a> {
    /// CN.
    pub common_name: &'a str,
    /// O.
    pub organizations: &'a [&'a str],
    /// Names and addresses of a server; none for a client.
    pub names: &'a [String],
    /// Whether it is a server's.
    pub is_server: bool,
}

impl Authority {
    /// From the two files.
    pub fn parse(bundle: &str, key: &str) -> Result<Self, PkiError> {
        let certificates = certificates(bundle)?;
        if certificates.is_empty() {
            return Err(PkiError::Empty);
        }
        Ok(Self { bundle: bundle.to_owned(), certificates, key: Key::from_pem(key)? })
    }

    /// A self-signed one, as k3s makes it.
    pub fn generate(name: &str) -> Result<(Self, Key), PkiError> {
        let key = Key::generate()?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{name}@{}", now.as_secs());
        let builder = CertificateBuilder::new(
            Profile::Root,
            serial()?,
            validity(None, CA_DAYS)?,
            subject(&name, &[])?,
            key.public()?,
            &key.0,
        )?;
        let bundle = builder.build::<DerSignature>()?.to_pem(LineEnding::LF)?;
        Ok((Self::parse(&bundle, &key.to_pem()?)?, key))
    }

    fn first(&self) -> Result<&Certificate, PkiError> {
        self.certificates.first().ok_or(PkiError::Empty)
    }

    /// Signs a leaf for a public key: its certificate, then the whole CA file.
    pub fn sign(&self, leaf: &Leaf<'_>, public: SubjectPublicKeyInfoOwned) -> Result<String, PkiError> {
        let issuer = &self.first()?.tbs_certificate;
        let profile = Profile::Leaf {
            issuer: issuer.subject.clone(),
            enable_key_agreement: false,
            enable_key_encipherment: true,
        };
        let mut builder = CertificateBuilder::new(
            profile,
            serial()?,
            validity(Some(issuer.validity.not_before), LEAF_DAYS)?,
            subject(leaf.common_name, leaf.organizations)?,
            public,
            &self.key.0,
        )?;
        let usage = if leaf.is_server { ID_KP_SERVER_AUTH } else { ID_KP_CLIENT_AUTH };
        builder.add_extension(&ExtendedKeyUsage(vec![usage]))?;
        if !leaf.names.is_empty() {
            let names = leaf.names.iter().map(|name| general_name(name)).collect::<Result<_, _>>()?;
            builder.add_extension(&SubjectAltName(names))?;
        }
        let pem = builder.build::<DerSignature>()?.to_pem(LineEnding::LF)?;
        Ok(format!("{pem}{}", self.bundle))
    }

    /// Signs a leaf for a key.
    pub fn issue(&self, leaf: &Leaf<'_>, key: &Key) -> Result<String, PkiError> {
        self.sign(leaf, key.public()?)
    }

    /// Signs a leaf for what a request in DER asks for; only its key counts.
    pub fn answer(&self, leaf: &Leaf<'_>, request: &[u8]) -> Result<String, PkiError> {
        let request = CertReq::from_der(request).map_err(|_| PkiError::Request)?;
        self.sign(leaf, request.info.public_key)
    }
}

/// All certificates of a PEM file.
pub fn certificates(pem: &str) -> Result<Vec<Certificate>, PkiError> {
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(Vec::new());
    }
    // What k3s' documentation makes may have lines of text between them.
    let end = "-----END CERTIFICATE-----";
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1).filter_map(|block| block.split(end).next());
    blocks
        .map(|block| Certificate::from_pem(format!("-----BEGIN CERTIFICATE-----{block}{end}\n")))
        .collect::<Result<_, _>>()
        .map_err(PkiError::Der)
}

/// Common name and organisations of a certificate.
pub fn names(certificate: &Certificate) -> (String, Vec<String>) {
    let (mut common_name, mut organizations) = (String::new(), Vec::new());
    let parts = certificate.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
    for part in parts {
        let text = String::from_utf8_lossy(part.value.value()).into_owned();
        if part.oid == COMMON_NAME {
            common_name = text;
        } else if part.oid == ORGANIZATION_NAME {
            organizations.push(text);
        }
    }
    (common_name, organizations)
}

fn subject(common_name: &str, organizations: &[&str]) -> Result<Name, PkiError> {
    let escape = |text: &str| text.replace('\\', "\\\\").replace(['+', ','], "_");
    let parts = organizations.iter().map(|name| format!("O={}", escape(name)));
    let text: Vec<String> = parts.chain([format!("CN={}", escape(common_name))]).collect();
    // RFC 4514 is written from the end.
    let text: Vec<String> = text.into_iter().rev().collect();
    Ok(text.join(",").parse()?)
}

fn general_name(name: &str) -> Result<GeneralName, PkiError> {
    Ok(match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
        Ok(IpAddr::V6(address)) => GeneralName::IpAddress(OctetString::new(address.octets())?),
        Err(_) => GeneralName::DnsName(Ia5String::new(name)?),
    })
}

fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0_u8; 8];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(SerialNumber::from(u64::from_be_bytes(bytes) >> 1))
}

/// From the CA's beginning, or now, until `days` from now.
fn validity(from: Option<Time>, days: u64) -> Result<Validity, PkiError> {
    let now = Validity::from_now(Duration::from_secs(days.saturating_mul(DAY)))?;
    Ok(Validity { not_before: from.unwrap_or(now.not_before), not_after: now.not_after })
}
