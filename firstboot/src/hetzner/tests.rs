//! A server's boots, with a metadata service that is a real one of HTTP and none of the provider's.

mod learning;
mod provider;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::*;
use crate::cluster::tests::{example as cluster, operator_key};
use crate::converge::Mode;
use crate::record::{NodeRecord, example, sign};
use crate::run::{self, run};
use crate::source::{self, Item};
use crate::status::{self, Status};
use crate::user_data::{self, UserData};
use provider::{Provider, Reply};

const ID: &str = "43607703";

const NETWORK_CONFIG: &str = "config:
- mac_address: 96:00:01:37:bc:20
  name: eth0
  subnets:
  - ipv4: true
    type: dhcp
  - address: 2001:db8:c010:bc09::1/64
    dns_nameservers:
    - 2001:db8:ff00::add:1
    gateway: fe80::1
    ipv6: true
    type: static
  type: physical
version: 1
";

const PRIVATE_NETWORKS: &str = "- ip: 10.0.0.2
  alias_ips: []
  interface_num: 1
  mac_address: 86:00:00:b5:6f:ab
  network_id: 4493592
  network_name: lab
  network: 10.0.0.0/16
  subnet: 10.0.0.0/24
  gateway: 10.0.0.1
";

/// A server that has not booted yet.
fn server() -> (tempfile::TempDir, System) {
    let folder = tempfile::tempdir().unwrap();
    let system = System::new(folder.path(), Mode::Apply);
    for (path, text) in [
        (VENDOR.0, "Hetzner\n"),
        (PRODUCT.0, "vServer\n"),
        (SERIAL, "43607703\n"),
        ("/usr/share/zoneinfo/Europe/Berlin", "TZif"),
    ] {
        system.ensure_file(path, text.as_bytes(), 0o644).unwrap();
    }
    (folder, system)
}

/// What `firstboot` does before there is a network.
fn boot(system: &System) -> Status {
    // What a tmpfs held is gone; below it, the medium is mounted.
    for entry in std::fs::read_dir(system.path("/run/imgbuild")).into_iter().flatten().flatten() {
        let _folder = std::fs::remove_file(entry.path());
    }
    let _none = std::fs::remove_dir_all(system.path("/etc"));
    let status = run(system, None).unwrap_or_else(|stopped| stopped.status);
    system.ensure_file(status::PATH, &serde_json::to_vec(&status).unwrap(), 0o644).unwrap();
    status
}

fn status_of(system: &System) -> Status {
    status::read(system).unwrap().unwrap()
}

/// Of a worker: record, cluster record and ticket.
fn items() -> UserData {
    UserData {
        record: Some(sign(&record(), &operator_key()).unwrap()),
        cluster: Some(serde_json::to_string(&cluster()).unwrap()),
        ticket: Some("imgbuild-ticket.a.b".to_owned()),
        push_key: None,
    }
}

fn record() -> NodeRecord {
    NodeRecord { interfaces: Vec::new(), ..example() }
}

/// A provider that says all of it.
fn provider(user_data: &str) -> Provider {
    let user_data = user_data.to_owned();
    Provider::new(move |path, _| match path {
        "/hetzner/v1/metadata/instance-id" => Reply::text(ID),
        "/hetzner/v1/userdata" => Reply::text(&user_data),
        "/hetzner/v1/metadata/network-config" => Reply::text(NETWORK_CONFIG),
        "/hetzner/v1/metadata/private-networks" => Reply::text(PRIVATE_NETWORKS),
        _ => Reply::status(404),
    })
}

fn encoded(items: &UserData) -> String {
    user_data::encode(items).unwrap()
}

/// Where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Time that passes at once, and ends after so many pauses.
fn pauses(most: usize) -> impl FnMut(Duration) -> anyhow::Result<()> {
    let mut left = most;
    move |time| {
        assert!(time <= Duration::from_secs(30), "{time:?}");
        left = left.checked_sub(1).ok_or_else(|| anyhow::anyhow!("the test ends"))?;
        Ok(())
    }
}

/// Learns without a pause.
fn learnt(system: &System, provider: &Provider) -> Status {
    learn(system, &Service::at(provider.address), pauses(0)).unwrap();
    status_of(system)
}

fn file(system: &System, path: &str) -> Option<String> {
    system.read(path).unwrap().map(|text| String::from_utf8(text).unwrap())
}

#[test]
fn only_a_server_of_the_cloud_asks() {
    for (vendor, product, expected) in [
        ("Hetzner", "vServer", true),
        ("Hetzner\n", "vServer\n", true),
        ("QEMU", "Standard PC (Q35 + ICH9, 2009)", false),
        ("Hetzner", "AX41", false),
        ("Contoso", "vServer", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let system = System::new(folder.path(), Mode::Apply);
        assert!(!is_here(&system), "a machine without SMBIOS");
        system.ensure_file(VENDOR.0, vendor.as_bytes(), 0o444).unwrap();
        system.ensure_file(PRODUCT.0, product.as_bytes(), 0o444).unwrap();
        assert_eq!(is_here(&system), expected, "{vendor} {product}");
        boot(&system);
        assert_eq!(system.path(MARK).exists(), expected);
        let provider = provider("");
        learn(&system, &Service::at(provider.address), pauses(0)).unwrap();
        assert_eq!(provider.asked() > 0, expected, "{vendor} {product}");
    }
}

#[test]
fn what_is_kept_on_disk_is_no_secret() {
    let (_folder, system) = server();
    boot(&system);
    let items = UserData { push_key: Some("hunter2".to_owned()), ..items() };
    learnt(&system, &provider(&encoded(&items)));
    let kept: answers::Answers = serde_json::from_str(&file(&system, KEPT).unwrap()).unwrap();
    let public = UserData { ticket: None, push_key: None, ..items.clone() };
    assert_eq!(kept.items().unwrap(), public);
    let given = source::kept(&system).unwrap();
    assert_eq!(given.ticket.unwrap().text, items.ticket.unwrap().as_bytes(), "this boot needs it");
    assert_eq!(given.push_key.unwrap().text, b"hunter2");
    assert!(!format!("{kept:?}").contains("imgbuild-user-data"));
    for path in [KEPT, "/run/imgbuild/metadata.json", &Item::Ticket.kept()] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(system.path(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}
