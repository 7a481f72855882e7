use sha2::{Digest as _, Sha256};

use super::*;

fn intermediate(root: &Authority, name: &str) -> String {
    let key = Key::generate().unwrap();
    let profile = Profile::SubCA {
        issuer: root.certificates[0].tbs_certificate.subject.clone(),
        path_len_constraint: None,
    };
    let builder = CertificateBuilder::new(
        profile,
        serial().unwrap(),
        validity(None, 10).unwrap(),
        subject(name, &[]).unwrap(),
        key.public().unwrap(),
        &root.key.0,
    );
    builder.unwrap().build::<DerSignature>().unwrap().to_pem(LineEnding::LF).unwrap()
}

#[test]
fn the_hash_is_of_the_bytes_or_of_the_root() {
    let (root, _) = Authority::generate("root").unwrap();
    let middle = intermediate(&root, "middle");
    let of_root = hash::hex(&Sha256::digest(root.certificates[0].to_der().unwrap()));
    assert_eq!(hash::of_bundle(root.bundle.as_bytes()), hash::hex(&Sha256::digest(&root.bundle)));
    assert_eq!(hash::of_bundle(format!("{middle}{}", root.bundle).as_bytes()), of_root);
    // With text between, as `openssl x509 -text` leaves it.
    assert_eq!(hash::of_bundle(format!("text\n{middle}text\n{}", root.bundle).as_bytes()), of_root);
    // The root first, and a root that is another's: silently the bytes.
    let (other, _) = Authority::generate("root").unwrap();
    for bundle in [format!("{}{middle}", root.bundle), format!("{middle}{}", other.bundle)] {
        assert_eq!(hash::of_bundle(bundle.as_bytes()), hash::hex(&Sha256::digest(&bundle)), "{bundle}");
    }
}

#[test]
fn a_leaf_says_who_it_is() {
    let (authority, _) = Authority::generate("k3s-client-ca").unwrap();
    let key = Key::generate().unwrap();
    let leaf =
        Leaf { common_name: "system:node:a", organizations: &["system:nodes", "more"], ..Leaf::default() };
    let pem = authority.answer(&leaf, &key.request().unwrap()).unwrap();
    let chain = certificates(&pem).unwrap();
    assert_eq!(chain.len(), 2);
    let (name, mut groups) = names(&chain[0]);
    groups.sort();
    assert_eq!(
        (name.as_str(), groups),
        ("system:node:a", vec!["more".to_owned(), "system:nodes".to_owned()])
    );
    assert!(matches!(authority.answer(&leaf, b"x"), Err(PkiError::Request)));
}

#[test]
fn files_that_are_there_are_taken_and_halves_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = server::ServerFiles::open(folder.path(), &["127.0.0.1".to_owned()]).unwrap();
    let second = server::ServerFiles::open(folder.path(), &["127.0.0.1".to_owned()]).unwrap();
    assert_eq!(first.server_ca.bundle, second.server_ca.bundle);
    std::fs::remove_file(folder.path().join("client-ca.key")).unwrap();
    let third = server::ServerFiles::open(folder.path(), &["127.0.0.1".to_owned()]).unwrap();
    assert_eq!(first.server_ca.bundle, third.server_ca.bundle);
    assert_ne!(first.client_ca.bundle, third.client_ca.bundle);
}
