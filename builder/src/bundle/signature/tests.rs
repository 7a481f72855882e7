use std::ffi::OsStr;

use super::*;
use crate::format::oracle::{ask, must_accept};

/// A folder with a manifest and the key `key`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(manifest::FILE), b"{}\n").unwrap();
    key(folder.path(), "key", &["-t", "ed25519", "-N", ""]);
    folder
}

fn key(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let mut arguments: Vec<&OsStr> = ["-q", "-C", "tester"].iter().chain(options).map(OsStr::new).collect();
    arguments.extend([OsStr::new("-f"), path.as_os_str()]);
    must_accept("ssh-keygen", &arguments);
    path
}

fn sign(folder: &Path, key: &str) {
    let key = SigningKey::load(&folder.join(key)).unwrap();
    fs::write(folder.join(FILE), key.sign(b"{}\n").unwrap()).unwrap();
}

/// The message, with the folder's path taken out.
fn fault<T: fmt::Debug>(folder: &Path, result: Result<T, SignatureError>) -> String {
    result.unwrap_err().to_string().replace(&folder.display().to_string(), "DIR")
}

#[test]
fn openssh_accepts_the_signature_and_we_accept_its() {
    let folder = folder();
    let place = |name: &str| folder.path().join(name);
    sign(folder.path(), "key");
    let public = fs::read_to_string(place("key.pub")).unwrap();
    fs::write(place("signers"), format!("me {public}")).unwrap();
    let judge = "exec ssh-keygen -Y verify -f signers -I me -n imgbuild-manifest -s manifest.json.sig < manifest.json";
    let script = format!("cd '{}' && {judge}", folder.path().display());
    must_accept("sh", &["-c", &script].map(OsStr::new));
    let ours = fs::read(place(FILE)).unwrap();

    fs::remove_file(place(FILE)).unwrap();
    let (key, file) = (place("key"), place(manifest::FILE));
    let sign = ["-Y", "sign", "-n", NAMESPACE, "-f"].map(OsStr::new);
    must_accept("ssh-keygen", &[&sign[..], &[key.as_os_str(), file.as_os_str()]].concat());
    assert_eq!(fs::read(place(FILE)).unwrap(), ours, "Ed25519 draws no random number");
    let expected = PublicKey::load(&place("key.pub")).unwrap();
    let signer = check(folder.path(), Some(&expected)).unwrap().unwrap();
    let shown = ask("ssh-keygen", &[OsStr::new("-lf"), place("key.pub").as_os_str()]).output;
    assert!(shown.contains(&format!(" {signer} ")), "{shown}");
}

#[test]
fn tells_what_is_wrong_with_a_signature() {
    let folder = folder();
    let place = |name: &str| folder.path().join(name);
    assert!(check(folder.path(), None).unwrap().is_none());
    let (mine, other) = (key(folder.path(), "mine", &["-t", "ed25519", "-N", ""]), place("key.pub"));
    let other = PublicKey::load(&other).unwrap();
    let absent = fault(folder.path(), check(folder.path(), Some(&other)));
    assert_eq!(absent, "there is no signature `DIR/manifest.json.sig`");

    sign(folder.path(), "mine");
    let mine = SigningKey::load(&mine).unwrap().public();
    let signer = fault(folder.path(), check(folder.path(), Some(&other)));
    assert_eq!(signer, format!("`manifest.json` is signed by {mine}, not by {other}"));

    fs::write(place(manifest::FILE), b"{ }\n").unwrap();
    let invalid = format!("the signature of {mine} is not over this `manifest.json`");
    assert_eq!(fault(folder.path(), check(folder.path(), None)), invalid);
    let other_purpose = PrivateKey::from_openssh(fs::read(place("mine")).unwrap()).unwrap();
    let other_purpose = other_purpose.sign("file", HashAlg::Sha512, b"{ }\n").unwrap();
    fs::write(place(FILE), other_purpose.to_pem(LineEnding::LF).unwrap()).unwrap();
    assert_eq!(fault(folder.path(), check(folder.path(), None)), invalid);

    fs::write(place(FILE), "signed, me\n").unwrap();
    let malformed = fault(folder.path(), check(folder.path(), None));
    assert_eq!(malformed, "`DIR/manifest.json.sig` is no OpenSSH signature");
}

#[test]
fn refuses_keys_that_it_cannot_use() {
    let folder = folder();
    let load = |name: &str| fault(folder.path(), SigningKey::load(&folder.path().join(name)));
    key(folder.path(), "locked", &["-t", "ed25519", "-N", "secret"]);
    assert_eq!(load("locked"), "signing key `DIR/locked` has a passphrase");
    key(folder.path(), "large", &["-t", "rsa", "-b", "2048", "-N", ""]);
    assert_eq!(load("large"), "`DIR/large` is a key for ssh-rsa, not for ssh-ed25519");
    assert_eq!(load("none"), "reading `DIR/none`");
    assert_eq!(load("manifest.json"), "`DIR/manifest.json` is no OpenSSH key");
    let public = fault(folder.path(), PublicKey::load(&folder.path().join("key")));
    assert_eq!(public, "`DIR/key` is no OpenSSH key");
    let key = SigningKey::load(&folder.path().join("key")).unwrap();
    assert_eq!(format!("{key:?}"), format!("SigningKey(\"{}\")", key.public()));
}
