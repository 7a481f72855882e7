//! The claim service on the network: a thread per connection, few of them, and none for long.
//!
//! Strangers may send what they like, as slowly as they like, from ten thousand connections: each is read within
//! bounds of size and time, an address has a share of the places, and what finds no place is told so by a closed
//! connection, so that memory and threads stay bounded and honest nodes, which come again, get in.

mod places;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;

use self::places::Places;
use super::message::{Cause, Reply, ReportReply};
use super::report::Reports;
use super::service::Service;
use super::store::Store;
use crate::exchange;
use crate::http::{Answer, Request};

/// Path that gives a challenge.
pub const CHALLENGE: &str = "/v1/challenge";
/// Path that takes a claim.
pub const CLAIM: &str = "/v1/claim";
/// Path that takes a node's report of itself.
pub const REPORT: &str = "/v1/report";
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
    /// Connections of one address at a time; sites share one, and switch all their boxes on together.
    pub per_address: usize,
    /// How long a connection may take to ask, and as long to be told the answer.
    pub time: Duration,
    /// How long it may take at least where its own address has no more places.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (time, patience) = (Duration::from_secs(10), Duration::from_secs(2));
        Self { connections: 128, per_address: 64, time, patience }
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
    let reports = Arc::new(Reports::default());
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
        let reports = Arc::clone(&reports);
        let work = move || {
            let answer = |request: &Request| {
                if !place.keep() {
                    return Answer::text(503, "others had to be heard");
                }
                let answer = answer(request, &place.from().to_string(), (&service, &reports), store.as_ref());
                place.free();
                answer
            };
            // What broke off concerns who broke it; to the others it is noise.
            let _broken = exchange::serve(stream, &config, (limits.time, LONGEST_BODY), answer);
        };
        if thread::Builder::new().stack_size(STACK).spawn(work).is_err() {
            thread::sleep(EXHAUSTED_PAUSE);
        }
    }
}

fn answer(
    request: &Request,
    from: &str,
    (service, reports): (&Service, &Reports),
    store: &impl Store,
) -> Answer {
    let now = SystemTime::now();
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", CHALLENGE) => Answer::text(200, &service.challenge(now).to_string()),
        ("POST", CLAIM) => of_reply(&service.answer(&request.body, from, now, store)),
        ("POST", REPORT) => of_report(&reports.take(&request.body, now, service, store)),
        (_, CHALLENGE | CLAIM | REPORT) => Answer::text(400, "the challenge is for GET, all else for POST"),
        _ => Answer::text(404, "there are a challenge, claims and reports here"),
    }
}

/// The status code is for people with a browser; nodes read the body.
fn of_reply(reply: &Reply) -> Answer {
    let (status, retry_after) = match reply {
        Reply::Granted(_) => (200, None),
        Reply::Waiting { .. } => (202, None),
        Reply::Later { seconds } => (503, Some(*seconds)),
        Reply::Refused { cause, .. } => (of_refusal(*cause), None),
    };
    Answer { status, retry_after, body: serde_json::to_vec(reply).unwrap_or_default() }
}

fn of_report(reply: &ReportReply) -> Answer {
    let (status, retry_after) = match reply {
        ReportReply::Taken { .. } => (200, None),
        ReportReply::Later { seconds } => (503, Some(*seconds)),
        ReportReply::Refused { cause, .. } => (of_refusal(*cause), None),
    };
    Answer { status, retry_after, body: serde_json::to_vec(reply).unwrap_or_default() }
}

const fn of_refusal(cause: Cause) -> u16 {
    if matches!(cause, Cause::Malformed) { 400 } else { 403 }
}

#[cfg(test)]
pub(crate) mod tests;
