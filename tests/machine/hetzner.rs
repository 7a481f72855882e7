//! The API of the Hetzner simulator, by requests that are written by hand: its answers are judged by no code of ours.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use imgbuild::environment::{HCLOUD_ENDPOINT, HCLOUD_TOKEN};
use serde_json::Value;

/// For an action: a machine may have to start for it, by emulation.
const ACTING: Duration = Duration::from_mins(6);
/// Between two looks at an action. They double up to the longest.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// A project of the simulator.
#[derive(Clone, Debug)]
pub struct HetznerApi {
    host: String,
    token: String,
}

impl HetznerApi {
    /// The one that the environment names, as programs in the network of `hetzner-machines` find it.
    pub fn of_environment() -> anyhow::Result<Self> {
        let endpoint = std::env::var(HCLOUD_ENDPOINT).context("where is the API?")?;
        Self::new(&endpoint, &std::env::var(HCLOUD_TOKEN).context("what is the token?")?)
    }

    /// The one at `endpoint`, such as `http://127.0.0.1:8080/v1`.
    pub fn new(endpoint: &str, token: &str) -> anyhow::Result<Self> {
        let host = endpoint.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/v1"));
        let host = host.with_context(|| format!("`{endpoint}` is no simulator"))?.to_owned();
        Ok(Self { host, token: token.to_owned() })
    }

    /// A request to the API; it must succeed.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.request(method, &format!("/v1{path}"), body)
    }

    /// A request of a test to the simulator.
    pub fn control(&self, method: &str, path: &str) -> anyhow::Result<Value> {
        self.request(method, &format!("/_simulator{path}"), &Value::Null)
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let Self { host, token } = self;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let mut stream = TcpStream::connect(host).context("reaching the API")?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        let (head, content) = reply.split_once("\r\n\r\n").context("the API's reply has no end")?;
        ensure!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {reply}");
        if content.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(content)?) }
    }

    /// Waits for the actions of a reply, which must succeed.
    pub fn done(&self, reply: &Value) -> anyhow::Result<()> {
        let lists = ["next_actions", "actions"].map(|key| reply[key].as_array()).into_iter().flatten();
        let all = std::iter::once(&reply["action"]).chain(lists.flatten());
        for action in all.filter(|action| !action.is_null()) {
            let (started, path, mut pause) = (Instant::now(), format!("/actions/{}", action["id"]), SHORTEST);
            loop {
                let action = &self.ask("GET", &path, &Value::Null)?["action"];
                match action["status"].as_str() {
                    Some("success") => break,
                    Some("running") if started.elapsed() < ACTING => std::thread::sleep(pause),
                    _ => bail!("{action}"),
                }
                pause = (pause * 2).min(LONGEST);
            }
        }
        Ok(())
    }

    /// Makes something, waits until it is there, and returns its number.
    pub fn make(&self, path: &str, kind: &str, body: &Value) -> anyhow::Result<Value> {
        let reply = self.ask("POST", path, body)?;
        self.done(&reply)?;
        ensure!(!reply[kind].is_null(), "POST {path} makes no {kind}: {reply}");
        Ok(reply[kind]["id"].clone())
    }
}
