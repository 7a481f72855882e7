//! The agent's own port, from which connections go to any server that answers (k3s, `pkg/agent/loadbalancer`).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::{files, output};

/// For one server to accept a connection.
const DIAL: Duration = Duration::from_secs(3);

/// The file that outlives a restart.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Kept {
    #[serde(rename = "ServerURL")]
    url: String,
    #[serde(rename = "ServerAddresses")]
    addresses: Vec<String>,
}

/// The port, and where it leads.
#[derive(Debug)]
pub(super) struct Balancer {
    url: String,
    path: PathBuf,
    addresses: Mutex<Vec<String>>,
}

impl Balancer {
    /// Opens the port; the file counts only if it is about the same URL.
    pub(super) async fn open(url: &str, port: u16, path: PathBuf) -> io::Result<(Arc<Self>, u16)> {
        let text = std::fs::read(&path).unwrap_or_default();
        let kept: Kept = serde_json::from_slice(&text).unwrap_or_default();
        let addresses = if kept.url == url { kept.addresses } else { Vec::new() };
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let port = listener.local_addr()?.port();
        let balancer = Arc::new(Self { url: url.to_owned(), path, addresses: Mutex::new(addresses) });
        balancer.keep();
        let own = balancer.clone();
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(own.clone().forward(stream))),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Ok((balancer, port))
    }

    /// Servers that are known from now on.
    pub(super) fn set(&self, addresses: Vec<String>) {
        *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
        self.keep();
    }

    fn keep(&self) {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let kept = Kept { url: self.url.clone(), addresses };
        let written = serde_json::to_vec(&kept)
            .map_err(io::Error::from)
            .and_then(|text| files::write(&self.path, &text, 0o644));
        if let Err(error) = written {
            output::error(&format!("`{}`: {error}", self.path.display()));
        }
    }

    async fn forward(self: Arc<Self>, mut inward: TcpStream) {
        let mut targets = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The configured server is the last resort.
        targets.push(self.url.trim_start_matches("https://").trim_end_matches('/').to_owned());
        for target in targets {
            let target = if target.contains(':') { target } else { format!("{target}:443") };
            if let Ok(Ok(mut outward)) = timeout(DIAL, TcpStream::connect(&target)).await {
                drop(copy_bidirectional(&mut inward, &mut outward).await);
                return;
            }
        }
    }
}
