//! Actions: what goes on at Hetzner after the answer has come, and waiting for its end.

use serde::Deserialize;

use super::client::path;
use super::error::message;
use super::open_enum::open_enum;
use super::resource::Listed;
use super::transport::Request;
use super::{ActionId, Client, ErrorCode, HetznerError, Operation};
use crate::printable;

/// Most actions of one poll, as the official client has it (`hcloud/action_waiter.go` of hcloud-go).
const BATCH: usize = 25;
/// An action that so many polls in a row do not know is gone. One may ask a replica that does not know it yet.
const ABSENT: u32 = 3;

open_enum! {
    /// Where an action stands.
    ActionStatus {
        /// Not yet ended.
        Running = "running",
        /// Done.
        Success = "success",
        /// Ended without success.
        Error = "error",
    }
}

/// Something that goes on.
#[derive(Clone, Debug, Deserialize)]
pub struct Action {
    /// Its number.
    pub id: ActionId,
    /// What it does: `create_server`.
    pub command: String,
    /// Where it stands.
    pub status: ActionStatus,
    /// In percent.
    #[serde(default)]
    pub progress: u8,
    /// What it is done to.
    #[serde(default)]
    pub resources: Vec<ActionResource>,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<ActionError>,
}

/// What an action is done to.
#[derive(Clone, Debug, Deserialize)]
pub struct ActionResource {
    /// Its number.
    pub id: u64,
    /// Its kind: `server`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What went wrong with an action.
#[derive(Clone, Debug, Deserialize)]
pub struct ActionError {
    /// What it is.
    pub code: ErrorCode,
    /// In Hetzner's words.
    #[serde(default)]
    pub message: String,
}

impl Listed for Action {
    const ONE: &'static str = "action";
    const MANY: &'static str = "actions";
}

/// How an action ended.
#[derive(Debug)]
pub struct Ended {
    /// As it was told of last.
    pub action: Action,
    /// Its error, where it did not succeed.
    pub result: Result<(), HetznerError>,
}

impl Action {
    /// How it ended, if it has.
    fn end(&self) -> Option<Result<(), HetznerError>> {
        match self.status {
            ActionStatus::Success => Some(Ok(())),
            ActionStatus::Error => Some(Err(self.failure())),
            // A status that is not known yet is no end.
            ActionStatus::Running | ActionStatus::Other(_) => None,
        }
    }

    fn failure(&self) -> HetznerError {
        let resource =
            |resource: &ActionResource| format!("{} {}", printable::text(&resource.kind), resource.id);
        let resources: Vec<_> = self.resources.iter().map(resource).collect();
        let error = self.error.as_ref();
        HetznerError::Action {
            id: self.id,
            command: self.shown_command(),
            resource: if resources.is_empty() { "nothing".to_owned() } else { resources.join(", ") },
            code: error.map_or(ErrorCode::Other("unknown".to_owned()), |error| error.code.clone()),
            message: message(error.map_or("no reason is given", |error| &error.message)),
        }
    }

    fn missing(&self) -> HetznerError {
        HetznerError::ActionMissing { id: self.id, command: self.shown_command() }
    }

    fn shown_command(&self) -> String {
        printable::text(&self.command).into_owned()
    }
}

/// An action that is waited for.
struct Waiting {
    action: Action,
    absent: u32,
    result: Option<Result<(), HetznerError>>,
}

impl Client {
    /// Waits until all have ended, and fails by the first that failed.
    pub async fn wait(&self, operation: &Operation, actions: Vec<Action>) -> Result<(), HetznerError> {
        let ended = self.wait_each(operation, actions, |_| {}).await?;
        ended.into_iter().try_for_each(|ended| ended.result)
    }

    /// Waits until each has ended; one that fails does not end the wait for the others. `report` is told what the polls
    /// tell of those that go on.
    pub async fn wait_each(
        &self,
        operation: &Operation,
        actions: Vec<Action>,
        mut report: impl FnMut(&Action),
    ) -> Result<Vec<Ended>, HetznerError> {
        let waiting = |action: Action| Waiting { result: action.end(), action, absent: 0 };
        let mut all: Vec<Waiting> = actions.into_iter().map(waiting).collect();
        let mut pause = self.pace().first_poll;
        while all.iter().any(|waiting| waiting.result.is_none()) {
            operation.pause(self.budget().poll(pause), None).await?;
            pause = self.pace().next_poll(pause);
            let mut open: Vec<_> = all.iter_mut().filter(|waiting| waiting.result.is_none()).collect();
            for batch in open.chunks_mut(BATCH) {
                self.poll(operation, batch).await?;
                let running = batch.iter().filter(|waiting| waiting.result.is_none());
                running.for_each(|waiting| report(&waiting.action));
            }
        }
        let ended = |waiting: Waiting| Some(Ended { action: waiting.action, result: waiting.result? });
        Ok(all.into_iter().filter_map(ended).collect())
    }

    /// Asks after a batch of actions at once.
    async fn poll(&self, operation: &Operation, batch: &mut [&mut Waiting]) -> Result<(), HetznerError> {
        let mut request = Request::get(path(["actions"]));
        request.query.extend(batch.iter().map(|waiting| ("id", waiting.action.id.to_string())));
        request.query.push(("per_page", BATCH.to_string()));
        let found: Vec<Action> = self.call(operation, &request).await?.take(Action::MANY)?;
        for waiting in batch {
            if let Some(action) = found.iter().find(|action| action.id == waiting.action.id) {
                waiting.action.clone_from(action);
                waiting.absent = 0;
                waiting.result = action.end();
            } else {
                waiting.absent += 1;
                if waiting.absent >= ABSENT {
                    waiting.result = Some(Err(waiting.action.missing()));
                }
            }
        }
        Ok(())
    }
}
