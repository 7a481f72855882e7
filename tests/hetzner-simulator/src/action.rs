//! Actions: what takes time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Time;
use crate::machines::Order;
use crate::state::{Kind, State};

/// How an action fails.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// For programs, such as `action_failed`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A failure of a code.
    pub fn new(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: message.to_owned() }
    }
}

/// How it is to end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Plan {
    #[default]
    Success,
    Failure(Failure),
    /// It runs on, and holds no lock.
    Never,
}

/// What success does.
pub(crate) type Effect = Box<dyn FnOnce(&mut State) -> Result<(), Failure> + Send>;

#[derive(Clone, Debug, Eq, PartialEq)]
enum Work {
    Waiting,
    /// Since when; and whether machines are done.
    Running {
        since: Time,
        ended: Option<Result<(), Failure>>,
    },
    Ended {
        since: Time,
        at: Time,
        result: Result<(), Failure>,
    },
}

pub(crate) struct Action {
    pub(crate) command: &'static str,
    pub(crate) resources: Vec<(Kind, u64)>,
    created: Time,
    after: Option<u64>,
    plan: Plan,
    order: Option<Order>,
    effect: Option<Effect>,
    /// What a failure does, such as freeing what was reserved.
    undo: Option<Effect>,
    work: Work,
}

impl fmt::Debug for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = formatter.debug_struct("Action");
        output.field("command", &self.command).field("work", &self.work).finish_non_exhaustive()
    }
}

impl Action {
    pub(crate) fn new(command: &'static str, resources: Vec<(Kind, u64)>, created: Time, plan: Plan) -> Self {
        Self {
            command,
            resources,
            created,
            after: None,
            plan,
            order: None,
            effect: None,
            undo: None,
            work: Work::Waiting,
        }
    }

    /// What machines do.
    pub(crate) fn order(self, order: Order) -> Self {
        Self { order: Some(order), ..self }
    }

    pub(crate) fn effect(
        self,
        effect: impl FnOnce(&mut State) -> Result<(), Failure> + Send + 'static,
    ) -> Self {
        Self { effect: Some(Box::new(effect)), ..self }
    }

    pub(crate) fn undo(self, undo: impl FnOnce(&mut State) + Send + 'static) -> Self {
        let undo: Effect = Box::new(|state| {
            undo(state);
            Ok(())
        });
        Self { undo: Some(undo), ..self }
    }

    /// Begins when another has succeeded.
    pub(crate) fn after(self, other: Option<u64>) -> Self {
        Self { after: other, ..self }
    }

    /// Whether it keeps others from its resources.
    pub(crate) fn is_locking(&self) -> bool {
        self.plan != Plan::Never && !matches!(self.work, Work::Ended { .. })
    }

    fn to_json(&self, id: u64, now: Time, delay: Duration) -> Value {
        let (status, started, finished, error) = match &self.work {
            Work::Ended { since, at, result } => {
                let status = if result.is_ok() { "success" } else { "error" };
                (status, *since, Some(at.to_string()), result.as_ref().err())
            }
            Work::Running { since, .. } => ("running", *since, None, None),
            Work::Waiting => ("running", self.created, None, None),
        };
        let progress = match &self.work {
            Work::Ended { .. } => 100,
            Work::Running { since, .. } => {
                let whole = delay.as_millis().max(1);
                let passed = u128::from(now.0.saturating_sub(since.0));
                u64::try_from(passed.saturating_mul(100) / whole).unwrap_or(u64::MAX).min(99)
            }
            Work::Waiting => 0,
        };
        json!({
            "id": id,
            "command": self.command,
            "status": status,
            "progress": progress,
            "started": started.to_string(),
            "finished": finished,
            "resources": self.resources.iter()
                .map(|(kind, id)| json!({"id": id, "type": kind.name()})).collect::<Vec<_>>(),
            "error": error.map(|failure| json!({"code": failure.code, "message": failure.message})),
        })
    }
}

/// All actions there were.
#[derive(Debug)]
pub(crate) struct Actions {
    all: BTreeMap<u64, Action>,
    /// How long each takes.
    pub(crate) delay: Duration,
}

impl Actions {
    pub(crate) fn new(delay: Duration) -> Self {
        Self { all: BTreeMap::new(), delay }
    }

    pub(crate) fn add(&mut self, action: Action) -> u64 {
        let id = self.all.last_key_value().map_or(1, |(id, _)| id + 1);
        self.all.insert(id, action);
        id
    }

    pub(crate) fn json(&self, id: u64, now: Time) -> Option<Value> {
        Some(self.all.get(&id)?.to_json(id, now, self.delay))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Action)> {
        self.all.iter().map(|(id, action)| (*id, action))
    }

    /// Whether something runs on a resource.
    pub(crate) fn holds(&self, kind: Kind, id: u64) -> bool {
        self.all.values().any(|action| action.is_locking() && action.resources.contains(&(kind, id)))
    }

    /// Machines are done with an action; what they say first holds.
    pub(crate) fn report(&mut self, id: u64, result: Result<(), Failure>) {
        if let Some(Action { work: Work::Running { ended, .. }, .. }) = self.all.get_mut(&id) {
            ended.get_or_insert(result);
        }
    }
}

impl State {
    /// Lets time pass: what is due ends, what waited for it begins. Returns what machines are to do, by action.
    pub(crate) fn settle(&mut self, now: Time) -> Vec<(u64, Order)> {
        let mut orders = Vec::new();
        loop {
            let next = self.actions.all.iter().find_map(|(id, action)| Some((*id, self.step(action, now)?)));
            match next {
                None => return orders,
                Some((id, Step::Begin)) => {
                    if let Some(action) = self.actions.all.get_mut(&id) {
                        let order = action.order.take().filter(|_| action.plan == Plan::Success);
                        let ended = if order.is_some() { None } else { Some(Ok(())) };
                        action.work = Work::Running { since: now, ended };
                        orders.extend(order.map(|order| (id, order)));
                    }
                }
                Some((id, Step::End { since, result })) => self.end(id, since, now, result),
            }
        }
    }

    fn step(&self, action: &Action, now: Time) -> Option<Step> {
        match &action.work {
            Work::Waiting => match action.after.and_then(|other| self.actions.all.get(&other)) {
                None | Some(Action { work: Work::Ended { result: Ok(()), .. }, .. }) => Some(Step::Begin),
                Some(Action { work: Work::Ended { .. }, .. }) => {
                    let failure = Failure::new("action_failed", "the action before it failed");
                    Some(Step::End { since: now, result: Err(failure) })
                }
                Some(_) => None,
            },
            Work::Running { since, ended } if since.after(self.actions.delay) <= now => {
                let result = match &action.plan {
                    Plan::Never => return None,
                    Plan::Failure(failure) => Err(failure.clone()),
                    Plan::Success => ended.clone()?,
                };
                Some(Step::End { since: *since, result })
            }
            Work::Ended { .. } | Work::Running { .. } => None,
        }
    }

    fn end(&mut self, id: u64, since: Time, at: Time, result: Result<(), Failure>) {
        let Some(action) = self.actions.all.get_mut(&id) else { return };
        let (effect, undo) = (action.effect.take(), action.undo.take());
        action.work = Work::Ended { since, at, result: result.clone() };
        let result = result.and_then(|()| effect.map_or(Ok(()), |effect| effect(self)));
        if result.is_err()
            && let Some(undo) = undo
        {
            drop(undo(self));
        }
        if let Some(action) = self.actions.all.get_mut(&id) {
            action.work = Work::Ended { since, at, result };
        }
    }
}

enum Step {
    Begin,
    End { since: Time, result: Result<(), Failure> },
}
