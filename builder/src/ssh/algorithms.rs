//! What is offered to a host: a short list of the best, each with authenticated encryption.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve};
use russh::{Preferred, cipher, compression, kex, mac};

/// Key exchanges; the first one is hybrid, and safe from a quantum computer that reads a recording. The last two offer
/// extensions: without strict key exchange, packets could be removed from the beginning (CVE-2023-48795).
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];
/// Ciphers. AES comes first: processors of servers and laptops have instructions for it.
const CIPHERS: &[cipher::Name] = &[cipher::AES_256_GCM, cipher::CHACHA20_POLY1305];
/// Never used with these ciphers, but a list may not be empty.
const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM];
/// What is worth it is compressed before.
const COMPRESSION: &[compression::Name] = &[compression::NONE];

/// The lists of a client.
pub(super) fn preferred() -> Preferred {
    let keys = vec![Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }];
    Preferred {
        kex: Cow::Borrowed(KEX),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(COMPRESSION),
    }
}
