//! HTTP: who asks, how often, and what goes wrong on the way.

mod body;
pub(crate) mod query;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, LINK};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::action::Plan;
use crate::call::Reply;
use crate::control;
use crate::error::ApiError;
use crate::fault::FaultKind;
use crate::project::{Project, Request};
use crate::rate::Left;
use crate::route::{Found, find};
use body::Body;
use query::Query;

/// Answers on `listener` until it is dropped.
pub(crate) async fn serve(project: Arc<Project>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(project.clone(), stream))),
            // Too many open files: others may close theirs.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn connection(project: Arc<Project>, stream: TcpStream) {
    // Clients wait for small answers.
    drop(stream.set_nodelay(true));
    let service = service_fn(|request| answer(project.clone(), request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    // Clients come and go.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

/// An error closes the connection.
async fn answer(project: Arc<Project>, request: HttpRequest<Incoming>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let method = parts.method.as_str();
    let path = parts.uri.path();
    let content = match body::read(body).await {
        Ok(content) => content,
        Err(error) => return Ok(body::json(error.status, Some(&error.to_json()))),
    };
    if let Some(path) = path.strip_prefix("/_simulator") {
        let done = control::answer(&project, method, path, &content);
        return Ok(match done {
            Ok(value) => body::json(200, Some(&value)),
            Err(error) => body::json(error.status, Some(&error.to_json())),
        });
    }
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = Asked {
        method,
        path: path.strip_prefix("/v1").unwrap_or_default(),
        query: parts.uri.query().unwrap_or_default(),
        token: header(AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default(),
        host: header(HOST),
        content: &content,
    };
    let answered = asked.answer(&project).await;
    project.log().push(Request {
        method: method.to_owned(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        status: answered.as_ref().ok().map(|response| response.status().as_u16()),
        body: serde_json::from_slice(&content).unwrap_or_default(),
    });
    answered
}

/// A request, taken apart.
struct Asked<'a> {
    method: &'a str,
    /// Below `/v1`.
    path: &'a str,
    query: &'a str,
    token: &'a str,
    host: &'a str,
    content: &'a [u8],
}

impl Asked<'_> {
    async fn answer(&self, project: &Arc<Project>) -> io::Result<Response<Body>> {
        let mut budget = project.with(|state| {
            let now = state.clock.now();
            state.budget.take(now)
        });
        let mut plan = Plan::Success;
        let mut closes_after = false;
        let met = project.faults().meet(self.method, self.path);
        for fault in met {
            match fault {
                FaultKind::Delay(pause) => tokio::time::sleep(pause).await,
                FaultKind::ActionError(failure) => plan = Plan::Failure(failure),
                FaultKind::ActionNever => plan = Plan::Never,
                FaultKind::CloseAfter => closes_after = true,
                FaultKind::CloseBefore => return Err(closed()),
                FaultKind::Html { status } => return Ok(body::html(status)),
                FaultKind::Answer { status, code, message } => {
                    if status == 429 {
                        budget.remaining = 0;
                    }
                    return Ok(refuse(&ApiError::new(status, &code, message), budget));
                }
            }
        }
        let answered = match self.check(project, budget) {
            Ok(()) => self.carry_out(project, plan),
            Err(error) => Err(error),
        };
        if closes_after {
            return Err(closed());
        }
        Ok(match answered {
            Ok(reply) => self.respond(&reply, budget),
            Err(error) => refuse(&error, budget),
        })
    }

    fn check(&self, project: &Project, budget: Left) -> Result<(), ApiError> {
        if !budget.is_allowed {
            let message = format!("limit of {} requests per hour reached", budget.limit);
            return Err(ApiError::new(429, "rate_limit_exceeded", message));
        }
        if self.token == project.token {
            return Ok(());
        }
        if self.token != project.read_only_token {
            return Err(ApiError::new(401, "unauthorized", "unable to authenticate"));
        }
        if self.method != "GET" {
            let message = "the token is only allowed to perform GET requests";
            return Err(ApiError::new(403, "token_readonly", message));
        }
        Ok(())
    }

    fn carry_out(&self, project: &Arc<Project>, plan: Plan) -> Result<Reply, ApiError> {
        match find(self.method, self.path) {
            Found::Route(handler, parameters) => {
                project.carry_out(handler, parameters, &Query::parse(self.query), self.content, plan)
            }
            Found::OtherMethods(methods) => {
                let mut error = ApiError::new(405, "method_not_allowed", "the method is not allowed here");
                error.details = serde_json::json!({"allow": methods.join(", ")});
                Err(error)
            }
            Found::Nothing if self.path == "/datacenters" || self.path.starts_with("/datacenters/") => {
                let mut error = ApiError::new(410, "deprecated_api_endpoint", "data centers were removed");
                error.details = serde_json::json!({"announcement": "https://docs.hetzner.cloud/changelog"});
                Err(error)
            }
            Found::Nothing => Err(ApiError::new(404, "not_found", "the simulator does not answer this path")),
        }
    }

    fn respond(&self, reply: &Reply, budget: Left) -> Response<Body> {
        let mut response = body::json(reply.status, reply.body.as_ref());
        let links: Vec<String> =
            reply.links.iter().map(|(relation, page)| self.link(relation, *page)).collect();
        if let Ok(value) = HeaderValue::from_str(&links.join(", "))
            && !links.is_empty()
        {
            response.headers_mut().insert(LINK, value);
        }
        mark(response, budget)
    }

    /// The same list, another page.
    fn link(&self, relation: &str, page: usize) -> String {
        let others = self.query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("page="));
        let query: Vec<String> = others.map(str::to_owned).chain([format!("page={page}")]).collect();
        format!("<http://{}/v1{}?{}>; rel=\"{relation}\"", self.host, self.path, query.join("&"))
    }
}

fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionAborted)
}

fn refuse(error: &ApiError, budget: Left) -> Response<Body> {
    let mut response = mark(body::json(error.status, Some(&error.to_json())), budget);
    if let Some(value) = error.details["allow"].as_str().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        response.headers_mut().insert(hyper::header::ALLOW, value);
    }
    response
}

fn mark(mut response: Response<Body>, budget: Left) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert("ratelimit-limit", budget.limit.into());
    headers.insert("ratelimit-remaining", budget.remaining.into());
    headers.insert("ratelimit-reset", budget.reset.into());
    response
}
