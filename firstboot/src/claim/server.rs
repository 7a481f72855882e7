//! The claim service on the network: a thread per connection, few of them, and none for long.
//!
//! Strangers may send what they like, as slowly as they like, from ten thousand connections: each is read within
//! bounds of size and time, an address has a share of the places, and what finds no place is told so by a closed
//! connection, so that memory and threads stay bounded and honest nodes, which come again, get in.

use std::collections::HashMap;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;

use super::message::{Cause, Reply};
use super::service::Service;
use super::store::Store;
use crate::exchange;
use crate::http::{Answer, Request};

/// Path that gives a challenge.
pub const CHALLENGE: &str = "/v1/challenge";
/// Path that takes a claim.
pub const CLAIM: &str = "/v1/claim";
/// Longest request; a membership and a ticket have less than 2 KiB.
const LONGEST_BODY: usize = 16 << 10;
/// A thread that speaks TLS and JSON needs no more.
const STACK: usize = 512 << 10;
/// When no thread or file is left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of the service.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Connections of one address at a time; sites share one.
    pub per_address: usize,
    /// How long a connection may last.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 128, per_address: 32, time: Duration::from_secs(10) }
    }
}

/// Serves until `is_over` says so, which is looked at after each connection.
pub fn serve<S: Store + Send + Sync + 'static>(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    service: &Arc<Service>,
    store: &Arc<S>,
    limits: Limits,
    is_over: &AtomicBool,
) {
    let places = Arc::new(Places::new(limits));
    for stream in listener.incoming() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else {
            // Out of files: those that are there end soon.
            thread::sleep(EXHAUSTED_PAUSE);
            continue;
        };
        let Some(place) = Places::take(&places, &stream) else { continue };
        let (config, service, store) = (Arc::clone(config), Arc::clone(service), Arc::clone(store));
        let work = move || {
            let from = place.from.to_string();
            let answer = |request: &Request| answer(request, &from, &service, store.as_ref());
            // What broke off concerns who broke it; to the others it is noise.
            let _broken = exchange::serve(stream, &config, (limits.time, LONGEST_BODY), answer);
        };
        if thread::Builder::new().stack_size(STACK).spawn(work).is_err() {
            thread::sleep(EXHAUSTED_PAUSE);
        }
    }
}

fn answer(request: &Request, from: &str, service: &Service, store: &impl Store) -> Answer {
    let now = SystemTime::now();
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", CHALLENGE) => Answer::text(200, &service.challenge(now).to_string()),
        ("POST", CLAIM) => of_reply(&service.answer(&request.body, from, now, store)),
        (_, CHALLENGE | CLAIM) => Answer::text(400, "the challenge is for GET, a claim for POST"),
        _ => Answer::text(404, "there are a challenge and a claim here"),
    }
}

/// The status code is for people with a browser; nodes read the body.
fn of_reply(reply: &Reply) -> Answer {
    let (status, retry_after) = match reply {
        Reply::Granted(_) => (200, None),
        Reply::Waiting { .. } => (202, None),
        Reply::Later { seconds } => (503, Some(*seconds)),
        Reply::Refused { cause: Cause::Malformed, .. } => (400, None),
        Reply::Refused { .. } => (403, None),
    };
    Answer { status, retry_after, body: serde_json::to_vec(reply).unwrap_or_default() }
}

/// Who speaks at this moment.
struct Places {
    limits: Limits,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place, free again when this is dropped.
struct Place {
    places: Arc<Places>,
    from: IpAddr,
}

impl Places {
    fn new(limits: Limits) -> Self {
        Self { limits, taken: Mutex::new(HashMap::new()) }
    }

    /// `None` where there is no place, and for who has gone already.
    fn take(places: &Arc<Self>, stream: &TcpStream) -> Option<Place> {
        let from = stream.peer_addr().ok()?.ip().to_canonical();
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&from).copied().unwrap_or(0);
        if own >= places.limits.per_address || taken.values().sum::<usize>() >= places.limits.connections {
            return None;
        }
        taken.insert(from, own + 1);
        drop(taken);
        Some(Place { places: Arc::clone(places), from })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
