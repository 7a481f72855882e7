//! What a record's values mean: what ends up in file names, host names and unit files must not be able to leave its place.

use std::net::IpAddr;

use super::parse::escaped;
use super::{Admins, Gitops, Interface, K3s, Node, NodeRecord, RecordError, Vpn, VpnKind};
use crate::wireguard::WireguardKey;

/// What a name of a node, cluster, site, Secret or admin is.
const LABEL: &str = "a DNS label: lower-case letters, digits and inner hyphens, at most 63";
/// What a range is.
const RANGE: &str = "a range with prefix length, `10.44.0.0/16`";
/// Bytes of the smallest page, of which swap has whole ones.
const PAGE: u64 = 4096;

/// Checks every value.
pub(super) fn check(record: &NodeRecord) -> Result<(), RecordError> {
    dns_label("cluster.name", &record.cluster.name)?;
    host("cluster.endpoint", &record.cluster.endpoint)?;
    node(&record.node)?;
    value(
        "timeZone",
        &record.time_zone,
        is_time_zone(&record.time_zone),
        "a name of the tz database, such as `Europe/Berlin`",
    )?;
    for key in &record.ssh_authorized_keys {
        value("sshAuthorizedKeys", key, !key.contains(['\n', '\r']), "one line of an authorized_keys file")?;
    }
    record.interfaces.iter().try_for_each(interface)?;
    vpn(&record.vpn)?;
    k3s(&record.k3s)?;
    record.gitops.iter().try_for_each(gitops)?;
    for address in &record.operator_addresses {
        // Who comes by IPv4 is compared as such.
        value(
            "operatorAddresses",
            &address.to_string(),
            address.to_canonical() == *address,
            "an address of IPv4 or IPv6, and not one inside the other",
        )?;
    }
    for revocation in &record.revocations {
        dns_label("revocations.node", &revocation.node)?;
    }
    Ok(())
}

fn node(node: &Node) -> Result<(), RecordError> {
    dns_label("node.name", &node.name)?;
    for (label, content) in &node.labels {
        let holds = is_label_text(label) && is_label_text(content);
        value("node.labels", &format!("{label}={content}"), holds, "a Kubernetes label")?;
    }
    if let Some(site) = &node.site {
        dns_label("node.site", site)?;
    }
    for taint in &node.taints {
        value("node.taints", taint, is_taint(taint), "a Kubernetes taint, `key=value:NoSchedule`")?;
    }
    if let Some(hardware) = &node.hardware {
        for (key, serial) in
            [("node.hardware.serial", &hardware.serial), ("node.hardware.diskSerial", &hardware.disk_serial)]
        {
            if let Some(serial) = serial {
                value(key, serial, is_plain(serial), "a serial number")?;
            }
        }
        if let Some(mac) = &hardware.mac {
            ethernet("node.hardware.mac", mac)?;
        }
    }
    if let Some(swap) = &node.swap {
        let holds = swap.size >= 16 * PAGE && swap.size.is_multiple_of(PAGE);
        value("node.swap.size", &swap.size.to_string(), holds, "a number of bytes that makes whole pages")?;
    }
    if let Some(longhorn) = &node.longhorn {
        for scope in longhorn.scopes.iter().chain(longhorn.disks.iter().flat_map(|disk| &disk.tags)) {
            dns_label("node.longhorn", scope)?;
        }
        for disk in &longhorn.disks {
            value("node.longhorn.disks.path", &disk.path, is_below_var(&disk.path), "a folder below `/var`")?;
        }
    }
    Ok(())
}

fn interface(interface: &Interface) -> Result<(), RecordError> {
    ethernet("interfaces.mac", &interface.mac)?;
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
        value(key, address, address.parse::<IpAddr>().is_ok(), "an IP address")?;
    }
    Ok(())
}

fn vpn(vpn: &Vpn) -> Result<(), RecordError> {
    value(
        "vpn.kind",
        "headscale",
        vpn.kind != VpnKind::Headscale,
        "a VPN that this image has; `wireguard` is",
    )?;
    range("vpn.range", &vpn.range)?;
    if let Some(endpoint) = &vpn.endpoint {
        host("vpn.endpoint", endpoint)?;
    }
    if let Some(private) = &vpn.private_range {
        range("vpn.privateRange", private)?;
    }
    vpn.admins.iter().try_for_each(admins)
}

fn admins(admins: &Admins) -> Result<(), RecordError> {
    range("vpn.admins.range", &admins.range)?;
    for admin in &admins.peers {
        dns_label("vpn.admins.peers.name", &admin.name)?;
        let holds = admin.public_key.parse::<WireguardKey>().is_ok();
        value("vpn.admins.peers.publicKey", &admin.public_key, holds, "a WireGuard public key in base64")?;
    }
    Ok(())
}

fn k3s(k3s: &K3s) -> Result<(), RecordError> {
    range("k3s.podRange", &k3s.pod_range)?;
    range("k3s.serviceRange", &k3s.service_range)?;
    value("k3s.version", &k3s.version, is_k3s_version(&k3s.version), "a k3s release, `v1.36.4+k3s1`")?;
    for part in &k3s.disable {
        dns_label("k3s.disable", part)?;
    }
    for (key, arguments) in [
        ("k3s.apiserverArgs", &k3s.apiserver_args),
        ("k3s.controllerManagerArgs", &k3s.controller_manager_args),
        ("k3s.kubeletArgs", &k3s.kubelet_args),
    ] {
        for argument in arguments {
            value(key, argument, is_argument(argument), "an argument, `name=value`")?;
        }
    }
    if let Some(snapshots) = &k3s.snapshots {
        dns_label("k3s.snapshots.secret", &snapshots.secret)?;
        let hours = snapshots.interval_hours;
        value("k3s.snapshots.intervalHours", &hours.to_string(), (1..=24).contains(&hours), "1 to 24 hours")?;
    }
    Ok(())
}

fn gitops(gitops: &Gitops) -> Result<(), RecordError> {
    let known = gitops.known_hosts.iter().map(|line| ("gitops.knownHosts", line));
    let texts = [
        ("gitops.repository", &gitops.repository),
        ("gitops.revision", &gitops.revision),
        ("gitops.path", &gitops.path),
    ];
    for (key, text) in texts.into_iter().chain(known) {
        // It is shown on consoles, where a control character would be a command.
        value(key, text, !text.chars().any(char::is_control), "text without control characters")?;
    }
    if let Some(secret) = &gitops.deploy_key_secret {
        dns_label("gitops.deployKeySecret", secret)?;
    }
    Ok(())
}

fn value(key: &str, found: &str, holds: bool, reason: &'static str) -> Result<(), RecordError> {
    if holds {
        return Ok(());
    }
    Err(RecordError::Value { key: key.to_owned(), found: escaped(found), reason })
}

fn range(key: &str, text: &str) -> Result<(), RecordError> {
    value(key, text, is_range(text), RANGE)
}

fn host(key: &str, text: &str) -> Result<(), RecordError> {
    value(key, text, is_host(text), "a DNS name or an IP address")
}

fn ethernet(key: &str, text: &str) -> Result<(), RecordError> {
    value(key, text, is_mac(text), "six hexadecimal pairs, `52:54:00:12:34:56`")
}

fn dns_label(key: &str, text: &str) -> Result<(), RecordError> {
    value(key, text, is_dns_label(text), LABEL)
}

/// Whether a text may be the name of a node, and so a part of a path.
pub(crate) fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
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

/// Whether a text is an Ethernet address, in six pairs.
pub(crate) fn is_mac(text: &str) -> bool {
    text.len() == 17
        && text.split(':').count() == 6
        && text.split(':').all(|pair| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_range(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        let most = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        length.parse::<u8>().is_ok_and(|length| length <= most)
    })
}

fn is_label_text(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
}

fn is_taint(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(taint, effect)| {
        let (key, content) = taint.split_once('=').unwrap_or((taint, ""));
        ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect)
            && !key.is_empty()
            && is_label_text(key)
            && is_label_text(content)
    })
}

/// Serial numbers are whatever vendors print, spaces within included.
fn is_plain(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

fn is_below_var(text: &str) -> bool {
    text.strip_prefix("/var/").is_some_and(|rest| {
        rest.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        })
    })
}

fn is_argument(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, content)| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !content.chars().any(char::is_control)
    })
}
