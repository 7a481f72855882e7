//! What an operator does without a cluster at hand: `imgbuild kubeconfig`, `admin add`, `node revoke --offline`; and what
//! `status` and `node approve` say where there is none.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgbuild::cluster::Cluster;
use serde_json::Value;

use super::cluster_secrets::place;
use super::program::Place;

fn json(place: &Place, arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = place.output(&[arguments, &["--json"]].concat(), &place.path());
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

fn cluster(place: &Place) -> Cluster {
    Cluster::load(&place.path().join("cluster.toml")).unwrap()
}

#[test]
fn mints_a_kubeconfig_for_who_holds_the_identity() {
    let place = place();
    let (code, stdout, stderr) = place.output(&["kubeconfig"], &place.path());
    assert_eq!((code, stderr.as_str()), (0, ""));
    let config: Value = serde_saphyr::from_str(&stdout).unwrap();
    assert_eq!(config["current-context"], "operator@lab");
    let server = format!("https://{}:6443", cluster(&place).endpoint);
    assert_eq!(config["clusters"][0]["cluster"]["server"], server);
    let decoded = |text: &Value| String::from_utf8(STANDARD.decode(text.as_str().unwrap()).unwrap()).unwrap();
    let authorities = decoded(&config["clusters"][0]["cluster"]["certificate-authority-data"]);
    assert_eq!(authorities.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(decoded(&config["users"][0]["user"]["client-key-data"]).contains("BEGIN EC PRIVATE KEY"));

    let options = ["kubeconfig", "--server", "[2001:db8::9]:443", "--valid", "2h", "--output", "kubeconfig"];
    let (code, stdout, stderr) = place.output(&options, &place.path());
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert!(
        stderr.starts_with("wrote kubeconfig for `operator` at [2001:db8::9]:443, good until "),
        "{stderr}"
    );
    assert!(place.read("kubeconfig").contains("https://[2001:db8::9]:443"));
    let mode = fs::metadata(place.path().join("kubeconfig")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for (arguments, reason) in [
        (&["--valid", "0s"][..], "a certificate that is good for 0s is good for nobody"),
        (&["--valid", "99999y"], "no certificate is good for so long"),
        (&["--admin", "ada"], "cluster `lab` has no admin `ada`"),
        (
            &["--server", "a b"],
            "invalid value 'a b' for '--server <SERVER>': this is neither HOST nor HOST:PORT",
        ),
    ] {
        let (code, stdout, stderr) = place.output(&[&["kubeconfig"], arguments].concat(), &place.path());
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.starts_with(&format!("error: {reason}")), "{stderr}");
    }
}

#[test]
fn an_admin_is_added_once_and_shown_their_way_in_once() {
    let place = place();
    let before = place.read("cluster.toml");
    let (code, stdout, stderr) = place.output(&["admin", "add", "ada"], &place.path());
    assert_eq!(code, 0, "{stderr}");
    for part in [
        "[Interface]\nPrivateKey = ",
        "Address = 10.45.0.",
        "AllowedIPs = 10.45.0.1/32",
        "\u{2588}",
        "kind: \"Config\"",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let text = place.read("cluster.toml");
    assert!(text.starts_with(&before), "{text}");
    let added = &cluster(&place).admins[0];
    assert_eq!(added.name.as_str(), "ada");
    // Its private half is on the screen and nowhere else.
    let private = stdout.lines().find_map(|line| line.strip_prefix("PrivateKey = ")).unwrap();
    let private = STANDARD.decode(private).unwrap().try_into().unwrap();
    let public = firstboot::wireguard::private_key::public(&firstboot::secret_key::SecretKey::new(private));
    assert_eq!(added.public_key.as_str(), public.to_string());

    let (code, _, stderr) = place.output(&["admin", "add", "ada"], &place.path());
    assert_eq!(code, 2);
    assert!(stderr.starts_with("error: cluster `lab` has an admin `ada`; nothing was changed"), "{stderr}");
    assert_eq!(place.read("cluster.toml"), text);
    // Who has a key of their own gives its public half.
    let own = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
    let given = json(&place, &["admin", "add", "bob", "--public-key", own, "--output", "bob"]);
    assert_eq!((&given["publicKey"], given["files"].as_array().unwrap().len()), (&own.into(), 2));
    assert!(place.read("bob/bob.conf").contains("PrivateKey = (your private key)"));
    // A configuration without a key is for no telephone.
    assert!(!place.path().join("bob/bob.svg").exists());
    for kind in ["conf", "kubeconfig"] {
        let mode = fs::metadata(place.path().join(format!("bob/bob.{kind}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{kind}");
    }
    let config = place.read("bob/bob.kubeconfig");
    assert!(config.contains("https://10.45.0.1:6443"), "inside the VPN of the admins: {config}");
    let again = json(&place, &["kubeconfig", "--admin", "bob"]);
    assert_eq!((&again["user"], &again["server"]), (&"bob".into(), &"https://10.45.0.1:6443".into()));
}

#[test]
fn a_node_is_revoked_in_the_cluster_file_without_a_cluster() {
    let place = place();
    let before = place.read("cluster.toml");
    let made = json(&place, &["node", "revoke", "edge1", "--offline"]);
    assert_eq!((&made["node"], &made["isTold"]), (&"edge1".into(), &false.into()));
    let minimum = made["minimumGeneration"].as_u64().unwrap();
    assert_eq!(u64::from(cluster(&place).revocations[0].minimum_generation), minimum);
    assert!(place.read("cluster.toml").starts_with(&before));
    // A cluster that is not there is told, and the file keeps what was said.
    let arguments = ["node", "revoke", "edge1", "--server", "127.0.0.1:1"];
    let (code, _, stderr) = place.output(&arguments, &place.path());
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("`edge1` is revoked in the cluster file, and the running cluster may not know it"),
        "{stderr}"
    );
    assert_eq!(cluster(&place).revocations.len(), 1);
    let (code, _, stderr) = place.output(&["node", "revoke", "cp1"], &place.path());
    assert_eq!(
        (code, stderr.as_str()),
        (2, "error: `cp1` is a control plane, which has neither ticket nor membership\n")
    );
}

#[test]
fn a_cluster_that_does_not_answer_is_told() {
    let place = place();
    insta::assert_snapshot!(place.run(&["status", "--server", "127.0.0.1:1"]), @r"
    exit code 1
    --- stderr
    error: the cluster's API is not reached
      127.0.0.1:1: connecting to 127.0.0.1:1: Connection refused (os error 111)

    hint: is a control plane up? `--server HOST:PORT` asks another address
    ");
    insta::assert_snapshot!(place.run(&["node", "approve", "7QK2-M4TD", "--as", "edge2", "--server", "127.0.0.1:1"]), @r"
    exit code 2
    --- stderr
    error: the cluster `lab` has no node `edge2`

    hint: did you mean `edge1`?
    ");
    insta::assert_snapshot!(place.run(&["node", "reject", "7QK2", "--server", "127.0.0.1:1"]), @r"
    exit code 2
    --- stderr
    error: invalid value '7QK2' for '<CODE>': `7QK2` is no approval code, which looks like `7QK2-M4TD`

    For more information, try '--help'.
    ");
}
