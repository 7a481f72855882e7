//! OpenPGP signatures of `InRelease` files (cleartext signature framework, RFC 9580 section 7).

use pgp::composed::CleartextSignedMessage;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use thiserror::Error;

use super::keyring::{Keyring, show_id};
use crate::units::Timestamp;

/// Signed text and who signed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// Exactly what the signature covers; lines end in a line feed.
    pub text: String,
    /// Fingerprint of the key or subkey, in upper-case hexadecimal.
    pub fingerprint: String,
}

/// Why a signature does not count.
#[derive(Debug, Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("no OpenPGP signature")]
    Missing,
    /// There is one, but not in the right form.
    #[error("malformed OpenPGP signature")]
    Malformed {
        /// What the OpenPGP reader found.
        source: Box<pgp::errors::Error>,
    },
    /// Bytes that no signature can cover: not UTF-8, or a carriage return within a line.
    #[error("signed text has bytes that no Release file has")]
    NotText,
    /// None of the signing keys is trusted.
    #[error("signed by no trusted key, but by {}", .keys.join(", "))]
    UnknownKey {
        /// Fingerprints, or ids where the signature names no fingerprint.
        keys: Vec<String>,
    },
    /// A trusted key's signature does not fit the text.
    #[error("signature of key {fingerprint} does not fit the text")]
    Bad {
        /// The key.
        fingerprint: String,
    },
    /// A trusted key's signature rests on a hash that is broken or that no archive uses.
    #[error("signature of key {fingerprint} uses hash {hash} instead of SHA256, SHA384 or SHA512")]
    Hash {
        /// The key.
        fingerprint: String,
        /// The hash algorithm.
        hash: String,
    },
    /// Signed by a trusted key after its time, or so long ago that the signature itself ran out.
    #[error("signature of key {fingerprint} expired on {expired}")]
    Expired {
        /// The key.
        fingerprint: String,
        /// When key or signature expired.
        expired: Timestamp,
    },
}

/// Returns the text that a key of `keyring` signed, as things stand at `now`.
///
/// One good signature suffices, since a Release file carries those of two or three keys.
/// A bad signature of a trusted key spoils the file whatever the others say, as with apt.
pub fn verify(data: &[u8], keyring: &Keyring, now: Timestamp) -> Result<Verified, SignatureError> {
    if !data.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----") {
        return Err(SignatureError::Missing);
    }
    let text = std::str::from_utf8(data).map_err(|_| SignatureError::NotText)?;
    let (message, _) = CleartextSignedMessage::from_string(text)
        .map_err(|source| SignatureError::Malformed { source: Box::new(source) })?;
    // The one form the hash covers; what is returned is made from it, never from the file.
    let signed = message.signed_text();
    let mut unknown = Vec::new();
    let mut expired = None;
    let mut good = None;
    for signature in message.signatures() {
        let Some(key) = keyring.issuer(signature) else {
            unknown.push(issuer(signature));
            continue;
        };
        let fingerprint = key.fingerprint();
        if let Some(hash) = other_hash(signature) {
            return Err(SignatureError::Hash { fingerprint, hash });
        }
        if !is_of_text(signature) || key.verify(signature, signed.as_bytes()).is_err() {
            return Err(SignatureError::Bad { fingerprint });
        }
        match [key.expires, end(signature)].into_iter().flatten().min().filter(|end| *end <= now) {
            Some(end) => expired = Some(SignatureError::Expired { fingerprint, expired: end }),
            None => good = good.or(Some(fingerprint)),
        }
    }
    let Some(fingerprint) = good else {
        let none = if unknown.is_empty() {
            SignatureError::Missing
        } else {
            SignatureError::UnknownKey { keys: unknown }
        };
        return Err(expired.unwrap_or(none));
    };
    let text = signed.replace("\r\n", "\n");
    if text.contains('\r') {
        return Err(SignatureError::NotText);
    }
    Ok(Verified { text, fingerprint })
}

fn is_of_text(signature: &Signature) -> bool {
    matches!(signature.typ(), Some(SignatureType::Text | SignatureType::Binary))
}

fn other_hash(signature: &Signature) -> Option<String> {
    match signature.hash_alg() {
        Some(HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512) => None,
        Some(other) => Some(other.to_string()),
        None => Some("an unknown hash".to_owned()),
    }
}

/// When the signature itself expires, if it does.
fn end(signature: &Signature) -> Option<Timestamp> {
    let lifetime = u64::from(signature.signature_expiration_time()?.as_secs());
    let created = u64::from(signature.created()?.as_secs());
    (lifetime != 0).then_some(Timestamp(created + lifetime))
}

fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|print| print.to_string().to_uppercase());
    let id = || signature.issuer_key_id().first().map(|id| show_id(**id));
    fingerprint.or_else(id).unwrap_or_else(|| "an unnamed key".to_owned())
}

#[cfg(test)]
mod tests;
