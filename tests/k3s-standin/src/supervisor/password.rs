//! Node passwords: a Secret per node holds the hash of what the node presented first (k3s, `pkg/nodepassword`).

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use rustix::rand::{GetRandomFlags, getrandom};
use scrypt::Params;
use serde_json::{Value, json};

use crate::api::status::Status;
use crate::cluster::{Cluster, Write};
use crate::pki::hash::hex;

/// Where they are.
const NAMESPACE: &str = "kube-system";
/// log2 of N, r and p, and the bytes of the hash.
const COST: (u8, u32, u32, usize) = (15, 8, 1, 64);

/// The Secret's name.
pub fn secret_name(node: &str) -> String {
    format!("{}.node-password.k3s", node.to_lowercase())
}

/// Accepts the password if it is the node's, or if the node has none yet, which it then is.
pub fn ensure(cluster: &Cluster, node: &str, password: &str) -> Result<(), Status> {
    let secrets = cluster.kind("v1", "Secret")?;
    let name = secret_name(node);
    match cluster.get(&secrets, NAMESPACE, &name) {
        Ok(secret) => {
            let encoded = secret.pointer("/data/hash").and_then(Value::as_str).unwrap_or_default();
            let hash = BASE64_STANDARD.decode(encoded).unwrap_or_default();
            if verify(password, &String::from_utf8_lossy(&hash)) {
                return Ok(());
            }
            Err(Status::forbidden(format!("unable to verify password for node {node}: hash does not match")))
        }
        Err(status) if status.code == 404 => {
            let object = json!({
                "metadata": {"name": name}, "type": "k3s.cattle.io/node-password", "immutable": true,
                "stringData": {"hash": hash(password)?},
            });
            cluster.create(&Write::by(&secrets, NAMESPACE, "k3s-stand-in"), object).map(drop)
        }
        Err(status) => Err(status),
    }
}

/// `$1:<salt>:15:8:1:<hash>` (k3s, `pkg/authenticator/hash/scrypt.go`)
pub fn hash(password: &str) -> Result<String, Status> {
    let mut salt = [0_u8; 8];
    getrandom(&mut salt, GetRandomFlags::empty()).map_err(Status::internal)?;
    let (log_n, r, p, _) = COST;
    let hash = derive(password, &salt, (log_n, r, p)).ok_or_else(|| Status::internal("scrypt"))?;
    Ok(format!("$1:{}:{log_n}:{r}:{p}:{}", hex(&salt), BASE64_STANDARD_NO_PAD.encode(hash)))
}

/// Whether `hash` is of this password.
pub fn verify(password: &str, hash: &str) -> bool {
    let parts: Vec<&str> = hash.split(':').collect();
    let ["$1", salt, log_n, r, p, wanted] = parts.as_slice() else { return false };
    let salt: Vec<u8> = (0..salt.len())
        .step_by(2)
        .filter_map(|start| u8::from_str_radix(salt.get(start..start.saturating_add(2))?, 16).ok())
        .collect();
    let (Ok(log_n), Ok(r), Ok(p)) = (log_n.parse(), r.parse(), p.parse()) else { return false };
    // A Secret is written by whoever may: no cost but k3s' own.
    if (log_n, r, p) != (COST.0, COST.1, COST.2) {
        return false;
    }
    let found = derive(password, &salt, (log_n, r, p)).map(|hash| BASE64_STANDARD_NO_PAD.encode(hash));
    found.as_deref() == Some(*wanted)
}

fn derive(password: &str, salt: &[u8], (log_n, r, p): (u8, u32, u32)) -> Option<Vec<u8>> {
    let mut hash = vec![0; COST.3];
    let params = Params::new(log_n, r, p, hash.len()).ok()?;
    scrypt::scrypt(password.as_bytes(), salt, &params, &mut hash).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_password_is_the_node_s_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Cluster::open(&folder.path().join("log")).unwrap();
        ensure(&cluster, "Edge-1", "one").unwrap();
        ensure(&cluster, "edge-1", "one").unwrap();
        assert_eq!(ensure(&cluster, "edge-1", "two").unwrap_err().code, 403);
        let secrets = cluster.kind("v1", "Secret").unwrap();
        let secret = cluster.get(&secrets, "kube-system", "edge-1.node-password.k3s").unwrap();
        assert_eq!(
            (&secret["type"], &secret["immutable"]),
            (&json!("k3s.cattle.io/node-password"), &json!(true))
        );
        let hash = BASE64_STANDARD.decode(secret["data"]["hash"].as_str().unwrap()).unwrap();
        let hash = String::from_utf8(hash).unwrap();
        assert_eq!(hash.split(':').map(str::len).collect::<Vec<_>>(), [2, 16, 2, 1, 1, 86], "{hash}");
    }
}
