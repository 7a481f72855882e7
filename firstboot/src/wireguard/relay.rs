//! Which control plane relays between edges. Pure.
//!
//! Two edges reach each other only while both have the same relay: WireGuard takes a packet out of the tunnel alone that
//! it would send the answer into. So all edges choose by the same rule, and go back to the lowest as soon as it answers.

use std::net::Ipv4Addr;

/// A control plane, as an edge knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// Its address inside the VPN, which is its number.
    pub address: Ipv4Addr,
    /// Whether its tunnel works, or is so new that it may: [`super::Handshakes::is_lively`].
    pub is_lively: bool,
}

/// The lowest that answers; if none does, the present one as long as it is among them, else the lowest.
pub fn choose(
    candidates: impl IntoIterator<Item = Candidate>,
    present: Option<Ipv4Addr>,
) -> Option<Ipv4Addr> {
    let mut candidates: Vec<Candidate> = candidates.into_iter().collect();
    candidates.sort_by_key(|candidate| candidate.address);
    let lively = candidates.iter().find(|candidate| candidate.is_lively);
    let kept = || candidates.iter().find(|candidate| Some(candidate.address) == present);
    lively.or_else(kept).or(candidates.first()).map(|candidate| candidate.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Control planes by their last number, negative where they are silent.
    fn chosen(candidates: &[i8], present: Option<u8>) -> Option<u8> {
        let address = |number: u8| Ipv4Addr::new(10, 44, 0, number);
        let candidates = candidates
            .iter()
            .map(|number| Candidate { address: address(number.unsigned_abs()), is_lively: *number > 0 });
        choose(candidates, present.map(address)).map(|address| address.octets()[3])
    }

    #[test]
    fn the_lowest_that_answers_relays() {
        for (candidates, present, expected) in [
            (&[][..], None, None),
            (&[], Some(1), None),
            (&[3, 1, 2], None, Some(1)),
            (&[3, 1, 2], Some(2), Some(1)),
            (&[3, -1, 2], Some(1), Some(2)),
            // Nobody answers: whose turn it was may come back, and a change helps nobody.
            (&[-3, -1, -2], Some(2), Some(2)),
            (&[-3, -1, -2], None, Some(1)),
            // It has left the cluster.
            (&[-3, -2], Some(1), Some(2)),
        ] {
            assert_eq!(chosen(candidates, present), expected, "{candidates:?} {present:?}");
        }
    }
}
