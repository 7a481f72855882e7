//! What the cluster offers and relies on, checked: certificates, mail, volumes, copies, admins.

use std::net::Ipv4Addr;

use serde::Serialize;

use super::{DnsLabel, Endpoint, MailAddress, VpnKey};

/// Who signs the certificates of what the cluster serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Issuer {
    /// Let's Encrypt's test service: generous limits, trusted by nobody.
    LetsencryptStaging,
    /// Let's Encrypt.
    LetsencryptProduction,
    /// The cluster itself.
    SelfSigned,
}

/// Certificates of what the cluster serves.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Tls {
    /// Who signs them.
    pub issuer: Issuer,
    /// Whom Let's Encrypt writes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<MailAddress>,
}

/// The mail server that the cluster sends by.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mail {
    /// The SMTP server.
    pub server: Endpoint,
    /// Its port.
    pub port: u16,
    /// Address that mail comes from.
    pub sender: MailAddress,
    /// Address that alerts go to.
    pub recipient: MailAddress,
    /// Name of the Secret with its login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<DnsLabel>,
}

/// Volumes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Storage {
    /// Copies of a volume, as far as its scope has nodes.
    pub replicas: u32,
}

/// Copies of datastore and volumes in S3.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Backup {
    /// Host of the S3 service.
    pub endpoint: Endpoint,
    /// Its region.
    pub region: DnsLabel,
    /// Bucket for copies of the datastore.
    pub etcd_bucket: DnsLabel,
    /// Bucket for copies of volumes.
    pub longhorn_bucket: DnsLabel,
    /// Name of the Secret with the keys.
    pub secret: DnsLabel,
    /// Hours between two copies of the datastore.
    pub interval_hours: u32,
    /// Copies of the datastore that are kept.
    pub keep: u32,
}

/// An admin.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Admin {
    /// Name, unique.
    pub name: DnsLabel,
    /// WireGuard public key, unique.
    pub public_key: VpnKey,
    /// Address in the VPN of the admins, unique.
    pub address: Ipv4Addr,
}

/// Memberships of a node that are good no longer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Revocation {
    /// Name of the node.
    pub node: DnsLabel,
    /// The first generation of its membership that is good.
    pub minimum_generation: u32,
}
