use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use age::secrecy::SecretString;

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

fn identity() -> Identity {
    Identity { secure_boot: Some(keys()), ..Identity::generate().unwrap() }
}

fn same(one: &Identity, other: &Identity) -> bool {
    let secure_boot = [one, other].map(|identity| {
        let keys = identity.secure_boot.as_ref().unwrap();
        (keys.digest(), Variable::ALL.map(|variable| keys.key(variable).key_pem().unwrap()))
    });
    let signing = [one, other].map(|it| it.signing_key.to_openssh().unwrap());
    signing[0] == signing[1] && secure_boot[0] == secure_boot[1]
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
    let identity = Identity::generate().unwrap();
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
            "\"version\": 1",
            "\"version\": 2",
            "identity `PLACE/identity.age` has version 2, this program knows 1",
        ),
        (
            "\"recipients\"",
            "\"extra\": 1, \"recipients\"",
            "identity `PLACE/identity.age` is malformed: unknown field `extra`, expected one of `version`, \
             `recipients`, `manifest-signing`, `secure-boot` at line 3 column 9",
        ),
        (
            "BEGIN PRIVATE KEY",
            "BEGIN SECRET KEY",
            "identity `PLACE/identity.age`: the Secure Boot PK key: this is no RSA private key in PEM: \
             PKCS#8 ASN.1 error: PEM error: PEM error in post-encapsulation boundary",
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
