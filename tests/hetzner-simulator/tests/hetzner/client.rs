//! A client that sees everything: status, headers, and connections that end.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hetzner_simulator::{Options, Simulator};
use serde_json::{Value, json};

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) text: String,
}

impl Answer {
    /// A header; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Status and code of a refusal.
    pub(crate) fn code(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// Sends one request on a connection of its own.
pub(crate) fn send(url: &str, token: &str, method: &str, path: &str, body: &Value) -> io::Result<Answer> {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, base) = rest.split_once('/').unwrap();
    let content = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "{method} /{base}{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{content}",
        content.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let Some((head, text)) = text.split_once("\r\n\r\n") else {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Answer { status, head: head.to_owned(), text: text.to_owned() })
}

/// A simulator, and somebody who may do everything.
pub(crate) struct Cloud(pub(crate) Simulator);

impl Cloud {
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        Self(Simulator::start(options).unwrap())
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> io::Result<Answer> {
        send(&self.0.url(), self.0.token(), method, path, body)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, &Value::Null).unwrap();
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text);
        answer.json()
    }

    /// What must be done.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.send("POST", path, body).unwrap();
        assert!(matches!(answer.status, 200 | 201), "POST {path}: {} {}", answer.status, answer.text);
        answer.json()
    }

    /// Status and code of what must not be done.
    pub(crate) fn refused(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        self.send(method, path, body).unwrap().code()
    }

    /// Asks the control interface, which wants no token.
    pub(crate) fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = send(&self.0.control_url(), "", method, path, body).unwrap();
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
        answer.json()
    }

    /// A new server's ID, and all of the answer.
    pub(crate) fn server(&self, name: &str, more: &Value) -> (u64, Value) {
        let created = self.post("/servers", &wanted(name, more));
        (created["server"]["id"].as_u64().unwrap(), created)
    }
}

/// What is sent for a server.
pub(crate) fn wanted(name: &str, more: &Value) -> Value {
    let mut body = json!({"name": name, "server_type": "cx23", "image": "debian-13", "location": "fsn1"});
    let more = more.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    body.as_object_mut().unwrap().extend(more);
    body
}
