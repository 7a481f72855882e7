//! The cluster's secrets as files that other programs read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::pem;
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::documents::DocumentError;
use super::{ClusterSecrets, ClusterSecretsError};
use crate::cluster::{Cluster, Role};

/// What the files are.
const README: &str = include_str!("export/README");
/// All of an Ed25519 key in PKCS #8 but its 32 bytes (RFC 8410, 7).
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

impl ClusterSecrets {
    /// Files by their path in a folder.
    pub fn export(&self, cluster: &Cluster) -> Result<Vec<(String, Zeroizing<String>)>, DocumentError> {
        let mut files = vec![
            ("README".to_owned(), Zeroizing::new(README.to_owned())),
            ("cluster.json".to_owned(), Zeroizing::new(serde_json::to_string_pretty(&self.record(cluster))?)),
            ("server-token".to_owned(), line(&self.server_token()?)),
            ("sealing.key".to_owned(), self.sealing.key().to_pem().map_err(ClusterSecretsError::from)?),
            ("sealing.crt".to_owned(), {
                Zeroizing::new(self.sealing.certificate_pem().map_err(ClusterSecretsError::from)?)
            }),
            ("node-password.key".to_owned(), line(&STANDARD.encode(*self.password_key))),
        ];
        for (name, key) in self.signing_keys() {
            files.push((format!("{name}.key"), pkcs8(key)?));
        }
        for (name, root) in
            [("root-ca", &self.authorities.root), ("etcd-root-ca", &self.authorities.etcd_root)]
        {
            let certificate = root.certificate_pem().map_err(ClusterSecretsError::from)?;
            files.push((format!("{name}.crt"), Zeroizing::new(certificate)));
            files.push((format!("{name}.key"), root.key_pem().map_err(ClusterSecretsError::from)?));
        }
        files.extend(self.k3s_files()?.into_iter().map(|(name, content)| (format!("tls/{name}"), content)));
        files.extend(cluster.nodes_of(Role::ControlPlane).map(|node| {
            let key = Zeroizing::new(STANDARD.encode(self.wireguard_key(node.name.as_str()).bytes()));
            (format!("wireguard/{}.key", node.name), line(&key))
        }));
        Ok(files)
    }
}

fn line(text: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{text}\n"))
}

fn pkcs8(key: &SigningKey) -> Result<Zeroizing<String>, DocumentError> {
    let document = Zeroizing::new([&PKCS8[..], key.as_bytes()].concat());
    let text = pem::encode_string("PRIVATE KEY", pem::LineEnding::LF, &document);
    Ok(Zeroizing::new(text.map_err(ClusterSecretsError::from)?))
}
