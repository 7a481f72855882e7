//! Creations, each of which happens once: one of unknown outcome is looked up before it is repeated.
//!
//! Where it fails for good and its last try is of unknown outcome, what it makes may still come: a clean-up by the run's
//! label looks until it twice finds nothing.

use reqwest::Method;
use serde::Serialize;

use super::client::path;
use super::resource::Listed;
use super::retry::{Tries, Verdict};
use super::transport::{Body, Reply, Request};
use super::{
    Action, ActionStatus, Client, ErrorCode, HetznerError, Labelled, Labels, Operation, Query, Resource, Run,
};
use crate::secret::Secret;

/// A request that makes something, as the API takes it.
pub trait Create: Serialize {
    /// What it makes.
    type Made: Labelled;

    /// Its labels, which the run's is added to.
    fn labels_mut(&mut self) -> &mut Labels;

    /// Finds what it has made; the run's label is added.
    fn query(&self) -> Query;

    /// Whether it has made this, by the name that nothing else of its kind has.
    fn has_made(&self, found: &Self::Made) -> bool;

    /// Where it is sent.
    fn path(&self) -> Vec<String> {
        path([Self::Made::MANY])
    }

    /// Where what it has made is listed.
    fn list(&self) -> Vec<String> {
        path([Self::Made::MANY])
    }

    /// Where the actions are listed that follow from it.
    fn actions(&self, _made: &Self::Made) -> Option<Vec<String>> {
        None
    }
}

/// Where the actions of a resource are listed.
pub(super) fn actions_of<R: Resource>(resource: &R) -> Vec<String> {
    path([R::MANY, &resource.id().to_string(), "actions"])
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Created<R> {
    /// As it is so far.
    pub made: R,
    /// What to wait for until it is whole.
    pub actions: Vec<Action>,
    /// Of a server without an SSH key: the password of its root.
    pub root_password: Option<Secret>,
}

impl Client {
    /// Makes something that carries the run's label.
    pub async fn create<C: Create>(
        &self,
        operation: &Operation,
        run: &Run,
        mut wanted: C,
    ) -> Result<Created<C::Made>, HetznerError> {
        wanted.labels_mut().mark(run);
        let request = Request::new(Method::POST, wanted.path()).with_body(Body::of(&wanted));
        let (mut tries, mut is_unknown) = (Tries::default(), false);
        loop {
            let error = match self.send(operation, &request).await {
                Ok(reply) => return created(reply),
                Err(error) => error,
            };
            is_unknown |= Verdict::of(&error) == Verdict::Unknown;
            // An earlier try was acted upon after it was looked for.
            let is_late = is_unknown && error.is(&ErrorCode::UniquenessError);
            if is_late {
                return self.find(operation, run, &wanted).await?.ok_or(error);
            }
            self.pause(operation, &mut tries, error).await?;
            if is_unknown && let Some(found) = self.find(operation, run, &wanted).await? {
                return Ok(found);
            }
        }
    }

    /// What an earlier try of this run has made, with what is still going on.
    async fn find<C: Create>(
        &self,
        operation: &Operation,
        run: &Run,
        wanted: &C,
    ) -> Result<Option<Created<C::Made>>, HetznerError> {
        let query = wanted.query().label(&run.selector());
        let all: Vec<C::Made> = self.list_at(operation, wanted.list(), &query).await?;
        // Whatever the list was narrowed by, only what is this run's counts.
        let is_ours = |found: &C::Made| run.has_made(found.labels()) && wanted.has_made(found);
        let Some(made) = all.into_iter().find(is_ours) else { return Ok(None) };
        let mut actions: Vec<Action> = match wanted.actions(&made) {
            Some(path) => self.list_at(operation, path, &Query::default()).await?,
            None => Vec::new(),
        };
        actions.retain(|action| action.status != ActionStatus::Success);
        Ok(Some(Created { made, actions, root_password: None }))
    }
}

fn created<R: Listed>(mut reply: Reply) -> Result<Created<R>, HetznerError> {
    let root_password = reply.optional("root_password")?;
    Ok(Created { made: reply.take(R::ONE)?, actions: reply.actions()?, root_password })
}
