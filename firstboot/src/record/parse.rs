//! Reading a node record: version first, then every key, then what the keys mean together.

use thiserror::Error;

use super::{NodeRecord, VERSION};

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

/// What ends up in file names, host names and unit files must not be able to leave its place.
fn check(record: &NodeRecord) -> Result<(), RecordError> {
    dns_label("cluster.name", &record.cluster.name)?;
    dns_label("node.name", &record.node.name)?;
    value(
        "cluster.endpoint",
        &record.cluster.endpoint,
        is_host(&record.cluster.endpoint),
        "a DNS name or an IP address",
    )?;
    value(
        "timeZone",
        &record.time_zone,
        is_time_zone(&record.time_zone),
        "a name of the tz database, such as `Europe/Berlin`",
    )?;
    for key in &record.ssh_authorized_keys {
        value("sshAuthorizedKeys", key, !key.contains(['\n', '\r']), "one line of an authorized_keys file")?;
    }
    for interface in &record.interfaces {
        value(
            "interfaces.mac",
            &interface.mac,
            is_mac(&interface.mac),
            "six hexadecimal pairs, `52:54:00:12:34:56`",
        )?;
        for address in &interface.addresses {
            value(
                "interfaces.addresses",
                address,
                is_range(address),
                "an address with prefix length, `192.0.2.7/24`",
            )?;
        }
        let gateway = interface.gateway.iter().map(|address| ("interfaces.gateway", address));
        let servers = interface.dns.iter().map(|address| ("interfaces.dns", address));
        for (key, address) in gateway.chain(servers) {
            value(key, address, address.parse::<std::net::IpAddr>().is_ok(), "an IP address")?;
        }
    }
    for (key, range) in [
        ("vpn.range", &record.vpn.range),
        ("k3s.podRange", &record.k3s.pod_range),
        ("k3s.serviceRange", &record.k3s.service_range),
    ] {
        value(key, range, is_range(range), "a range with prefix length, `10.44.0.0/16`")?;
    }
    value(
        "k3s.version",
        &record.k3s.version,
        is_k3s_version(&record.k3s.version),
        "a k3s release, `v1.36.4+k3s1`",
    )?;
    if let Some(gitops) = &record.gitops {
        for (key, text) in [
            ("gitops.repository", &gitops.repository),
            ("gitops.revision", &gitops.revision),
            ("gitops.path", &gitops.path),
        ] {
            // It is shown on consoles, where a control character would be a command.
            value(key, text, !text.chars().any(char::is_control), "text without control characters")?;
        }
    }
    for (label, content) in &record.node.labels {
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        value(
            "node.labels",
            &format!("{label}={content}"),
            plain(label) && plain(content),
            "a Kubernetes label",
        )?;
    }
    Ok(())
}

fn value(key: &str, found: &str, holds: bool, reason: &'static str) -> Result<(), RecordError> {
    if holds {
        return Ok(());
    }
    Err(RecordError::Value { key: key.to_owned(), found: escaped(found), reason })
}

/// Faults are shown on consoles, where a control character would be a command.
fn escaped(text: &str) -> String {
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

fn dns_label(key: &str, text: &str) -> Result<(), RecordError> {
    let is_label = (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    value(key, text, is_label, "a DNS label: lower-case letters, digits and inner hyphens, at most 63")
}

fn is_host(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
        || (!text.is_empty()
            && text.len() <= 253
            && text.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            }))
}

fn is_time_zone(text: &str) -> bool {
    !text.is_empty()
        && text.split('/').all(|part| {
            !part.is_empty()
                && part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
        })
}

fn is_k3s_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('v').and_then(|text| text.split_once("+k3s")).is_some_and(|(kubernetes, release)| {
        let (numbers, candidate) =
            kubernetes.split_once("-rc").map_or((kubernetes, None), |(numbers, rc)| (numbers, Some(rc)));
        numbers.split('.').count() == 3
            && numbers.split('.').all(is_number)
            && candidate.is_none_or(is_number)
            && is_number(release)
    })
}

fn is_mac(text: &str) -> bool {
    text.len() == 17
        && text.split(':').count() == 6
        && text.split(':').all(|pair| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_range(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        let most = match address.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => 32,
            Ok(std::net::IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        length.parse::<u8>().is_ok_and(|length| length <= most)
    })
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
        line 31, column 10: unknown field `nmae`, expected one of `name`, `role`, `labels`
        line 31, column 20: unknown variant `master`, expected one of `control-plane`, `worker`, `edge`
        line 31, column 21: unknown variant `\u{1b}c`, expected one of `control-plane`, `worker`, `edge`
        `node.name` is `../etc`, not a DNS label: lower-case letters, digits and inner hyphens, at most 63
        `timeZone` is `../../etc/shadow`, not a name of the tz database, such as `Europe/Berlin`
        line 39, column 24: invalid IPv4 address syntax
        `vpn.range` is `10.44.0.0/33`, not a range with prefix length, `10.44.0.0/16`
        `cluster.endpoint` is `a b`, not a DNS name or an IP address
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
