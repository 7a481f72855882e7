//! Whom nodes are told of.

use super::*;

/// A worker that can be reached, and a ticket for it.
pub(super) fn worker() -> (Machine, Ticket) {
    let endpoints = PeerEndpoints {
        public: Some("w1.example.org:51820".to_owned()),
        private: Some("10.0.0.9:51820".to_owned()),
    };
    let (node, address) = ("worker1".to_owned(), std::net::Ipv4Addr::new(10, 44, 0, 9));
    let ticket = Ticket { node, role: Role::Worker, address, nonce: ClusterId([0x99; 16]), ..ticket() };
    (Machine { endpoints, ..machine(9) }, ticket)
}

#[test]
fn cloud_nodes_hear_of_all_nodes_and_edges_of_cloud_nodes() {
    let store = Memory::default();
    let hubs = service().hubs;
    let of_edge = |seed, node: &str| Peer {
        node: node.to_owned(),
        role: Role::Edge,
        key: wireguard(seed),
        address: ticket().address,
        endpoint: None,
        private_endpoint: None,
    };
    assert_eq!(granted(machine(1).ask(with(&ticket()), &store)).peers, hubs);
    let (worker, its_ticket) = worker();
    let told = granted(worker.ask(with(&its_ticket), &store)).peers;
    assert_eq!(told, [&hubs[..], &[of_edge(1, "edge1")]].concat());
    let of_worker = Peer {
        node: "worker1".to_owned(),
        role: Role::Worker,
        key: wireguard(9),
        address: its_ticket.address,
        endpoint: worker.endpoints.public.clone(),
        private_endpoint: worker.endpoints.private.clone(),
    };
    let expected = [&hubs[..], &[of_worker]].concat();
    assert_eq!(granted(machine(1).ask(with(&ticket()), &store)).peers, expected);
    // An edge that says where it is reached is not looked for there, and other edges hear nothing of it.
    let second = Ticket { node: "edge2".to_owned(), nonce: ClusterId([0x22; 16]), ..ticket() };
    let loud = Machine { endpoints: worker.endpoints.clone(), ..machine(2) };
    assert_eq!(granted(loud.ask(with(&second), &store)).peers, expected);
    let told = granted(worker.ask(with(&its_ticket), &store)).peers;
    assert_eq!(told, [&hubs[..], &[of_edge(1, "edge1"), of_edge(2, "edge2")]].concat());
    let nowhere = PeerEndpoints { public: Some("nowhere".to_owned()), private: None };
    let reply = Machine { endpoints: nowhere, ..worker }.ask(with(&its_ticket), &store);
    assert_eq!(refused(reply), (Cause::Malformed, "`nowhere` is no endpoint, `host:port`".to_owned()));
}
