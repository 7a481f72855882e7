//! The key pair of sealed-secrets: what is sealed by its public half may lie in Git, and the controller in the cluster
//! alone opens it. Made beforehand, so that secrets can be sealed before there is a cluster.

use std::fmt;

use der::{DecodePem as _, Encode as _, EncodePem as _};
use rsa::pkcs1v15::{Signature, SigningKey};
use rsa::pkcs8::LineEnding;
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsages};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::rsa_key::{RsaKey, RsaKeyError};
use crate::format::certificate::{CertificateError, Content, common_name};
use crate::units::{Sha256, Timestamp};

/// A key and the certificate that `kubeseal --cert` takes; the key never shows.
#[derive(Clone)]
pub struct SealingKey {
    key: RsaKey,
    certificate: Certificate,
}

/// Why there is no sealing key.
#[derive(Debug, Error)]
pub enum SealingKeyError {
    /// No key.
    #[error(transparent)]
    Key(#[from] RsaKeyError),
    /// No PEM text of a certificate.
    #[error("this is no X.509 certificate in PEM")]
    Certificate(#[source] der::Error),
    /// Key and certificate are not of each other.
    #[error("the certificate `{subject}` is of another key")]
    Mismatch {
        /// Whose certificate it is.
        subject: String,
    },
    /// The certificate cannot be made.
    #[error(transparent)]
    Make(#[from] CertificateError),
    /// The certificate cannot be encoded.
    #[error("encoding a certificate")]
    Encode(#[from] der::Error),
}

impl SealingKey {
    /// Makes the certificate for a key. It has no end, as the key has none: `kubeseal` refuses one that expired.
    pub fn new(key: RsaKey, cluster: &str, since: Timestamp) -> Result<Self, SealingKeyError> {
        let content = Content {
            subject: &common_name(cluster, "sealed-secrets"),
            organization: None,
            issuer: None,
            public: public(&key)?,
            since,
            until: None,
            constraints: BasicConstraints { ca: false, path_len_constraint: None },
            usage: KeyUsages::KeyEncipherment.into(),
            purpose: None,
        };
        let signer = SigningKey::<sha2::Sha256>::new(key.private().clone());
        let certificate = content.sign::<_, Signature>(&signer)?;
        Ok(Self { key, certificate })
    }

    /// Reads a key and its certificate.
    pub fn from_pem(key: &str, certificate: &str) -> Result<Self, SealingKeyError> {
        let key = RsaKey::from_pem(key)?;
        let certificate = Certificate::from_pem(certificate).map_err(SealingKeyError::Certificate)?;
        let of_certificate = &certificate.tbs_certificate;
        if of_certificate.subject_public_key_info != public(&key)? {
            return Err(SealingKeyError::Mismatch { subject: of_certificate.subject.to_string() });
        }
        Ok(Self { key, certificate })
    }

    /// `tls.key` of the controller's Secret.
    pub fn key(&self) -> &RsaKey {
        &self.key
    }

    /// `tls.crt` of the controller's Secret.
    pub fn certificate_pem(&self) -> Result<String, SealingKeyError> {
        Ok(self.certificate.to_pem(LineEnding::LF)?)
    }

    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` shows it.
    pub fn fingerprint(&self) -> Result<Sha256, SealingKeyError> {
        Ok(Sha256::of(&self.certificate.to_der()?))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealingKey({}, key hidden)", self.certificate.tbs_certificate.subject)
    }
}

fn public(key: &RsaKey) -> Result<SubjectPublicKeyInfoOwned, CertificateError> {
    Ok(SubjectPublicKeyInfoOwned::from_key(key.public())?)
}
