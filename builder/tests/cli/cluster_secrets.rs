//! `imgbuild identity upgrade`, `rotate` and `export`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use imgbuild::identity::{Access, ClusterSecrets, Identity, Protection};

use super::identity::{FILTERS, shown, tool};
use super::program::{Place, SMALL};

macro_rules! assert_shown {
    ($shown:expr, @$expected:literal) => {
        insta::with_settings!({ filters => FILTERS.to_vec() }, { insta::assert_snapshot!($shown, @$expected) })
    };
}

/// A place with an identity.
pub(super) fn place() -> Place {
    let place = Place::with(SMALL);
    assert_eq!(place.output(&["identity", "create", "-q"], &place.path()).0, 0);
    place
}

/// What the identity of a place holds.
pub(super) fn open(place: &Place) -> (Identity, Protection) {
    let access = Access { key_files: vec![place.home().join(".config/imgbuild/lab.key")], passphrase: None };
    Identity::open(&place.path().join("identity.age"), &access).unwrap()
}

fn secrets(place: &Place) -> ClusterSecrets {
    open(place).0.cluster.unwrap()
}

#[test]
fn an_identity_of_an_older_program_is_upgraded_once_and_needed_until_then() {
    let place = place();
    let (mut identity, protection) = open(&place);
    identity.cluster = None;
    let path = Path::new("identity.age");
    place.write("identity.age", identity.encrypt(path, &protection).unwrap());
    let (_, stdout, _) = place.output(&["identity", "show"], &place.path());
    assert!(stdout.ends_with("  cluster           no secrets yet: `imgbuild identity upgrade` makes them\n"));
    for arguments in
        [&["ticket", "edge1"][..], &["identity", "export", "out"], &["identity", "rotate", "--epoch"]]
    {
        assert_eq!(
            place.run(arguments),
            "exit code 2\n--- stderr\nerror: identity `identity.age` has no secrets of a cluster yet\n\n\
             hint: `imgbuild identity upgrade` makes them\n"
        );
    }
    let upgraded = shown(&place, &["identity", "upgrade", "--json"]);
    assert_eq!(upgraded["cluster"]["epoch"], 1);
    assert_eq!(
        open(&place).0.signing_key.public().to_string(),
        upgraded["manifest_signing_fingerprint"].as_str().unwrap()
    );
    assert_shown!(place.run(&["identity", "upgrade"]), @r"
    exit code 2
    --- stderr
    error: `identity.age` has the secrets of its cluster; nothing was changed

    hint: `imgbuild identity show` shows what is public of them
    ");
}

#[test]
fn rotates_what_it_is_told_and_nothing_else() {
    let place = place();
    let before = secrets(&place);
    assert_shown!(place.run(&["identity", "rotate"]), @r"
    exit code 2
    --- stderr
    error: it is not said what is to be rotated; nothing was changed

    hint: `--epoch` leaves old tickets out, `--server-token` old server tokens
    ");
    let (code, stdout, stderr) = place.output(&["identity", "rotate", "--epoch"], &place.path());
    assert_eq!(code, 0);
    assert!(stdout.contains(&format!("{}, epoch 2\n", before.id)), "{stdout}");
    assert!(stderr.contains("tickets of before epoch 2 are refused"), "{stderr}");
    let raised = secrets(&place);
    assert_eq!(raised.server_token().unwrap(), before.server_token().unwrap());

    let (code, stdout, stderr) = place.output(&["identity", "rotate", "--server-token"], &place.path());
    assert_eq!(code, 0);
    assert!(stderr.contains("`k3s token rotate`"), "{stderr}");
    let rotated = secrets(&place);
    let token = rotated.server_token().unwrap();
    assert_ne!(token, before.server_token().unwrap());
    assert!(!stdout.contains(&token[..]) && !stderr.contains(&token[70..]), "the token is shown");
    assert_eq!((rotated.epoch, rotated.hash().unwrap()), (2, before.hash().unwrap()));
}

#[test]
fn exports_files_for_their_owner_alone_that_other_programs_read() {
    let place = place();
    assert_shown!(place.run(&["identity", "export", "out"]), @r"
    exit code 0
    --- stderr
    wrote out with 26 files that are NOT encrypted, for you alone: out/README says what they are
    ");
    let out = place.path().join("out");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&out), 0o700);
    let mut files = Vec::new();
    let mut folders = vec![out.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                files.push(path.strip_prefix(&out).unwrap().display().to_string());
            }
        }
    }
    files.sort();
    insta::assert_snapshot!(files.join("\n"), @r"
    README
    cluster.json
    etcd-root-ca.crt
    etcd-root-ca.key
    membership.key
    node-password.key
    operator.key
    root-ca.crt
    root-ca.key
    sealing.crt
    sealing.key
    server-token
    ticket.key
    tls/client-ca.crt
    tls/client-ca.key
    tls/etcd/peer-ca.crt
    tls/etcd/peer-ca.key
    tls/etcd/server-ca.crt
    tls/etcd/server-ca.key
    tls/request-header-ca.crt
    tls/request-header-ca.key
    tls/server-ca.crt
    tls/server-ca.key
    tls/service.key
    update.key
    wireguard/cp1.key
    ");
    for key in ["ticket", "operator", "update", "membership", "root-ca", "sealing", "tls/service"] {
        tool(&place, "openssl", &["pkey", "-noout", "-check", "-in", &format!("out/{key}.key")]);
    }
    tool(&place, "openssl", &["verify", "-CAfile", "out/root-ca.crt", "out/tls/server-ca.crt"]);
    tool(&place, "openssl", &["verify", "-CAfile", "out/sealing.crt", "out/sealing.crt"]);
    let secrets = secrets(&place);
    assert_eq!(place.read("out/server-token").trim(), &secrets.server_token().unwrap()[..]);
    let record = firstboot::cluster::parse(place.read("out/cluster.json").as_bytes()).unwrap();
    assert_eq!((record.id, record.claim_addresses), (secrets.id, vec!["lab.example.org:51820".to_owned()]));
}

#[test]
fn exports_nothing_into_what_is_there_or_into_git() {
    let place = place();
    fs::create_dir(place.path().join("there")).unwrap();
    assert_shown!(place.run(&["identity", "export", "there"]), @r"
    exit code 2
    --- stderr
    error: `there` is there already; nothing was changed

    hint: name a folder that is not there
    ");
    assert_shown!(place.run(&["identity", "export", "no/where"]), @r"
    exit code 2
    --- stderr
    error: looking at `no`
    caused by: No such file or directory (os error 2)
    ");
    fs::create_dir(place.path().join(".git")).unwrap();
    assert_shown!(place.run(&["identity", "export", "there/out"]), @r"
    exit code 2
    --- stderr
    error: `there/out` would lie in `[place]/work`, a folder of Git

    hint: name a folder elsewhere: what is written is not encrypted
    ");
    assert_eq!(fs::read_dir(place.path().join("there")).unwrap().count(), 0);
    let elsewhere = place.home().join("out");
    let (code, ..) = place.output(&["identity", "export", elsewhere.to_str().unwrap()], &place.path());
    assert_eq!(code, 0);
}
