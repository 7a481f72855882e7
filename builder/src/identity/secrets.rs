//! Every secret of an identity as bytes, for telling whether one lies where it should not.

use zeroize::Zeroizing;

use super::{ClusterSecrets, Identity, deploy_key};
use crate::cluster::{Cluster, Role};
use crate::format::efi_variable::Variable;

/// A secret's name, which may be shown, and its bytes, which may not.
pub type Named = (String, Zeroizing<Vec<u8>>);

impl Identity {
    /// All secrets: of keys the numbers that are private, which every form of a key holds; and the WireGuard keys that
    /// are derived for the control planes of `cluster`.
    pub fn secrets(&self, cluster: &Cluster) -> Vec<Named> {
        let mut secrets = vec![("manifest signing key".to_owned(), self.signing_key.seed())];
        if let Some(keys) = &self.secure_boot {
            for variable in Variable::ALL {
                let numbers = keys.key(variable).secrets();
                secrets
                    .extend(numbers.map(|number| (format!("Secure Boot {} key", variable.name()), number)));
            }
        }
        if let Some(of_cluster) = &self.cluster {
            secrets.extend(of_cluster.secrets());
            secrets.extend(cluster.nodes_of(Role::ControlPlane).map(|node| {
                let key = of_cluster.wireguard_key(node.name.as_str());
                (format!("WireGuard key of {}", node.name), Zeroizing::new(key.bytes().to_vec()))
            }));
            let deploy_key = cluster.gitops.as_ref().and_then(|gitops| gitops.deploy_key_secret.as_ref());
            secrets.extend(deploy_key.map(|secret| {
                let seed =
                    deploy_key::derive(of_cluster.operator_key.as_bytes(), &of_cluster.id, secret.as_str());
                ("deploy key".to_owned(), Zeroizing::new(seed.to_vec()))
            }));
        }
        secrets
    }
}

impl ClusterSecrets {
    fn secrets(&self) -> impl Iterator<Item = Named> {
        let signing = self.signing_keys().map(|(name, key)| (name, key.as_bytes()));
        let deriving =
            [("WireGuard derivation", &*self.wireguard_key), ("node password", &*self.password_key)];
        let keys = signing.into_iter().chain(deriving);
        let keys = keys.map(|(name, key)| (format!("{name} key"), Zeroizing::new(key.to_vec())));
        let authorities = self.authorities.all();
        let authorities = authorities.map(|(name, authority)| (format!("{name} CA key"), authority.secret()));
        let rsa = [("service account key", &self.service_key), ("sealing key", self.sealing.key())];
        let rsa = rsa.into_iter().flat_map(|(name, key)| key.secrets().map(|it| (name.to_owned(), it)));
        let password = Zeroizing::new(self.server_password.expose().as_bytes().to_vec());
        keys.chain(authorities).chain(rsa).chain([("server password".to_owned(), password)])
    }
}
