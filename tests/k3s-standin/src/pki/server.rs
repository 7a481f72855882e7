//! The files below `server/tls`: CAs are taken as they are found, both halves or none, and made otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Authority, Key, Leaf, PkiError};
use crate::auth::MASTERS;

/// (file name, common name of one that is made)
const AUTHORITIES: [(&str, &str); 5] = [
    ("server-ca", "k3s-server-ca"),
    ("client-ca", "k3s-client-ca"),
    ("request-header-ca", "k3s-request-header-ca"),
    ("etcd/peer-ca", "etcd-peer-ca"),
    ("etcd/server-ca", "etcd-server-ca"),
];

/// What a server has.
#[derive(Clone, Debug)]
pub struct ServerFiles {
    /// Signs server certificates.
    pub server_ca: Authority,
    /// Signs client certificates.
    pub client_ca: Authority,
    /// The server's own certificate and what is behind it, in PEM.
    pub certificate: String,
    /// Its key.
    pub key: Key,
    /// `system:admin`'s certificate and key, in PEM.
    pub admin: (String, String),
}

impl ServerFiles {
    /// Finds or makes them in `folder`; the server answers by `names`.
    pub fn open(folder: &Path, names: &[String]) -> Result<Self, PkiError> {
        let mut authorities =
            AUTHORITIES.iter().map(|(name, common_name)| authority(folder, name, common_name));
        let (Some(server_ca), Some(client_ca)) = (authorities.next(), authorities.next()) else {
            return Err(PkiError::Empty);
        };
        let (server_ca, client_ca) = (server_ca?, client_ca?);
        authorities.try_for_each(|made| made.map(drop))?;
        let service = folder.join("service.key");
        if !service.exists() {
            write(&service, &Key::generate()?.to_pem()?)?;
        }
        let key = kept_key(folder, "serving-kube-apiserver")?;
        let leaf = Leaf { common_name: "kube-apiserver", organizations: &[], names, is_server: true };
        let certificate = server_ca.issue(&leaf, &key)?;
        write(&folder.join("serving-kube-apiserver.crt"), &certificate)?;
        let admin_key = kept_key(folder, "client-admin")?;
        let leaf = Leaf { common_name: "system:admin", organizations: &[MASTERS], ..Leaf::default() };
        let admin = client_ca.issue(&leaf, &admin_key)?;
        write(&folder.join("client-admin.crt"), &admin)?;
        Ok(Self { server_ca, client_ca, certificate, key, admin: (admin, admin_key.to_pem()?) })
    }
}

fn authority(folder: &Path, name: &str, common_name: &str) -> Result<Authority, PkiError> {
    let (certificate, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    if certificate.exists() && key.exists() {
        return Authority::parse(&read(&certificate)?, &read(&key)?);
    }
    // One half of a pair is no reason to stop for k3s: it makes a pair over it.
    let (authority, made) = Authority::generate(common_name)?;
    write(&certificate, &authority.bundle)?;
    write(&key, &made.to_pem()?)?;
    Ok(authority)
}

fn kept_key(folder: &Path, name: &str) -> Result<Key, PkiError> {
    let path = folder.join(format!("{name}.key"));
    if path.exists() {
        return Key::from_pem(&read(&path)?);
    }
    let key = Key::generate()?;
    write(&path, &key.to_pem()?)?;
    Ok(key)
}

/// Reads a file as text.
pub fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|source| PkiError::File { path: path.display().to_string(), source })
}

/// Writes a file that only its owner reads, its folders as well.
pub fn write(path: &Path, content: &str) -> Result<(), PkiError> {
    crate::files::write_private(path, content.as_bytes())
        .map_err(|source| PkiError::File { path: path.display().to_string(), source })
}

/// Where the files are below the data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("server/tls")
}
