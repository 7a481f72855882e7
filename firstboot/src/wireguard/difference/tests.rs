use proptest::prelude::*;

use super::*;

fn wanted(number: u8) -> Wanted {
    Wanted {
        key: WireguardKey([number; 32]),
        endpoint: Some(SocketAddr::from(([192, 0, 2, number], 51820))),
        allowed: BTreeSet::from([Ipv4Net::from(std::net::Ipv4Addr::new(10, 44, 0, number))]),
        keepalive: 25,
    }
}

/// What the kernel has once it was told so.
fn present(wanted: &Wanted) -> Present {
    Present {
        key: wanted.key,
        endpoint: wanted.endpoint,
        allowed: wanted.allowed.iter().copied().map(IpNet::from).collect(),
        keepalive: wanted.keepalive,
        handshake: Some(SystemTime::UNIX_EPOCH),
        received: 1,
        sent: 2,
    }
}

/// The kernel: carries changes out on `current`, with the rule that an address belongs to who was given it last.
fn carried_out(mut current: Vec<Present>, changes: &[Change]) -> Vec<Present> {
    for change in changes {
        if change.kind == Kind::Remove {
            current.retain(|peer| peer.key != change.key);
            continue;
        }
        if change.kind == Kind::Add {
            assert!(current.iter().all(|peer| peer.key != change.key), "a peer that is there is added");
            let wanted = Wanted { endpoint: None, allowed: BTreeSet::new(), keepalive: 0, ..wanted(0) };
            current.push(Present { key: change.key, ..present(&wanted) });
        }
        let allowed = change.allowed.clone().map(|nets| nets.into_iter().map(IpNet::from).collect());
        for peer in &mut current {
            if peer.key == change.key {
                peer.endpoint = change.endpoint.or(peer.endpoint);
                peer.allowed = allowed.clone().unwrap_or_else(|| peer.allowed.clone());
                peer.keepalive = change.keepalive.unwrap_or(peer.keepalive);
            } else {
                peer.allowed
                    .retain(|net| allowed.as_ref().is_none_or(|taken: &BTreeSet<_>| !taken.contains(net)));
            }
        }
    }
    current.sort_by_key(|peer| peer.key);
    current
}

#[test]
fn what_is_right_is_left_alone() {
    let peers = [wanted(1), wanted(2)];
    assert_eq!(difference(&peers.each_ref().map(present), &peers), []);
    // Where nobody knows better, the kernel's endpoint stays.
    let anywhere = Wanted { endpoint: None, ..wanted(1) };
    assert_eq!(difference(&[present(&wanted(1))], &[anywhere]), []);
}

#[test]
fn only_what_differs_is_said() {
    let current = [present(&wanted(1)), present(&wanted(2)), present(&wanted(3))];
    let moved = Some(SocketAddr::from(([198, 51, 100, 1], 51820)));
    let wide = BTreeSet::from(["10.44.0.0/16".parse().unwrap(), "10.44.0.2/32".parse().unwrap()]);
    let changes = difference(
        &current,
        &[
            Wanted { endpoint: moved, ..wanted(1) },
            Wanted { allowed: wide.clone(), ..wanted(2) },
            Wanted { keepalive: 0, ..wanted(3) },
        ],
    );
    let nothing = |number| Change { kind: Kind::Update, ..Change::remove(WireguardKey([number; 32])) };
    assert_eq!(
        changes,
        [
            Change { endpoint: moved, ..nothing(1) },
            Change { allowed: Some(wide), ..nothing(2) },
            Change { keepalive: Some(0), ..nothing(3) },
        ]
    );
}

#[test]
fn a_node_with_a_new_key_takes_its_address_over_before_the_old_one_goes() {
    let renewed = Wanted { key: WireguardKey([9; 32]), ..wanted(1) };
    let changes = difference(&[present(&wanted(1))], std::slice::from_ref(&renewed));
    let kinds: Vec<(Kind, WireguardKey)> = changes.iter().map(|change| (change.kind, change.key)).collect();
    assert_eq!(kinds, [(Kind::Add, renewed.key), (Kind::Remove, wanted(1).key)]);
    let after = carried_out(vec![present(&wanted(1))], &changes);
    assert_eq!(difference(&after, &[renewed]), []);
}

/// Some of nine peers; their addresses are dealt anew each time, and one of them may have the whole range.
fn peers() -> impl Strategy<Value = Vec<Wanted>> {
    let order = Just((1_u8..10).collect::<Vec<u8>>()).prop_shuffle();
    (order, prop::collection::vec(any::<bool>(), 9), 0_u8..12).prop_map(|(order, is_there, relay)| {
        let peers = (1_u8..10).zip(order).zip(is_there).filter(|(_, is_there)| *is_there);
        let peer = |((number, address), _): ((u8, u8), bool)| {
            let mut allowed = wanted(address).allowed;
            if number == relay {
                allowed.insert("10.44.0.0/16".parse().unwrap());
            }
            Wanted { allowed, endpoint: wanted(address).endpoint, ..wanted(number) }
        };
        peers.map(peer).collect()
    })
}

proptest! {
    #[test]
    fn carried_out_nothing_differs_any_more(before in peers(), after in peers()) {
        let current: Vec<Present> = before.iter().map(present).collect();
        let there = carried_out(current.clone(), &difference(&current, &after));
        prop_assert_eq!(difference(&there, &after), []);
    }
}
