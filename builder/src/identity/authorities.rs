//! The authorities of k3s' certificates, made before the first server starts, so that everybody can know the cluster by
//! its root beforehand.
//!
//! ```text
//! root CA             server CA, client CA, request header CA
//! etcd root CA        etcd peer CA, etcd server CA
//! ```
//!
//! The roots stay offline. etcd has one of its own: it lets in whoever shows a certificate that leads to its root, without
//! looking at names, and every kubelet has one that leads to the cluster's.

use std::collections::BTreeMap;

use x509_cert::Certificate;
use zeroize::Zeroizing;

use super::authority::{Authority, AuthorityError};
use crate::format::certificate::common_name;
use crate::units::{Sha256, Timestamp};

/// Certificates are good since one day before they were made: clocks of other machines may be slow. They have no end.
/// Nobody would be there to renew them: an edge box may lie in a shed for years, and one whose authority expired in the
/// meantime could only be made anew by hand. What ends a key here is its rotation.
const SLACK: u64 = 24 * 60 * 60;

/// All authorities of a cluster.
#[derive(Clone, Debug)]
pub struct Authorities {
    /// Never on a node.
    pub root: Authority,
    /// Certificates of API servers and kubelets.
    pub server: Authority,
    /// Certificates of clients, by which the API knows them.
    pub client: Authority,
    /// Certificate of the API server towards extensions of the API.
    pub request_header: Authority,
    /// Never on a node.
    pub etcd_root: Authority,
    /// Certificates between members of etcd.
    pub etcd_peer: Authority,
    /// Certificates of etcd and of its clients.
    pub etcd_server: Authority,
}

impl Authorities {
    /// New ones for the cluster of this name.
    pub fn generate(cluster: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        let since = Timestamp(now.0.saturating_sub(SLACK));
        let root = Authority::root(&common_name(cluster, "k3s root CA"), since)?;
        let etcd_root = Authority::root(&common_name(cluster, "etcd root CA"), since)?;
        Ok(Self {
            server: root.issue(&common_name(cluster, "k3s server CA"), since)?,
            client: root.issue(&common_name(cluster, "k3s client CA"), since)?,
            request_header: root.issue(&common_name(cluster, "k3s request header CA"), since)?,
            etcd_peer: etcd_root.issue(&common_name(cluster, "etcd peer CA"), since)?,
            etcd_server: etcd_root.issue(&common_name(cluster, "etcd server CA"), since)?,
            root,
            etcd_root,
        })
    }

    /// The authorities on control-plane nodes: k3s' name of the files, the authority, and its root.
    fn of_nodes(&self) -> [(&'static str, &Authority, &Authority); 5] {
        [
            ("server-ca", &self.server, &self.root),
            ("client-ca", &self.client, &self.root),
            ("request-header-ca", &self.request_header, &self.root),
            ("etcd/peer-ca", &self.etcd_peer, &self.etcd_root),
            ("etcd/server-ca", &self.etcd_server, &self.etcd_root),
        ]
    }

    /// Each authority by a name of its own, roots as well.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Authority)> {
        let roots = [("root", &self.root), ("etcd/root", &self.etcd_root)];
        roots.into_iter().chain(self.of_nodes().map(|(name, authority, _)| (name, authority)))
    }

    /// Fails where one is not signed by who should have signed it.
    pub(super) fn check(&self) -> Result<(), AuthorityError> {
        self.root.check_issuer(&self.root)?;
        self.etcd_root.check_issuer(&self.etcd_root)?;
        self.of_nodes().into_iter().try_for_each(|(_, authority, root)| authority.check_issuer(root))
    }

    /// k3s' files below `server/tls`, both halves of each pair; certificates are followed by their root, as k3s finds
    /// the hash of its tokens by the last one.
    pub fn k3s_files(&self) -> Result<BTreeMap<String, Zeroizing<String>>, AuthorityError> {
        let mut files = BTreeMap::new();
        for (name, authority, root) in self.of_nodes() {
            let bundle = format!("{}{}", authority.certificate_pem()?, root.certificate_pem()?);
            files.insert(format!("{name}.crt"), Zeroizing::new(bundle));
            files.insert(format!("{name}.key"), authority.key_pem()?);
        }
        Ok(files)
    }

    /// The hash in k3s' tokens, `K10<hash>`: of the root's certificate.
    pub fn hash(&self) -> Result<Sha256, AuthorityError> {
        self.root.fingerprint()
    }

    /// When they were made.
    pub fn created(&self) -> Timestamp {
        let since = self.root.certificate().tbs_certificate.validity.not_before;
        Timestamp(since.to_unix_duration().as_secs().saturating_add(SLACK))
    }

    /// Since and until when the certificates are good: all alike.
    pub fn validity(&self) -> (String, String) {
        let Certificate { tbs_certificate, .. } = self.root.certificate();
        let validity = tbs_certificate.validity;
        (validity.not_before.to_string(), validity.not_after.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;

    use super::*;
    use crate::format::oracle;

    /// Autumn 2026.
    const NOW: Timestamp = Timestamp(1_795_227_046);

    fn openssl(arguments: &[&OsStr]) -> String {
        oracle::must_accept("openssl", arguments)
    }

    /// The files in a folder, and the roots.
    fn folder(authorities: &Authorities) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etcd")).unwrap();
        for (name, content) in authorities.k3s_files().unwrap() {
            fs::write(folder.path().join(name), content.as_bytes()).unwrap();
        }
        for (name, authority) in authorities.all().take(2) {
            let path = folder.path().join(format!("{name}.crt"));
            fs::write(path, authority.certificate_pem().unwrap()).unwrap();
        }
        folder
    }

    #[test]
    fn openssl_follows_each_chain_to_its_own_root_and_to_no_other() {
        let authorities = Authorities::generate("lab", NOW).unwrap();
        let folder = folder(&authorities);
        let path = |name: &str| folder.path().join(name);
        for (name, root, other) in [
            ("server-ca", "root", "etcd/root"),
            ("client-ca", "root", "etcd/root"),
            ("request-header-ca", "root", "etcd/root"),
            ("etcd/peer-ca", "etcd/root", "root"),
            ("etcd/server-ca", "etcd/root", "root"),
        ] {
            let (certificate, key) = (path(&format!("{name}.crt")), path(&format!("{name}.key")));
            let verify = |root: &str| {
                let options = ["verify", "-x509_strict", "-CAfile"].map(AsRef::as_ref);
                let root = path(&format!("{root}.crt"));
                oracle::ask("openssl", &[&options[..], &[root.as_os_str(), certificate.as_os_str()]].concat())
            };
            assert!(verify(root).accepts, "{name}: {}", verify(root).output);
            assert!(!verify(other).accepts, "{name} leads to {other}");
            let shown = ["x509", "-noout", "-subject", "-issuer", "-dates", "-ext"];
            let extensions =
                "basicConstraints,keyUsage,extendedKeyUsage,subjectKeyIdentifier,authorityKeyIdentifier";
            let options: Vec<&OsStr> =
                shown.into_iter().chain([extensions, "-in"]).map(AsRef::as_ref).collect();
            let shown = openssl(&[&options[..], &[certificate.as_os_str()]].concat());
            for part in [
                "CA:TRUE, pathlen:0",
                "Digital Signature, Certificate Sign, CRL Sign",
                "X509v3 Subject Key Identifier",
                "X509v3 Authority Key Identifier",
                "notBefore=Nov 20 02:10:46 2026 GMT",
                "notAfter=Dec 31 23:59:59 9999 GMT",
            ] {
                assert!(shown.contains(part), "{name}: {part}: {shown}");
            }
            assert!(!shown.contains("Extended"), "{name}: {shown}");
            let public = |arguments: &[&str], file: &std::path::Path| {
                let arguments: Vec<_> =
                    arguments.iter().map(AsRef::as_ref).chain([file.as_os_str()]).collect();
                openssl(&arguments)
            };
            let of_key = public(&["pkey", "-pubout", "-in"], &key);
            assert_eq!(of_key, public(&["x509", "-noout", "-pubkey", "-in"], &certificate), "{name}");
            assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
        }
    }

    #[test]
    fn the_hash_is_that_of_the_root_in_der() {
        let authorities = Authorities::generate("lab", NOW).unwrap();
        assert_eq!(authorities.created(), NOW);
        let folder = folder(&authorities);
        let (pem, der) = (folder.path().join("root.crt"), folder.path().join("root.der"));
        let options = ["x509", "-outform", "DER", "-in"].map(AsRef::as_ref);
        openssl(&[&options[..], &[pem.as_os_str(), "-out".as_ref(), der.as_os_str()]].concat());
        let shown = oracle::must_accept("sha256sum", &[der.as_os_str()]);
        assert_eq!(shown.split(' ').next(), Some(authorities.hash().unwrap().to_string().as_str()));
    }

    #[test]
    fn a_clients_certificate_says_nothing_to_etcd() {
        let authorities = Authorities::generate("lab", NOW).unwrap();
        let folder = folder(&authorities);
        let path = |name: &str| folder.path().join(name).into_os_string();
        let (key, request, kubelet) = (path("kubelet.key"), path("kubelet.csr"), path("kubelet.crt"));
        let (client, client_key) = (path("client-ca.crt"), path("client-ca.key"));
        let a = |words: &'static str| words.split(' ').map(OsStr::new).collect::<Vec<_>>();
        let new = a("req -new -newkey rsa:2048 -nodes -subj /O=system:nodes/CN=system:node:edge1 -keyout");
        openssl(&[&new[..], &[&key, "-out".as_ref(), &request]].concat());
        let sign = [&a("x509 -req -CAcreateserial -in")[..], &[&request, "-CA".as_ref(), &client]].concat();
        let sign = [&sign[..], &["-CAkey".as_ref(), &client_key, "-out".as_ref(), &kubelet]].concat();
        openssl(&sign);
        // What the kubelet sends: its certificate, and all that is in the file of its authority.
        for (trusted, is_accepted) in
            [("client-ca.crt", true), ("etcd/peer-ca.crt", false), ("etcd/server-ca.crt", false)]
        {
            let trusted = path(trusted);
            let arguments = [
                &a("verify -partial_chain -CAfile")[..],
                &[&trusted, "-untrusted".as_ref(), &client, &kubelet],
            ];
            let verdict = oracle::ask("openssl", &arguments.concat());
            assert_eq!(verdict.accepts, is_accepted, "{}", verdict.output);
        }
    }

    #[test]
    fn a_key_or_an_issuer_that_does_not_belong_is_refused() {
        let (ours, other) =
            (Authorities::generate("lab", NOW).unwrap(), Authorities::generate("lab", NOW).unwrap());
        let read = |key: &Authority, certificate: &Authority| {
            Authority::from_pem(&key.key_pem().unwrap(), &certificate.certificate_pem().unwrap())
        };
        assert_eq!(read(&ours.server, &ours.server).unwrap().subject(), "CN=lab k3s server CA");
        let fault = read(&ours.client, &ours.server).unwrap_err().to_string();
        assert_eq!(fault, "the certificate `CN=lab k3s server CA` is of another key");
        let fault = Authority::from_pem("x", "x").unwrap_err().to_string();
        assert_eq!(fault, "this is no private key on P-256 in PEM");
        let fault = Authority::from_pem(&ours.root.key_pem().unwrap(), "x").unwrap_err().to_string();
        assert_eq!(fault, "this is no X.509 certificate in PEM");
        // Of the same name, and yet another.
        let mixed = Authorities { client: other.client, ..ours.clone() };
        let expected = "the certificate `CN=lab k3s client CA` is not signed by `CN=lab k3s root CA`";
        assert_eq!(mixed.check().unwrap_err().to_string(), expected);
        let mixed = Authorities { etcd_peer: ours.server.clone(), ..ours.clone() };
        let expected = "the certificate `CN=lab k3s server CA` is not signed by `CN=lab etcd root CA`";
        assert_eq!(mixed.check().unwrap_err().to_string(), expected);
        ours.check().unwrap();
        assert!(!format!("{ours:?}").contains("PRIVATE"));
    }
}
