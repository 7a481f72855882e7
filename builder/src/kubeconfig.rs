//! A kubeconfig file: where the API is, by what it is believed, and who asks
//! (`v1.Config` of Kubernetes' client-go, tools/clientcmd/api/v1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use zeroize::Zeroizing;

use crate::deployment::yaml;
use crate::identity::ClientCertificate;

/// What a kubeconfig file says.
#[derive(Debug)]
pub struct Kubeconfig<'a> {
    /// Name of the cluster.
    pub cluster: &'a str,
    /// Who asks.
    pub user: &'a str,
    /// URL of the API.
    pub server: &'a str,
    /// Name that the server's certificate has, where it is not the one in the URL.
    pub server_name: Option<&'a str>,
    /// What the server is believed by, as PEM.
    pub authorities: &'a str,
    /// What the user shows.
    pub client: &'a ClientCertificate,
}

impl Kubeconfig<'_> {
    /// The file as YAML; it holds a key, and is as secret as that.
    pub fn to_yaml(&self) -> Zeroizing<String> {
        let Self { cluster, user, server, server_name, authorities, client } = self;
        let context = format!("{user}@{cluster}");
        let mut place =
            json!({ "server": server, "certificate-authority-data": STANDARD.encode(authorities) });
        if let Some(name) = server_name {
            place["tls-server-name"] = (*name).into();
        }
        Zeroizing::new(yaml::text(&json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{ "name": cluster, "cluster": place }],
            "users": [{
                "name": context,
                "user": {
                    "client-certificate-data": STANDARD.encode(&client.certificate),
                    "client-key-data": STANDARD.encode(client.key.as_bytes()),
                },
            }],
            "contexts": [{ "name": context, "context": { "cluster": cluster, "user": context } }],
        })))
    }
}
