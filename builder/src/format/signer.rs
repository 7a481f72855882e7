//! Who signs: an RSA key with the X.509 certificate that firmware knows it by.
//!
//! RSA with 2048 bits and SHA-256 is what all UEFI firmware checks (UEFI 2.10, 32.2.4). Signatures are
//! PKCS#1 v1.5, so the same key and content give the same bytes.

use std::fmt;

use der::{DecodePem as _, Encode as _, EncodePem as _};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs1v15::{Signature, SigningKey};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding, PrivateKeyInfo, SecretDocument};
use rsa::signature::{Keypair as _, SignatureEncoding as _, Signer as _};
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use rsa::{RsaPrivateKey, rand_core};
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsages};
use x509_cert::spki::{EncodePublicKey as _, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

use super::certificate::{CertificateError, Content};
use crate::units::{Sha256, Timestamp};

/// Bits of the keys that are made here.
const BITS: usize = 2048;
/// Bits of keys that are taken over; older firmware knows no more than 2048.
const ACCEPTED: std::ops::RangeInclusive<usize> = 2048..=4096;
/// Object identifier of RSA keys (RFC 8017, A.1).
const RSA: &str = "1.2.840.113549.1.1.1";

/// A key and its certificate; the key never shows.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey<sha2::Sha256>,
    private: RsaPrivateKey,
    certificate: Certificate,
    encoded: Vec<u8>,
}

/// Why there is no signer, or no signature.
#[derive(Debug, Error)]
pub enum SignerError {
    /// No PEM text of a private key that is known here.
    #[error("this is no RSA private key in PEM")]
    Key(#[source] rsa::pkcs8::Error),
    /// A key that a passphrase locks.
    #[error("this private key is encrypted by a passphrase")]
    Encrypted,
    /// A key of another kind.
    #[error("this is a private key for {found}; firmware checks RSA signatures only")]
    Kind {
        /// What it is for: a name, or the algorithm's object identifier.
        found: String,
    },
    /// No PEM text of a certificate.
    #[error("this is no X.509 certificate in PEM")]
    Certificate(#[source] der::Error),
    /// The size of the key.
    #[error("the RSA key has {bits} bits; firmware takes {} to {}", ACCEPTED.start(), ACCEPTED.end())]
    Bits {
        /// Its size.
        bits: usize,
    },
    /// Key and certificate are not of each other.
    #[error("the certificate `{subject}` is of another key")]
    Mismatch {
        /// Whose certificate it is.
        subject: String,
    },
    /// No key could be made.
    #[error("making an RSA key of {BITS} bits")]
    Make(#[source] rsa::Error),
    /// No certificate could be made.
    #[error("making a certificate for `{subject}`")]
    Build {
        /// Whose certificate it should be.
        subject: String,
        /// Why.
        source: CertificateError,
    },
    /// The parts of a key or certificate cannot be encoded.
    #[error("encoding a key or certificate")]
    Encode(#[from] der::Error),
    /// The same of a private key.
    #[error("encoding a private key")]
    EncodeKey(#[source] rsa::pkcs8::Error),
    /// The same of a public key.
    #[error("encoding a public key")]
    EncodePublicKey(#[source] x509_cert::spki::Error),
    /// The key does not sign, e.g. because it is inconsistent.
    #[error("signing by `{subject}`")]
    Sign {
        /// Whose key it is.
        subject: String,
        /// Why.
        source: rsa::signature::Error,
    },
}

impl Signer {
    /// Makes a key, and a certificate signed by itself that is valid from `since` on.
    pub fn generate(common_name: &str, since: Timestamp) -> Result<Self, SignerError> {
        let mut random = rand_core::OsRng;
        let private = RsaPrivateKey::new(&mut random, BITS).map_err(SignerError::Make)?;
        let certificate = self_signed(&private, common_name, since)?;
        Self::new(private, certificate)
    }

    /// Reads a key (PKCS#8 or PKCS#1) and its certificate.
    pub fn from_pem(key: &str, certificate: &str) -> Result<Self, SignerError> {
        let private = RsaPrivateKey::from_pkcs8_pem(key)
            .or_else(|fault| RsaPrivateKey::from_pkcs1_pem(key).map_err(|_| fault))
            .map_err(|fault| refusal(key, fault))?;
        let certificate = Certificate::from_pem(certificate).map_err(SignerError::Certificate)?;
        Self::new(private, certificate)
    }

    fn new(private: RsaPrivateKey, certificate: Certificate) -> Result<Self, SignerError> {
        let bits = private.n().bits();
        if !ACCEPTED.contains(&bits) {
            return Err(SignerError::Bits { bits });
        }
        let public = private.to_public_key().to_public_key_der().map_err(SignerError::EncodePublicKey)?;
        if certificate.tbs_certificate.subject_public_key_info.to_der()? != public.as_bytes() {
            return Err(SignerError::Mismatch { subject: certificate.tbs_certificate.subject.to_string() });
        }
        let encoded = certificate.to_der()?;
        Ok(Self { key: SigningKey::new(private.clone()), private, certificate, encoded })
    }

    /// Signs the SHA-256 of `content`.
    pub(super) fn sign(&self, content: &[u8]) -> Result<Vec<u8>, SignerError> {
        let sign = |source| SignerError::Sign { subject: self.subject(), source };
        Ok(self.key.try_sign(content).map_err(sign)?.to_vec())
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate as firmware takes it.
    pub fn certificate_der(&self) -> &[u8] {
        &self.encoded
    }

    /// The certificate as text.
    pub fn certificate_pem(&self) -> Result<String, SignerError> {
        Ok(self.certificate.to_pem(LineEnding::LF)?)
    }

    /// The private key as text (PKCS#8), for a place that is encrypted.
    pub fn key_pem(&self) -> Result<Zeroizing<String>, SignerError> {
        self.private.to_pkcs8_pem(LineEnding::LF).map_err(SignerError::EncodeKey)
    }

    /// The numbers of the key that are secret, by which a copy of it is found.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
        secret_numbers(&self.private)
    }

    /// Whose certificate it is, e.g. `CN=lab Secure Boot db`.
    pub fn subject(&self) -> String {
        self.certificate.tbs_certificate.subject.to_string()
    }

    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` shows it.
    pub fn fingerprint(&self) -> Sha256 {
        Sha256::of(&self.encoded)
    }
}

/// The numbers of an RSA key that are secret: every form of it holds them.
pub(crate) fn secret_numbers(key: &RsaPrivateKey) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let numbers = key.primes().iter().chain([key.d()]);
    numbers.map(|number| Zeroizing::new(number.to_bytes_be()))
}

/// Why a text is no key, which failed to be read with `fault`.
fn refusal(text: &str, fault: rsa::pkcs8::Error) -> SignerError {
    /// Key algorithms that people have instead (RFC 5480, RFC 8410).
    const KINDS: [(&str, &str); 3] =
        [("1.2.840.10045.2.1", "elliptic curves"), ("1.3.101.112", "Ed25519"), ("1.3.101.113", "Ed448")];
    // Of a key in OpenSSL's older form a header says so (RFC 1421, 4.6.1.1).
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return SignerError::Encrypted;
    }
    let found = match SecretDocument::from_pem(text) {
        Ok(("ENCRYPTED PRIVATE KEY", _)) => return SignerError::Encrypted,
        Ok(("EC PRIVATE KEY", _)) => Some("elliptic curves".to_owned()),
        Ok(("PRIVATE KEY", document)) => PrivateKeyInfo::try_from(document.as_bytes()).ok().map(|key| {
            let oid = key.algorithm.oid.to_string();
            let name = KINDS.iter().find(|(known, _)| *known == oid).map(|(_, name)| (*name).to_owned());
            name.unwrap_or(oid)
        }),
        _ => None,
    };
    match found {
        Some(found) if found != RSA => SignerError::Kind { found },
        _ => SignerError::Key(fault),
    }
}

/// Names the certificate, never the key.
impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signer({}, {}, key hidden)", self.subject(), self.fingerprint())
    }
}

/// A certificate for signing only. It is no CA: what firmware trusts is this key and none that it might vouch for.
fn self_signed(
    private: &RsaPrivateKey,
    common_name: &str,
    since: Timestamp,
) -> Result<Certificate, SignerError> {
    let key = SigningKey::<sha2::Sha256>::new(private.clone());
    let public = SubjectPublicKeyInfoOwned::from_key(key.verifying_key());
    let content = Content {
        subject: common_name,
        organization: None,
        issuer: None,
        public: public.map_err(SignerError::EncodePublicKey)?,
        // Without an end: firmware has no clock to trust.
        since,
        until: None,
        constraints: BasicConstraints { ca: false, path_len_constraint: None },
        usage: KeyUsages::DigitalSignature | KeyUsages::NonRepudiation,
        purpose: None,
    };
    let failed = |source| SignerError::Build { subject: common_name.to_owned(), source };
    content.sign::<_, Signature>(&key).map_err(failed)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::format::oracle;

    /// Made once by `openssl req -new -x509 -newkey rsa:2048 -nodes -subj /CN=test`: making a key takes a second.
    pub(crate) fn signer() -> Signer {
        Signer::from_pem(include_str!("signer/test-key.pem"), include_str!("signer/test.pem")).unwrap()
    }

    #[test]
    fn openssl_reads_the_key_and_the_certificate_that_are_made() {
        let signer = Signer::generate("lab, Secure Boot db", Timestamp(1_795_227_046)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("key"), folder.path().join("certificate"));
        std::fs::write(&key, signer.key_pem().unwrap().as_bytes()).unwrap();
        std::fs::write(&certificate, signer.certificate_pem().unwrap()).unwrap();
        let shown = oracle::must_accept(
            "openssl",
            &["x509", "-noout", "-subject", "-issuer", "-dates", "-ext", "basicConstraints,keyUsage", "-in"]
                .map(AsRef::as_ref)
                .into_iter()
                .chain([certificate.as_os_str()])
                .collect::<Vec<_>>(),
        );
        for part in [
            "subject=CN = \"lab, Secure Boot db\"",
            "issuer=CN = \"lab, Secure Boot db\"",
            "notBefore=Nov 21 02:10:46 2026 GMT",
            "notAfter=Dec 31 23:59:59 9999 GMT",
            "CA:FALSE",
            "Digital Signature, Non Repudiation",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let file = certificate.as_os_str();
        oracle::must_accept("openssl", &["verify".as_ref(), "-CAfile".as_ref(), file, file]);
        let public = |arguments: &[&str], file: &std::path::Path| {
            let arguments: Vec<_> = arguments.iter().map(AsRef::as_ref).chain([file.as_os_str()]).collect();
            oracle::must_accept("openssl", &arguments)
        };
        let of_key = public(&["pkey", "-pubout", "-in"], &key);
        assert_eq!(of_key, public(&["x509", "-noout", "-pubkey", "-in"], &certificate));
    }

    #[test]
    fn keeps_the_key_out_of_debug_output() {
        let shown = format!("{:?}", signer());
        assert!(shown.starts_with("Signer(CN=test, ") && shown.ends_with(", key hidden)"), "{shown}");
    }

    #[test]
    fn refuses_what_is_no_key_or_of_another_certificate() {
        let (key, certificate) = (include_str!("signer/test-key.pem"), include_str!("signer/test.pem"));
        let fault =
            |key: &str, certificate: &str| Signer::from_pem(key, certificate).unwrap_err().to_string();
        assert_eq!(fault("", certificate), "this is no RSA private key in PEM");
        let damaged = key.replacen("MII", "MIJ", 1);
        assert_ne!(damaged, key);
        assert_eq!(fault(&damaged, certificate), "this is no RSA private key in PEM");
        assert_eq!(fault(key, key), "this is no X.509 certificate in PEM");
        let other = Signer::generate("other", Timestamp(0)).unwrap();
        let other = other.certificate_pem().unwrap();
        assert_eq!(fault(key, &other), "the certificate `CN=other` is of another key");
    }

    #[test]
    fn says_which_key_it_is_that_firmware_does_not_know() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let certificate = include_str!("signer/test.pem");
        let curves = "this is a private key for elliptic curves; firmware checks RSA signatures only";
        let encrypted = "this private key is encrypted by a passphrase";
        for (arguments, expected) in [
            ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", curves),
            ("ecparam -name prime256v1 -genkey -noout", curves),
            (
                "genpkey -algorithm ED25519",
                "this is a private key for Ed25519; firmware checks RSA signatures only",
            ),
            (
                "genpkey -algorithm X25519",
                "this is a private key for 1.3.101.110; firmware checks RSA signatures only",
            ),
            ("genpkey -algorithm RSA -aes128 -pass pass:x", encrypted),
            ("genrsa -traditional -aes128 -passout pass:x", encrypted),
        ] {
            let arguments =
                arguments.split(' ').map(AsRef::as_ref).chain(["-out".as_ref(), file.as_os_str()]);
            oracle::must_accept("openssl", &arguments.collect::<Vec<_>>());
            let key = std::fs::read_to_string(&file).unwrap();
            let fault = Signer::from_pem(&key, certificate).unwrap_err();
            assert_eq!(fault.to_string(), expected, "{}", key.lines().next().unwrap_or_default());
        }
    }
}
