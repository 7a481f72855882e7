//! X.509 certificates that are made here (RFC 5280), for firmware and for the cluster.
//!
//! A certificate says what its [`Content`] says and nothing else. The profiles of `x509-cert` would leave out of a root
//! which key signed it.

use std::str::FromStr as _;
use std::time::Duration;

use der::asn1::{BitString, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::flagset::FlagSet;
use der::referenced::OwnedToRef as _;
use der::{DateTime, Encode as _};
use rsa::signature::Signer;
use thiserror::Error;
use x509_cert::certificate::{TbsCertificate, Version};
use x509_cert::ext::AsExtension as _;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    DynSignatureAlgorithmIdentifier, SignatureBitStringEncoding, SubjectPublicKeyInfoOwned,
};
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, builder};

use crate::units::Timestamp;

/// Bytes of a serial number; RFC 5280, 4.1.2.2 allows 20.
const SERIAL: usize = 16;
/// Without a well-defined end (RFC 5280, 4.1.2.5).
const NEVER: &str = "9999-12-31T23:59:59Z";
/// Longest common name in characters (RFC 5280, A.1, `ub-common-name`).
const LONGEST_NAME: usize = 64;

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A part cannot be encoded.
    #[error("encoding a certificate")]
    Encode(#[from] der::Error),
    /// A public key cannot be encoded.
    #[error("encoding a public key")]
    PublicKey(#[from] x509_cert::spki::Error),
    /// An extension cannot be made.
    #[error("making a certificate")]
    Build(#[from] builder::Error),
    /// The key does not sign.
    #[error("signing a certificate")]
    Sign(#[from] rsa::signature::Error),
    /// The kernel gave no random bytes.
    #[error("asking for random bytes")]
    Random(#[from] std::io::Error),
}

/// What a certificate says.
pub(crate) struct Content<'a> {
    /// Common name of whose it is.
    pub(crate) subject: &'a str,
    /// To which organization they belong, which Kubernetes takes for their group.
    pub(crate) organization: Option<&'a str>,
    /// The signer's certificate; a root, which signs its own, has none.
    pub(crate) issuer: Option<&'a Certificate>,
    /// Whose key it is about.
    pub(crate) public: SubjectPublicKeyInfoOwned,
    /// Since when it is good.
    pub(crate) since: Timestamp,
    /// Until when; without it, it has no end.
    pub(crate) until: Option<Timestamp>,
    /// Whether it may sign certificates, and how many steps deep.
    pub(crate) constraints: BasicConstraints,
    /// What the key may be used for.
    pub(crate) usage: FlagSet<KeyUsages>,
    /// For what else alone it may be used; without it, for anything.
    pub(crate) purpose: Option<ObjectIdentifier>,
}

impl Content<'_> {
    /// The certificate, signed by `key`.
    pub(crate) fn sign<K, S>(self, key: &K) -> Result<Certificate, CertificateError>
    where
        K: Signer<S> + DynSignatureAlgorithmIdentifier,
        S: SignatureBitStringEncoding,
    {
        let subject = name(self.subject, self.organization)?;
        let signer = self.issuer.map(|issuer| &issuer.tbs_certificate);
        let signer_key = signer.map_or(&self.public, |signer| &signer.subject_public_key_info);
        let mut extensions = Vec::new();
        let of_subject = SubjectKeyIdentifier::try_from(self.public.owned_to_ref())?;
        extensions.push(of_subject.to_extension(&subject, &extensions)?);
        let of_signer = AuthorityKeyIdentifier::try_from(signer_key.owned_to_ref())?;
        extensions.push(of_signer.to_extension(&subject, &extensions)?);
        extensions.push(self.constraints.to_extension(&subject, &extensions)?);
        extensions.push(KeyUsage(self.usage).to_extension(&subject, &extensions)?);
        if let Some(purpose) = self.purpose {
            extensions.push(ExtendedKeyUsage(vec![purpose]).to_extension(&subject, &extensions)?);
        }
        let tbs_certificate = TbsCertificate {
            version: Version::V3,
            serial_number: serial()?,
            signature: key.signature_algorithm_identifier()?,
            issuer: signer.map_or(&subject, |signer| &signer.subject).clone(),
            validity: validity(self.since, self.until)?,
            subject,
            subject_public_key_info: self.public,
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(extensions),
        };
        let signature: BitString = key.try_sign(&tbs_certificate.to_der()?)?.to_bitstring()?;
        Ok(Certificate { signature_algorithm: tbs_certificate.signature.clone(), tbs_certificate, signature })
    }
}

/// A positive number that does not begin with zeroes.
fn serial() -> Result<SerialNumber, CertificateError> {
    let mut serial = firstboot::random::random::<SERIAL>()?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(SerialNumber::new(&serial)?)
}

/// From `since` until `until`, or without an end.
fn validity(since: Timestamp, until: Option<Timestamp>) -> Result<Validity, der::Error> {
    let not_after = match until {
        Some(until) => time(until)?,
        None => Time::GeneralTime(GeneralizedTime::from_date_time(DateTime::from_str(NEVER)?)),
    };
    Ok(Validity { not_before: time(since)?, not_after })
}

/// Years before 2050 have two digits (RFC 5280, 4.1.2.5.1).
fn time(at: Timestamp) -> Result<Time, der::Error> {
    let at = Duration::from_secs(at.0);
    Ok(match UtcTime::from_unix_duration(at) {
        Ok(time) => Time::UtcTime(time),
        Err(_) => Time::GeneralTime(GeneralizedTime::from_unix_duration(at)?),
    })
}

/// As RFC 4514, 2.4 writes it, with the most significant part last (2.1).
fn name(common_name: &str, organization: Option<&str>) -> Result<Name, der::Error> {
    let organization = organization.map(|name| format!(",O={}", escaped(name))).unwrap_or_default();
    Name::from_str(&format!("CN={}{organization}", escaped(common_name)))
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut text, character| {
        if "\"+,;<>\\#=".contains(character) {
            text.push('\\');
        }
        text.push(character);
        text
    })
}

/// `<cluster> <purpose>`; a cluster's name that leaves no room for the purpose is cut.
pub(crate) fn common_name(cluster: &str, purpose: &str) -> String {
    let room = LONGEST_NAME.saturating_sub(purpose.chars().count().saturating_add(1));
    let cluster: String = cluster.chars().take(room).collect();
    format!("{cluster} {purpose}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_of_a_cluster_leaves_room_for_the_purpose() {
        assert_eq!(common_name("lab", "k3s root CA"), "lab k3s root CA");
        let long = common_name(&"a".repeat(63), "k3s root CA");
        assert_eq!(long, format!("{} k3s root CA", "a".repeat(52)));
        assert_eq!(long.len(), LONGEST_NAME);
    }
}
