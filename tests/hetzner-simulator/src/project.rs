//! What requests are answered from, and what machines report to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::Value;

use crate::action::{Failure, Plan};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::fault::Faults;
use crate::machines::Machines;
use crate::route::Handler;
use crate::serve::query::Query;
use crate::simulator::Options;
use crate::state::{Kind, State};

/// A request that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// What was answered; none if the connection was closed.
    pub status: Option<u16>,
    /// What was sent, if it is JSON.
    pub body: Value,
}

/// What requests are answered from.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) token: String,
    pub(crate) read_only_token: String,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    log: Mutex<Vec<Request>>,
    machines: Arc<dyn Machines>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Project {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            state: Mutex::new(State::new(&options)),
            token: options.token,
            read_only_token: options.read_only_token,
            faults: Mutex::default(),
            log: Mutex::default(),
            machines: options.machines,
        }
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Vec<Request>> {
        lock(&self.log)
    }

    /// Does something with the state of now, and tells machines what follows.
    pub(crate) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut State) -> T) -> T {
        let (done, orders, deleted) = {
            let mut state = lock(&self.state);
            let now = state.clock.now();
            let mut orders = state.settle(now);
            let done = act(&mut state);
            let now = state.clock.now();
            orders.extend(state.settle(now));
            (done, orders, std::mem::take(&mut state.deleted_images))
        };
        for image in deleted {
            self.machines.image_deleted(image);
        }
        for (action, order) in orders {
            let ticket = Ticket { project: Arc::downgrade(self), action };
            self.machines.begin(order, ticket);
        }
        done
    }

    pub(crate) fn carry_out(
        self: &Arc<Self>,
        handler: Handler,
        parameters: Vec<String>,
        query: &Query,
        body: &[u8],
        plan: Plan,
    ) -> Result<Reply, ApiError> {
        self.with(|state| {
            let now = state.clock.now();
            handler(&mut Call { state, now, query, body, parameters, plan })
        })
    }
}

/// What is handed back when an order was carried out. One that is lost fails the action.
#[derive(Debug)]
pub struct Ticket {
    project: Weak<Project>,
    action: u64,
}

impl Ticket {
    /// Done.
    pub fn succeed(self) {
        self.report(Ok(()));
    }

    /// A snapshot is done; its size in GB, compressed.
    pub fn succeed_with_size(self, gigabytes: f64) {
        if let Some(project) = self.project.upgrade() {
            project.with(|state| {
                let action = state.actions.iter().find(|(id, _)| *id == self.action);
                let resources = action.map(|(_, action)| action.resources.clone()).unwrap_or_default();
                for (_, id) in resources.into_iter().filter(|(kind, _)| *kind == Kind::Image) {
                    if let Some(image) = state.images.find_mut(id) {
                        image.stored = Some(gigabytes);
                    }
                }
            });
        }
        self.succeed();
    }

    /// It did not work.
    pub fn fail(self, failure: Failure) {
        self.report(Err(failure));
    }

    fn report(&self, result: Result<(), Failure>) {
        if let Some(project) = self.project.upgrade() {
            project.with(|state| state.actions.report(self.action, result));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // What was reported before stays.
        self.report(Err(Failure::new("action_failed", "the machine was lost")));
    }
}
