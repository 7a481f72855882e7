//! The way to the cluster's Kubernetes API, with a certificate that is minted for it and good for an hour.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use firstboot::claim::objects::Objects;
use firstboot::kubernetes::{Api, NODES};
use firstboot::wireguard::Endpoint;
use rustls::pki_types::ServerName;
use serde_json::Value;

use super::Note as _;
use super::identity::Unlock;
use crate::cluster::{Cluster, Posture, Role};
use crate::identity::{ClientCertificate, ClusterSecrets};
use crate::units::Timestamp;

/// Of the Kubernetes API.
pub(super) const PORT: u16 = 6443;
/// Seconds; long enough for any command.
const VALID: u64 = 60 * 60;

/// A server of the Kubernetes API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Server(Endpoint);

/// How the API is reached.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// Server of the Kubernetes API, HOST or HOST:PORT; without it, those that the cluster file names
    #[arg(long, value_name = "SERVER")]
    server: Option<Server>,
    #[command(flatten)]
    pub(super) unlock: Unlock,
}

impl Access {
    /// What the claim service keeps, by the first server that answers.
    pub(super) fn store(&self, cluster: &Cluster, secrets: &ClusterSecrets) -> anyhow::Result<Objects> {
        Ok(Objects::new(self.connect(cluster, secrets)?))
    }

    /// The first server that answers.
    pub(super) fn connect(&self, cluster: &Cluster, secrets: &ClusterSecrets) -> anyhow::Result<Api> {
        let credentials = Credentials::mint(secrets, VALID)?;
        let mut faults = Vec::new();
        for server in self.server.clone().map_or_else(|| servers(cluster), |server| vec![server]) {
            let Server(Endpoint { host, port }) = &server;
            let addresses = match (host.as_str(), *port).to_socket_addrs() {
                Ok(addresses) => addresses,
                Err(fault) => {
                    faults.push(format!("{server}: {fault}"));
                    continue;
                }
            };
            let name = ServerName::try_from(host.clone());
            let name = name
                .with_context(|| format!("`{host}` is no name of a server"))
                .map_err(anyhow::Error::input)?;
            for address in addresses {
                let api = credentials.api(address, name.clone())?;
                match api.is_ready() {
                    Ok(()) => return Ok(api),
                    Err(fault) => faults.push(format!("{server}: {:#}", anyhow::Error::from(fault))),
                }
            }
        }
        let error = anyhow::anyhow!("the cluster's API is not reached\n  {}", faults.join("\n  "));
        Err(error.hint(match cluster.posture {
            Posture::BringUp => "is a control plane up? `--server HOST:PORT` asks another address",
            Posture::Production => {
                "in posture `production` the API answers to the VPN of the admins alone: `imgbuild admin add` makes a way in"
            }
        }))
    }
}

/// By what a server of the API is believed, and what it is shown.
pub(super) struct Credentials {
    authorities: String,
    client: ClientCertificate,
}

impl Credentials {
    /// Those of who holds the identity, good for so many seconds.
    pub(super) fn mint(secrets: &ClusterSecrets, valid: u64) -> anyhow::Result<Self> {
        let now = super::now()?;
        let client = secrets.operator(now, Timestamp(now.0.saturating_add(valid)))?;
        Ok(Self { authorities: secrets.api_authorities()?, client })
    }

    /// The API at an address, whose certificate has this name.
    pub(super) fn api(&self, address: SocketAddr, name: ServerName<'static>) -> anyhow::Result<Api> {
        let Self { authorities, client } = self;
        let api =
            Api::new(address, authorities.as_bytes(), client.certificate.as_bytes(), client.key.as_bytes())?;
        Ok(api.called(name))
    }
}

/// The nodes that Kubernetes knows.
pub(super) fn nodes(api: &Api) -> anyhow::Result<Vec<Value>> {
    let list = api.get(NODES)?.map(|mut list| list["items"].take());
    Ok(list.and_then(|mut list| list.as_array_mut().map(std::mem::take)).unwrap_or_default())
}

/// Where the API answers, by the cluster file: from everywhere, or in the VPN of the admins alone.
pub(super) fn servers(cluster: &Cluster) -> Vec<Server> {
    let hosts: Vec<String> = match cluster.posture {
        Posture::Production if !cluster.admins.is_empty() => {
            let inside = cluster.nodes_of(Role::ControlPlane).filter_map(|node| cluster.admin_address(node));
            inside.map(|address| address.to_string()).collect()
        }
        _ => cluster.endpoints().into_iter().map(ToString::to_string).collect(),
    };
    hosts.into_iter().map(|host| Server(Endpoint { host, port: PORT })).collect()
}

impl Server {
    /// As kubeconfig files have it.
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.0)
    }

    /// The server at this address.
    pub(super) fn at(address: IpAddr) -> Self {
        Self(Endpoint { host: address.to_string(), port: PORT })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Server {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        // An address of IPv6 alone needs no brackets.
        let alone = match text.parse::<IpAddr>() {
            Ok(address) => Endpoint { host: address.to_string(), port: PORT }.to_string(),
            Err(_) => format!("{text}:{PORT}"),
        };
        let endpoint = text.parse().or_else(|_| alone.parse::<Endpoint>());
        endpoint.map(Self).map_err(|_| anyhow::anyhow!("this is neither HOST nor HOST:PORT"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::documents::tests::cluster;

    #[test]
    fn a_server_is_written_as_people_write_it() {
        for (text, url) in [
            ("lab.example.org", "https://lab.example.org:6443"),
            ("lab.example.org:443", "https://lab.example.org:443"),
            ("203.0.113.7", "https://203.0.113.7:6443"),
            ("2001:db8::1", "https://[2001:db8::1]:6443"),
            ("[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ] {
            assert_eq!(text.parse::<Server>().unwrap().url(), url, "{text}");
        }
        for text in ["", ":6443", "a b", "lab:0", "lab:70000", "https://lab"] {
            assert!(text.parse::<Server>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_api_is_asked_where_the_firewall_lets_it_answer() {
        let shown = |cluster: &Cluster| servers(cluster).iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut cluster = cluster();
        assert_eq!(shown(&cluster), ["lab.example.org:6443", "[2001:db8::1]:6443", "203.0.113.3:6443"]);
        cluster.posture = Posture::Production;
        // Nobody is in the VPN of the admins: whoever asks is inside already, or stands outside.
        assert_eq!(shown(&cluster).len(), 3);
        cluster.admins.push(crate::cluster::Admin {
            name: "ada".parse().unwrap(),
            public_key: firstboot::wireguard::private_key::public(&firstboot::secret_key::SecretKey::new(
                [7; 32],
            ))
            .to_string()
            .parse()
            .unwrap(),
            address: [10, 45, 0, 9].into(),
        });
        assert_eq!(shown(&cluster), ["10.45.0.1:6443", "10.45.0.2:6443", "10.45.0.3:6443"]);
    }
}
