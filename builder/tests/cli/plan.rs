//! `imgbuild plan`, in a project of the Hetzner simulator.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hetzner_simulator::{Fault, FaultKind, Options, Simulator};

use super::program::Place;

pub(super) const CLUSTER: &str = r#"version = 1

[cluster]
name = "lab"
endpoint = "cluster.lab.example.org"

[network]
private-range = "10.0.0.0/16"

[k3s]
version = "v1.36.4+k3s1"

[hetzner]
location = "fsn1"
other-locations = ["nbg1"]
server-type = "cx33"
other-server-types = ["cpx32"]

[[node]]
name = "cp1"
role = "control-plane"
private-address = "10.0.0.2"

[[node]]
name = "worker1"
role = "worker"
server-type = "cx43"
private-address = "10.0.0.3"
endpoint = "worker1.lab.example.org"

[[node]]
name = "edge1"
role = "edge"
"#;

fn simulator() -> Simulator {
    Simulator::start(Options::default()).unwrap()
}

/// Runs `plan` with the token that may only look.
fn plan(place: &Place, simulator: &Simulator, more: &[&str]) -> String {
    let arguments: Vec<&str> = ["plan"].iter().chain(more).copied().collect();
    let environment = [("HCLOUD_TOKEN", simulator.read_only_token()), ("HCLOUD_ENDPOINT", &simulator.url())];
    let text = place.run_with(&arguments, &environment);
    assert!(!text.contains(simulator.read_only_token()), "{text}");
    text
}

#[test]
fn shows_every_call_and_what_it_costs_and_changes_nothing() {
    let (place, simulator) = (Place::with(CLUSTER), simulator());
    insta::assert_snapshot!(plan(&place, &simulator, &[]), @r#"
    exit code 0
    Cluster `lab` in fsn1; prices in EUR, without VAT

    image cloud on disk for amd64 is built and uploaded
      by a temporary server, cx23 in fsn1, 0.0088 an hour; its snapshot costs 0.0110 a GB and month
          POST /ssh_keys
          POST /servers
          POST /servers/{id}/actions/enable_rescue
          POST /servers/{id}/actions/poweron
          POST /servers/{id}/actions/create_image
          PUT /images/{id}
          DELETE /servers/{id}
          DELETE /ssh_keys/{id}

      WHAT             NAME              IS                                                      AN HOUR   A MONTH
    + network          lab               10.0.0.0/16
          POST /networks
    + firewall         lab               icmp, tcp 80, tcp 443, udp 51820, tcp 51820, tcp 6443
          POST /firewalls
    + placement group  lab               each control plane on another host
          POST /placement_groups
    + Primary IP       lab-cp1-ipv4      ipv4 in fsn1                                             0.0008      0.50
          POST /primary_ips
    + Primary IP       lab-cp1-ipv6      ipv6 in fsn1                                             0.0000      0.00
          POST /primary_ips
    + Primary IP       lab-worker1-ipv4  ipv4 in fsn1                                             0.0008      0.50
          POST /primary_ips
    + Primary IP       lab-worker1-ipv6  ipv6 in fsn1                                             0.0000      0.00
          POST /primary_ips
    + server           lab-cp1           cx33 in fsn1                                             0.0136      8.49
          POST /servers
          POST /servers/{id}/actions/attach_to_network
          POST /servers/{id}/actions/poweron
    + server           lab-worker1       cx43 in fsn1                                             0.0256     15.99
          POST /servers
          POST /servers/{id}/actions/attach_to_network
          POST /servers/{id}/actions/poweron
      total                                                                                       0.0408     25.48

    + is made, ~ is changed, = stays, - is removed

    To be written where your DNS is:
      cluster.lab.example.org A (not made yet)
      cluster.lab.example.org AAAA (not made yet)
      worker1.lab.example.org A (not made yet)
      worker1.lab.example.org AAAA (not made yet)
    "#);
    assert!(simulator.is_empty());
    let asked = simulator.requests();
    assert!(!asked.is_empty() && asked.iter().all(|request| request.method == "GET"), "{asked:?}");
}

#[test]
fn tells_programs_the_same() {
    let (place, simulator) = (Place::with(CLUSTER), simulator());
    let text = plan(&place, &simulator, &["--json"]);
    let plan: serde_json::Value = serde_json::from_str(text.strip_prefix("exit code 0\n").unwrap()).unwrap();
    let servers: Vec<_> =
        plan["steps"].as_array().unwrap().iter().filter(|step| step["kind"] == "server").collect();
    let expected = [
        "POST /servers",
        "POST /servers/{id}/actions/attach_to_network",
        "POST /servers/{id}/actions/poweron",
    ];
    for (server, name) in servers.iter().zip(["lab-cp1", "lab-worker1"]) {
        assert_eq!((&server["name"], &server["intent"]), (&name.into(), &"create".into()));
        assert_eq!(server["requests"], serde_json::json!(expected));
    }
    assert_eq!(servers.len(), 2);
    assert_eq!(plan["images"][0]["origin"], "build");
    assert_eq!(plan["location"], "fsn1");
}

#[test]
fn goes_where_all_servers_have_room() {
    let (place, simulator) = (Place::with(CLUSTER), simulator());
    simulator.set_capacity("cx33", "fsn1", 0, "resource_unavailable");
    assert!(plan(&place, &simulator, &[]).contains(" cpx32 in fsn1 "));
    for location in ["fsn1", "nbg1"] {
        for server_type in ["cx33", "cpx32", "cx43"] {
            simulator.set_capacity(server_type, location, 0, "resource_unavailable");
        }
    }
    insta::assert_snapshot!(plan(&place, &simulator, &[]), @r#"
    exit code 1
    error: no location has room for all servers: in `fsn1`, for `lab-cp1`, `cx33` is out of stock, `cpx32` is out of stock; in `nbg1`, for `lab-cp1`, `cx33` is out of stock, `cpx32` is out of stock

    hint: `other-server-types` and `other-locations` of `[hetzner]` name more that would do
    "#);
}

#[test]
fn says_what_is_missing_before_it_asks() {
    let (place, simulator) = (Place::with(CLUSTER), simulator());
    let url = simulator.url();
    let run = |environment: &[(&str, &str)], arguments: &[&str]| place.run_with(arguments, environment);
    insta::assert_snapshot!(run(&[("HCLOUD_ENDPOINT", &url)], &["plan"]), @r#"
    exit code 2
    error: there is no API token of Hetzner Cloud

    hint: make a token that reads and writes in the project's console, under Security, API tokens; `HCLOUD_TOKEN` or the file that `--token-file` names holds it
    "#);
    insta::assert_snapshot!(run(&[("HCLOUD_TOKEN", "a b"), ("HCLOUD_ENDPOINT", &url)], &["plan"]), @r#"
    exit code 2
    error: what `HCLOUD_TOKEN` holds is no API token: one word of letters, digits, `-` and `_`

    hint: make a token that reads and writes in the project's console, under Security, API tokens; `HCLOUD_TOKEN` or the file that `--token-file` names holds it
    "#);
    assert!(simulator.requests().is_empty());
    insta::assert_snapshot!(run(&[("HCLOUD_TOKEN", "wrong"), ("HCLOUD_ENDPOINT", &url)], &["plan"]), @r#"
    exit code 2
    error: `GET /locations` is answered with `unauthorized` (401): unable to authenticate

    hint: `HCLOUD_TOKEN`, or the file that `--token-file` names, must hold a token that the project still has
    "#);
    let elsewhere = Place::with(super::program::SMALL);
    insta::assert_snapshot!(elsewhere.run_with(&["plan"], &[("HCLOUD_TOKEN", "token")]), @r#"
    exit code 2
    error: the cluster `lab` has no servers at Hetzner

    hint: a table `[hetzner]` in the cluster file says where they stand, and of which type they are
    "#);
}

#[test]
fn takes_the_token_of_a_file_and_says_who_can_read_it() {
    let (place, simulator) = (Place::with(CLUSTER), simulator());
    place.write("token", format!("{}\n", simulator.read_only_token()));
    let path = place.path().join("token");
    let plan = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        place.run_in(&["plan", "--token-file", "token"], &[("HCLOUD_ENDPOINT", &simulator.url())])
    };
    let (code, text) = plan(0o600);
    assert!(code == 0 && !text.contains("warning"), "{text}");
    let (code, text) = plan(0o644);
    assert!(code == 0 && text.contains("others can read the API token in `token`"), "{text}");
}

#[test]
fn what_the_provider_says_is_passed_on_with_where() {
    let (place, simulator) = (Place::with(CLUSTER), simulator());
    let answer = |status, code: &str| FaultKind::Answer {
        status,
        code: code.to_owned(),
        message: "down for \u{1b}[2J repair".to_owned(),
    };
    simulator.add_fault(Fault::on("GET", "/servers", answer(503, "maintenance")).times(99));
    insta::assert_snapshot!(plan(&place, &simulator, &[]), @r#"
    exit code 1
    error: `GET /servers` is answered with `maintenance` (503): down for \u{1b}[2J repair

    hint: https://status.hetzner.com tells what is wrong on their side
    "#);
}
