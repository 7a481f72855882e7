//! The cluster record: public facts that every medium carries. It is what a node trusts the cluster by, and so it is
//! believed because of where it lies: on the medium that its owner wrote.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::by_text::by_text;
use crate::public_key::PublicKey;
use crate::record::VpnKind;

/// Where it lies on the EFI system partition.
pub const ESP_FILE: &str = "firstboot/cluster.json";
/// The format that this program reads and writes.
pub const VERSION: u32 = 1;

/// Public facts about the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterRecord {
    /// Format; [`VERSION`].
    pub version: u32,
    /// What tells this cluster from every other, whatever both are called.
    pub id: ClusterId,
    /// Cluster name, a DNS label.
    pub name: String,
    /// When the cluster's certificates were made, seconds since 1970: by no earlier clock are they good. 0 where nobody
    /// said so.
    #[serde(default)]
    pub created: u64,
    /// Counts re-creations and restores of the control plane; tickets of an older one are refused.
    pub epoch: u32,
    /// Signs tickets. Its private half never reaches a node.
    pub ticket_key: PublicKey,
    /// Signs memberships, and vouches for the claim service. Its private half is on control-plane nodes.
    pub membership_key: PublicKey,
    /// Signs node records and the bundles of control-plane nodes. Its private half never reaches a node.
    pub operator_key: PublicKey,
    /// Where the claim service is, `host:port`.
    pub claim_addresses: Vec<String>,
    /// Which VPN carries the cluster.
    pub vpn: VpnKind,
}

/// 128 random bits, in 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(pub [u8; 16]);

/// A text that is no cluster id.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{}` is no cluster id, which has 32 hexadecimal digits", .0.escape_debug())]
pub struct NoClusterId(pub String);

impl fmt::Display for ClusterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl FromStr for ClusterId {
    type Err = NoClusterId;

    fn from_str(text: &str) -> Result<Self, NoClusterId> {
        let wrong = || NoClusterId(text.to_owned());
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.as_bytes().iter().all(is_digit) {
            return Err(wrong());
        }
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| wrong())
    }
}

by_text!(ClusterId, NoClusterId);

/// Why a cluster record is refused.
#[derive(Debug, Error)]
pub enum ClusterRecordError {
    /// Not JSON, or a key is unknown, missing or of the wrong form.
    #[error("{}", .0.to_string().escape_debug())]
    Syntax(serde_json::Error),
    /// Of a format that this program does not know.
    #[error("cluster record has version {0}, this image understands version {VERSION}")]
    Version(u32),
}

/// Reads a cluster record.
pub fn parse(text: &[u8]) -> Result<ClusterRecord, ClusterRecordError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(text).map_err(ClusterRecordError::Syntax)?;
    if version != VERSION {
        return Err(ClusterRecordError::Version(version));
    }
    serde_json::from_slice(text).map_err(ClusterRecordError::Syntax)
}

#[cfg(test)]
pub(crate) mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    /// The private halves of a cluster's keys, by what they sign.
    pub(crate) fn ticket_key() -> SigningKey {
        SigningKey::from_bytes(&[0x71; 32])
    }

    pub(crate) fn membership_key() -> SigningKey {
        SigningKey::from_bytes(&[0x72; 32])
    }

    pub(crate) fn operator_key() -> SigningKey {
        SigningKey::from_bytes(&[0x73; 32])
    }

    pub(crate) fn example() -> ClusterRecord {
        ClusterRecord {
            version: VERSION,
            id: ClusterId([0xc1; 16]),
            name: "demo".to_owned(),
            created: 1_700_000_000,
            epoch: 3,
            ticket_key: PublicKey::of(&ticket_key()),
            membership_key: PublicKey::of(&membership_key()),
            operator_key: PublicKey::of(&operator_key()),
            claim_addresses: vec!["cp.example.org:51820".to_owned()],
            vpn: VpnKind::Wireguard,
        }
    }

    #[test]
    fn a_record_is_read_as_it_is_written() {
        let text = serde_json::to_vec(&example()).unwrap();
        assert_eq!(parse(&text).unwrap(), example());
    }

    #[test]
    fn what_is_none_is_refused() {
        let changed = |from: &str, to: &str| {
            let text = serde_json::to_string(&example()).unwrap();
            assert!(text.contains(from), "{text}");
            parse(text.replacen(from, to, 1).as_bytes()).unwrap_err().to_string()
        };
        let version = "cluster record has version 2, this image understands version 1";
        assert_eq!(changed("\"version\":1", "\"version\":2,\"new\":0"), version);
        assert!(changed("\"epoch\"", "\"epoche\"").starts_with("unknown field `epoche`"));
        assert!(changed("c1c1", "C1C1").contains("is no cluster id, which has 32 hexadecimal digits"));
        assert!(parse(b"{").unwrap_err().to_string().starts_with("EOF while parsing"));
    }
}
