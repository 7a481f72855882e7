//! `imgbuild check`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::program::{Place, SMALL};

#[test]
fn describes_a_valid_cluster() {
    insta::assert_snapshot!(Place::with(SMALL).run(&["check"]), @"
    exit code 0
    --- stdout
    cluster.toml is valid: cluster `lab`, 2 nodes

    NAME   ROLE           PROFILE  IMAGE  ARCH   VPN ADDRESS
    cp1    control-plane  cloud    disk   amd64  10.44.0.1
    edge1  edge           edge     disk   amd64  10.44.0.11
    ");
}

#[test]
fn describes_a_valid_cluster_as_json() {
    insta::assert_snapshot!(Place::with(SMALL).run(&["check", "--json"]), @r#"
    exit code 0
    --- stdout
    {
      "valid": true,
      "cluster": {
        "name": "lab",
        "endpoint": "lab.example.org",
        "posture": "bring-up",
        "time-zone": "Etc/UTC",
        "ssh-keys": [],
        "network": {
          "vpn": "wireguard",
          "vpn-range": "10.44.0.0/16",
          "vpn-port": 51820,
          "pod-range": "10.42.0.0/16",
          "service-range": "10.43.0.0/16",
          "admin-range": "10.45.0.0/24",
          "admin-port": 51821
        },
        "k3s": {
          "version": "v1.36.4+k3s1",
          "disable": [
            "traefik"
          ],
          "max-pods": 300,
          "apiserver-args": [],
          "controller-manager-args": [],
          "kubelet-args": []
        },
        "storage": {
          "replicas": 3
        },
        "apps": [],
        "nodes": [
          {
            "name": "cp1",
            "role": "control-plane",
            "profile": "cloud",
            "image": "disk",
            "arch": "amd64",
            "vpn-address": "10.44.0.1",
            "labels": {},
            "taints": [],
            "interfaces": []
          },
          {
            "name": "edge1",
            "role": "edge",
            "profile": "edge",
            "image": "disk",
            "arch": "amd64",
            "vpn-address": "10.44.0.11",
            "labels": {},
            "taints": [],
            "longhorn": {
              "scopes": [
                "edge"
              ],
              "disks": [
                {
                  "path": "/var/lib/longhorn",
                  "tags": [
                    "edge"
                  ]
                }
              ]
            },
            "interfaces": []
          }
        ],
        "admins": [],
        "revocations": []
      }
    }
    "#);
}

#[test]
fn lists_faults_as_json() {
    let place = Place::with(&SMALL.replace("name = \"lab\"", "nmae = \"lab\""));
    let (code, stdout, stderr) = place.output(&["check", "--json"], &place.path());
    assert_eq!(code, 2);
    let faults: Value = serde_json::from_str(&stdout).unwrap();
    insta::assert_json_snapshot!(faults, @r#"
    {
      "faults": [
        {
          "column": 1,
          "line": 3,
          "path": "cluster.toml",
          "reason": "`[cluster]` lacks the key `name`"
        },
        {
          "column": 1,
          "help": "did you mean `name`?",
          "line": 4,
          "path": "cluster.toml",
          "reason": "unknown key `nmae` in `[cluster]`"
        }
      ],
      "valid": false
    }
    "#);
    assert!(stderr.contains("did you mean `name`?"), "{stderr}");
}

#[test]
fn gathers_the_faults_of_all_files_beside_a_faulty_cluster_file() {
    let place = Place::with(&SMALL.replace("role = \"edge\"", "role = \"egde\""));
    place.write("profiles/mine.toml", "version = 1\ndescription = \"mine\"\ninherits = \"cluod\"\n");
    place.write(
        "images/card.toml",
        "version = 1\ndescription = \"card\"\nlayout = 0\nstate-minimum = \"1 GiB\"\npartition = []\n",
    );
    place.write("reviewed.toml", "[[package]]\nname = \"less\"\nnote = \"n\"\nsteps = [\"stat\"]\n");
    insta::assert_snapshot!(place.run(&["check"]), @r#"
    exit code 2
    --- stderr
    error: `role` must be one of `control-plane`, `worker`, `edge`, not `egde`
      --> cluster.toml:16:8
       |
    16 | role = "egde"
       |        ^^^^^^
       = help: did you mean `edge`?

    error: there is no profile `cluod`
     --> profiles/mine.toml:3:12
      |
    3 | inherits = "cluod"
      |            ^^^^^^^
      = help: did you mean `cloud`?

    error: `layout` must be an integer from 1 to 4294967295, not 0
     --> images/card.toml:3:10
      |
    3 | layout = 0
      |          ^

    error: there is no setup step `stat`
     --> reviewed.toml:4:10
      |
    4 | steps = ["stat"]
      |          ^^^^^^
      = help: did you mean `state`?

    4 faults in `cluster.toml`, `profiles/mine.toml`, `images/card.toml`, `reviewed.toml`
    "#);
}

#[test]
fn accepts_a_profile_of_one_architecture_that_no_node_uses() {
    let place = Place::with(SMALL);
    let text = "version = 1\ndescription = \"mine\"\n[kernel.arm64]\npackage = \"linux-image-arm64\"\n";
    place.write("profiles/mine.toml", text);
    assert_eq!(place.output(&["check"], &place.path()).0, 0);
    place.write("cluster.toml", format!("{SMALL}profile = \"mine\"\n"));
    let (code, _, stderr) = place.output(&["check"], &place.path());
    assert_eq!(code, 2);
    assert!(stderr.starts_with("error: the profile names no `kernel.package` for amd64\n"), "{stderr}");
}

#[test]
fn shows_what_stands_in_for_defaults() {
    let place = Place::with(EVERY_KEY);
    place.write("profiles/mine.toml", "version = 1\ndescription = \"mine\"\ninherits = \"cloud\"\n");
    insta::assert_snapshot!(place.run(&["check"]), @"
    exit code 0
    --- stdout
    cluster.toml is valid: cluster `lab`, 3 nodes

    NAME     ROLE           PROFILE  IMAGE  ARCH   VPN ADDRESS
    cp1      control-plane  mine     disk   arm64  10.90.0.7
    worker1  worker         cloud    disk   amd64  10.90.0.11
    edge1    edge           edge     disk   amd64  10.90.0.12
    --- stderr
    warning: worker `worker1` has no `endpoint`: edges will find no way to it
    ");
}

#[test]
fn finds_the_cluster_file_above() {
    let place = Place::with("version = 2\n");
    let below = place.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let (code, _, stderr) = place.output(&["check"], &below);
    assert_eq!(code, 2);
    assert!(stderr.contains("--> ../../cluster.toml:1:"), "{stderr}");
}

#[test]
fn takes_the_file_that_is_named() {
    let place = Place::with("broken");
    place.write("other/mine.toml", SMALL);
    let shown = place.run(&["check", "-f", "other/mine.toml"]);
    assert!(shown.contains("other/mine.toml is valid: cluster `lab`, 2 nodes"), "{shown}");
}

#[test]
fn says_where_it_looked() {
    // Below /proc nothing can be in the way, and nothing can be written.
    let place = Place::new();
    let (code, stdout, stderr) = place.output(&["check"], std::path::Path::new("/proc"));
    assert_eq!((code, stdout.as_str()), (2, ""));
    insta::assert_snapshot!(stderr, @"
    error: there is no `cluster.toml` in `/proc` or above

    hint: `imgbuild init` makes one; `-f FILE` names one elsewhere
    ");
}

#[test]
fn names_a_file_that_cannot_be_read() {
    let place = Place::new();
    insta::assert_snapshot!(place.run(&["check", "-f", "missing.toml"]), @"
    exit code 2
    --- stderr
    error: reading `missing.toml`
    caused by: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(place.run(&["check", "-f", "."]), @"
    exit code 2
    --- stderr
    error: reading `.`
    caused by: Is a directory (os error 21)
    ");
}

#[test]
fn points_into_files_that_are_no_text() {
    let place = Place::new();
    place.write("cluster.toml", b"version = 1\nname = \"\xff\"\n");
    insta::assert_snapshot!(place.run(&["check"]), @r#"
    exit code 2
    --- stderr
    error: the file is no UTF-8 text
     --> cluster.toml:2:9
      |
    2 | name = "�"
      |         ^
    "#);
}

#[test]
fn points_at_characters_in_files_with_windows_line_ends() {
    let place = Place::with(&SMALL.replace("lab.example.org", "Lab").replace('\n', "\r\n"));
    let shown = place.run(&["check"]);
    assert!(shown.contains("--> cluster.toml:5:12"), "{shown}");
    assert!(!shown.contains('\r'), "{shown:?}");
}

#[test]
fn ends_quietly_when_nobody_reads() {
    let place = Place::with(SMALL);
    for arguments in [&["check"][..], &["check", "--json-schema"], &["record", "cp1"]] {
        assert_eq!(place.run_with_closed_output(arguments), (0, String::new()), "{arguments:?}");
    }
}

/// Every key that the parser knows, once.
pub(super) const EVERY_KEY: &str = include_str!("every-key.toml");

/// Keys that a fault lists as known in each table, found by asking for one that is in none.
fn keys_of_parser(header: &str) -> BTreeSet<String> {
    let place =
        Place::with(&EVERY_KEY.replacen(header, &format!("{header}\nqqqqqqqqqqqqqqqqqqqqqqqq = 1"), 1));
    let (_, _, stderr) = place.output(&["check"], &place.path());
    let help = stderr.split("known keys are ").nth(1).unwrap_or_else(|| panic!("{header}: {stderr}"));
    help.lines().next().unwrap().split(", ").map(|key| key.trim_matches('`').to_owned()).collect()
}

#[test]
fn schema_and_parser_know_the_same_keys() {
    let place = Place::new();
    let (code, stdout, _) = place.output(&["check", "--json-schema"], &place.path());
    assert_eq!(code, 0);
    let schema: Value = serde_json::from_str(&stdout).unwrap();
    for (header, pointer) in [
        ("version = 1", ""),
        ("[cluster]", "/properties/cluster"),
        ("[network]", "/$defs/network"),
        ("[k3s]", "/properties/k3s"),
        ("[gitops]", "/$defs/gitops"),
        ("[tls]", "/$defs/tls"),
        ("[mail]", "/$defs/mail"),
        ("[storage]", "/$defs/storage"),
        ("[backup]", "/$defs/backup"),
        ("[apps]", "/properties/apps"),
        ("[apps.gitlab]", "/$defs/app"),
        ("[[node]]", "/$defs/node"),
        ("[node.hardware]", "/$defs/hardware"),
        ("[node.swap]", "/$defs/swap"),
        ("[node.longhorn]", "/$defs/longhorn"),
        ("[[node.longhorn.disks]]", "/$defs/longhorn-disk"),
        ("[[node.interfaces]]", "/$defs/interface"),
        ("[[admin]]", "/$defs/admin"),
        ("[[revocation]]", "/$defs/revocation"),
    ] {
        let table = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}: {stdout}"));
        let keys = table["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys_of_parser(header), keys, "{header}");
        assert_eq!(table["additionalProperties"], Value::Bool(false), "{header}");
        let required: BTreeSet<&str> =
            table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert_eq!(required, required_by_parser(header, &keys_of_parser(header)), "{header}");
    }
    assert!(!stdout.contains("\"null\""), "TOML has no null: {stdout}");
}

/// Keys whose absence is a fault, found by leaving each out.
fn required_by_parser<'keys>(header: &str, keys: &'keys BTreeSet<String>) -> BTreeSet<&'keys str> {
    let is_required = |key: &&str| {
        let mut file: toml::Table = EVERY_KEY.parse().unwrap();
        let path = header.trim_matches(['[', ']']).split('.').filter(|_| header.starts_with('['));
        let table = path.fold(&mut file, |table, name| match table.get_mut(name).unwrap() {
            toml::Value::Array(list) => list[0].as_table_mut().unwrap(),
            value => value.as_table_mut().unwrap(),
        });
        assert!(table.remove(*key).is_some(), "{header} has no {key}");
        let place = Place::with(&file.to_string());
        let (_, _, stderr) = place.output(&["check"], &place.path());
        stderr.contains(&format!("lacks the key `{key}`"))
            || stderr.contains(&format!("lacks the table `[{key}]`"))
            || *key == "node" && stderr.contains("the cluster has no control plane")
    };
    keys.iter().map(String::as_str).filter(is_required).collect()
}
