//! Who speaks with the claim service at this moment, and who must give way.
//!
//! There are few places. Where they are taken, who has most of them gives one to who has fewer: ten thousand connections
//! from a few addresses keep nobody out, for an honest node needs one place for a moment.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Limits;

/// An IPv4 address, or the network of 64 bits that an IPv6 address is in: whoever has one has all of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Source(IpAddr);

impl Source {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self(address),
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
        }
    }
}

/// The places.
pub(super) struct Places {
    limits: Limits,
    /// The oldest has the lowest number.
    taken: Mutex<BTreeMap<u64, Taken>>,
}

struct Taken {
    source: Source,
    stream: TcpStream,
    since: Instant,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// It has not said yet what it wants.
    Asking,
    /// Its answer is looked for, which nobody interrupts.
    Answered,
    /// Its place is free, for it has its answer or has given way; its thread ends now.
    Going,
}

/// A connection's place, free again when this is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    from: IpAddr,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, taken: Mutex::new(BTreeMap::new()) }
    }

    /// `None` where there is no place, and for who has gone already.
    pub(super) fn take(places: &Arc<Self>, stream: &TcpStream) -> Option<Place> {
        let from = stream.peer_addr().ok()?.ip().to_canonical();
        let source = Source::of(from);
        let mut taken = places.lock();
        places.make_room(source, &mut taken)?;
        let number = taken.last_key_value().map_or(0, |(last, _)| last + 1);
        let stream = stream.try_clone().ok()?;
        taken.insert(number, Taken { source, stream, since: Instant::now(), phase: Phase::Asking });
        Some(Place { places: Arc::clone(places), number, from })
    }

    /// `None` where nobody gives way.
    fn make_room(&self, source: Source, taken: &mut BTreeMap<u64, Taken>) -> Option<()> {
        let Limits { connections, per_address, patience, .. } = self.limits;
        // Threads of those that go are still there: both together are bounded.
        if taken.len() >= connections.saturating_mul(2) {
            return None;
        }
        let mut counts: BTreeMap<Source, usize> = BTreeMap::new();
        for other in taken.values().filter(|other| other.phase != Phase::Going) {
            *counts.entry(other.source).or_default() += 1;
        }
        let count = |source| counts.get(&source).copied().unwrap_or(0);
        let own = count(source);
        let has_share = own >= per_address;
        if !has_share && counts.values().sum::<usize>() < connections {
            return Some(());
        }
        let gives_way = |other: &Taken| {
            let is_own = other.source == source;
            other.phase == Phase::Asking
                && if is_own {
                    other.since.elapsed() >= patience
                } else {
                    !has_share && count(other.source) > own
                }
        };
        let (_, other) = taken
            .iter_mut()
            .filter(|(_, other)| gives_way(other))
            .max_by_key(|(number, other)| (count(other.source), Reverse(**number)))?;
        other.phase = Phase::Going;
        // It fails for a connection that is gone, whose thread ends as well.
        let _gone = other.stream.shutdown(Shutdown::Both);
        Some(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whose it is.
    pub(super) const fn from(&self) -> IpAddr {
        self.from
    }

    /// What is wanted is known: from now on it does not give way. `false` where it has done so.
    pub(super) fn keep(&self) -> bool {
        let mut taken = self.places.lock();
        let own = taken.get_mut(&self.number).filter(|own| own.phase == Phase::Asking);
        own.map(|own| own.phase = Phase::Answered).is_some()
    }

    /// Frees it before the other end can know: who comes again at once finds it.
    pub(super) fn free(&self) {
        if let Some(own) = self.places.lock().get_mut(&self.number) {
            own.phase = Phase::Going;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    use std::thread;
    use std::time::Duration;

    use super::super::tests::stranger::connect_from;
    use super::*;

    /// Places, and a listener of which only the connections count.
    struct Arrangement {
        places: Arc<Places>,
        listener: TcpListener,
        ends: Vec<TcpStream>,
    }

    impl Arrangement {
        fn new(connections: usize, per_address: usize, patience: Duration) -> Self {
            let limits = Limits { connections, per_address, time: Duration::ZERO, patience };
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            Self { places: Arc::new(Places::new(limits)), listener, ends: Vec::new() }
        }

        /// A connection from 127.0.0.`last`.
        fn take(&mut self, last: u8) -> Option<Place> {
            let SocketAddr::V4(to) = self.listener.local_addr().unwrap() else { unreachable!() };
            self.ends.push(connect_from(Ipv4Addr::new(127, 0, 0, last), to));
            Places::take(&self.places, &self.listener.accept().unwrap().0)
        }
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn an_address_has_no_more_than_its_share_at_a_time() {
        let mut arrangement = Arrangement::new(10, 2, HOUR);
        let (first, _second) = (arrangement.take(2), arrangement.take(2));
        assert!(first.is_some() && arrangement.take(2).is_none());
        assert!(arrangement.take(3).is_some(), "another address has its own share");
        drop(first);
        let third = arrangement.take(2).unwrap();
        third.free();
        assert!(arrangement.take(2).is_some(), "who has an answer needs no place");
    }

    #[test]
    fn who_has_most_gives_way_to_who_has_fewer_and_the_oldest_first() {
        let mut arrangement = Arrangement::new(4, 4, HOUR);
        let [two, three, other_three, last_three] = [2, 3, 3, 3].map(|last| arrangement.take(last).unwrap());
        assert!(arrangement.take(3).is_none(), "nobody has more");
        let four = arrangement.take(4).unwrap();
        assert!(!three.keep() && two.keep() && other_three.keep() && four.keep());
        let five = arrangement.take(5).unwrap();
        assert!(!last_three.keep(), "who is answered does not give way");
        assert!(five.keep() && arrangement.take(6).is_none(), "all are answered");
        let mut end = &arrangement.ends[1];
        end.set_nonblocking(false).unwrap();
        assert_eq!(std::io::Read::read(&mut end, &mut [0]).unwrap(), 0, "it was told");
    }

    #[test]
    fn who_has_said_nothing_for_long_gives_way_to_his_neighbour() {
        let patience = Duration::from_millis(50);
        let mut arrangement = Arrangement::new(10, 2, patience);
        let [first, second] = [2, 2].map(|last| arrangement.take(last).unwrap());
        thread::sleep(patience);
        let third = arrangement.take(2).unwrap();
        assert!(!first.keep() && second.keep() && third.keep());
    }

    #[test]
    fn threads_that_have_not_ended_yet_are_counted() {
        let mut arrangement = Arrangement::new(2, 2, Duration::ZERO);
        let _kept = [2, 2, 2, 2].map(|last| arrangement.take(last).unwrap());
        assert!(arrangement.take(3).is_none());
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
