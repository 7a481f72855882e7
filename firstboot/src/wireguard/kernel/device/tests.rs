use std::collections::BTreeSet;
use std::net::SocketAddr;

use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};

use super::*;

fn change(number: u8) -> Change {
    Change {
        key: WireguardKey([number; 32]),
        kind: Kind::Add,
        endpoint: Some(SocketAddr::from(([192, 0, 2, 7], 51820))),
        allowed: Some(BTreeSet::from(["10.44.0.7/32".parse().unwrap(), "10.44.0.0/16".parse().unwrap()])),
        keepalive: Some(25),
    }
}

/// Words in hexadecimal digits, byte by byte.
fn hex(bytes: &[u8]) -> String {
    let words: Vec<String> =
        bytes.chunks(4).map(|word| format!("{:08x}", u32::from_be_bytes(word.try_into().unwrap()))).collect();
    words.join(" ")
}

#[test]
fn a_new_peer_is_told_in_the_kernels_bytes() {
    let peers = vec![WireguardAttribute::Peers(messages(&[change(0xaa)]).remove(0))];
    let request = message(0x1d, WireguardCmd::SetDevice, peers);
    let mut request = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(request));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    let lines: Vec<String> = bytes.chunks(32).map(hex).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    a0000000 1d000000 00000000 00000000 01010000 8c000880 88000080 24000100
    aaaaaaaa aaaaaaaa aaaaaaaa aaaaaaaa aaaaaaaa aaaaaaaa aaaaaaaa aaaaaaaa
    08000300 02000000 14000400 0200ca6c c0000207 00000000 00000000 06000500
    19000000 3c000980 1c000080 06000100 02000000 08000200 0a2c0000 05000300
    10000000 1c000080 06000100 02000000 08000200 0a2c0007 05000300 20000000
    ");
}

#[test]
fn many_changes_go_in_several_messages_and_none_is_lost() {
    let changes: Vec<Change> = (0..=255).map(change).collect();
    let messages = messages(&changes);
    assert!(messages.len() > 1);
    for peers in &messages {
        assert!(peers.iter().map(WireguardPeer::buffer_len).sum::<usize>() <= MOST);
    }
    let told: Vec<WireguardPeer> = messages.concat();
    assert_eq!(told, changes.iter().map(peer).collect::<Vec<_>>());
}

#[test]
fn a_dump_is_put_together_from_its_pieces() {
    let peer = |attributes: &[WireguardPeerAttribute]| {
        WireguardAttribute::Peers(vec![WireguardPeer(attributes.to_vec())])
    };
    let part =
        |attributes: Vec<WireguardAttribute>| WireguardMessage { cmd: WireguardCmd::GetDevice, attributes };
    let nets = |texts: &[&str]| -> WireguardPeerAttribute {
        WireguardPeerAttribute::AllowedIps(
            texts.iter().map(|text| allowed_ip(text.parse().unwrap())).collect(),
        )
    };
    let key = WireguardPeerAttribute::PublicKey([1; 32]);
    let time = WireguardTimeSpec { seconds: 1_800_000_000, nano_seconds: 500_000_000 };
    let device = Device::of([
        part(vec![
            WireguardAttribute::ListenPort(51820),
            WireguardAttribute::PrivateKey([7; 32]),
            WireguardAttribute::PublicKey([0; 32]),
            peer(&[
                key.clone(),
                WireguardPeerAttribute::LastHandshake(time),
                WireguardPeerAttribute::RxBytes(5),
                WireguardPeerAttribute::TxBytes(6),
                WireguardPeerAttribute::PersistentKeepalive(25),
                nets(&["10.44.0.1/32"]),
            ]),
        ]),
        part(vec![peer(&[key, nets(&["10.44.0.0/16"])])]),
        part(vec![peer(&[
            WireguardPeerAttribute::PublicKey([2; 32]),
            WireguardPeerAttribute::LastHandshake(WireguardTimeSpec::default()),
        ])]),
    ]);
    let handshake = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_500);
    let first = Present {
        key: WireguardKey([1; 32]),
        endpoint: None,
        allowed: BTreeSet::from(["10.44.0.1/32".parse().unwrap(), "10.44.0.0/16".parse().unwrap()]),
        keepalive: 25,
        handshake: Some(handshake),
        received: 5,
        sent: 6,
    };
    let second = Present {
        key: WireguardKey([2; 32]),
        allowed: BTreeSet::new(),
        keepalive: 0,
        handshake: None,
        received: 0,
        sent: 0,
        ..first.clone()
    };
    let expected = Device {
        private_key: Some(SecretKey::new([7; 32])),
        public_key: None,
        port: 51820,
        peers: vec![first, second],
    };
    assert_eq!(device, expected);
}
