//! An HTTP/1.1 server that gives scripted answers, and remembers what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::hetzner::{Client, Endpoint, Operation, Pace, Run, Stop, Token};
use crate::http::tests::Listening;

pub(super) const TOKEN: &str = "jEheVytlAoFl7F8MqUQ7jAo2hOXASztX";

/// One answer.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Status, further lines of the head, body.
    Text(u16, String, String),
    /// The same after a while.
    Late(Duration, Box<Answer>),
    /// The connection ends without a word.
    Cut,
    /// The body ends before its announced end.
    Half(String),
    /// Nothing comes, and the connection stays.
    Silence,
    /// More and more comes.
    Endless,
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::Text(status, String::new(), body.to_string())
    }

    pub(super) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    pub(super) fn gone() -> Self {
        Self::Text(204, String::new(), String::new())
    }

    pub(super) fn error(status: u16, code: &str) -> Self {
        Self::json(status, &json!({ "error": { "code": code, "message": format!("because of {code}") } }))
    }

    /// With further lines of the head.
    pub(super) fn with(self, more: &str) -> Self {
        match self {
            Self::Text(status, head, body) => Self::Text(status, format!("{head}{more}\r\n"), body),
            other => other,
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// `GET /servers?page=1`.
    pub(super) line: String,
    pub(super) body: Value,
    pub(super) authorization: String,
}

#[derive(Debug, Default)]
struct State {
    answers: BTreeMap<String, VecDeque<Answer>>,
    asked: Vec<Asked>,
}

/// Answers until dropped.
#[derive(Debug)]
pub(super) struct Api {
    state: Arc<Mutex<State>>,
    listening: Listening,
}

impl Api {
    pub(super) async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let listening = Listening::start(move |stream| answer(stream, Arc::clone(&shared))).await;
        Self { state, listening }
    }

    /// Answers the next requests of `line`, `GET /servers`, one after the other. Others find no script.
    pub(super) fn on(&self, line: &str, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().answers.entry(line.to_owned()).or_default().extend(answers);
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.listening.address
    }

    fn base(&self) -> String {
        format!("http://{}/v1", self.address())
    }

    /// What was asked since the last call.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// The same without bodies.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    /// A client with short pauses.
    pub(super) fn client(&self) -> Client {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
        let client =
            Client::new(Endpoint::parse(&self.base()).unwrap(), Token::load(file.path()).unwrap()).unwrap();
        client.with_pace(Pace {
            request: Duration::from_millis(400),
            retries: 5,
            locked_retries: 7,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(4),
            first_poll: Duration::from_millis(1),
            longest_poll: Duration::from_millis(4),
        })
    }
}

/// An operation with time enough.
pub(crate) fn operation() -> Operation {
    Operation::new("testing", Duration::from_mins(1), &Stop::never())
}

pub(crate) fn run() -> Run {
    Run::new().unwrap()
}

/// An object of the API's documentation, with other values in it.
pub(super) fn object(text: &str, changes: &Value) -> Value {
    let mut object: Value = serde_json::from_str(text).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

async fn answer(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let asked = read(&mut stream).await?;
    let path = asked.line.split('?').next().unwrap_or_default().to_owned();
    let answer = {
        let mut state = state.lock().unwrap();
        state.asked.push(asked);
        state.answers.get_mut(&path).and_then(VecDeque::pop_front)
    };
    let mut answer = answer.unwrap_or_else(|| Answer::error(500, "unscripted"));
    while let Answer::Late(pause, then) = answer {
        tokio::time::sleep(pause).await;
        answer = *then;
    }
    let head = |status: u16, more: &str, length: usize| {
        format!("HTTP/1.1 {status} Status\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match answer {
        Answer::Text(status, more, body) => {
            stream.write_all(format!("{}{body}", head(status, &more, body.len())).as_bytes()).await?;
        }
        Answer::Half(body) => {
            stream.write_all(format!("{}{body}", head(200, "", body.len() + 1)).as_bytes()).await?;
        }
        Answer::Cut => {}
        Answer::Silence => tokio::time::sleep(Duration::from_mins(1)).await,
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"servers\": \"").await?;
            loop {
                stream.write_all(&[b'x'; 1 << 14]).await?;
            }
        }
        Answer::Late(..) => unreachable!("the pauses are over"),
    }
    stream.shutdown().await
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").replacen(" /v1", " ", 1);
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => value.clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Ok(Asked { line, body, authorization })
}
