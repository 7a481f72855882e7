//! A node's own WireGuard key (X25519, RFC 7748), which never leaves it.

use curve25519_dalek::MontgomeryPoint;

use super::key::WireguardKey;
use crate::converge::System;
use crate::secret_key::{self, KeyError, SecretKey};

/// Where it lies: 32 bytes, mode 0600, on the state partition.
pub const PATH: &str = "/var/lib/imgbuild/wireguard.key";

/// The public half. Any 32 bytes are a private key: WireGuard sets and clears the bits of RFC 7748, 5, as this does.
pub fn public(key: &SecretKey) -> WireguardKey {
    WireguardKey(MontgomeryPoint::mul_base_clamped(*key.bytes()).to_bytes())
}

/// A private key as the kernel keeps it: the bits that are the same in all of them are set (RFC 7748, 5).
pub fn clamped(mut key: [u8; 32]) -> [u8; 32] {
    key[0] &= 0xf8;
    key[31] = (key[31] & 0x7f) | 0x40;
    key
}

/// Reads the node's key, or makes it, on disk before anything else happens with it. Without one, a dry run returns `None`.
pub fn ensure(system: &System) -> Result<Option<SecretKey>, KeyError> {
    secret_key::ensure(PATH, system)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converge::Mode;

    #[test]
    fn the_public_half_is_that_of_openssl() {
        // openssl pkey -pubout of an X25519 key of 32 bytes 07.
        let expected = "E75P6uryBMf9M1j8nAByGIHRdCeBKCJ+xnTzf3/pe20=";
        assert_eq!(public(&SecretKey::new([7; 32])).to_string(), expected);
    }

    #[test]
    fn keeps_the_key_it_made() {
        let folder = tempfile::tempdir().unwrap();
        let system = System::new(folder.path(), Mode::Apply);
        let key = ensure(&system).unwrap();
        assert!(key.is_some());
        assert_eq!(ensure(&system).unwrap(), key);
        system.ensure_file(PATH, b"short", 0o600).unwrap();
        let expected = "key `/var/lib/imgbuild/wireguard.key` has 5 bytes, not 32";
        assert_eq!(ensure(&system).unwrap_err().to_string(), expected);
    }
}
