use proptest::prelude::*;

use super::*;
use crate::cluster::tests::{example as cluster, operator_key};
use crate::record::{example, sign};

fn worker() -> UserData {
    UserData {
        record: Some(sign(&example(), &operator_key()).unwrap()),
        cluster: Some(serde_json::to_string(&cluster()).unwrap()),
        ticket: Some("imgbuild-ticket.content.signature".to_owned()),
        push_key: None,
    }
}

/// User data with this content.
fn packed(json: &[u8]) -> Vec<u8> {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(compress_to_vec_zlib(json, 9))).into_bytes()
}

fn refusal(text: &[u8]) -> String {
    decode(text).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read() {
    for data in [worker(), UserData { push_key: Some("key".to_owned()), ..UserData::default() }] {
        let text = encode(&data).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "it needs no escapes in JSON: {text}");
        assert_eq!(decode(text.as_bytes()).unwrap(), data);
        assert_eq!(decode(format!("{text}\n").as_bytes()).unwrap(), data, "a file ends in a line break");
        let items = Item::ALL.into_iter().filter_map(|item| Some((item, data.get(item)?.to_owned())));
        assert_eq!(items.collect::<UserData>(), data);
    }
}

#[test]
fn a_node_of_usual_size_takes_a_fraction_of_what_there_is() {
    let length = encode(&worker()).unwrap().len();
    assert!(length < LONGEST / 8, "{length}");
}

#[test]
fn the_same_items_are_the_same_text() {
    let data = UserData { ticket: Some("t".to_owned()), ..UserData::default() };
    insta::assert_snapshot!(
        encode(&data).unwrap(),
        @"imgbuild-user-data.eNqrVipLLSrOzM9TsjLUUSrJTM5OLVGyUipRqgUAeNMIlA"
    );
}

#[test]
fn none_is_no_item() {
    for text in [&b""[..], b"\n", b" \r\n"] {
        assert_eq!(decode(text).unwrap(), UserData::default());
    }
}

#[test]
fn what_is_longer_than_the_provider_takes_is_not_made() {
    let [small, large] = [12_000, 100_000].map(|length| {
        // Random digits hardly get shorter.
        let mut state = 1_u32;
        let ticket = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from_digit((state >> 24) & 15, 16).unwrap()
        });
        UserData { ticket: Some(ticket.take(length).collect()), ..UserData::default() }
    });
    assert_eq!(decode(encode(&small).unwrap().as_bytes()).unwrap(), small);
    assert!(matches!(encode(&large), Err(EncodeError::Length { length }) if length > LONGEST));
    let fault = EncodeError::Length { length: 40_000 };
    assert_eq!(fault.to_string(), "user data of 40000 bytes, at most 32768 are taken");
    assert_eq!(refusal(&vec![b'a'; LONGEST + 1]), "user data of 32769 bytes, at most 32768 are taken");
}

#[test]
fn what_is_for_other_programs_is_named() {
    for (text, found) in [
        (&b"#cloud-config\nusers: []\n"[..], "a `#cloud-config` of cloud-init"),
        (b"#!/bin/sh\nexit\n", "a script"),
        (b"{\"ignition\":{}}", "a configuration of Ignition"),
        (b"imgbuild-record.a.b", "a text of another kind"),
        (b"\x1f\x8b\x08", "no text"),
    ] {
        assert_eq!(refusal(text), format!("user data is {found}, and not what `imgbuild` gives to a server"));
    }
}

#[test]
fn what_was_changed_on_the_way_is_said() {
    let text = encode(&worker()).unwrap();
    let cut = &text.as_bytes()[..text.len() / 2];
    assert!(refusal(cut).starts_with("user data is damaged: "), "{}", refusal(cut));
    for (json, expected) in [
        (&b"{\"version\":2,\"new\":1}"[..], "user data has version 2, this image understands version 1"),
        (b"{}", "user data is damaged: it has no `version`"),
        (b"[]", "user data is damaged: it has no `version`"),
        (b"", "user data is damaged: EOF while parsing a value at line 1 column 0"),
        (
            b"{\"version\":1,\"ticket\":1}",
            "user data is damaged: invalid type: integer `1`, expected a string",
        ),
    ] {
        assert_eq!(refusal(&packed(json)), expected);
    }
    let unknown = refusal(&packed(b"{\"version\":1,\"\\u001b[2J\":1}"));
    assert!(
        unknown.starts_with("user data is damaged: unknown field ") && !unknown.contains('\u{1b}'),
        "{unknown}"
    );
    assert_eq!(refusal(format!("{PREFIX}AAAA").as_bytes()), "user data is damaged: it cannot be unpacked");
    assert!(refusal(format!("{PREFIX}*").as_bytes()).starts_with("user data is damaged: "));
}

#[test]
fn little_that_unpacks_to_much_is_not_unpacked() {
    let bomb = packed(&vec![b' '; 4 << 20]);
    assert!(bomb.len() <= LONGEST, "{}", bomb.len());
    assert_eq!(refusal(&bomb), "user data has a content of more than 262144 bytes");
    let mut most = serde_json::to_vec(&serde_json::json!({ "version": 1 })).unwrap();
    most.resize(LONGEST_CONTENT, b' ');
    assert_eq!(decode(&packed(&most)).unwrap(), UserData::default());
}

#[test]
fn no_secret_is_shown() {
    let data = UserData { push_key: Some("hunter2".to_owned()), ..worker() };
    assert_eq!(format!("{data:?}"), "{Record, Cluster, Ticket, PushKey}");
}

proptest! {
    #[test]
    fn any_items_come_back(items in prop::array::uniform4(prop::option::of(".{0,200}"))) {
        let [record, cluster, ticket, push_key] = items;
        let data = UserData { record, cluster, ticket, push_key };
        prop_assert_eq!(decode(encode(&data).unwrap().as_bytes()).unwrap(), data);
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..400), stage in 0..4_u8) {
        // As they are, in base64, compressed, and inside one that is good.
        let text = match stage {
            0 => bytes,
            1 => format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes)).into_bytes(),
            2 => packed(&bytes),
            _ => {
                let mut good = encode(&worker()).unwrap().into_bytes();
                let at = bytes.len() * 7 % good.len();
                good.splice(at..at, bytes);
                good
            }
        };
        let _judged = decode(&text);
    }
}
