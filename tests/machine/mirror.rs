//! A Debian mirror on this machine that has what a lock names, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use imgbuild::archive::cache::Cache;
use imgbuild::archive::lock::LockedPackage;

/// Where the mirror lies on its server.
const FOLDER: &str = "elsewhere";

/// A mirror; it answers for as long as the test program runs.
#[derive(Debug)]
pub struct Mirror {
    port: u16,
    files: Arc<Files>,
}

/// What it has, by the path in a request.
#[derive(Debug)]
struct Files {
    packages: BTreeMap<String, PathBuf>,
    /// Those that nobody has asked for yet.
    unasked: Mutex<Vec<String>>,
}

impl Mirror {
    /// Starts a mirror with `packages`, which lie in `cache`.
    pub fn start(packages: &[&LockedPackage], cache: &Cache) -> anyhow::Result<Self> {
        let packages: BTreeMap<String, PathBuf> = packages
            .iter()
            .map(|package| {
                (format!("/{FOLDER}/{}/{}", package.archive, package.path), cache.path(package.sha256))
            })
            .collect();
        let unasked = Mutex::new(packages.keys().cloned().collect());
        let files = Arc::new(Files { packages, unasked });
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listening as a mirror")?;
        let port = listener.local_addr().context("asking for the mirror's port")?.port();
        let shared = Arc::clone(&files);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let files = Arc::clone(&shared);
                // Who hangs up gets no answer.
                std::thread::spawn(move || answer(connection, &files));
            }
        });
        Ok(Self { port, files })
    }

    /// What `--mirror` takes.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{FOLDER}/debian", self.port)
    }

    /// Fails where a package was never sent.
    pub fn check_all_served(&self) -> anyhow::Result<()> {
        let unasked = self.files.unasked.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(unasked.is_empty(), "not fetched from this mirror: {}", unasked.join(", "));
        Ok(())
    }
}

/// Answers one request and closes the connection (RFC 9112).
fn answer(mut connection: TcpStream, files: &Files) -> io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, content) = match files.packages.get(path).map(fs::read).transpose()? {
        Some(content) => ("200 OK", content),
        None => ("404 Not Found", Vec::new()),
    };
    let length = content.len();
    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    connection.write_all(&content)?;
    files.unasked.lock().unwrap_or_else(PoisonError::into_inner).retain(|unasked| unasked != path);
    Ok(())
}
