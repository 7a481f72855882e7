//! The metadata service of a server, through the network that the provider gives it: addresses of their own alone, the
//! gateways on the wire, and a private network whose DHCP has routed the service's address to where nobody answers.
#![expect(clippy::unwrap_used, reason = "a test stops where its arrangement fails")]

#[expect(dead_code, unused_imports, reason = "the firewall's tests need more of it")]
mod network;

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use firstboot::converge::{Mode, System};
use firstboot::firewall::{closed, load};
use firstboot::hetzner::{Service, learn};
use firstboot::http::{Answer, read_request, write_answer};
use firstboot::run::run;
use firstboot::status::{self, Phase};
use network::{Namespace, as_root, nft};

const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 31, 1, 1);
const PRIVATE_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const OWN_PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Questions that a run asks.
const QUESTIONS: usize = 4;

fn server(folder: &tempfile::TempDir) -> System {
    let system = System::new(folder.path(), Mode::Apply);
    for (path, text) in [
        ("/sys/class/dmi/id/sys_vendor", "Hetzner\n"),
        ("/sys/class/dmi/id/product_name", "vServer\n"),
        ("/sys/class/dmi/id/product_serial", "7\n"),
        ("/sys/class/net/eth0/device/vendor", ""),
        ("/sys/class/net/eth1/device/vendor", ""),
    ] {
        system.ensure_file(path, text.as_bytes(), 0o644).unwrap();
    }
    let status = run(&system, None).unwrap();
    system.ensure_file(status::PATH, &serde_json::to_vec(&status).unwrap(), 0o644).unwrap();
    system
}

#[test]
fn a_closed_server_reaches_the_service_past_a_route_that_leads_nowhere() {
    as_root("a_closed_server_reaches_the_service_past_a_route_that_leads_nowhere", || {
        let [node, public, private] = std::array::from_fn(|_| Namespace::new());
        node.ip("link set lo up\n");
        // The second in the order of names, so that the first is tried and found to lead nowhere.
        node.cable("eth1", &public, &[GATEWAY, METADATA], OWN);
        node.cable("eth0", &private, &[PRIVATE_GATEWAY], OWN_PRIVATE);
        node.ip(&format!(
            "address add {OWN}/32 dev eth1\nroute add {GATEWAY} dev eth1\n\
             route add default via {GATEWAY} dev eth1 src {OWN}\n\
             address add {OWN_PRIVATE}/32 dev eth0\nroute add {PRIVATE_GATEWAY} dev eth0\n\
             route add {METADATA} via {PRIVATE_GATEWAY} dev eth0\n"
        ));
        node.inside(|| load(&closed(), &nft()).unwrap());
        let listener = public.inside(|| TcpListener::bind((METADATA, 80)).unwrap());
        let serving = thread::spawn(move || {
            for stream in listener.incoming().take(QUESTIONS) {
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
                let answer = match read_request(&mut stream, 0).unwrap().path.as_str() {
                    "/hetzner/v1/metadata/instance-id" => Answer::text(200, "7"),
                    _ => Answer::text(404, ""),
                };
                write_answer(&mut stream, &answer).unwrap();
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let system = server(&folder);
        let mut tries = 0;
        let pause = |_| {
            tries += 1;
            anyhow::ensure!(tries < 10, "{:?}", status::read(&system));
            Ok(())
        };
        node.inside(|| learn(&system, &Service::of(&system), pause)).unwrap();
        let status = status::read(&system).unwrap().unwrap();
        assert_eq!(status.phase, Phase::Unclaimed);
        assert_eq!(status.reason, "no node record was found, and the server's user data is empty");
        serving.join().unwrap();
    });
}
