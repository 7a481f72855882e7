//! The simulator as a whole: what is served, and what tests say to it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ipnet::Ipv4Net;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::error::ApiError;
use crate::fault::Fault;
use crate::machines::{Machines, NoMachines};
use crate::project::{Project, Request};
use crate::rate::Budget;
use crate::resource::server::Status;
use crate::resource::zone::Zone;
use crate::serve;
use crate::state::{Capacity, Kind, Resource as _, State};

/// What a simulator is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port on 127.0.0.1; 0 is one that is free.
    pub port: u16,
    /// Token that may do everything.
    pub token: String,
    /// Token that may look only.
    pub read_only_token: String,
    /// How long each action takes.
    pub action_delay: Duration,
    /// The budget of requests.
    pub requests_per_hour: u64,
    /// Where time comes from.
    pub clock: Clock,
    /// Public IPv4 addresses that are given out.
    pub ipv4_ranges: Vec<Ipv4Net>,
    /// What servers are.
    pub machines: Arc<dyn Machines>,
}

impl Default for Options {
    fn default() -> Self {
        // RFC 5737.
        let ranges =
            [Ipv4Addr::new(192, 0, 2, 0), Ipv4Addr::new(198, 51, 100, 0), Ipv4Addr::new(203, 0, 113, 0)];
        Self {
            port: 0,
            // As long as the provider's.
            token: format!("{:0<64}", "simulatorReadWrite"),
            read_only_token: format!("{:0<64}", "simulatorReadOnly"),
            action_delay: Duration::ZERO,
            requests_per_hour: 3600,
            clock: Clock::Real,
            ipv4_ranges: ranges.map(|range| Ipv4Net::new_assert(range, 24)).to_vec(),
            machines: Arc::new(NoMachines),
        }
    }
}

/// A record of a DNS zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ZoneRecord {
    /// Whole name in lower case, without a dot at the end; the first label may be `*`.
    pub name: String,
    /// Such as `A`.
    pub kind: String,
    /// Seconds.
    pub ttl: u64,
    /// As it was given.
    pub value: String,
}

/// A running simulator; it ends when this is dropped.
pub struct Simulator {
    project: Arc<Project>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Simulator").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Starts one, on a thread of its own.
    pub fn start(options: Options) -> io::Result<Self> {
        let port = options.port;
        let project = Arc::new(Project::new(options));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let served = project.clone();
        let thread = std::thread::Builder::new().name("hetzner-simulator".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve::serve(served, listener) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { project, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the API is, as clients want it.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where tests say what they want, without a token.
    pub fn control_url(&self) -> String {
        format!("http://{}/_simulator", self.address)
    }

    /// The token that may do everything.
    pub fn token(&self) -> &str {
        &self.project.token
    }

    /// The token that may look only.
    pub fn read_only_token(&self) -> &str {
        &self.project.read_only_token
    }

    /// All resources that a client made, by kind, as the API shows them.
    pub fn resources(&self) -> Value {
        self.project.with(|state| state.show_all())
    }

    /// Whether a client left nothing behind.
    pub fn is_empty(&self) -> bool {
        self.project.with(|state| Kind::ALL.into_iter().all(|kind| state.show(kind).is_empty()))
    }

    /// All requests to the API so far.
    pub fn requests(&self) -> Vec<Request> {
        self.project.log().clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.project.log().clear();
    }

    /// Lets something go wrong.
    pub fn add_fault(&self, fault: Fault) {
        self.project.faults().add(fault);
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self) {
        self.project.faults().clear();
    }

    /// How long each action takes from now on.
    pub fn set_action_delay(&self, delay: Duration) {
        self.project.with(|state| state.actions.delay = delay);
    }

    /// A new budget of requests.
    pub fn set_requests_per_hour(&self, limit: u64) {
        self.project.with(|state| state.budget = Budget::new(limit));
    }

    /// How many of a kind, such as `servers`, there may be; whether that kind exists.
    pub fn set_limit(&self, kind: &str, limit: usize) -> bool {
        let Some(kind) = Kind::by_plural(kind) else { return false };
        self.project.with(|state| state.limits.insert(kind, limit));
        true
    }

    /// How many servers of a type fit into a location, and the code of the error when it is full, such as
    /// `resource_unavailable` or `placement_error`.
    pub fn set_capacity(&self, server_type: &str, location: &str, free: u64, code: &str) {
        let place = (server_type.to_owned(), location.to_owned());
        let capacity = Capacity { free, code: code.to_owned() };
        self.project.with(|state| state.capacity.insert(place, capacity));
    }

    /// Moves the clock, which stands from then on.
    pub fn advance_clock(&self, pause: Duration) {
        self.project.with(|state| state.clock.advance(pause));
    }

    /// What the API does not show of a server: `is_in_rescue`, `user_data`, `ssh_keys`; besides, the `server`.
    pub fn details(&self, server: u64) -> Option<Value> {
        self.project.with(|state| state.details(server).ok())
    }

    /// The records of all zones, for a name server.
    pub fn records(&self) -> Vec<ZoneRecord> {
        self.project.with(|state| state.zones.iter().flat_map(Zone::records).collect())
    }

    /// A server has gone off, as when its system was told so; whether there is such a server.
    pub fn stopped(&self, server: u64) -> bool {
        self.project.with(|state| state.rest(server, Status::Off))
    }
}

impl State {
    /// A server has come to rest without an action.
    pub(crate) fn rest(&mut self, server: u64, status: Status) -> bool {
        let found = self.servers.find_mut(server);
        found.map(|server| server.status = status).is_some()
    }

    /// What the API does not show of a server.
    pub(crate) fn details(&self, server: u64) -> Result<Value, ApiError> {
        let server = self.servers.get(server)?;
        let mut details = server.details();
        details["server"] = server.json(self);
        Ok(details)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // The thread ends when the sender is gone.
        self.stop = None;
        drop(self.thread.take().map(JoinHandle::join));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::action::Plan;
    use crate::machines::Order;
    use crate::project::{Ticket, lock};
    use crate::serve::query::Query;

    /// Keeps its orders.
    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<(Order, Ticket)>>);

    impl Machines for Kept {
        fn begin(&self, order: Order, ticket: Ticket) {
            lock(&self.0).push((order, ticket));
        }
    }

    fn call(project: &Arc<Project>, method: &str, path: &str, body: &Value) -> Value {
        let crate::route::Found::Route(handler, parameters) = crate::route::find(method, path) else {
            panic!("{method} {path} is no route")
        };
        let body = body.to_string();
        let reply = project
            .carry_out(handler, parameters, &Query::default(), body.as_bytes(), Plan::Success)
            .unwrap();
        reply.body.unwrap_or_default()
    }

    #[test]
    fn machines_are_told_in_order_and_actions_wait_for_them() {
        let kept = Arc::new(Kept::default());
        let simulator = Simulator::start(Options { machines: kept.clone(), ..Options::default() }).unwrap();
        let project = &simulator.project;
        let body =
            serde_json::json!({"name": "a", "server_type": "cx23", "image": "debian-13", "location": "fsn1"});
        let created = call(project, "POST", "/servers", &body);
        let id = created["server"]["id"].as_u64().unwrap();
        let status =
            || call(project, "GET", &format!("/servers/{id}"), &Value::Null)["server"]["status"].clone();
        assert_eq!(status(), "initializing");
        let take = || lock(&kept.0).pop().unwrap();
        let (order, ticket) = take();
        assert!(matches!(order, Order::Create { server, disk: 40, .. } if server == id), "{order:?}");
        // The start waits for the creation.
        assert!(lock(&kept.0).is_empty());
        ticket.succeed();
        assert_eq!(status(), "starting");
        let (order, ticket) = take();
        assert_eq!(order, Order::PowerOn { server: id, rescue: None });
        ticket.succeed();
        assert_eq!(status(), "running");
        let made =
            call(project, "POST", &format!("/servers/{id}/actions/create_image"), &serde_json::json!({}));
        let image = made["image"]["id"].as_u64().unwrap();
        let (order, ticket) = take();
        assert_eq!(order, Order::Snapshot { server: id, image });
        ticket.succeed_with_size(0.5);
        let shown = call(project, "GET", &format!("/images/{image}"), &Value::Null);
        assert_eq!(
            (&shown["image"]["status"], &shown["image"]["image_size"]),
            (&"available".into(), &0.5.into())
        );
        // A ticket that is lost fails its action, and the server is as before.
        let action = call(project, "POST", &format!("/servers/{id}/actions/poweroff"), &Value::Null);
        assert_eq!(status(), "stopping");
        drop(take());
        let action = call(project, "GET", &format!("/actions/{}", action["action"]["id"]), &Value::Null);
        assert_eq!(action["action"]["error"]["message"], "the machine was lost");
        assert_eq!(status(), "running");
    }
}
