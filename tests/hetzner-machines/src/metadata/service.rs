//! The metadata service as servers reach it, and what goes wrong there when tests say so.
//!
//! This computer is no server; its requests to `/_simulator` program faults, each for the next so many requests:
//!
//! | request | does |
//! |---|---|
//! | `PUT faults` with `{"status": 503, "times": 3}` | answers so |
//! | `PUT faults` with `{"delay_ms": 5000, "times": 3}` | answers late |
//! | `PUT faults` with `{"closes": true, "times": 3}` | closes the connection |
//! | `DELETE faults` | nothing goes wrong any more |

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::text;
use crate::facts::Facts;
use crate::network::METADATA;

const PORT: u16 = 80;
/// Bytes of a fault.
const LONGEST: usize = 4096;

/// Says which server has an address, and what it is.
pub(crate) type Find = dyn Fn(IpAddr) -> Option<Facts> + Send + Sync;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Fault {
    status: Option<u16>,
    delay: Duration,
    closes: bool,
    /// How often from now on.
    times: u64,
}

/// The service.
struct Service {
    find: Box<Find>,
    fault: Mutex<Fault>,
}

/// Answers until the process ends.
pub(crate) fn start(find: Box<Find>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind((METADATA, PORT)))?;
    let service = Arc::new(Service { find, fault: Mutex::default() });
    thread::Builder::new().name("metadata".to_owned()).spawn(move || {
        runtime.block_on(async {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => drop(tokio::spawn(connection(Arc::clone(&service), stream, peer))),
                    // Too many open files: others may close theirs.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        })
    })?;
    Ok(())
}

async fn connection(service: Arc<Service>, stream: TcpStream, peer: SocketAddr) {
    let answer = service_fn(|request| service.answer(request, peer.ip()));
    // Clients come and go.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
}

fn reply(status: u16, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

impl Service {
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Full<Bytes>>, io::Error> {
        if request.uri().path() == "/_simulator/faults" {
            return Ok(self.program(request, peer).await.unwrap_or_else(|never| match never {}));
        }
        let fault = self.meet();
        tokio::time::sleep(fault.delay).await;
        if fault.closes {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if let Some(status) = fault.status {
            return Ok(reply(status, "the simulator was told to say this\n".to_owned()));
        }
        if request.method() != Method::GET {
            return Ok(reply(405, "only GET is known here\n".to_owned()));
        }
        let told = (self.find)(peer).and_then(|facts| text(&facts, request.uri().path()));
        Ok(told.map_or_else(|| reply(404, "not found\n".to_owned()), |text| reply(200, text)))
    }

    /// What goes wrong with this request.
    fn meet(&self) -> Fault {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault.times.checked_sub(1) {
            Some(left) => {
                fault.times = left;
                *fault
            }
            None => Fault::default(),
        }
    }

    async fn program(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if (self.find)(peer).is_some() {
            return Ok(reply(403, "no server programs faults\n".to_owned()));
        }
        let is_end = request.method() == Method::DELETE;
        let body = Limited::new(request.into_body(), LONGEST).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let fault = if is_end { Some(Fault::default()) } else { parse(&body) };
        let Some(fault) = fault else { return Ok(reply(400, "this is no fault\n".to_owned())) };
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        Ok(reply(200, String::new()))
    }
}

fn parse(text: &[u8]) -> Option<Fault> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let fault = Fault {
        status: number("status").and_then(|status| u16::try_from(status).ok()),
        delay: Duration::from_millis(number("delay_ms").unwrap_or_default()),
        closes: value.get("closes").and_then(Value::as_bool).unwrap_or_default(),
        times: number("times")?,
    };
    (fault.status.is_some() || fault.closes || fault.delay > Duration::ZERO).then_some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_lasts_as_often_as_it_says() {
        let fault = parse(br#"{"status": 503, "times": 2}"#).unwrap();
        assert_eq!((fault.status, fault.times), (Some(503), 2));
        let service = Service { find: Box::new(|_| None), fault: Mutex::new(fault) };
        let met: Vec<_> = (0..3).map(|_| service.meet().status).collect();
        assert_eq!(met, [Some(503), Some(503), None]);
        for text in ["", "[]", "{}", r#"{"status": 503}"#, r#"{"times": 3}"#] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
