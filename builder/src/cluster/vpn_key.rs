//! WireGuard public keys.

use std::str::FromStr;

use firstboot::wireguard::WireguardKey;
use thiserror::Error;

use super::text::checked_text;

checked_text! {
    /// A WireGuard public key, 32 bytes in base64, as `wg pubkey` prints it.
    VpnKey
}

/// Why a text is no public key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum VpnKeyError {
    /// No base64 of 32 bytes. The text is kept out of the message: it may be a private key with a slip.
    #[error("a WireGuard public key is 32 bytes in base64, 44 characters; this is not")]
    Form,
    /// A point without a private key, by which nobody would be kept out.
    #[error("the key is all zeroes, which is nobody's")]
    Zero,
}

impl FromStr for VpnKey {
    type Err = VpnKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let WireguardKey(bytes) = text.parse().map_err(|_| VpnKeyError::Form)?;
        if bytes == [0; 32] {
            return Err(VpnKeyError::Zero);
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn accepts_32_bytes_in_base64() {
        let key = STANDARD.encode([7; 32]);
        assert_eq!(key.parse::<VpnKey>().map(|key| key.to_string()), Ok(key));
        for text in [
            String::new(),
            "AAAA".into(),
            STANDARD.encode([7; 33]),
            STANDARD.encode([7; 32]).replace('=', ""),
        ] {
            assert_eq!(text.parse::<VpnKey>(), Err(VpnKeyError::Form), "{text}");
        }
        assert_eq!(STANDARD.encode([0; 32]).parse::<VpnKey>(), Err(VpnKeyError::Zero));
    }
}
