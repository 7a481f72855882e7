//! `imgbuild record`.

use super::program::{Place, SMALL};

#[test]
fn prints_what_a_node_is_told() {
    let text = SMALL.replace(
        "role = \"edge\"",
        concat!(
            "role = \"edge\"\n",
            "labels = { site = \"harbour\" }\n",
            "interfaces = [{ mac = \"52:54:00:AB:CD:EF\", addresses = [\"192.168.1.20/24\"], ",
            "gateway = \"192.168.1.1\", dns = [\"192.168.1.1\"] }]"
        ),
    );
    insta::assert_snapshot!(Place::with(&text).run(&["record", "edge1"]), @r#"
    exit code 0
    --- stdout
    {
      "version": 1,
      "cluster": {
        "name": "lab",
        "endpoint": "lab.example.org",
        "posture": "bring-up"
      },
      "node": {
        "name": "edge1",
        "role": "edge",
        "labels": {
          "site": "harbour"
        },
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
        }
      },
      "timeZone": "Etc/UTC",
      "interfaces": [
        {
          "mac": "52:54:00:ab:cd:ef",
          "addresses": [
            "192.168.1.20/24"
          ],
          "gateway": "192.168.1.1",
          "dns": [
            "192.168.1.1"
          ]
        }
      ],
      "vpn": {
        "kind": "wireguard",
        "address": "10.44.0.11",
        "range": "10.44.0.0/16",
        "port": 51820
      },
      "k3s": {
        "version": "v1.36.4+k3s1",
        "servers": [
          "10.44.0.1"
        ],
        "podRange": "10.42.0.0/16",
        "serviceRange": "10.43.0.0/16"
      }
    }
    "#);
}

#[test]
fn tells_only_control_planes_what_argocd_syncs() {
    let place = Place::with(&format!("{SMALL}\n[gitops]\nrepository = \"git@git.example.org:lab.git\"\n"));
    for (node, is_told) in [("cp1", true), ("edge1", false)] {
        let (code, stdout, _) = place.output(&["record", node], &place.path());
        let record: firstboot::record::NodeRecord = serde_json::from_str(&stdout).unwrap();
        assert_eq!((code, record.gitops.is_some()), (0, is_told), "{node}");
    }
}

#[test]
fn writes_the_same_to_a_file() {
    let place = Place::with(SMALL);
    let (_, stdout, _) = place.output(&["record", "cp1"], &place.path());
    assert_eq!(place.run(&["record", "cp1", "-o", "cp1.json"]), "exit code 0\n");
    assert_eq!(place.read("cp1.json"), stdout);
    assert_eq!(place.names(), ["cluster.toml", "cp1.json"]);
}

#[test]
fn leaves_nothing_behind_where_it_cannot_write() {
    let place = Place::with(SMALL);
    place.write("taken/x", "");
    insta::assert_snapshot!(place.run(&["record", "cp1", "-o", "taken"]), @"
    exit code 1
    --- stderr
    error: writing `taken`
    caused by: Is a directory (os error 21)
    ");
    assert_eq!(place.names(), ["cluster.toml", "taken"]);
    insta::assert_snapshot!(place.run(&["record", "cp1", "-o", "missing/cp1.json"]), @"
    exit code 1
    --- stderr
    error: writing `missing/cp1.json`
    caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn suggests_the_node_that_was_meant() {
    let place = Place::with(SMALL);
    insta::assert_snapshot!(place.run(&["record", "egde1"]), @"
    exit code 2
    --- stderr
    error: the cluster `lab` has no node `egde1`

    hint: did you mean `edge1`?
    ");
    insta::assert_snapshot!(place.run(&["record", "unlike-any"]), @"
    exit code 2
    --- stderr
    error: the cluster `lab` has no node `unlike-any`

    hint: its nodes are `cp1`, `edge1`
    ");
}

/// Numbers go up in file order, given ones are left out, growing the control plane moves nobody.
#[test]
fn assigns_addresses_in_file_order() {
    let node = |name: &str, role: &str, rest: &str| {
        format!("[[node]]\nname = \"{name}\"\nrole = \"{role}\"\n{rest}\n")
    };
    let head = SMALL.split("[[node]]").next().unwrap();
    let nodes = [
        node("a", "edge", ""),
        node("cp1", "control-plane", ""),
        node("b", "worker", "vpn-address = \"10.44.0.12\""),
        node("c", "edge", ""),
        node("cp2", "control-plane", "vpn-address = \"10.44.3.1\""),
        node("cp3", "control-plane", ""),
    ];
    let place = Place::with(&format!("{head}{}", nodes.concat()));
    for (name, address) in [
        ("a", "10.44.0.11"),
        ("cp1", "10.44.0.1"),
        ("b", "10.44.0.12"),
        ("c", "10.44.0.13"),
        ("cp2", "10.44.3.1"),
        ("cp3", "10.44.0.2"),
    ] {
        let (_, stdout, stderr) = place.output(&["record", name], &place.path());
        let record: firstboot::record::NodeRecord = serde_json::from_str(&stdout).expect(&stderr);
        assert_eq!(record.vpn.address.to_string(), address, "{name}");
        let servers: Vec<_> = record.k3s.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.44.0.1", "10.44.0.2", "10.44.3.1"]);
    }
}
