use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use age::secrecy::SecretString;

use super::cluster_file::ClusterFile;
use super::*;
use crate::diagnostic::chain;
use crate::format::efi_variable::Variable;
use crate::format::oracle;
use crate::secure_boot::tests::keys;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// An SSH key by `ssh-keygen`, and its public half.
    fn ssh_key(&self, kind: &str) -> (PathBuf, Recipient) {
        let path = self.path(kind);
        let arguments = ["-q", "-t", kind, "-N", "", "-C", "", "-f"].map(AsRef::as_ref);
        oracle::must_accept("ssh-keygen", &[&arguments[..], &[path.as_os_str()]].concat());
        let public = key_file::recipients(&path).unwrap();
        (path, public[0].clone())
    }

    fn write(&self, identity: &Identity, protection: &Protection) -> PathBuf {
        let path = self.path(FILE);
        fs::write(&path, identity.encrypt(&path, protection).unwrap()).unwrap();
        path
    }

    /// The causes of an error, without the place.
    fn shown(&self, error: &dyn std::error::Error) -> String {
        chain(error).replace(self.0.path().to_str().unwrap(), "PLACE")
    }
}

fn with_keys(files: &[&Path]) -> Access {
    Access { key_files: files.iter().map(|path| (*path).to_owned()).collect(), passphrase: None }
}

fn with_passphrase(passphrase: &str) -> Access {
    Access { key_files: Vec::new(), passphrase: Some(SecretString::from(passphrase.to_owned())) }
}

/// All the secrets of a cluster `lab`; those that take long to make are no secrets.
pub(crate) fn cluster_secrets() -> ClusterSecrets {
    let rsa = || RsaKey::from_pem(include_str!("../format/signer/test-key.pem")).unwrap();
    ClusterSecrets::with_rsa_keys("lab", Timestamp(1_795_227_046), rsa(), rsa()).unwrap()
}

fn identity() -> Identity {
    Identity {
        signing_key: new_signing_key().unwrap(),
        secure_boot: Some(keys()),
        cluster: Some(cluster_secrets()),
    }
}

fn same(one: &Identity, other: &Identity) -> bool {
    let secure_boot = [one, other].map(|identity| {
        let keys = identity.secure_boot.as_ref().unwrap();
        (keys.digest(), Variable::ALL.map(|variable| keys.key(variable).key_pem().unwrap()))
    });
    let signing = [one, other].map(|it| it.signing_key.to_openssh().unwrap());
    let cluster = [one, other].map(|it| {
        let file = ClusterFile::render(it.cluster.as_ref().unwrap()).unwrap();
        serde_json::to_string(&file).unwrap()
    });
    signing[0] == signing[1] && secure_boot[0] == secure_boot[1] && cluster[0] == cluster[1]
}

#[test]
fn is_opened_by_each_of_its_keys_and_by_no_other() {
    let place = Place::new();
    let age = place.path("settings/lab.key");
    let ours = key_file::create(&age).unwrap();
    assert_eq!(fs::metadata(&age).unwrap().permissions().mode() & 0o777, 0o600);
    let ((ed25519, second), (rsa, third)) = (place.ssh_key("ed25519"), place.ssh_key("rsa"));
    let identity = identity();
    let path = place.write(&identity, &Protection::Recipients(vec![ours, second, third]));
    for key in [&age, &ed25519, &rsa] {
        let (opened, protection) = Identity::open(&path, &with_keys(&[key])).unwrap();
        assert!(same(&opened, &identity), "{}", key.display());
        // What it is locked by is kept, so that writing it back locks nobody out.
        assert_eq!(protection.recipients().len(), 3);
        let again = place.write(&opened, &protection);
        assert!(same(&Identity::open(&again, &with_keys(&[&age])).unwrap().0, &identity));
    }
    let other = place.path("other.key");
    key_file::create(&other).unwrap();
    let fault = Identity::open(&path, &with_keys(&[&other])).unwrap_err();
    let expected = "identity `PLACE/identity.age` is not opened by `PLACE/other.key`: No matching keys found";
    assert_eq!(place.shown(&fault), expected);
    let fault = key_file::create(&other).unwrap_err();
    assert_eq!(place.shown(&fault), "writing `PLACE/other.key`: File exists (os error 17)");
}

#[test]
fn is_opened_by_its_passphrase_and_asks_nobody_without_a_terminal() {
    let place = Place::new();
    let identity = identity();
    let path =
        place.write(&identity, &Protection::Passphrase(SecretString::from("correct horse".to_owned())));
    let (opened, protection) = Identity::open(&path, &with_passphrase("correct horse")).unwrap();
    assert!(same(&opened, &identity) && matches!(protection, Protection::Passphrase(_)));
    let fault = Identity::open(&path, &with_passphrase("wrong")).unwrap_err();
    let expected = "identity `PLACE/identity.age` is not opened by the passphrase: Decryption failed";
    assert_eq!(place.shown(&fault), expected);
    if !crate::terminal::Terminal::is_there() {
        let fault = Identity::open(&path, &Access::default()).unwrap_err();
        let expected =
            "identity `PLACE/identity.age` is locked by a passphrase, and there is no terminal to ask for it";
        assert_eq!(place.shown(&fault), expected);
    }
}

#[test]
fn a_file_with_damage_behind_its_header_is_called_damaged() {
    let place = Place::new();
    let path =
        place.write(&identity(), &Protection::Passphrase(SecretString::from("correct horse".to_owned())));
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    let fault = Identity::open(&path, &with_passphrase("correct horse")).unwrap_err();
    assert_eq!(place.shown(&fault), "identity `PLACE/identity.age` is damaged: decryption error");
}

#[test]
fn the_signing_key_is_one_that_openssh_reads() {
    let place = Place::new();
    let identity = identity();
    let path = place.path("key");
    fs::write(&path, identity.signing_key.to_openssh().unwrap()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let public = oracle::must_accept("ssh-keygen", &["-y".as_ref(), "-f".as_ref(), path.as_os_str()]);
    assert_eq!(public.trim(), identity.signing_key.public().to_openssh().unwrap());
}

#[test]
fn refuses_each_malformed_file_with_its_own_error() {
    let place = Place::new();
    let key = place.path("key");
    let protection = Protection::Recipients(vec![key_file::create(&key).unwrap()]);
    let path = place.path(FILE);
    let good = file::render(&identity(), &protection, &path).unwrap();
    let good = std::str::from_utf8(&good).unwrap();
    for (from, to, expected) in [
        (
            "\"version\": 2",
            "\"version\": 3",
            "identity `PLACE/identity.age` has version 3, this program knows 1 to 2",
        ),
        (
            "\"version\": 2",
            "\"version\": 1",
            "identity `PLACE/identity.age` is malformed: version 1 has no key `cluster`",
        ),
        (
            "\"recipients\"",
            "\"extra\": 1, \"recipients\"",
            "identity `PLACE/identity.age` is malformed: unknown field `extra`, expected one of `version`, \
             `recipients`, `manifest-signing`, `secure-boot`, `cluster` at line 3 column 9",
        ),
        (
            "BEGIN PRIVATE KEY",
            "BEGIN SECRET KEY",
            "identity `PLACE/identity.age`: the Secure Boot PK key: this is no RSA private key in PEM: \
             PKCS#8 ASN.1 error: PEM error: PEM error in post-encapsulation boundary",
        ),
        ("\"epoch\": 1", "\"epoch\": 0", "identity `PLACE/identity.age`: the epoch: there is no epoch 0"),
        (
            "\"epoch\": 1",
            "\"epoche\": 1, \"epoch\": 1",
            "identity `PLACE/identity.age` is malformed: unknown field `epoche`, expected one of `id`, `epoch`",
        ),
        (
            "BEGIN EC PRIVATE KEY",
            "BEGIN PRIVATE KEY",
            "identity `PLACE/identity.age`: the k3s root CA: this is no private key on P-256 in PEM",
        ),
        (
            "BEGIN RSA PRIVATE KEY",
            "BEGIN RSA PRIVATE",
            "identity `PLACE/identity.age`: the service account key: this is no RSA private key in PEM",
        ),
        (
            "\"server-password\": \"",
            "\"server-password\": \".",
            "identity `PLACE/identity.age`: the server password: a server password has at least 32 letters and digits",
        ),
        (
            "\"ticket-key\": \"",
            "\"ticket-key\": \"A",
            "identity `PLACE/identity.age`: the ticket key: this is no key of 32 bytes in base64",
        ),
        ("BEGIN OPENSSH", "BEGIN OPENSESAME", "identity `PLACE/identity.age`: the manifest signing key"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        fs::write(&path, protection.encrypt(text.as_bytes(), &path).unwrap()).unwrap();
        let shown = place.shown(&Identity::open(&path, &with_keys(&[&key])).unwrap_err());
        assert!(shown.starts_with(expected), "{shown}");
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    }
    fs::write(&path, good).unwrap();
    let shown = place.shown(&Identity::open(&path, &with_keys(&[&key])).unwrap_err());
    assert!(shown.starts_with("identity `PLACE/identity.age` is no age file: "), "{shown}");
    fs::remove_file(&path).unwrap();
    let shown = place.shown(&Identity::open(&path, &with_keys(&[&key])).unwrap_err());
    assert_eq!(shown, "there is no identity `PLACE/identity.age`");
}

#[test]
fn a_certificate_that_belongs_to_another_is_refused() {
    let place = Place::new();
    let key = place.path("key");
    let protection = Protection::Recipients(vec![key_file::create(&key).unwrap()]);
    let path = place.path(FILE);
    let whole = || {
        let text = file::render(&identity(), &protection, &path).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()
    };
    let (ours, other) = (whole(), whole());
    for (place_in_file, expected) in [
        (
            "/cluster/client-ca",
            "the authorities: the certificate `CN=lab k3s client CA` is not signed by `CN=lab k3s root CA`",
        ),
        (
            "/cluster/client-ca/key",
            "the k3s client CA: the certificate `CN=lab k3s client CA` is of another key",
        ),
        (
            "/cluster/etcd-root",
            "the authorities: the certificate `CN=lab etcd peer CA` is not signed by `CN=lab etcd root CA`",
        ),
    ] {
        let mut mixed = ours.clone();
        *mixed.pointer_mut(place_in_file).unwrap() = other.pointer(place_in_file).unwrap().clone();
        fs::write(&path, protection.encrypt(mixed.to_string().as_bytes(), &path).unwrap()).unwrap();
        let shown = place.shown(&Identity::open(&path, &with_keys(&[&key])).unwrap_err());
        assert_eq!(shown, format!("identity `PLACE/identity.age`: {expected}"));
    }
}

#[test]
fn a_file_of_an_older_program_is_read_and_lacks_the_clusters_secrets() {
    let place = Place::new();
    let key = place.path("key");
    let protection = Protection::Recipients(vec![key_file::create(&key).unwrap()]);
    let path = place.path(FILE);
    let older = Identity { cluster: None, ..identity() };
    let text = file::render(&older, &protection, &path).unwrap();
    let text = std::str::from_utf8(&text).unwrap().replacen("\"version\": 2", "\"version\": 1", 1);
    fs::write(&path, protection.encrypt(text.as_bytes(), &path).unwrap()).unwrap();
    let (opened, _) = Identity::open(&path, &with_keys(&[&key])).unwrap();
    assert!(opened.secure_boot.is_some() && opened.cluster.is_none());
    let fault = place.shown(&opened.cluster(&path).unwrap_err());
    assert_eq!(fault, "identity `PLACE/identity.age` has no secrets of a cluster yet");
}

#[test]
fn every_secret_is_listed_and_found_in_what_is_written_and_none_in_what_is_encrypted() {
    let place = Place::new();
    let key = place.path("key");
    let protection = Protection::Recipients(vec![key_file::create(&key).unwrap()]);
    let path = place.path(FILE);
    let identity = identity();
    let cluster = documents::tests::cluster();
    let secrets = identity.secrets(&cluster);
    let search =
        search::Search::new(secrets.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]))).unwrap();
    let found = |text: &[u8]| {
        let findings = search.read(text).unwrap().into_iter();
        findings.map(|finding| finding.secret).collect::<std::collections::BTreeSet<_>>()
    };
    // These are derived, and so in no file.
    let text = file::render(&identity, &protection, &path).unwrap();
    let missing: Vec<_> =
        secrets.iter().map(|(name, _)| name).filter(|name| !found(&text).contains(*name)).collect();
    assert_eq!(missing, ["WireGuard key of cp1", "WireGuard key of cp2", "WireGuard key of cp3"]);
    assert!(found(&protection.encrypt(&text, &path).unwrap()).is_empty());
    // And each text in the file that is no public matter is one of them.
    let of_cluster = serde_json::from_slice::<serde_json::Value>(&text).unwrap()["cluster"].clone();
    for (name, value) in of_cluster.as_object().unwrap() {
        if !["id", "epoch"].contains(&name.as_str()) {
            assert!(!found(value.to_string().as_bytes()).is_empty(), "{name} is not looked for");
        }
    }
    // The rest of what a node is told.
    let secrets = identity.cluster.as_ref().unwrap();
    let record = serde_json::to_vec(&secrets.record(&cluster)).unwrap();
    assert!(found(&record).is_empty());
    let cp1 = cluster.node("cp1").unwrap();
    let order = firstboot::control_plane::order::Order::init(firstboot::cluster::ClusterId([1; 16]));
    let bundle = secrets.bundle(&cluster, cp1, order, Vec::new()).unwrap();
    let found: Vec<_> = found(&serde_json::to_vec(&bundle).unwrap()).into_iter().collect();
    let expected = [
        "WireGuard key of cp1",
        "client-ca CA key",
        "etcd/peer-ca CA key",
        "etcd/server-ca CA key",
        "membership key",
        "node password key",
        "request-header-ca CA key",
        "server password",
        "server-ca CA key",
        "service account key",
    ];
    // In this test, Secure Boot's keys and the sealing key are the one of service accounts.
    let is_another = |name: &&String| !name.contains("Secure Boot") && *name != "sealing key";
    assert_eq!(found.iter().filter(is_another).collect::<Vec<_>>(), expected);
}

#[test]
fn shows_no_secret_in_debug_output_and_leaves_none_in_the_file() {
    let place = Place::new();
    let identity = identity();
    let secret = keys().database.key_pem().unwrap();
    let protection = Protection::Recipients(vec![key_file::create(&place.path("key")).unwrap()]);
    let path = place.write(&identity, &protection);
    let line = secret.lines().nth(1).unwrap();
    let shown = format!("{identity:?} {protection:?} {:?}", with_passphrase("correct horse"));
    for text in [shown.as_bytes(), &fs::read(path).unwrap()] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains(line) && !text.contains("correct horse"), "{text}");
    }
    assert!(!shown.contains("BEGIN"), "{shown}");
}

#[test]
fn refuses_what_is_no_public_key_without_repeating_secrets() {
    let words = "is neither an age public key (`age1…`) nor an SSH one of type ssh-ed25519 or ssh-rsa";
    for (text, shown) in [("x", "x"), ("AGE-SECRET-KEY-1ABC", "<secret>"), ("ssh-dss AAAA", "ssh-dss AAAA")] {
        assert_eq!(text.parse::<Recipient>().unwrap_err().to_string(), format!("`{shown}` {words}"));
    }
}

#[test]
fn a_passphrase_takes_the_same_work_on_every_machine() {
    let place = Place::new();
    let protection = Protection::Passphrase(SecretString::from("correct horse".to_owned()));
    let encrypted = fs::read(place.write(&identity(), &protection)).unwrap();
    // The header of age-encryption.org/v1: `-> scrypt`, the salt, and log2 of the work.
    let header: Vec<&str> = encrypted
        .split(|byte| *byte == b'\n')
        .take(2)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let words: Vec<&str> = header[1].split(' ').collect();
    assert_eq!((header[0], words[1], words[3]), ("age-encryption.org/v1", "scrypt", "18"));
}
