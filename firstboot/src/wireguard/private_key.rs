//! A node's own WireGuard key (X25519, RFC 7748), which never leaves it.

use curve25519_dalek::MontgomeryPoint;

use super::key::WireguardKey;
use crate::control_plane::bundle::SecretKey;
use crate::converge::System;
use crate::key::KeyError;
use crate::random::random;

/// Where it lies: 32 bytes, mode 0600, on the state partition.
pub const PATH: &str = "/var/lib/imgbuild/wireguard.key";

/// The public half. Any 32 bytes are a private key: WireGuard sets and clears the bits of RFC 7748, 5, as this does.
pub fn public(key: &SecretKey) -> WireguardKey {
    WireguardKey(MontgomeryPoint::mul_base_clamped(*key.bytes()).to_bytes())
}

/// Reads the node's key; `None` where there is none yet.
pub fn load(system: &System) -> Result<Option<SecretKey>, KeyError> {
    let Some(bytes) = system.read(PATH)? else { return Ok(None) };
    let bytes =
        <[u8; 32]>::try_from(bytes).map_err(|bytes| KeyError::Length { path: PATH, found: bytes.len() })?;
    Ok(Some(SecretKey::new(bytes)))
}

/// Reads the node's key, or makes it, on disk before anything else happens with it.
pub fn ensure(system: &System) -> Result<SecretKey, KeyError> {
    if let Some(key) = load(system)? {
        return Ok(key);
    }
    let key = SecretKey::new(random().map_err(KeyError::Random)?);
    system.ensure_file(PATH, key.bytes(), 0o600)?;
    Ok(key)
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
        assert_eq!(ensure(&system).unwrap(), key);
        system.ensure_file(PATH, b"short", 0o600).unwrap();
        let expected = "key `/var/lib/imgbuild/wireguard.key` has 5 bytes, not 32";
        assert_eq!(load(&system).unwrap_err().to_string(), expected);
    }
}
