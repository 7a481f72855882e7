//! Nodes that may be away for so many days.

use super::*;
use crate::lifetime::AwayDays;

fn approved(transient: Option<AwayDays>) -> Verdict {
    Verdict::Approved {
        node: "edge1".to_owned(),
        role: Role::Edge,
        address: ticket().address,
        generation: 3_000_009,
        record: None,
        transient,
    }
}

#[test]
fn a_persons_word_on_how_long_a_node_may_be_away_is_part_of_its_membership() {
    let careful = Ticket { approve: true, ..ticket() };
    for (right, days) in
        [(Right::Approval, 7), (Right::ApprovalAs("edge1".to_owned()), 30), (with(&careful), 3)]
    {
        let (store, days) = (Memory::default(), Some(AwayDays(days)));
        assert!(matches!(machine(1).ask(right.clone(), &store), Reply::Waiting { .. }));
        store.decide(&approved(days));
        let grant = granted(machine(1).ask(right, &store));
        let membership: Membership =
            document::open(grant.membership.as_bytes(), &cluster().membership_key).unwrap();
        assert_eq!((membership.transient, store.objects().joined["edge1"].transient), (days, days));
        assert_eq!(store.objects().joined["edge1"].claimed.as_deref(), Some("2027-01-15T08:00:00Z"));
        // It comes back.
        granted(machine(1).ask(Right::Membership(grant.membership), &store));
        assert_eq!(store.objects().joined["edge1"].transient, days);
    }
}

#[test]
fn a_transient_node_that_is_forgotten_needs_another_word_and_a_resident_one_does_not() {
    let grant = |transient| {
        let store = Memory::default();
        machine(1).ask(Right::Approval, &store);
        store.decide(&approved(transient));
        granted(machine(1).ask(Right::Approval, &store)).membership
    };
    let nobody = Memory::default();
    let reply = machine(1).ask(Right::Membership(grant(Some(AwayDays(30)))), &nobody);
    let expected = "`edge1` could be away for 30 days, and is forgotten".to_owned();
    assert_eq!(refused(reply), (Cause::Forgotten, expected));
    assert!(nobody.objects().joined.is_empty());
    granted(machine(1).ask(Right::Membership(grant(None)), &nobody));
}
