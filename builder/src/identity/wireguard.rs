//! WireGuard keys of control planes: derived from one key by the node's name, so that a control plane that is made anew
//! has its old key, and all know each other's before there is a cluster to ask.

use firstboot::cluster::ClusterId;
use firstboot::keyed_hash::keyed_hash;
use firstboot::secret_key::SecretKey;
use firstboot::wireguard::private_key;
use hmac::Mac as _;

/// The private key of the control plane `node`.
pub(super) fn derive(key: &[u8; 32], cluster: &ClusterId, node: &str) -> SecretKey {
    let hash = keyed_hash(key, "imgbuild WireGuard key").chain_update(cluster.0).chain_update(node);
    // As `wg genkey` does: others would do it by themselves, and show another key than they were given.
    SecretKey::new(private_key::clamped(hash.finalize().into_bytes().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::oracle;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_key_is_of_one_cluster_and_node_and_openssl_knows_its_public_half() {
        let key = |key: u8, cluster: u8, node: &str| derive(&[key; 32], &ClusterId([cluster; 16]), node);
        let one = key(1, 1, "cp1");
        assert_eq!(one, key(1, 1, "cp1"));
        for other in [key(1, 1, "cp2"), key(1, 2, "cp1"), key(2, 1, "cp1")] {
            assert_ne!(one, other);
        }
        // PKCS #8 of X25519 (RFC 8410, 7) is this and the key.
        let pkcs8 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20";
        let folder = tempfile::tempdir().unwrap();
        let (private, public) = (folder.path().join("private"), folder.path().join("public"));
        std::fs::write(&private, [&pkcs8[..], one.bytes()].concat()).unwrap();
        let options = ["pkey", "-inform", "DER", "-pubout", "-outform", "DER", "-in"].map(AsRef::as_ref);
        let files = [private.as_os_str(), "-out".as_ref(), public.as_os_str()];
        oracle::must_accept("openssl", &[&options[..], &files].concat());
        let public = std::fs::read(public).unwrap();
        let expected = STANDARD.encode(&public[public.len() - 32..]);
        assert_eq!(private_key::public(&one).to_string(), expected);
    }
}
