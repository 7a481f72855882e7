//! An admin's way into the cluster: a configuration of WireGuard, as `wg-quick` and the apps for telephones read it
//! (wg-quick(8)).

use std::fmt::Write as _;

use firstboot::secret_key::SecretKey;
use firstboot::wireguard::topology::KEEPALIVE;
use firstboot::wireguard::{Endpoint, MTU, private_key};
use zeroize::Zeroizing;

use crate::cluster::{Admin, Cluster, Role};
use crate::identity::ClusterSecrets;

/// What a configuration is made of.
#[derive(Debug)]
pub struct WayIn<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Its secrets, of which the keys of control planes are derived; only public ones are written.
    pub secrets: &'a ClusterSecrets,
    /// Whose it is.
    pub admin: &'a Admin,
    /// Their key; without it, they put in their own.
    pub key: Option<&'a SecretKey>,
}

impl WayIn<'_> {
    /// The configuration; as secret as the key in it. Only what goes to the control planes goes through the tunnel.
    pub fn to_text(&self) -> Zeroizing<String> {
        let Self { cluster, secrets, admin, key } = self;
        let key = key.map(|key| Zeroizing::new(String::from(key.clone())));
        let own = key.as_ref().map_or("(your private key)", |key| key.as_str());
        let mut text = Zeroizing::new(format!(
            "# {} of cluster {}\n[Interface]\nPrivateKey = {own}\nAddress = {}/32\nMTU = {MTU}\n",
            admin.name, cluster.name, admin.address
        ));
        for node in cluster.nodes_of(Role::ControlPlane) {
            let Some(address) = cluster.admin_address(node) else { continue };
            let host = node.endpoint.as_ref().unwrap_or(&cluster.endpoint).to_string();
            let endpoint = Endpoint { host, port: cluster.network.admin_port };
            let public = private_key::public(&secrets.wireguard_key(node.name.as_str()));
            let _ = write!(
                text,
                "\n# {}\n[Peer]\nPublicKey = {public}\nEndpoint = {endpoint}\nAllowedIPs = {address}/32\nPersistentKeepalive = {KEEPALIVE}\n",
                node.name
            );
        }
        text
    }
}
