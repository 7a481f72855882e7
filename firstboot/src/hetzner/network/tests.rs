//! From metadata to the files that systemd-networkd reads.

use std::fmt::Write as _;

use super::*;
use crate::plan::{Change, Effect, Step, plan_on, unknown};
use crate::record::{Interface, example};

const BOTH: &str = "
config:
- mac_address: 96:00:01:37:bc:20
  name: eth0
  subnets:
  - ipv4: true
    type: dhcp
  - address: 2001:db8:c010:bc09::1/64
    dns_nameservers:
    - 2001:db8:ff00::add:2
    - 2001:db8:ff00::add:1
    gateway: fe80::1
    ipv6: true
    type: static
  type: physical
version: 1
";
/// An Ethernet address of digits alone, which YAML 1.1 took for a number.
const V6_ONLY: &str = "
version: 1
config:
  - type: physical
    name: eth0
    mac_address: \"96:00:03:12:34:56\"
    subnets: [{type: static, ipv6: true, address: '2001:db8::1/64', gateway: 'fe80::1', dns_nameservers: []}]
";
const NO_PUBLIC: &str = "config: []\nversion: 1\n";
const ONE: &str = "
- ip: 10.0.0.2
  alias_ips: [10.0.0.250]
  interface_num: 1
  mac_address: 86:00:00:12:34:56
  network_id: 4493592
  network_name: \"lab: the first\"
  network: 10.0.0.0/16
  subnet: 10.0.0.0/24
  gateway: 10.0.0.1
";
const TWO: &str = "
- alias_ips: []
  gateway: 192.168.0.1
  interface_num: 2
  ip: 192.168.0.2
  mac_address: 86:00:00:b5:6f:a9
  network: 192.168.0.0/16
- alias_ips: []
  gateway: 10.2.0.1
  interface_num: 1
  ip: 10.2.0.2
  mac_address: 86:00:00:B5:6F:AB
  network: 10.2.0.0/16
";

fn network(config: &str, private: &str) -> Network {
    let text = |text: &str| Some(text.to_owned());
    let (network, faults) = Network::of(&Answers::of("1".to_owned(), None, text(config), text(private)));
    assert_eq!(faults, []);
    network
}

fn rendered(steps: Vec<Step>) -> String {
    let step = steps.into_iter().find(|step| step.name == "network").unwrap();
    let Effect::Converge(changes) = step.effect else { panic!("it is no file") };
    let mut shown = format!("{}\n", step.summary);
    for change in changes {
        match change {
            Change::File(file) => {
                let _ = write!(shown, "== {} {:o}\n{}", file.path, file.mode, file.content);
            }
            Change::NoOthers { folder, prefix, suffix, names } => {
                let _ = writeln!(shown, "-- {folder}/{prefix}*{suffix}: {}", names.join(" "));
            }
            _ => panic!("it is no file"),
        }
    }
    shown
}

fn files(config: &str, private: &str) -> String {
    rendered(unknown(&network(config, private)))
}

#[test]
fn a_server_with_both_kinds_of_addresses() {
    insta::assert_snapshot!(files(BOTH, "[]"), @r#"
    sets up 1 interface as the provider describes it
    -- /etc/systemd/network/10-*.network: 
    -- /etc/systemd/network/20-provided-*.network: 20-provided-96000137bc20.network
    == /etc/systemd/network/20-provided-96000137bc20.network 644
    [Match]
    MACAddress=96:00:01:37:bc:20
    Type=ether

    [Network]
    DHCP=ipv4
    IPv6AcceptRA=no
    Address=2001:db8:c010:bc09::1/64
    Gateway=fe80::1
    DNS=2001:db8:ff00::add:2
    DNS=2001:db8:ff00::add:1

    [DHCPv4]
    UseHostname=no
    "#);
}

#[test]
fn a_server_without_ipv4_asks_for_it_all_the_same() {
    insta::assert_snapshot!(files(V6_ONLY, ""), @r#"
    sets up 1 interface as the provider describes it
    -- /etc/systemd/network/10-*.network: 
    -- /etc/systemd/network/20-provided-*.network: 20-provided-960003123456.network
    == /etc/systemd/network/20-provided-960003123456.network 644
    [Match]
    MACAddress=96:00:03:12:34:56
    Type=ether

    [Network]
    DHCP=ipv4
    IPv6AcceptRA=no
    Address=2001:db8::1/64
    Gateway=fe80::1

    [DHCPv4]
    UseHostname=no
    "#);
}

#[test]
fn a_server_with_a_private_network_only_has_its_way_out_there() {
    insta::assert_snapshot!(files(NO_PUBLIC, ONE), @r#"
    sets up 1 interface as the provider describes it
    -- /etc/systemd/network/10-*.network: 
    -- /etc/systemd/network/20-provided-*.network: 20-provided-860000123456.network
    == /etc/systemd/network/20-provided-860000123456.network 644
    [Match]
    MACAddress=86:00:00:12:34:56
    Type=ether

    [Link]
    MTUBytes=1450

    [Network]
    DHCP=ipv4
    IPv6AcceptRA=no
    Address=10.0.0.250/32

    [DHCPv4]
    UseHostname=no

    [Route]
    Destination=10.0.0.0/16
    Gateway=10.0.0.1
    GatewayOnLink=yes

    [Route]
    Destination=0.0.0.0/0
    Gateway=10.0.0.1
    GatewayOnLink=yes
    "#);
}

#[test]
fn a_server_with_two_private_networks() {
    insta::assert_snapshot!(files(BOTH, TWO), @r#"
    sets up 3 interfaces as the provider describes them
    -- /etc/systemd/network/10-*.network: 
    -- /etc/systemd/network/20-provided-*.network: 20-provided-96000137bc20.network 20-provided-860000b56fab.network 20-provided-860000b56fa9.network
    == /etc/systemd/network/20-provided-96000137bc20.network 644
    [Match]
    MACAddress=96:00:01:37:bc:20
    Type=ether

    [Network]
    DHCP=ipv4
    IPv6AcceptRA=no
    Address=2001:db8:c010:bc09::1/64
    Gateway=fe80::1
    DNS=2001:db8:ff00::add:2
    DNS=2001:db8:ff00::add:1

    [DHCPv4]
    UseHostname=no
    == /etc/systemd/network/20-provided-860000b56fab.network 644
    [Match]
    MACAddress=86:00:00:b5:6f:ab
    Type=ether

    [Link]
    MTUBytes=1450

    [Network]
    IPv6AcceptRA=no
    Address=10.2.0.2/32

    [Route]
    Destination=10.2.0.0/16
    Gateway=10.2.0.1
    GatewayOnLink=yes
    == /etc/systemd/network/20-provided-860000b56fa9.network 644
    [Match]
    MACAddress=86:00:00:b5:6f:a9
    Type=ether

    [Link]
    MTUBytes=1450

    [Network]
    IPv6AcceptRA=no
    Address=192.168.0.2/32

    [Route]
    Destination=192.168.0.0/16
    Gateway=192.168.0.1
    GatewayOnLink=yes
    "#);
}

#[test]
fn of_two_private_networks_the_first_is_the_way_out() {
    let shown = files("", TWO);
    let [_, first, second] = shown.split("== ").collect::<Vec<_>>()[..] else { panic!("{shown}") };
    assert!(first.contains("DHCP=ipv4\n") && first.contains("Destination=0.0.0.0/0\n"), "{first}");
    assert!(!second.contains("0.0.0.0/0"), "{second}");
}

#[test]
fn what_the_record_says_of_an_interface_goes_first() {
    let mut record = example();
    record.interfaces = vec![Interface {
        mac: "96:00:01:37:BC:20".into(),
        addresses: vec!["192.0.2.7/24".into()],
        gateway: None,
        dns: Vec::new(),
    }];
    let shown = rendered(plan_on(&record, &network(BOTH, ONE)));
    assert!(
        shown.starts_with("sets up interfaces: 1 of the record, 1 as the provider describes\n"),
        "{shown}"
    );
    assert!(
        shown.contains("/10-96000137bc20.network ") && !shown.contains("/20-provided-96000137bc20.network"),
        "{shown}"
    );
    assert!(shown.contains("/20-provided-860000123456.network "), "{shown}");
}

#[test]
fn a_server_that_nothing_is_said_of_has_no_interface() {
    for (config, private) in [("", ""), ("\n", "[]\n"), (NO_PUBLIC, "null"), ("version: 1\n", "")] {
        assert_eq!(network(config, private), Network::default(), "{config:?} {private:?}");
    }
}

#[test]
fn wrong_descriptions_are_named() {
    let of = |config: &str, private: &str| {
        let text = |text: &str| Some(text.to_owned());
        let (network, faults) = Network::of(&Answers::of("1".to_owned(), None, text(config), text(private)));
        assert_eq!(network, Network::default());
        faults.iter().fold(String::new(), |shown, fault| format!("{shown}{fault}\n"))
    };
    let mut shown = String::new();
    for (from, to) in [
        ("96:00:01:37:bc:20", "96:00:01:37:bc"),
        ("96:00:01:37:bc:20", "\"../\\e[2J\""),
        ("2001:db8:c010:bc09::1/64", "2001:db8:c010:bc09::1"),
        ("2001:db8:c010:bc09::1/64", "\"::1/64\\nGateway=::2\""),
        ("gateway: fe80::1", "gateway: eth0"),
        ("gateway: fe80::1", "gateway: [fe80::1]"),
        ("2001:db8:ff00::add:2", "dns.example.org"),
        ("version: 1", "version: 2"),
        ("version: 1", ""),
        ("config:", "config: ["),
        ("  type: physical", "  kind: physical"),
    ] {
        assert!(BOTH.contains(from), "{from}");
        shown += &of(&BOTH.replace(from, to), "");
    }
    for (from, to) in [
        ("network: 10.0.0.0/16", "network: 10.0.0.0"),
        ("gateway: 10.0.0.1", "gateway: fe80::1"),
        ("10.0.0.250", "10.0.0.256"),
        ("ip: 10.0.0.2", "address: 10.0.0.2"),
        ("86:00:00:12:34:56", "~"),
    ] {
        assert!(ONE.contains(from), "{from}");
        shown += &of("", &ONE.replace(from, to));
    }
    shown += &of("a: &a [x]\nb: &b [*a, *a, *a]\nc: *b", "{}");
    insta::assert_snapshot!(shown, @r#"
    `mac_address` in `network-config` of the metadata is `96:00:01:37:bc`, not an Ethernet address, `96:00:00:12:34:56`
    `mac_address` in `network-config` of the metadata is `../\u{1b}[2J`, not an Ethernet address, `96:00:00:12:34:56`
    `address` in `network-config` of the metadata is `2001:db8:c010:bc09::1`, not an address with prefix length, `2001:db8::1/64`
    `address` in `network-config` of the metadata is `::1/64\nGateway=::2`, not an address with prefix length, `2001:db8::1/64`
    `gateway` in `network-config` of the metadata is `eth0`, not an IP address
    `network-config` of the metadata: invalid type: sequence, expected a string
    `dns_nameservers` in `network-config` of the metadata is `dns.example.org`, not an IP address
    `network-config` of the metadata has version 2, this image understands version 1
    `network-config` of the metadata: it has no `version`
    `network-config` of the metadata: "-" is only valid inside a block at char 11 line 3 column 1
    `network-config` of the metadata: missing field `type`
    `network` in `private-networks` of the metadata is `10.0.0.0`, not a range, `10.0.0.0/16`
    `gateway` in `private-networks` of the metadata is `fe80::1`, not an IP address
    `alias_ips` in `private-networks` of the metadata is `10.0.0.256`, not an IP address
    `private-networks` of the metadata: missing field `ip`
    `private-networks` of the metadata: invalid type: null, expected a string
    `network-config` of the metadata: an alias is not read
    `private-networks` of the metadata: invalid type: map, expected a sequence
    "#);
}

proptest::proptest! {
    #[test]
    fn any_text_is_judged(text in ".{0,300}", at in 0..300_usize) {
        let _judged = (public(&text), private(&text));
        let mut mixed = BOTH.to_owned();
        mixed.insert_str(at % BOTH.len(), &text);
        let _judged = public(&mixed);
    }
}
