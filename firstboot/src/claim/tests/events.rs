//! What claims leave in the cluster's events.

use super::*;

#[test]
fn every_claim_is_told_of_with_address_and_hardware() {
    let store = Memory::default();
    let macs = vec!["52:54:00:00:00:01".to_owned()];
    let hardware = Hardware { serial: Some("SN\u{1b}1".to_owned()), macs };
    granted(Machine { hardware, ..machine(1) }.ask(with(&ticket()), &store));
    for _ in 0..2 {
        refused(machine(2).ask(with(&ticket()), &store));
    }
    // A stranger without a right leaves nothing.
    refused(machine(3).ask(Right::Ticket("ticket".to_owned()), &store));
    let [first, thief] = [1, 2].map(|seed| machine(seed).key().fingerprint());
    let told: Vec<String> = store.objects().events.values().cloned().collect();
    let expected = [
        format!("let in: key {first}, from 198.51.100.7, serial SN\u{fffd}1, MAC 52:54:00:00:00:01"),
        format!(
            "turned away: key {thief}, from 198.51.100.7: the ticket of `edge1` was used at \
             2027-01-15T08:00:00Z by key {first}, from 198.51.100.7"
        ),
    ];
    assert_eq!(told, expected);
}
