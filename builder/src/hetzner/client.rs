//! The client: requests with their retries, and what can be done to resources of any kind.

use std::sync::Arc;

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::resource::Listed;
use super::retry::{Tries, Verdict};
use super::transport::{Body, Reply, Request, Transport};
use super::{
    Action, Budget, Endpoint, ErrorCode, HetznerError, Labelled, Labels, Operation, Pace, Resource, Selector,
    Token,
};

/// Most of one page that the API gives.
const PER_PAGE: u32 = 50;
/// A list of more pages is none: a project has at most some hundred of anything.
const PAGES: u32 = 1000;

/// Talks to the API. Clones share connections and budget.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    budget: Arc<Budget>,
    pace: Pace,
}

/// What a list is asked for.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Only what has this name.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.with("name", name)
    }

    /// Only what the selector selects.
    #[must_use]
    pub fn label(self, selector: &Selector) -> Self {
        self.with("label_selector", selector.to_string())
    }

    /// Any other parameter that the list has.
    #[must_use]
    pub fn with(mut self, parameter: &'static str, value: impl Into<String>) -> Self {
        self.0.push((parameter, value.into()));
        self
    }
}

#[derive(Deserialize)]
struct Meta {
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    next_page: Option<u32>,
}

/// A path below the endpoint.
pub(super) fn path<const N: usize>(segments: [&str; N]) -> Vec<String> {
    segments.map(str::to_owned).into()
}

impl Client {
    /// A client for one project, by its token.
    pub fn new(endpoint: Endpoint, token: Token) -> Result<Self, HetznerError> {
        let transport = Transport::new(endpoint, token)?;
        Ok(Self { transport, budget: Arc::default(), pace: Pace::default() })
    }

    /// The same at another pace.
    #[must_use]
    pub fn with_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    pub(crate) const fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Everything of a kind that `query` asks for, from all pages.
    pub async fn list<R: Resource>(
        &self,
        operation: &Operation,
        query: &Query,
    ) -> Result<Vec<R>, HetznerError> {
        self.list_at(operation, path([R::MANY]), query).await
    }

    /// The same below any path.
    pub(super) async fn list_at<R: Listed>(
        &self,
        operation: &Operation,
        path: Vec<String>,
        query: &Query,
    ) -> Result<Vec<R>, HetznerError> {
        let mut request = Request::get(path);
        let (mut all, mut page) = (Vec::new(), 1);
        for _ in 0..PAGES {
            request.query.clone_from(&query.0);
            request.query.extend([("page", page.to_string()), ("per_page", PER_PAGE.to_string())]);
            let mut reply = self.call(operation, &request).await?;
            all.extend(reply.take::<Vec<R>>(R::MANY)?);
            let meta: Option<Meta> = reply.optional("meta")?;
            match meta.and_then(|meta| meta.pagination.next_page) {
                None => return Ok(all),
                Some(next) if next > page => page = next,
                Some(_) => break,
            }
        }
        Err(HetznerError::Endless { request: request.line(), pages: page })
    }

    /// The one with this name, which is the only one.
    pub async fn by_name<R: Resource + Labelled>(
        &self,
        operation: &Operation,
        name: &str,
    ) -> Result<Option<R>, HetznerError> {
        let found = self.list::<R>(operation, &Query::default().name(name)).await?;
        Ok(found.into_iter().find(|resource| resource.name() == Some(name)))
    }

    /// The one with this number, if there is one.
    pub async fn get<R: Resource>(
        &self,
        operation: &Operation,
        id: R::Id,
    ) -> Result<Option<R>, HetznerError> {
        match self.call(operation, &Request::get(path([R::MANY, &id.to_string()]))).await {
            Ok(mut reply) => reply.take(R::ONE).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives it these labels and no others.
    pub async fn set_labels<R: Resource + Labelled>(
        &self,
        operation: &Operation,
        id: R::Id,
        labels: &Labels,
    ) -> Result<R, HetznerError> {
        #[derive(Serialize)]
        struct Update<'a> {
            labels: &'a Labels,
        }
        let request = Request::new(Method::PUT, path([R::MANY, &id.to_string()]));
        self.call(operation, &request.with_body(Body::of(&Update { labels }))).await?.take(R::ONE)
    }

    /// Removes it; what is not there counts as removed. The actions are what to wait for.
    pub async fn delete<R: Resource>(
        &self,
        operation: &Operation,
        id: R::Id,
    ) -> Result<Vec<Action>, HetznerError> {
        self.delete_at(operation, path([R::MANY, &id.to_string()])).await
    }

    pub(super) async fn delete_at(
        &self,
        operation: &Operation,
        path: Vec<String>,
    ) -> Result<Vec<Action>, HetznerError> {
        match self.call(operation, &Request::new(Method::DELETE, path)).await {
            Ok(reply) => reply.actions(),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Does something to a resource: `POST …/actions/command`. What sets a state may be repeated when its outcome is
    /// unknown; `settled` is what the API says to a repetition where the first one was acted upon.
    pub(super) async fn act(
        &self,
        operation: &Operation,
        mut path: Vec<String>,
        command: &str,
        body: Body,
        settled: &[ErrorCode],
    ) -> Result<Reply, HetznerError> {
        path.extend(["actions".to_owned(), command.to_owned()]);
        let request = Request::new(Method::POST, path).with_body(body);
        let (mut tries, mut is_unknown) = (Tries::default(), false);
        loop {
            let error = match self.send(operation, &request).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if is_unknown && error.code().is_some_and(|code| settled.contains(code)) {
                return Ok(Reply::nothing(request.line()));
            }
            is_unknown |= Verdict::of(&error) == Verdict::Unknown;
            self.pause(operation, &mut tries, error).await?;
        }
    }

    /// Sends until there is an answer that stays, as often as [`Pace`] allows. For what may be repeated.
    pub(super) async fn call(&self, operation: &Operation, request: &Request) -> Result<Reply, HetznerError> {
        let mut tries = Tries::default();
        loop {
            match self.send(operation, request).await {
                Ok(reply) => return Ok(reply),
                Err(error) => self.pause(operation, &mut tries, error).await?,
            }
        }
    }

    /// Waits until the next try after `error`, or fails by it.
    pub(super) async fn pause(
        &self,
        operation: &Operation,
        tries: &mut Tries,
        error: HetznerError,
    ) -> Result<(), HetznerError> {
        match tries.pause(&self.pace, &error) {
            Some(pause) => operation.pause(pause, Some(error)).await,
            None => Err(error),
        }
    }

    /// Sends once, within the budget.
    ///
    /// A request that changes something is not dropped on its way, be it stopped or late: what it has made would show
    /// after the clean-up has looked. So an operation may outlive its end by [`Pace::request`].
    pub(super) async fn send(&self, operation: &Operation, request: &Request) -> Result<Reply, HetznerError> {
        self.budget.take(operation).await?;
        operation.check()?;
        let exchange = self.transport.exchange(request, self.pace.request);
        let (rate, result) =
            if request.method == Method::GET { operation.run(exchange).await? } else { exchange.await };
        if let Some(rate) = rate {
            self.budget.learn(rate);
        }
        result
    }
}
