//! Public WireGuard keys, as `wg` shows them: the 32 bytes in base64 (RFC 4648, 4).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::by_text::by_text;

/// What a node is known by to the others.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WireguardKey(pub [u8; 32]);

/// A text that is no public WireGuard key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{}` is no WireGuard key, which has 32 bytes in base64", .0.escape_debug())]
pub struct NoWireguardKey(pub String);

impl fmt::Display for WireguardKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for WireguardKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WireguardKey({self})")
    }
}

impl FromStr for WireguardKey {
    type Err = NoWireguardKey;

    fn from_str(text: &str) -> Result<Self, NoWireguardKey> {
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| NoWireguardKey(text.to_owned()))
    }
}

by_text!(WireguardKey, NoWireguardKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        // Of RFC 7748, 6.1: Alice's public key.
        let text = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
        let key: WireguardKey = text.parse().unwrap();
        assert_eq!((key.0[..2].to_vec(), key.to_string()), (vec![0x85, 0x20], text.to_owned()));
    }

    #[test]
    fn what_is_no_key_is_named() {
        for text in ["", "AAAA", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo", "\u{1b}[2J"] {
            assert_eq!(text.parse::<WireguardKey>(), Err(NoWireguardKey(text.to_owned())));
        }
        assert!(NoWireguardKey("\u{1b}".to_owned()).to_string().starts_with("`\\u{1b}` is no"));
    }
}
