//! A little HTTP server: what it says is a function of what it is asked, and of how often it was.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::http;

/// What is sent.
pub(super) enum Reply {
    /// These bytes, and the end.
    Bytes(Vec<u8>),
    /// These bytes, and nothing more until the other end gives up.
    Stalled(Vec<u8>),
}

impl Reply {
    pub(super) fn text(body: &str) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        Self::Bytes([head.as_bytes(), body.as_bytes()].concat())
    }

    pub(super) fn status(status: u16) -> Self {
        Self::Bytes(format!("HTTP/1.1 {status} Any\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }
}

pub(super) struct Provider {
    pub(super) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Provider {
    /// `reply` is given the path, and how many questions came before this one.
    pub(super) fn new(reply: impl Fn(&str, usize) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, is_over) = (Arc::clone(&asked), Arc::clone(&ends));
        let serve = move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
                let Ok(request) = http::read_request(&mut stream, 0) else { continue };
                match reply(&request.path, count.fetch_add(1, Ordering::SeqCst)) {
                    Reply::Bytes(bytes) => drop(stream.write_all(&bytes)),
                    Reply::Stalled(bytes) => {
                        drop(stream.write_all(&bytes));
                        // Ends when the other end does.
                        drop(stream.read(&mut [0]));
                    }
                }
            }
        };
        Self { address, asked, ends, thread: Some(thread::spawn(serve)) }
    }

    /// How many questions there were.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Whom it waits for.
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}
