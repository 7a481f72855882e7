//! A Debian mirror on this machine that has what a lock names, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use anyhow::Context as _;
use imgbuild::archive::cache::Cache;
use imgbuild::archive::lock::Selection;

/// Where the mirror lies on its server.
const FOLDER: &str = "elsewhere";

/// A mirror; it answers for as long as the test program runs.
#[derive(Debug)]
pub struct Mirror {
    port: u16,
}

impl Mirror {
    /// Starts a mirror with the packages of `selection`, which lie in `cache`.
    pub fn start(selection: &Selection, cache: &Cache) -> anyhow::Result<Self> {
        let packages = selection.packages.iter().chain(&selection.boot_packages);
        let files: BTreeMap<String, PathBuf> = packages
            .map(|package| {
                (format!("/{FOLDER}/{}/{}", package.archive, package.path), cache.path(package.sha256))
            })
            .collect();
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listening as a mirror")?;
        let port = listener.local_addr().context("asking for the mirror's port")?.port();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let files = files.clone();
                // Who hangs up gets no answer.
                std::thread::spawn(move || answer(connection, &files));
            }
        });
        Ok(Self { port })
    }

    /// What `--mirror` takes.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{FOLDER}/debian", self.port)
    }
}

/// Answers one request and closes the connection (RFC 9112).
fn answer(mut connection: TcpStream, files: &BTreeMap<String, PathBuf>) -> io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let file = request.split(' ').nth(1).and_then(|path| files.get(path));
    let (status, content) = match file.map(fs::read).transpose()? {
        Some(content) => ("200 OK", content),
        None => ("404 Not Found", Vec::new()),
    };
    let length = content.len();
    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    connection.write_all(&content)
}
