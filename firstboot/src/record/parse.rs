//! Reading a node record: version first, then every key, then what the keys mean together.

use thiserror::Error;

use super::check::check;
use super::{NodeRecord, VERSION};
use crate::document::DocumentError;

/// Why a record is refused. Positions count from 1.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Not JSON, a key is unknown or missing, or a value has the wrong type.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// Line.
        line: usize,
        /// Column.
        column: usize,
        /// The parser's words.
        reason: String,
    },
    /// The record is of a format that this program does not know.
    #[error("record has version {found}, this image understands version {VERSION}")]
    Version {
        /// The version it states.
        found: u64,
    },
    /// The record does not say its version.
    #[error("record has no `version` number")]
    NoVersion,
    /// A value is of the right type but means nothing.
    #[error("`{key}` is `{found}`, not {reason}")]
    Value {
        /// Path of the key, `node.name`.
        key: String,
        /// The value, control characters escaped.
        found: String,
        /// What it should be.
        reason: &'static str,
    },
    /// Not what the cluster's operator has signed.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Anybody could have written it.
    #[error("this medium is of cluster `{cluster}`, and the record is not signed by its operator")]
    Unsigned {
        /// The medium's.
        cluster: String,
    },
    /// Nobody can say by whom.
    #[error("the record is signed, and no cluster record is beside it")]
    NoCluster,
    /// Signed by the operator of another cluster with the same keys.
    #[error("the record is of cluster `{found}`, this medium is of `{own}`")]
    Cluster {
        /// The record's.
        found: String,
        /// The medium's.
        own: String,
    },
}

/// Parses and checks a record.
pub fn parse(text: &[u8]) -> Result<NodeRecord, RecordError> {
    // The version is judged before the keys: another version has other keys.
    let any: serde_json::Value = serde_json::from_slice(text).map_err(|error| syntax(&error))?;
    match any.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(found) => return Err(RecordError::Version { found }),
        None => return Err(RecordError::NoVersion),
    }
    let record: NodeRecord = serde_json::from_slice(text).map_err(|error| syntax(&error))?;
    check(&record)?;
    Ok(record)
}

fn syntax(error: &serde_json::Error) -> RecordError {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let reason = escaped(text.strip_suffix(&position).unwrap_or(&text));
    RecordError::Syntax { line: error.line(), column: error.column(), reason }
}

/// Faults are shown on consoles, where a control character would be a command.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn fault(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut json = serde_json::to_value(example()).unwrap();
        change(&mut json);
        parse(serde_json::to_string_pretty(&json).unwrap().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn reads_back_what_it_writes() {
        let text = serde_json::to_vec(&example()).unwrap();
        assert_eq!(parse(&text).unwrap(), example());
    }

    #[test]
    fn names_key_and_position_of_every_fault() {
        let faults = [
            fault(|json| json["version"] = 2.into()),
            fault(|json| json["version"] = "1".into()),
            fault(|json| json["node"]["nmae"] = "x".into()),
            fault(|json| json["node"]["role"] = "master".into()),
            fault(|json| json["node"]["role"] = "\u{1b}c".into()),
            fault(|json| json["node"]["name"] = "../etc".into()),
            fault(|json| json["timeZone"] = "../../etc/shadow".into()),
            fault(|json| json["vpn"]["address"] = "10.44.0".into()),
            fault(|json| json["vpn"]["range"] = "10.44.0.0/33".into()),
            fault(|json| json["cluster"]["endpoint"] = "a b".into()),
            fault(|json| json["cluster"]["posture"] = "open".into()),
            fault(|json| json["node"]["site"] = "Harbour".into()),
            fault(|json| json["node"]["taints"] = serde_json::json!(["gpu:Never"])),
            fault(|json| json["node"]["hardware"] = serde_json::json!({ "serial": "" })),
            fault(|json| json["node"]["hardware"] = serde_json::json!({ "mac": "52:54" })),
            fault(|json| json["node"]["swap"] = serde_json::json!({ "size": 100_000, "behavior": "NoSwap" })),
            fault(|json| {
                json["node"]["longhorn"] = serde_json::json!({ "disks": [{ "path": "/var/../etc" }] });
            }),
            fault(|json| json["vpn"]["kind"] = "headscale".into()),
            fault(|json| json["vpn"]["privateRange"] = "10.0.0.0".into()),
            fault(|json| {
                json["vpn"]["admins"] = serde_json::json!({ "range": "10.45.0.0/24", "port": 51821, "peers":
                    [{ "name": "ada", "publicKey": "AAAA", "address": "10.45.0.11" }] });
            }),
            fault(|json| json["k3s"]["kubeletArgs"] = serde_json::json!(["--v=4"])),
            fault(|json| json["revocations"] = serde_json::json!([{ "node": "", "minimumGeneration": 1 }])),
            fault(|json| json["interfaces"][0]["gateway"] = "192.0.2".into()),
            fault(|json| json["interfaces"][0]["dns"][0] = "192.0.2".into()),
            fault(|json| json["k3s"]["version"] = "v1.36".into()),
            fault(|json| json["k3s"]["version"] = "v1.36.4+k3s1\u{1b}[2J".into()),
            fault(|json| {
                json["gitops"] =
                    serde_json::json!({ "repository": "https://x\u{9b}2J", "revision": "main", "path": "." });
            }),
            parse(b"{\"version\": 1,").unwrap_err().to_string(),
        ];
        insta::assert_snapshot!(faults.join("\n"), @r"
        record has version 2, this image understands version 1
        record has no `version` number
        line 32, column 10: unknown field `nmae`, expected one of `name`, `role`, `labels`, `site`, `taints`, `hardware`, `swap`, `longhorn`
        line 32, column 20: unknown variant `master`, expected one of `control-plane`, `worker`, `edge`
        line 32, column 21: unknown variant `\u{1b}c`, expected one of `control-plane`, `worker`, `edge`
        `node.name` is `../etc`, not a DNS label: lower-case letters, digits and inner hyphens, at most 63
        `timeZone` is `../../etc/shadow`, not a name of the tz database, such as `Europe/Berlin`
        line 40, column 24: invalid IPv4 address syntax
        `vpn.range` is `10.44.0.0/33`, not a range with prefix length, `10.44.0.0/16`
        `cluster.endpoint` is `a b`, not a DNS name or an IP address
        line 5, column 21: unknown variant `open`, expected `bring-up` or `production`
        `node.site` is `Harbour`, not a DNS label: lower-case letters, digits and inner hyphens, at most 63
        `node.taints` is `gpu:Never`, not a Kubernetes taint, `key=value:NoSchedule`
        `node.hardware.serial` is ``, not a serial number
        `node.hardware.mac` is `52:54`, not six hexadecimal pairs, `52:54:00:12:34:56`
        `node.swap.size` is `100000`, not a number of bytes that makes whole pages
        `node.longhorn.disks.path` is `/var/../etc`, not a folder below `/var`
        `vpn.kind` is `headscale`, not a VPN that this image has; `wireguard` is
        `vpn.privateRange` is `10.0.0.0`, not a range with prefix length, `10.44.0.0/16`
        `vpn.admins.peers.publicKey` is `AAAA`, not a WireGuard public key in base64
        `k3s.kubeletArgs` is `--v=4`, not an argument, `name=value`
        `revocations.node` is ``, not a DNS label: lower-case letters, digits and inner hyphens, at most 63
        `interfaces.gateway` is `192.0.2`, not an IP address
        `interfaces.dns` is `192.0.2`, not an IP address
        `k3s.version` is `v1.36`, not a k3s release, `v1.36.4+k3s1`
        `k3s.version` is `v1.36.4+k3s1\u{1b}[2J`, not a k3s release, `v1.36.4+k3s1`
        `gitops.repository` is `https://x\u{9b}2J`, not text without control characters
        line 1, column 14: EOF while parsing a value
        ");
    }

    #[test]
    fn never_panics_on_a_damaged_record() {
        let text = serde_json::to_vec(&example()).unwrap();
        for index in 0..text.len() {
            for byte in [0, b'"', b'{', 0xff] {
                let mut damaged = text.clone();
                damaged[index] = byte;
                let _ = parse(&damaged);
            }
            let _ = parse(&text[..index]);
        }
    }
}
