//! Interfaces as the kernel has them, in network namespaces; judged by ip(8). What needs a kernel with WireGuard, which few
//! build hosts have, is `tests/guest/wireguard.rs`.
#![expect(clippy::unwrap_used, reason = "a test stops where its arrangement fails")]

#[expect(dead_code, unused_imports, reason = "the firewall's tests need more of it")]
mod network;

use firstboot::converge::Outcome;
use firstboot::wireguard::{Kernel, Link};
use network::{Namespace, as_root, command, tool};

/// A bridge in place of WireGuard's: pods need those anyway.
fn link(address: &str) -> Link {
    Link { name: "wg0".to_owned(), kind: "bridge".to_owned(), mtu: 1280, address: address.parse().unwrap() }
}

fn ensure(node: &Namespace, link: &Link) -> Result<Outcome, String> {
    node.inside(|| {
        let mut kernel = Kernel::open().unwrap();
        kernel.ensure_link(link).map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    })
}

/// What ip(8) says of the interface.
fn ip(node: &Namespace) -> serde_json::Value {
    let ip = tool("ip", "iproute2");
    let mut command = command(ip.to_str().unwrap());
    let output = node.inside(|| command.args(["-j", "address", "show", "dev", "wg0"]).output().unwrap());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// MTU, whether it is up, and addresses, in the words of ip(8).
fn shown(node: &Namespace) -> String {
    let link = &ip(node)[0];
    let is_up = link["flags"].as_array().unwrap().contains(&"UP".into());
    let addresses =
        link["addr_info"].as_array().unwrap().iter().filter(|address| address["family"] == "inet");
    let addresses: Vec<String> = addresses
        .map(|address| format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"]))
        .collect();
    format!("{} {} {}", link["mtu"], if is_up { "up" } else { "down" }, addresses.join(" "))
}

#[test]
fn an_interface_is_made_once_and_then_kept_as_it_should_be() {
    as_root("an_interface_is_made_once_and_then_kept_as_it_should_be", || {
        let node = Namespace::new();
        let wanted = link("10.44.1.1/16");
        assert_eq!(ensure(&node, &wanted), Ok(Outcome::Changed));
        let index = ip(&node)[0]["ifindex"].clone();
        for change in [
            "link set wg0 mtu 1500",
            "link set wg0 down",
            "address flush dev wg0",
            "address add 10.44.9.9/16 dev wg0",
            // A prefix that puts nothing on the link.
            "address flush dev wg0\naddress add 10.44.1.1/32 dev wg0",
            // The one that stays is younger than the ones that go, the second of which goes with the first.
            "address flush dev wg0\naddress add 10.44.9.9/16 dev wg0\naddress add 10.44.1.1/16 dev wg0\n\
             address add 10.44.8.8/16 dev wg0",
        ] {
            assert_eq!(ensure(&node, &wanted), Ok(Outcome::Unchanged));
            node.ip(&format!("{change}\n"));
            assert_eq!(ensure(&node, &wanted), Ok(Outcome::Changed), "{change}");
            assert_eq!(shown(&node), "1280 up 10.44.1.1/16", "{change}");
        }
        assert_eq!(ensure(&node, &link("10.44.1.2/16")), Ok(Outcome::Changed));
        assert_eq!(shown(&node), "1280 up 10.44.1.2/16");
        assert_eq!(ip(&node)[0]["ifindex"], index, "it is another interface");
    });
}

#[test]
fn an_interface_of_another_kind_is_left_alone() {
    as_root("an_interface_of_another_kind_is_left_alone", || {
        let node = Namespace::new();
        node.ip("link add wg0 type veth peer name wg1\n");
        let fault = "interface `wg0` is of kind veth, not bridge";
        assert_eq!(ensure(&node, &link("10.44.1.1/16")), Err(fault.to_owned()));
        assert_eq!(shown(&node), "1500 down ");
    });
}

#[test]
fn what_the_kernel_refuses_is_named() {
    as_root("what_the_kernel_refuses_is_named", || {
        let node = Namespace::new();
        let imaginary = Link { kind: "imaginary".to_owned(), ..link("10.44.1.1/16") };
        let fault = "making interface `wg0` of kind imaginary: the kernel refuses: Operation not supported (os error 95)";
        assert_eq!(ensure(&node, &imaginary), Err(fault.to_owned()));
        let fault = "looking for interface `a-name-of-17-bytes`: the kernel refuses: \
                     Numerical result out of range (os error 34)";
        let long = Link { name: "a-name-of-17-bytes".to_owned(), ..link("10.44.1.1/16") };
        assert_eq!(ensure(&node, &long), Err(fault.to_owned()));
    });
}
