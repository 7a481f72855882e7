//! User data: all that a cloud server is given, as one line of text.
//!
//! ```text
//! imgbuild-user-data.<base64url, without padding (RFC 4648, 5), of zlib (RFC 1950) of JSON>
//! {"version":1,"record":"imgbuild-record.…","cluster":"{…}","ticket":"imgbuild-ticket.…","pushKey":"…"}
//! ```
//!
//! The provider stores it, and whoever runs on the server can read it. So what it holds is signed, public, or worth
//! nothing once it was used.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::source::Item;

/// Longest user data that Hetzner Cloud takes, in bytes (API, `POST /servers`, `user_data`).
pub const LONGEST: usize = 32 << 10;
/// Longest content that is unpacked, in bytes: a few bytes can be packed that would fill a machine's memory.
pub const LONGEST_CONTENT: usize = 256 << 10;
/// The format that this program reads and writes.
pub const VERSION: u32 = 1;

const PREFIX: &str = "imgbuild-user-data.";
/// Smallest; it is done once for a server.
const COMPRESSION: u8 = 10;

/// What a server is given, each item as its file on a medium would hold it.
#[derive(Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserData {
    /// The node record, signed by the cluster's operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The cluster record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The ticket of a node that joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The one-time key of a control-plane node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_key: Option<String>,
}

/// Why there is no user data for these items.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// The provider would refuse it.
    #[error("user data of {length} bytes, at most {LONGEST} are taken")]
    Length {
        /// Bytes.
        length: usize,
    },
    /// The items are no JSON.
    #[error("rendering user data")]
    Json(#[source] serde_json::Error),
}

/// Why user data is refused.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Longer than any.
    #[error("user data of {length} bytes, at most {LONGEST} are taken")]
    Length {
        /// Bytes.
        length: usize,
    },
    /// It is for another program.
    #[error("user data is {found}, and not what `imgbuild` gives to a server")]
    Foreign {
        /// What it looks like.
        found: &'static str,
    },
    /// It begins as ours, and was cut off or changed.
    #[error("user data is damaged: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// Packed so that it is far longer than any.
    #[error("user data has a content of more than {LONGEST_CONTENT} bytes")]
    Content,
    /// Of a format that this program does not know.
    #[error("user data has version {found}, this image understands version {VERSION}")]
    Version {
        /// The version that it states.
        found: u64,
    },
}

impl UserData {
    /// One item.
    pub fn get(&self, item: Item) -> Option<&str> {
        match item {
            Item::Record => self.record.as_deref(),
            Item::Cluster => self.cluster.as_deref(),
            Item::Ticket => self.ticket.as_deref(),
            Item::PushKey => self.push_key.as_deref(),
        }
    }
}

impl FromIterator<(Item, String)> for UserData {
    fn from_iter<I: IntoIterator<Item = (Item, String)>>(items: I) -> Self {
        let mut data = Self::default();
        for (item, text) in items {
            let place = match item {
                Item::Record => &mut data.record,
                Item::Cluster => &mut data.cluster,
                Item::Ticket => &mut data.ticket,
                Item::PushKey => &mut data.push_key,
            };
            *place = Some(text);
        }
        data
    }
}

/// Which items there are: two of them are secret until they were used.
impl fmt::Debug for UserData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = Item::ALL.into_iter().filter(|item| self.get(*item).is_some());
        formatter.debug_set().entries(there).finish()
    }
}

/// Renders user data.
pub fn encode(data: &UserData) -> Result<String, EncodeError> {
    #[derive(Serialize)]
    struct Versioned<'a> {
        version: u32,
        #[serde(flatten)]
        data: &'a UserData,
    }
    let json = serde_json::to_vec(&Versioned { version: VERSION, data }).map_err(EncodeError::Json)?;
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(&json, COMPRESSION)));
    if text.len() > LONGEST {
        return Err(EncodeError::Length { length: text.len() });
    }
    Ok(text)
}

/// Reads user data; an empty one has no items.
pub fn decode(text: &[u8]) -> Result<UserData, DecodeError> {
    if text.len() > LONGEST {
        return Err(DecodeError::Length { length: text.len() });
    }
    let text = text.trim_ascii();
    if text.is_empty() {
        return Ok(UserData::default());
    }
    let Some(packed) = text.strip_prefix(PREFIX.as_bytes()) else {
        return Err(DecodeError::Foreign { found: kind(text) });
    };
    let damaged = |fault: &dyn fmt::Display| DecodeError::Damaged {
        // It is shown on consoles, and the parser quotes what it has found.
        reason: fault.to_string().escape_debug().to_string(),
    };
    let packed = URL_SAFE_NO_PAD.decode(packed).map_err(|fault| damaged(&fault))?;
    let json =
        decompress_to_vec_zlib_with_limit(&packed, LONGEST_CONTENT).map_err(|fault| match fault.status {
            TINFLStatus::HasMoreOutput => DecodeError::Content,
            _ => damaged(&"it cannot be unpacked"),
        })?;
    let mut value: serde_json::Value = serde_json::from_slice(&json).map_err(|fault| damaged(&fault))?;
    // Judged before the keys: another version has other keys.
    let version = value.as_object_mut().and_then(|object| object.remove("version"));
    match version.as_ref().and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(found) => return Err(DecodeError::Version { found }),
        None => return Err(damaged(&"it has no `version`")),
    }
    serde_json::from_value(value).map_err(|fault| damaged(&fault))
}

/// What other programs are given.
fn kind(text: &[u8]) -> &'static str {
    let begins = |prefix: &str| text.starts_with(prefix.as_bytes());
    if begins("#cloud-config") {
        "a `#cloud-config` of cloud-init"
    } else if begins("#!") {
        "a script"
    } else if begins("{\"ignition\"") {
        "a configuration of Ignition"
    } else if text.is_ascii() {
        "a text of another kind"
    } else {
        "no text"
    }
}

#[cfg(test)]
mod tests;
