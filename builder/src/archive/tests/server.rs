//! An HTTP/1.1 server of files in memory that misbehaves as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use reqwest::Url;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::http::tests::Listening;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Fault {
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Only so many bytes are sent, and said to be all.
    Short(usize),
    /// The whole file although a part was asked for.
    IgnoreRange,
    /// A part from another position than was asked for.
    WrongRange,
    /// More bytes follow the file, and no length is said.
    Endless,
    /// This HTTP status.
    Status(u16),
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    requests: Vec<(String, Option<usize>)>,
}

/// Serves until dropped.
#[derive(Debug)]
pub(in super::super) struct Server {
    state: Arc<Mutex<State>>,
    listening: Listening,
}

impl Server {
    pub(in super::super) async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let listening = Listening::start(move |stream| answer(stream, Arc::clone(&shared))).await;
        Self { state, listening }
    }

    pub(in super::super) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.listening.address)).unwrap()
    }

    pub(in super::super) fn put(&self, path: &str, data: impl Into<Vec<u8>>) {
        self.state.lock().unwrap().files.insert(path.to_owned(), data.into());
    }

    pub(in super::super) fn remove(&self, path: &str) {
        self.state.lock().unwrap().files.remove(path).unwrap();
    }

    /// Spoils the next requests of `path`, one after the other.
    pub(in super::super) fn spoil(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults.entry(path.to_owned()).or_default().extend(faults);
    }

    /// Paths asked for since the last call, with the position asked for.
    pub(in super::super) fn requests(&self) -> Vec<(String, Option<usize>)> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

async fn answer(mut stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let (path, start) = read_request(&mut stream).await?;
    let (file, fault) = {
        let mut state = state.lock().unwrap();
        state.requests.push((path.clone(), start));
        let fault = state.faults.get_mut(&path).and_then(VecDeque::pop_front);
        (state.files.get(&path).cloned(), fault)
    };
    let (head, body) = response(file, start, fault);
    stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<(String, Option<usize>)> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next_line().await?.unwrap_or_default();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut start = None;
    while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = Some(range.trim_end_matches('-').parse().unwrap());
        }
    }
    Ok((path, start))
}

fn response(file: Option<Vec<u8>>, start: Option<usize>, fault: Option<Fault>) -> (String, Vec<u8>) {
    if let Some(Fault::Status(status)) = fault {
        return (format!("{status} Fault\r\nContent-Length: 0"), Vec::new());
    }
    let Some(file) = file else {
        return ("404 Not Found\r\nContent-Length: 0".to_owned(), Vec::new());
    };
    let total = file.len();
    let start = start.filter(|_| !matches!(fault, Some(Fault::IgnoreRange | Fault::Short(_))));
    let Some(mut body) = file.get(start.unwrap_or(0)..).map(<[u8]>::to_vec) else {
        return (format!("416 Range\r\nContent-Range: bytes */{total}"), Vec::new());
    };
    let mut length = Some(body.len());
    match fault {
        Some(Fault::Cut(count)) => body.truncate(count),
        Some(Fault::Short(count)) => {
            body.truncate(count);
            length = Some(body.len());
        }
        Some(Fault::Endless) => {
            body.extend([b'x'; 4096]);
            length = None;
        }
        _ => {}
    }
    let mut head = if let Some(start) = start {
        let said = if matches!(fault, Some(Fault::WrongRange)) { start - 1 } else { start };
        format!("206 Partial\r\nContent-Range: bytes {said}-{}/{total}", total.saturating_sub(1))
    } else {
        "200 OK".to_owned()
    };
    if let Some(length) = length {
        head = format!("{head}\r\nContent-Length: {length}");
    }
    (head, body)
}
