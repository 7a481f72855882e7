//! Plans for the same cluster in other projects.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::*;
use crate::cloud::observed::{
    Address, DIGEST_LABEL, Firewall, Network, Offer, Power, Records, Server, ServerType, Snapshot, Zone,
};
use crate::cloud::price::{Amount, Price};
use crate::cloud::wanted::tests::{FILE, wanted};
use crate::cloud::wanted::{CLUSTER_LABEL, DiskImage};
use crate::units::{Arch, Bytes};

/// Cents of a month.
fn price(cents: u64) -> PriceByTime {
    let amount = Amount(cents * 10_000_000);
    let monthly = Price { net: amount, gross: amount };
    let amount = Amount(amount.0 / 600);
    PriceByTime { hourly: Price { net: amount, gross: amount }, monthly }
}

fn server_type(name: &str, arch: Arch, disk: u64, cents: u64) -> ServerType {
    let offers = ["fsn1", "nbg1"]
        .map(|location| (location.to_owned(), Offer { is_available: Some(true), price: price(cents) }));
    ServerType { name: name.to_owned(), arch: Some(arch), disk: Bytes(disk << 30), offers: offers.into() }
}

/// A project in which nothing is.
fn empty() -> Observed {
    let locations = ["fsn1", "nbg1", "hel1"].map(|name| (name.to_owned(), "eu-central".to_owned()));
    Observed {
        currency: "EUR".to_owned(),
        locations: locations.into(),
        types: vec![
            server_type("cx33", Arch::Amd64, 80, 849),
            server_type("cpx32", Arch::Amd64, 160, 3549),
            server_type("cx43", Arch::Amd64, 160, 1599),
            server_type("cax21", Arch::Arm64, 80, 700),
        ],
        address_prices: [((AddressFamily::Ipv4, "fsn1".to_owned()), price(50))].into(),
        zone: Some(Zone {
            id: 5,
            name: "example.org".to_owned(),
            is_writable: true,
            records: BTreeMap::new(),
        }),
        ..Observed::default()
    }
}

fn built() -> Vec<Built> {
    let digest = "d1".to_owned();
    let of = DiskImage { arch: Arch::Amd64, profile: "cloud".to_owned(), image: "disk".to_owned() };
    vec![Built { of, size: Bytes(5 << 30), digest, absent: Vec::new(), caveats: Vec::new() }]
}

fn labels(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = [(CLUSTER_LABEL, "lab")];
    own.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn found<T>(id: u64, name: &str, is: T) -> Found<T> {
    Found { id, name: name.to_owned(), labels: labels(&[(DIGEST_LABEL, "d1")]), is_protected: false, is }
}

/// The project when all is there.
fn whole() -> Observed {
    let wanted = wanted(FILE);
    let range = wanted.network.as_ref().unwrap().range;
    let address = |id, (server_id, server): (u64, &str), family: AddressFamily, ip: IpAddr| {
        let is = Address { ip, location: "fsn1".to_owned(), server: Some(server_id) };
        found(id, &format!("{server}-{}", family.name()), is)
    };
    let server = |id, name: &str, server_type: &str, address: [u8; 4]| {
        found(
            id,
            name,
            Server {
                server_type: server_type.to_owned(),
                location: "fsn1".to_owned(),
                power: Power::On,
                private_addresses: [(1, address.into())].into(),
            },
        )
    };
    let records = |values: &[&str]| Records {
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        ttl: Some(300),
        labels: labels(&[]),
        is_protected: false,
    };
    let [own, worker] = ["cluster.lab", "worker1.lab"];
    let records = [
        ((own, "A"), records(&["198.51.100.1"])),
        ((own, "AAAA"), records(&["2001:db8:1::1"])),
        ((worker, "A"), records(&["198.51.100.2"])),
        ((worker, "AAAA"), records(&["2001:db8:2::1"])),
    ];
    let records = records.map(|((name, record), records)| ((name.to_owned(), record.to_owned()), records));
    let v4 = |last| IpAddr::from([198, 51, 100, last]);
    let v6 = |net| IpAddr::from([0x2001, 0xdb8, net, 0, 0, 0, 0, 1]);
    Observed {
        networks: vec![found(
            1,
            "lab",
            Network { range: Some(range), subnets: vec![(range, "eu-central".to_owned())], servers: vec![] },
        )],
        firewalls: vec![found(
            2,
            "lab",
            Firewall {
                rules: wanted.firewall.rules.iter().cloned().rev().map(Some).collect(),
                is_applied: true,
                has_others: false,
            },
        )],
        placement_groups: vec![found(3, "lab", ())],
        addresses: vec![
            address(11, (21, "lab-cp1"), AddressFamily::Ipv4, v4(1)),
            address(12, (21, "lab-cp1"), AddressFamily::Ipv6, v6(1)),
            address(13, (22, "lab-worker1"), AddressFamily::Ipv4, v4(2)),
            address(14, (22, "lab-worker1"), AddressFamily::Ipv6, v6(2)),
        ],
        servers: vec![
            server(21, "lab-cp1", "cx33", [10, 0, 0, 2]),
            server(22, "lab-worker1", "cx43", [10, 0, 0, 5]),
        ],
        snapshots: vec![found(
            31,
            "",
            Snapshot {
                arch: Some(Arch::Amd64),
                disk: Bytes(40 << 30),
                is_available: true,
                servers: Vec::new(),
            },
        )],
        zone: Some(Zone { records: records.into(), ..empty().zone.unwrap() }),
        ..empty()
    }
}

fn plan_in(observed: &Observed) -> Result<Plan, PlanError> {
    Plan::new(&wanted(FILE), observed, &built(), |action| {
        let text = format!("{action:?}");
        text.split([' ', '{']).next().unwrap_or_default().to_owned()
    })
}

/// What is to be changed: intent, name and calls of all steps that do not stay.
fn changes(observed: &Observed) -> Vec<String> {
    let plan = plan_in(observed).unwrap();
    let steps = plan.steps.iter().filter(|step| step.intent != Intent::Keep);
    steps.map(|step| format!("{:?} {}: {}", step.intent, step.name, step.requests.join(" "))).collect()
}

#[test]
fn everything_is_made_in_an_empty_project_in_an_order_that_works() {
    insta::assert_snapshot!(plan_in(&empty()).unwrap(), @r#"
    Cluster `lab` in fsn1; prices in EUR, without VAT

    image cloud on disk for amd64 d1 is uploaded
      by a temporary server, cx33 in fsn1, 0.0142 an hour; its snapshot costs 0.0000 a GB and month
          POST /ssh_keys
          POST /servers
          POST /servers/{id}/actions/enable_rescue
          POST /servers/{id}/actions/poweron
          POST /servers/{id}/actions/create_image
          PUT /images/{id}
          DELETE /servers/{id}
          DELETE /ssh_keys/{id}

      WHAT             NAME                     IS                                                      AN HOUR   A MONTH
    + network          lab                      10.0.0.0/16
          CreateNetwork
    + firewall         lab                      icmp, tcp 80, tcp 443, udp 51820, tcp 51820, tcp 6443
          CreateFirewall
    + placement group  lab                      each control plane on another host
          CreatePlacementGroup
    + Primary IP       lab-cp1-ipv4             ipv4 in fsn1                                             0.0008      0.50
          CreateAddress
    + Primary IP       lab-cp1-ipv6             ipv6 in fsn1                                                  ?         ?
          CreateAddress
    + Primary IP       lab-worker1-ipv4         ipv4 in fsn1                                             0.0008      0.50
          CreateAddress
    + Primary IP       lab-worker1-ipv6         ipv6 in fsn1                                                  ?         ?
          CreateAddress
    + server           lab-cp1                  cx33 in fsn1                                             0.0142      8.49
          CreateServer
          AttachToNetwork
          PowerOn
    + server           lab-worker1              cx43 in fsn1                                             0.0267     15.99
          CreateServer
          AttachToNetwork
          PowerOn
    + name             cluster.lab.example.org  A of its server
          CreateRecords
    + name             cluster.lab.example.org  AAAA of its server
          CreateRecords
    + name             worker1.lab.example.org  A of its server
          CreateRecords
    + name             worker1.lab.example.org  AAAA of its server
          CreateRecords
      total                                                                                              0.0425     25.48
      ? has no price in the project's list; the total is without it

    + is made, ~ is changed, = stays, - is removed

    To be written where your DNS is:
      apps.example.net A (not made yet)
      apps.example.net AAAA (not made yet)
      *.apps.example.net A (not made yet)
      *.apps.example.net AAAA (not made yet)
    "#);
}

#[test]
fn nothing_is_done_where_all_is_there() {
    let plan = plan_in(&whole()).unwrap();
    assert_eq!(changes(&whole()), [""; 0]);
    assert!(plan.images.iter().all(|image| matches!(image.origin, Origin::Reuse { .. })));
    assert_eq!(plan.total.monthly.net.to_string(), "25.48");
}

#[test]
fn differences_are_changed_and_nothing_else() {
    type Spoil = fn(&mut Observed);
    let cases: [(Spoil, &[&str]); 15] = [
        (|there| there.networks[0].is.subnets.clear(), &["Change lab: AddSubnet"]),
        (|there| there.firewalls[0].is.rules.push(None), &["Change lab: SetRules"]),
        (|there| there.firewalls[0].is.is_applied = false, &["Change lab: ApplyFirewall"]),
        (|there| there.servers[0].is.power = Power::Off, &["Change lab-cp1: PowerOn"]),
        (|there| there.servers[0].is.private_addresses.clear(), &["Change lab-cp1: AttachToNetwork"]),
        // Nothing is done to what somebody else is changing.
        (|there| there.servers[0].is.power = Power::Busy, &[]),
        // Types of servers that are there are not changed.
        (|there| there.servers[0].is.server_type = "cx43".to_owned(), &[]),
        (|there| there.servers[0].is.server_type = "retired".to_owned(), &[]),
        (
            |there| there.servers[0].is.private_addresses = [(1, [10, 0, 0, 9].into())].into(),
            &["Change lab-cp1: DetachFromNetwork AttachToNetwork"],
        ),
        (|there| there.addresses[0].is.server = None, &["Change lab-cp1: Shutdown AssignAddress PowerOn"]),
        (
            |there| {
                let records = &mut there.zone.as_mut().unwrap().records;
                records.get_mut(&("cluster.lab".to_owned(), "A".to_owned())).unwrap().ttl = None;
            },
            &["Change cluster.lab.example.org: ChangeTtl"],
        ),
        (
            |there| drop(there.servers[1].labels.insert(DIGEST_LABEL.to_owned(), "old".to_owned())),
            &["Change lab-worker1: Rebuild"],
        ),
        (
            |there| drop(there.servers.remove(1)),
            &["Create lab-worker1: CreateServer AttachToNetwork PowerOn"],
        ),
        (
            |there| {
                let mut old = there.servers[1].clone();
                (old.id, old.name) = (23, "lab-worker2".to_owned());
                there.servers.push(old);
            },
            &["Delete lab-worker2: DeleteServer"],
        ),
        (
            |there| {
                let records = &mut there.zone.as_mut().unwrap().records;
                let old = records.remove(&("cluster.lab".to_owned(), "A".to_owned())).unwrap();
                records.insert(("old".to_owned(), "A".to_owned()), old);
            },
            &["Create cluster.lab.example.org: CreateRecords", "Delete old.example.org: DeleteRecords"],
        ),
    ];
    for (spoil, expected) in cases {
        let mut there = whole();
        spoil(&mut there);
        assert_eq!(changes(&there), expected);
    }
}

#[test]
fn all_move_to_another_location_or_none_does() {
    let mut there = empty();
    let sold_out = |there: &mut Observed, name: &str, location: &str| {
        let known = there.types.iter_mut().find(|known| known.name == name).unwrap();
        known.offers.get_mut(location).unwrap().is_available = Some(false);
    };
    sold_out(&mut there, "cx33", "fsn1");
    let plan = plan_in(&there).unwrap();
    let types = |plan: &Plan| {
        let servers = plan.steps.iter().filter(|step| step.kind == Kind::Server);
        servers.map(|step| step.detail.clone()).collect::<Vec<_>>()
    };
    assert_eq!(types(&plan), ["cpx32 in fsn1", "cx43 in fsn1"], "another type is tried before another place");
    for name in ["cpx32", "cx43"] {
        sold_out(&mut there, name, "fsn1");
    }
    let plan = plan_in(&there).unwrap();
    assert_eq!(
        (plan.location.as_deref(), types(&plan)),
        (Some("nbg1"), vec!["cx33 in nbg1".to_owned(), "cx43 in nbg1".to_owned()])
    );
    for name in ["cx43", "cpx32"] {
        sold_out(&mut there, name, "nbg1");
    }
    let expected = "no location has room for all servers: \
        in `fsn1`, for `lab-cp1`, `cx33` is out of stock, `cpx32` is out of stock, `cx43` is out of stock; \
        in `nbg1`, for `lab-worker1`, `cx43` is out of stock, `cpx32` is out of stock";
    assert_eq!(plan_in(&there).unwrap_err().to_string(), expected);
    // What stands already is not moved.
    let mut there = whole();
    drop(there.servers.remove(1));
    for name in ["cx33", "cpx32", "cx43"] {
        sold_out(&mut there, name, "fsn1");
    }
    assert!(matches!(plan_in(&there), Err(PlanError::Full { reasons }) if reasons.len() == 1));
}

#[test]
fn what_is_somebody_elses_is_left_alone_and_said() {
    type Take = fn(&mut Observed);
    let takes: [(Take, &str); 8] = [
        (|there| there.networks[0].labels.clear(), "the network `lab`"),
        (|there| there.firewalls[0].labels.clear(), "the firewall `lab`"),
        (
            |there| drop(there.servers[0].labels.insert(CLUSTER_LABEL.to_owned(), "lab2".to_owned())),
            "the server `lab-cp1`",
        ),
        (
            |there| {
                let records = &mut there.zone.as_mut().unwrap().records;
                records.insert(("worker1.lab".to_owned(), "CNAME".to_owned()), Records::default());
            },
            "the record set `worker1.lab.example.org CNAME`",
        ),
        (|there| there.placement_groups[0].labels.clear(), "the placement group `lab`"),
        (|there| there.addresses[0].labels.clear(), "the Primary IP `lab-cp1-ipv4`"),
        (|there| there.servers[1].labels.clear(), "the server `lab-worker1`"),
        (
            |there| {
                let records = &mut there.zone.as_mut().unwrap().records;
                for records in records.values_mut() {
                    records.labels.clear();
                }
            },
            "the record set `cluster.lab.example.org A`",
        ),
    ];
    for (take, what) in takes {
        let mut there = whole();
        take(&mut there);
        let expected = format!("{what} is there already, and does not belong to the cluster `lab`");
        assert_eq!(plan_in(&there).unwrap_err().to_string(), expected);
    }
}

#[test]
fn records_that_are_protected_are_told_of_before_anything_is_made() {
    let mut there = whole();
    for records in there.zone.as_mut().unwrap().records.values_mut() {
        records.is_protected = true;
    }
    assert!(plan_in(&there).is_ok(), "nothing of them changes");
    for records in there.zone.as_mut().unwrap().records.values_mut() {
        records.values = vec!["192.0.2.99".to_owned()];
    }
    let fault = plan_in(&there).unwrap_err();
    assert!(matches!(&fault, PlanError::Protected { kind: "record set", .. }), "{fault}");
}

#[test]
fn what_the_provider_does_not_know_is_named() {
    type Spoil = fn(&mut Observed);
    let cases: [(Spoil, &str); 11] = [
        (|there| drop(there.locations.remove("nbg1")), "there is no location `nbg1`"),
        (|there| there.types[0].name = "cx34".to_owned(), "there is no server type `cx33`"),
        (
            |there| there.types.iter_mut().for_each(|known| known.arch = Some(Arch::Arm64)),
            "none of the server types of `lab-cp1` is amd64",
        ),
        // It could not have the node's image.
        (
            |there| there.servers[0].is.server_type = "cax21".to_owned(),
            "the server `lab-cp1` is `cax21`, which has no amd64",
        ),
        (
            |there| there.snapshots[0].is.disk = Bytes(100 << 30),
            "the server `lab-cp1` is `cx33`, which has a disk of 80 GiB, the image 100 GiB",
        ),
        (
            |there| there.addresses[1].is.location = "hel1".to_owned(),
            "servers and addresses of the cluster are in fsn1 and hel1, and stand in one of its locations or nowhere",
        ),
        (
            |there| there.networks[0].is.subnets[0].1 = "us-east".to_owned(),
            "the network `lab` has the subnet 10.0.0.0/16 in us-east, which is in the way of its own in eu-central",
        ),
        (
            |there| {
                let mut old = there.servers[1].clone();
                (old.name, old.is_protected) = ("lab-worker9".to_owned(), true);
                there.servers.push(old);
            },
            "the server `lab-worker9` is protected from being deleted",
        ),
        (|there| there.zone = None, "the project has no zone `example.org`"),
        (
            |there| there.zone.as_mut().unwrap().is_writable = false,
            "the zone `example.org` is a secondary one: its records are written elsewhere",
        ),
        (
            |there| there.networks[0].is.range = Some("10.0.0.0/8".parse().unwrap()),
            "the network `lab` is 10.0.0.0/8, `private-range` is 10.0.0.0/16",
        ),
    ];
    for (spoil, expected) in cases {
        let mut there = whole();
        spoil(&mut there);
        assert_eq!(plan_in(&there).unwrap_err().to_string(), expected);
    }
}

#[test]
fn what_is_protected_is_told_before_anything_is_removed() {
    type Protect = fn(&mut Observed);
    let cases: [(Protect, &str); 5] = [
        (
            |there| there.servers[1].is_protected = true,
            "the server `lab-worker1` is protected from being deleted",
        ),
        (
            |there| there.addresses[0].is_protected = true,
            "the Primary IP `lab-cp1-ipv4` is protected from being deleted",
        ),
        (|there| there.networks[0].is_protected = true, "the network `lab` is protected from being deleted"),
        (|there| there.snapshots[0].is_protected = true, "the snapshot `` is protected from being deleted"),
        (
            |there| {
                let records = &mut there.zone.as_mut().unwrap().records;
                records.get_mut(&("worker1.lab".to_owned(), "AAAA".to_owned())).unwrap().is_protected = true;
            },
            "the record set `worker1.lab.example.org AAAA` is protected from being changed",
        ),
    ];
    for (protect, expected) in cases {
        let mut there = whole();
        protect(&mut there);
        let removal = Plan::removal("lab", &there, Spared::default(), |_| String::new());
        assert_eq!(removal.unwrap_err().to_string(), expected);
        // What stays may be protected.
        assert_eq!(changes(&there), [""; 0]);
    }
    let mut there = whole();
    there.servers[0].is_protected = true;
    there.servers[0].labels.insert(DIGEST_LABEL.to_owned(), "old".to_owned());
    let fault = plan_in(&there).unwrap_err().to_string();
    assert_eq!(fault, "the server `lab-cp1` is protected from being re-imaged");
}

#[test]
fn what_an_image_lacks_is_shown_with_it() {
    let built = Built {
        absent: vec!["argocd".to_owned()],
        caveats: vec!["unsigned".to_owned()],
        ..built().remove(0)
    };
    let plan = Plan::new(&wanted(FILE), &empty(), &[built], |_| String::new()).unwrap();
    assert_eq!(plan.images[0].caveats, ["unsigned", "without argocd"]);
    let text = plan.to_string();
    assert!(text.contains("it is unsigned\n") && text.contains("it is without argocd\n"), "{text}");
}

#[test]
fn images_are_reused_by_what_is_in_them() {
    let origin = |observed: &Observed, built: &[Built]| {
        let plan = Plan::new(&wanted(FILE), observed, built, |_| String::new()).unwrap();
        plan.images.into_iter().map(|image| image.origin).collect::<Vec<_>>()
    };
    let digest = |digest: &str| digest.to_owned();
    assert_eq!(origin(&whole(), &built()), [Origin::Reuse { digest: digest("d1"), snapshot: 31 }]);
    assert_eq!(origin(&whole(), &[]), [Origin::Build], "nothing is known of it");
    let other = vec![Built { digest: digest("d2"), ..built().remove(0) }];
    assert_eq!(origin(&whole(), &other), [Origin::Upload { digest: digest("d2") }]);
    let mut there = whole();
    there.snapshots[0].is.is_available = false;
    assert_eq!(origin(&there, &built()), [Origin::Upload { digest: digest("d1") }]);
}

#[test]
fn what_is_left_over_elsewhere_holds_nothing_there() {
    let mut there = empty();
    let is = Address { ip: IpAddr::from([198, 51, 100, 9]), location: "nbg1".to_owned(), server: None };
    there.addresses.push(found(9, "lab-worker9-ipv4", is));
    assert_eq!(plan_in(&there).unwrap().location.unwrap(), "fsn1");
    assert!(changes(&there).contains(&"Delete lab-worker9-ipv4: DeleteAddress".to_owned()));
}

#[test]
fn a_price_that_is_not_told_is_not_nothing() {
    let mut there = whole();
    there.servers[0].is.server_type = "retired".to_owned();
    let plan = plan_in(&there).unwrap();
    let server = plan.steps.iter().find(|step| step.name == "lab-cp1").unwrap();
    assert!(server.price.is_none() && server.has_unknown_price);
    assert!(plan.to_string().contains("? has no price"), "{plan}");
}
