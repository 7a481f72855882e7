//! HMAC-SHA256 (RFC 2104) under one of the cluster's keys, told apart by what it is for.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// A hash under `key` whose first words are its purpose.
pub fn keyed_hash(key: &[u8; 32], purpose: &str) -> Hmac<Sha256> {
    // The specification fills shorter keys up with zeros to a whole block.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    <Hmac<Sha256> as hmac::Mac>::new(&block.into()).chain_update(purpose).chain_update([0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_specification() {
        // printf 'purpose\0text' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07
        let hash = keyed_hash(&[7; 32], "purpose").chain_update("text").finalize().into_bytes();
        assert_eq!(format!("{hash:x}"), "80d0a03e73dc3bf7acc3d09d5f18d1d1a1bad381b17a75587f2262a830bbbd21");
    }
}
