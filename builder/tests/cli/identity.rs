//! `imgbuild identity`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
#[expect(clippy::disallowed_types, reason = "makes keys as a user does")]
use std::process::Command;

use serde_json::Value;

use super::program::{Place, SMALL};

/// What differs from run to run.
pub(super) const FILTERS: [(&str, &str); 9] = [
    (r"\b[0-9a-f]{64}\b", "[sha256]"),
    (r"\bage1[0-9a-z]{50,}", "[age key]"),
    (r"AAAA[0-9A-Za-z+/=]{60,}", "[key]"),
    (r"SHA256:[0-9A-Za-z+/]{43}", "[fingerprint]"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "[guid]"),
    (r"\d{4}-\d\d-\d\dT[0-9:]{8}Z", "[time]"),
    (r"K10[0-9a-f]{64}", "K10[sha256]"),
    (r"\b[0-9a-f]{32}\b", "[id]"),
    (r"[0-9A-Za-z+/]{43}=", "[key]"),
];

macro_rules! assert_shown {
    ($shown:expr, @$expected:literal) => {
        insta::with_settings!({ filters => FILTERS.to_vec() }, { insta::assert_snapshot!($shown, @$expected) })
    };
}

/// Runs a program of the host in the place; it must end well.
#[expect(clippy::disallowed_types, reason = "makes keys as a user does")]
pub(super) fn tool(place: &Place, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(place.path()).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(super) fn shown(place: &Place, arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = place.output(arguments, &place.path());
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn makes_keys_and_a_key_file_that_opens_them() {
    let place = Place::with(SMALL);
    assert_shown!(place.run(&["identity", "secure-boot"]), @r"
    exit code 0
    --- stdout
    identity.age
      opened by         [age key]
      manifest signing  ssh-ed25519 [key]
                        [fingerprint]
      Secure Boot       since [time], owner [guid]
        PK  [sha256]  CN=lab Secure Boot PK
        KEK [sha256]  CN=lab Secure Boot KEK
        db  [sha256]  CN=lab Secure Boot db
      cluster           [id], epoch 1
      k3s token         K10[sha256]::…
      membership key    [key]
      operator key      [key]
      ticket key        [key]
      update key        [key]
      WireGuard cp1     [key]
      sealing           [sha256]
      certificates      [time] to [time]
        [sha256]  CN=lab k3s root CA
        [sha256]  CN=lab etcd root CA
        [sha256]  CN=lab k3s server CA
        [sha256]  CN=lab k3s client CA
        [sha256]  CN=lab k3s request header CA
        [sha256]  CN=lab etcd peer CA
        [sha256]  CN=lab etcd server CA
    --- stderr
    wrote [place]/home/.config/imgbuild/lab.key, which opens the identity: keep it secret, and a copy
    wrote identity.age; keep a copy: what it holds cannot be made again
    ");
    let key_file = place.home().join(".config/imgbuild/lab.key");
    assert_eq!(fs::metadata(&key_file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(place.names().contains(&"identity.age".to_owned()), "{:?}", place.names());

    let before = fs::read(place.path().join("identity.age")).unwrap();
    assert_shown!(place.run(&["identity", "secure-boot"]), @r"
    exit code 2
    --- stderr
    error: `identity.age` has Secure Boot keys; nothing was changed

    hint: `imgbuild identity show` shows them; `--rotate` replaces them
    ");
    assert_eq!(fs::read(place.path().join("identity.age")).unwrap(), before);

    let old = shown(&place, &["identity", "show", "--json"]);
    let new = shown(&place, &["identity", "secure-boot", "--rotate", "--json"]);
    for (key, is_kept) in [
        ("/manifest_signing", true),
        ("/opened_by", true),
        ("/secure_boot/owner", true),
        ("/secure_boot/keys", false),
    ] {
        assert_eq!(old.pointer(key).unwrap() == new.pointer(key).unwrap(), is_kept, "{key}");
    }
    assert_eq!(shown(&place, &["identity", "show", "--json"]), new);
}

#[test]
fn imports_keys_and_names_the_file_that_is_none() {
    let place = Place::with(SMALL);
    fs::create_dir(place.path().join("keys")).unwrap();
    for name in ["PK", "KEK", "db"] {
        let (key, certificate) = (format!("keys/{name}.key"), format!("keys/{name}.pem"));
        let subject = format!("/CN=mine {name}");
        let options = ["req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", &subject];
        tool(&place, "openssl", &[&options[..], &["-keyout", &key, "-out", &certificate]].concat());
    }
    fs::rename(place.path().join("keys/db.key"), place.path().join("db.key")).unwrap();
    assert_shown!(place.run(&["identity", "secure-boot", "--import", "keys"]), @r"
    exit code 2
    --- stderr
    error: reading `keys/db.key`
    caused by: No such file or directory (os error 2)
    ");
    fs::copy(place.path().join("keys/PK.key"), place.path().join("keys/db.key")).unwrap();
    assert_shown!(place.run(&["identity", "secure-boot", "--import", "keys"]), @r"
    exit code 2
    --- stderr
    error: taking `keys/db.key` with `keys/db.pem`
    caused by: the certificate `CN=mine db` is of another key
    ");
    tool(
        &place,
        "openssl",
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "keys/db.key"],
    );
    assert_shown!(place.run(&["identity", "secure-boot", "--import", "keys"]), @r"
    exit code 2
    --- stderr
    error: taking `keys/db.key` with `keys/db.pem`
    caused by: this is a private key for elliptic curves; firmware checks RSA signatures only

    hint: without `--import`, RSA keys are made; `openssl req -x509 -newkey rsa:2048 -nodes` makes them too
    ");
    tool(
        &place,
        "openssl",
        &["pkey", "-in", "db.key", "-aes128", "-passout", "pass:x", "-out", "keys/db.key"],
    );
    assert_shown!(place.run(&["identity", "secure-boot", "--import", "keys"]), @r"
    exit code 2
    --- stderr
    error: taking `keys/db.key` with `keys/db.pem`
    caused by: this private key is encrypted by a passphrase

    hint: `openssl pkey -in keys/db.key -out FILE` writes it without the passphrase; the identity encrypts what it holds
    ");
    assert_eq!(place.names(), ["cluster.toml", "db.key", "keys"]);
    assert!(!place.home().join(".config").exists(), "a key file was made for nothing");
    fs::rename(place.path().join("db.key"), place.path().join("keys/db.key")).unwrap();
    let made = shown(&place, &["identity", "secure-boot", "--import", "keys", "--json"]);
    let subjects: Vec<_> = made["secure_boot"]["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["CN=mine PK", "CN=mine KEK", "CN=mine db"]);
}

#[test]
fn a_passphrase_is_taken_from_a_file_and_asked_of_nobody() {
    let place = Place::with(SMALL);
    place.write("right", "correct horse\n");
    place.write("wrong", "battery staple\n");
    place.write("empty", "\n");
    assert_shown!(place.run(&["identity", "secure-boot", "--passphrase-file", "empty"]), @r"
    exit code 2
    --- stderr
    error: the first line of `empty` is empty
    ");
    let made = shown(&place, &["identity", "secure-boot", "--passphrase-file", "right", "--json"]);
    assert_eq!(made["opened_by"], serde_json::json!(["passphrase"]));
    assert!(!place.home().join(".config").exists(), "a key file was made without need");
    assert_shown!(place.run(&["identity", "show"]), @r"
    exit code 2
    --- stderr
    error: identity `identity.age` is locked by a passphrase, and there is no terminal to ask for it

    hint: `--identity-key FILE` or `--passphrase-file FILE` opens it
    ");
    assert_shown!(place.run(&["identity", "show", "--passphrase-file", "wrong"]), @r"
    exit code 2
    --- stderr
    error: identity `identity.age` is not opened by the passphrase
    caused by: Decryption failed

    hint: `--identity-key FILE` or `--passphrase-file FILE` opens it
    ");
    assert_eq!(shown(&place, &["identity", "show", "--passphrase-file", "right", "--json"]), made);
    // A build is not silently unsigned because the identity cannot be opened; it stops before anything else.
    assert_shown!(place.run(&["build", "cloud", "--offline"]), @r"
    exit code 2
    --- stderr
    error: identity `identity.age` is locked by a passphrase, and there is no terminal to ask for it

    hint: `--unsigned` builds without its signatures
    hint: `--identity-key FILE` or `--passphrase-file FILE` opens it
    ");
}

#[test]
fn ssh_keys_of_the_user_open_what_is_encrypted_to_them() {
    let place = Place::with(SMALL);
    fs::create_dir(place.home().join(".ssh")).unwrap();
    let key = place.home().join(".ssh/id_ed25519");
    tool(&place, "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key.to_str().unwrap()]);
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let made = shown(&place, &["identity", "secure-boot", "--recipient", public.trim(), "--json"]);
    assert_eq!(made["opened_by"], serde_json::json!([public.trim()]));
    assert_eq!(shown(&place, &["identity", "show", "--json"]), made);
    fs::rename(&key, place.path().join("elsewhere")).unwrap();
    assert_shown!(place.run(&["identity", "show"]), @r"
    exit code 2
    --- stderr
    error: identity `identity.age` is not opened by a key: none was given or found
    caused by: No matching keys found

    hint: `--identity-key FILE` or `--passphrase-file FILE` opens it
    ");
    assert_eq!(shown(&place, &["identity", "show", "--json", "--identity-key", "elsewhere"]), made);
}

#[test]
fn without_an_identity_there_is_nothing_to_show() {
    assert_shown!(Place::with(SMALL).run(&["identity", "show"]), @r"
    exit code 2
    --- stderr
    error: there is no identity `identity.age`

    hint: `imgbuild identity create` makes one
    ");
}

#[test]
fn creates_an_identity_without_secure_boot_once_and_keeps_it_when_keys_are_added() {
    let place = Place::with(SMALL);
    place.write("passphrase", "correct horse\n");
    let by = ["--passphrase-file", "passphrase"];
    assert_shown!(place.run(&[&["identity", "create"], &by[..]].concat()), @r"
    exit code 0
    --- stdout
    identity.age
      opened by         passphrase
      manifest signing  ssh-ed25519 [key]
                        [fingerprint]
      Secure Boot       not set up
      cluster           [id], epoch 1
      k3s token         K10[sha256]::…
      membership key    [key]
      operator key      [key]
      ticket key        [key]
      update key        [key]
      WireGuard cp1     [key]
      sealing           [sha256]
      certificates      [time] to [time]
        [sha256]  CN=lab k3s root CA
        [sha256]  CN=lab etcd root CA
        [sha256]  CN=lab k3s server CA
        [sha256]  CN=lab k3s client CA
        [sha256]  CN=lab k3s request header CA
        [sha256]  CN=lab etcd peer CA
        [sha256]  CN=lab etcd server CA
    --- stderr
    wrote identity.age; keep a copy: what it holds cannot be made again
    ");
    let made = shown(&place, &[&["identity", "show", "--json"], &by[..]].concat());
    // Nothing is asked and no key file made for one that is there.
    assert_shown!(place.run(&["identity", "create"]), @r"
    exit code 2
    --- stderr
    error: `identity.age` is there already; nothing was changed

    hint: `imgbuild identity show` shows what it holds
    ");
    assert!(!place.home().join(".config").exists(), "a key file was made for nothing");
    let more = shown(&place, &[&["identity", "secure-boot", "--json"], &by[..]].concat());
    assert_eq!(
        (&more["manifest_signing"], &more["opened_by"]),
        (&made["manifest_signing"], &made["opened_by"])
    );
    assert!(more["secure_boot"].is_object(), "{more}");
}

#[test]
fn what_lies_in_the_identitys_place_is_read_or_refused_and_never_waited_for() {
    let place = Place::with(SMALL);
    tool(&place, "mkfifo", &["identity.age"]);
    let (code, _, stderr) = place.output(&["identity", "show"], &place.path());
    let said = "error: reading `identity.age`\ncaused by: it is no regular file\n";
    assert_eq!((code, stderr.as_str()), (2, said));

    // What `create` calls there is not called missing by the others.
    fs::remove_file(place.path().join("identity.age")).unwrap();
    std::os::unix::fs::symlink("nowhere", place.path().join("identity.age")).unwrap();
    for command in ["show", "secure-boot"] {
        let (code, _, stderr) = place.output(&["identity", command], &place.path());
        let said = "error: reading `identity.age`\ncaused by: No such file or directory (os error 2)\n";
        assert_eq!((code, stderr.as_str()), (2, said), "{command}");
    }
}
