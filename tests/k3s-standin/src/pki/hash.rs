//! The hash in `K10…` tokens (k3s, `pkg/clientaccess/token.go`, `hashCA`).

use std::time::{SystemTime, UNIX_EPOCH};

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use sha2::{Digest as _, Sha256};
use x509_cert::der::Encode as _;
use x509_cert::der::oid::db::rfc5280::{ANY_EXTENDED_KEY_USAGE, ID_KP_SERVER_AUTH};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, ExtendedKeyUsage, SubjectKeyIdentifier};

use super::{Certificate, certificates};

/// Steps from the first certificate to its root; longer chains are loops.
const DEPTH: usize = 16;

/// Of a CA file: one certificate: the SHA-256 of the file's bytes. More: that of the root's DER to which the first
/// one leads; and where it leads to none, silently that of the bytes again.
pub fn of_bundle(bundle: &[u8]) -> String {
    let parsed = std::str::from_utf8(bundle).ok().and_then(|text| certificates(text).ok());
    let digest = match parsed {
        Some(certificates) if certificates.len() > 1 => {
            root(&certificates).and_then(|root| root.to_der().ok())
        }
        _ => None,
    };
    hex(&Sha256::digest(digest.as_deref().unwrap_or(bundle)))
}

/// The root that the first certificate leads to by what follows it.
fn root(certificates: &[Certificate]) -> Option<&Certificate> {
    let (first, pool) = certificates.split_first()?;
    let mut at = first;
    for _ in 0..DEPTH {
        if !is_usable(at) {
            return None;
        }
        let issuer = pool.iter().find(|issuer| issued(issuer, at))?;
        if is_root(issuer) {
            return is_usable(issuer).then_some(issuer);
        }
        at = issuer;
    }
    None
}

/// Valid now, and for servers: what Go's verification asks for by default.
fn is_usable(certificate: &Certificate) -> bool {
    let validity = &certificate.tbs_certificate.validity;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let is_now =
        validity.not_before.to_unix_duration() <= now && now <= validity.not_after.to_unix_duration();
    let usage = certificate.tbs_certificate.get::<ExtendedKeyUsage>().ok().flatten();
    let is_server = usage.is_none_or(|(_, usage)| {
        usage.0.iter().any(|one| *one == ID_KP_SERVER_AUTH || *one == ANY_EXTENDED_KEY_USAGE)
    });
    is_now && is_server
}

/// No authority's key is named, or its own.
fn is_root(certificate: &Certificate) -> bool {
    let authority = certificate.tbs_certificate.get::<AuthorityKeyIdentifier>().ok().flatten();
    let own = certificate.tbs_certificate.get::<SubjectKeyIdentifier>().ok().flatten();
    match (authority.and_then(|(_, authority)| authority.key_identifier), own) {
        (None, _) => true,
        (Some(authority), Some((_, own))) => authority == own.0,
        (Some(_), None) => false,
    }
}

fn issued(issuer: &Certificate, certificate: &Certificate) -> bool {
    if issuer.tbs_certificate.subject != certificate.tbs_certificate.issuer {
        return false;
    }
    let signed = || {
        let key = issuer.tbs_certificate.subject_public_key_info.to_der().ok()?;
        let key = VerifyingKey::from_public_key_der(&key).ok()?;
        let signature = DerSignature::try_from(certificate.signature.as_bytes()?).ok()?;
        key.verify(&certificate.tbs_certificate.to_der().ok()?, &signature).ok()
    };
    signed().is_some()
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
