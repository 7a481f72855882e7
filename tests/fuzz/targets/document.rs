//! What nodes are given from outside: user data, signed documents, the contents of each kind, the cluster record, codes.

#![no_main]

use ed25519_dalek::SigningKey;
use firstboot::claim::challenge::Challenge;
use firstboot::claim::code::Code;
use firstboot::claim::message::{Reply, Request};
use firstboot::cluster;
use firstboot::control_plane::bundle::Bundle;
use firstboot::document;
use firstboot::membership::Membership;
use firstboot::public_key::PublicKey;
use firstboot::ticket::Ticket;
use firstboot::user_data;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let key = PublicKey::of(&SigningKey::from_bytes(&[1; 32]));
    let _ = document::open::<Ticket>(data, &key);
    let _ = document::open_self_signed::<Request>(data, |request| request.key);
    // Behind the signature, which no fuzzer makes.
    let _ = serde_json::from_slice::<Ticket>(data);
    let _ = serde_json::from_slice::<Membership>(data);
    let _ = serde_json::from_slice::<Bundle>(data);
    let _ = serde_json::from_slice::<Reply>(data);
    let _ = cluster::parse(data);
    let _ = user_data::decode(data);
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(code) = text.parse::<Code>() {
        assert_eq!(code.to_string().parse::<Code>().as_ref(), Ok(&code));
    }
    if let Ok(challenge) = text.parse::<Challenge>() {
        assert_eq!(challenge.to_string(), text);
    }
});
