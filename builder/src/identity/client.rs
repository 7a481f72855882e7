//! Certificates of people and of `imgbuild` itself towards the Kubernetes API, minted offline.

use super::authority::{Client, ClientCertificate};
use super::cluster_secrets::{ClusterSecrets, ClusterSecretsError};
use crate::units::Timestamp;

/// Kubernetes' own group of those who may do everything, whatever rules the cluster has: for who holds the identity.
const OPERATORS: &str = "system:masters";
/// Group of the admins, who may do everything by a binding that a cluster begins with, and that it can take away.
const ADMINS: &str = "imgbuild:admins";
/// Clocks of other machines may be slow.
const SLACK: u64 = 60 * 60;

impl ClusterSecrets {
    /// The certificate of who holds this identity.
    pub fn operator(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<ClientCertificate, ClusterSecretsError> {
        self.client("imgbuild:operator", OPERATORS, now, until)
    }

    /// The certificate of an admin.
    pub fn admin(
        &self,
        name: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<ClientCertificate, ClusterSecretsError> {
        self.client(name, ADMINS, now, until)
    }

    fn client(
        &self,
        user: &str,
        group: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<ClientCertificate, ClusterSecretsError> {
        let since = Timestamp(now.0.saturating_sub(SLACK));
        Ok(self.authorities.client.client(&Client { user, group, since, until })?)
    }

    /// What a server of the API is believed by, as PEM: the authority of its certificate, and that one's root.
    pub fn api_authorities(&self) -> Result<String, ClusterSecretsError> {
        let Self { authorities, .. } = self;
        Ok(format!("{}{}", authorities.server.certificate_pem()?, authorities.root.certificate_pem()?))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::format::oracle;
    use crate::identity::tests::cluster_secrets;
    use crate::units::Timestamp;

    /// Autumn 2026.
    const NOW: Timestamp = Timestamp(1_795_227_046);

    #[test]
    fn openssl_knows_an_admin_as_a_client_of_this_cluster_for_so_long() {
        let (secrets, folder) = (cluster_secrets(), tempfile::tempdir().unwrap());
        let made = secrets.admin("ada", NOW, Timestamp(NOW.0 + 24 * 60 * 60)).unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("ada.crt"), &made.certificate).unwrap();
        fs::write(path("ada.key"), made.key.as_bytes()).unwrap();
        let files = secrets.authorities.k3s_files().unwrap();
        fs::write(path("ca.crt"), files["client-ca.crt"].as_bytes()).unwrap();
        let shown = [
            "x509",
            "-noout",
            "-subject",
            "-dates",
            "-ext",
            "extendedKeyUsage,keyUsage,basicConstraints",
            "-in",
        ];
        let certificate = path("ada.crt");
        let ask = |words: &[&str], file: &std::path::Path| {
            let arguments: Vec<_> = words.iter().map(AsRef::as_ref).chain([file.as_os_str()]).collect();
            oracle::must_accept("openssl", &arguments)
        };
        let shown = ask(&shown, &certificate);
        for part in [
            "O = imgbuild:admins, CN = ada",
            "TLS Web Client Authentication",
            "Digital Signature",
            "CA:FALSE",
            "notBefore=Nov 21 01:10:46 2026 GMT",
            "notAfter=Nov 22 02:10:46 2026 GMT",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let authority = path("ca.crt");
        let verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-no_check_time", "-CAfile"]
            .map(AsRef::as_ref);
        let verdict = oracle::ask(
            "openssl",
            &[&verify[..], &[authority.as_os_str(), certificate.as_os_str()]].concat(),
        );
        assert!(verdict.accepts, "{}", verdict.output);
        assert_eq!(
            ask(&["pkey", "-pubout", "-in"], &path("ada.key")),
            ask(&["x509", "-noout", "-pubkey", "-in"], &certificate)
        );
        assert!(!format!("{made:?}").contains("PRIVATE"));
        // Who holds the identity needs no binding.
        let operator = secrets.operator(NOW, Timestamp(NOW.0 + 60 * 60)).unwrap();
        fs::write(path("operator.crt"), &operator.certificate).unwrap();
        let subject = ask(&["x509", "-noout", "-subject", "-in"], &path("operator.crt"));
        assert!(subject.contains("O = system:masters, CN = imgbuild:operator"), "{subject}");
    }
}
