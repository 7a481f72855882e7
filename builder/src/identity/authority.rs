//! One certificate authority: an ECDSA key on P-256, of which k3s makes its own too, and its certificate.

use std::fmt;

use der::oid::db::rfc5280::ID_KP_CLIENT_AUTH;
use der::pem::PemLabel as _;
use der::{DecodePem as _, Encode as _, EncodePem as _};
use p256::NistP256;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{AssociatedOid as _, DecodePrivateKey as _, LineEnding, SecretDocument};
use rsa::rand_core::OsRng;
use sec1::EcPrivateKey;
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsages};
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use crate::format::certificate::{CertificateError, Content};
use crate::units::{Sha256, Timestamp};

/// A key and its certificate; the key never shows.
#[derive(Clone)]
pub struct Authority {
    key: SigningKey,
    certificate: Certificate,
}

/// Who a client of the API is.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Kubernetes' user.
    pub user: &'a str,
    /// Kubernetes' group, by which it has its rights.
    pub group: &'a str,
    /// Since when.
    pub since: Timestamp,
    /// Until when: nothing but time ends such a certificate.
    pub until: Timestamp,
}

/// What a client of the API shows, as PEM.
#[derive(Clone)]
pub struct ClientCertificate {
    /// Its certificate.
    pub certificate: String,
    /// Its key; a secret.
    pub key: Zeroizing<String>,
}

/// Why there is no authority.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// No PEM text of a private key on P-256. What is wrong with it could tell of the key, and is left out.
    #[error("this is no private key on P-256 in PEM")]
    Key,
    /// No PEM text of a certificate.
    #[error("this is no X.509 certificate in PEM")]
    Certificate(#[source] der::Error),
    /// Key and certificate are not of each other.
    #[error("the certificate `{subject}` is of another key")]
    Mismatch {
        /// Whose certificate it is.
        subject: String,
    },
    /// Another than the authority above has signed the certificate.
    #[error("the certificate `{subject}` is not signed by `{issuer}`")]
    Issuer {
        /// Whose certificate it is.
        subject: String,
        /// Who should have signed it.
        issuer: String,
    },
    /// The certificate cannot be made.
    #[error(transparent)]
    Make(#[from] CertificateError),
    /// The certificate cannot be encoded.
    #[error("encoding a certificate")]
    Encode(#[from] der::Error),
}

impl Authority {
    /// An authority above which there is none.
    pub fn root(name: &str, since: Timestamp) -> Result<Self, AuthorityError> {
        Self::make(name, since, None)
    }

    /// An authority that this one vouches for; it signs leaves only.
    pub fn issue(&self, name: &str, since: Timestamp) -> Result<Self, AuthorityError> {
        Self::make(name, since, Some(self))
    }

    fn make(name: &str, since: Timestamp, issuer: Option<&Self>) -> Result<Self, AuthorityError> {
        let key = SigningKey::random(&mut OsRng);
        let content = Content {
            subject: name,
            organization: None,
            issuer: issuer.map(|issuer| &issuer.certificate),
            public: public(&key)?,
            since,
            until: None,
            constraints: BasicConstraints { ca: true, path_len_constraint: issuer.map(|_| 0) },
            // No extended key usage: k3s judges its authorities as Go does servers, and takes another hash without a word
            // where one may not sign for those.
            usage: KeyUsages::KeyCertSign | KeyUsages::CRLSign | KeyUsages::DigitalSignature,
            purpose: None,
        };
        let certificate = content.sign::<_, DerSignature>(issuer.map_or(&key, |issuer| &issuer.key))?;
        Ok(Self { key, certificate })
    }

    /// Reads a key (SEC 1 or PKCS #8) and its certificate.
    pub fn from_pem(text: &str, certificate: &str) -> Result<Self, AuthorityError> {
        let key = p256::SecretKey::from_sec1_pem(text).map(SigningKey::from);
        let key = key.or_else(|_| SigningKey::from_pkcs8_pem(text)).map_err(|_| AuthorityError::Key)?;
        let certificate = Certificate::from_pem(certificate).map_err(AuthorityError::Certificate)?;
        let authority = Self { key, certificate };
        if authority.certificate.tbs_certificate.subject_public_key_info != public(&authority.key)? {
            return Err(AuthorityError::Mismatch { subject: authority.subject() });
        }
        Ok(authority)
    }

    /// Fails unless `issuer` has signed this certificate; a root has signed its own.
    pub fn check_issuer(&self, issuer: &Self) -> Result<(), AuthorityError> {
        let other = || AuthorityError::Issuer { subject: self.subject(), issuer: issuer.subject() };
        let certificate = &self.certificate;
        if certificate.tbs_certificate.issuer != issuer.certificate.tbs_certificate.subject {
            return Err(other());
        }
        let signature = certificate.signature.as_bytes().unwrap_or_default();
        let signature = DerSignature::try_from(signature).map_err(|_| other())?;
        let signed = certificate.tbs_certificate.to_der()?;
        VerifyingKey::from(&issuer.key).verify(&signed, &signature).map_err(|_| other())
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate as text.
    pub fn certificate_pem(&self) -> Result<String, AuthorityError> {
        Ok(self.certificate.to_pem(LineEnding::LF)?)
    }

    /// The private key as k3s writes it, `EC PRIVATE KEY` (SEC 1, C.4).
    pub fn key_pem(&self) -> Result<Zeroizing<String>, AuthorityError> {
        pem(&self.key)
    }

    /// The private number itself, by which a copy of the key is found.
    pub(super) fn secret(&self) -> Zeroizing<Vec<u8>> {
        number(&self.key)
    }

    /// Vouches for a client of the API: a new key, and a certificate by which Kubernetes knows its owner as a user and
    /// a member of one group.
    pub fn client(&self, client: &Client) -> Result<ClientCertificate, AuthorityError> {
        let key = SigningKey::random(&mut OsRng);
        let content = Content {
            subject: client.user,
            organization: Some(client.group),
            issuer: Some(&self.certificate),
            public: public(&key)?,
            since: client.since,
            until: Some(client.until),
            constraints: BasicConstraints { ca: false, path_len_constraint: None },
            usage: KeyUsages::DigitalSignature.into(),
            purpose: Some(ID_KP_CLIENT_AUTH),
        };
        let certificate = content.sign::<_, DerSignature>(&self.key)?;
        // Without this authority beside it: who asks for the certificate knows it.
        Ok(ClientCertificate { certificate: certificate.to_pem(LineEnding::LF)?, key: pem(&key)? })
    }

    /// Whose certificate it is, e.g. `CN=lab k3s server CA`.
    pub fn subject(&self) -> String {
        self.certificate.tbs_certificate.subject.to_string()
    }

    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` shows it.
    pub fn fingerprint(&self) -> Result<Sha256, AuthorityError> {
        Ok(Sha256::of(&self.certificate.to_der()?))
    }
}

/// Names the certificate, never the key.
impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Authority({}, key hidden)", self.subject())
    }
}

/// Shows no key.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientCertificate(key hidden)")
    }
}

fn number(key: &SigningKey) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(key.to_bytes().to_vec())
}

fn pem(key: &SigningKey) -> Result<Zeroizing<String>, AuthorityError> {
    let private_key = number(key);
    let public_key = key.verifying_key().to_encoded_point(false);
    let key = EcPrivateKey {
        private_key: &private_key,
        // Without the curve's name, as `p256` writes it, neither Go nor OpenSSL takes the key.
        parameters: Some(NistP256::OID.into()),
        public_key: Some(public_key.as_bytes()),
    };
    let document = SecretDocument::encode_msg(&key)?;
    Ok(document.to_pem(EcPrivateKey::PEM_LABEL, LineEnding::LF)?)
}

fn public(key: &SigningKey) -> Result<SubjectPublicKeyInfoOwned, CertificateError> {
    Ok(SubjectPublicKeyInfoOwned::from_key(*key.verifying_key())?)
}
