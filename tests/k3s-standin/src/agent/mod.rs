//! `k3s agent`: from a server's address and a token to a node that reports itself.
//!
//! What fails is logged and tried again, for ever, as in k3s; only a server whose API does not come up ends it.

mod balancer;
pub mod client;
mod kubelet;
pub mod trust;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use hyper::Method;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::options::{Options, OptionsError};
use crate::pki::Key;
use crate::pki::hash::hex;
use crate::token::{Credentials, Token};
use crate::{files, network, notify, output};
use balancer::Balancer;
use client::{Believes, Client, ClientError};
use kubelet::Kubelet;

/// Between tries to believe the server.
const TRUST: Duration = Duration::from_secs(2);
/// Between passes over the configuration, and what chance adds at most.
const PASS: Duration = Duration::from_secs(5);
/// How long the API may take (k3s, `pkg/util/api.go`).
const API: Duration = Duration::from_mins(15);
/// How long a token's file is waited for.
const TOKEN_FILE: Duration = Duration::from_mins(4);

/// An agent.
#[derive(Debug)]
pub struct Agent {
    options: Options,
    url: String,
    token: String,
    /// The server's own node needs no balancer, and does not report itself to systemd.
    is_of_server: bool,
}

/// The node's password: as it lies there, or new. Only an absent one is made.
pub fn password(options: &Options) -> anyhow::Result<String> {
    let path = options.path("/etc/rancher/node/password");
    let there = fs::read_to_string(&path).unwrap_or_default();
    if !there.trim().is_empty() {
        return Ok(there.trim().to_owned());
    }
    let mut random = [0_u8; 16];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let password = hex(&random);
    files::write_private(&path, format!("{password}\n").as_bytes())
        .with_context(|| format!("writing `{}`", path.display()))?;
    Ok(password)
}

impl Agent {
    /// As told by the options.
    pub fn new(options: Options) -> anyhow::Result<Self> {
        let url = options.text("server").to_owned();
        if url.is_empty() {
            return Err(OptionsError::Required { name: "server" }.into());
        }
        let token = read_token(&options)?;
        if token.is_empty() && !certificate(&options, "client-kubelet").0.exists() {
            return Err(OptionsError::Required { name: "token" }.into());
        }
        Ok(Self { options, url, token, is_of_server: false })
    }

    /// The one in a server.
    pub fn of_server(options: Options, url: String, token: String) -> anyhow::Result<Self> {
        Ok(Self { options, url, token, is_of_server: true })
    }

    /// Joins and reports, for ever.
    pub async fn run(&self) -> anyhow::Result<()> {
        output::info(&format!("Starting k3s agent stand-in {}", crate::api::discovery::VERSION));
        let (balancer, url) = self.balance().await?;
        // Once: a new token needs a restart.
        let (believes, credentials) = self.believe(&url).await;
        self.fetch_config(&url, &believes, &credentials).await;
        if let Some(balancer) = &balancer {
            self.learn_servers(balancer, &url, &believes, &credentials).await;
        }
        network::check_interface(&self.options)?;
        self.wait_for_api(&url).await?;
        let kubelet = Kubelet::new(&self.options)?;
        let client = self.client(&url, "client-kubelet").context("the kubelet's certificate")?;
        while let Err(error) = kubelet.register(&client).await {
            output::error(&format!("Unable to register node with API server: {error}"));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        output::info(&format!("k3s agent stand-in is up and running: node {}", self.options.node_name()));
        if !self.is_of_server {
            notify::notify("READY=1");
        }
        kubelet.heartbeat(&client).await;
        Ok(())
    }

    async fn balance(&self) -> anyhow::Result<(Option<Arc<Balancer>>, String)> {
        if self.is_of_server {
            return Ok((None, self.url.clone()));
        }
        let port = self.options.port("lb-server-port", 6444)?;
        let path = self.options.data().join("agent/etc/k3s-agent-load-balancer.json");
        let (balancer, port) = Balancer::open(&self.url, port, path)
            .await
            .with_context(|| format!("listening on 127.0.0.1:{port}"))?;
        Ok((Some(balancer), format!("https://127.0.0.1:{port}")))
    }

    async fn believe(&self, url: &str) -> (Believes, Credentials) {
        loop {
            let token = Token::parse(&self.token);
            let tried = match token {
                Ok(token) => {
                    trust::establish(url, &token).await.map(|believes| (believes, token.credentials))
                }
                Err(error) => Err(error.into()),
            };
            match tried {
                Ok(established) => return established,
                Err(error) => output::error(&format!(
                    "Failed to validate connection to cluster at {}: {error}",
                    self.url
                )),
            }
            tokio::time::sleep(TRUST).await;
        }
    }

    async fn fetch_config(&self, url: &str, believes: &Believes, credentials: &Credentials) {
        loop {
            match self.pass(url, believes, credentials).await {
                Ok(()) => return,
                Err(error) => {
                    output::error(&format!(
                        "Waiting to retrieve agent configuration; server is not ready: {error:#}"
                    ));
                }
            }
            let mut chance = [0_u8; 1];
            // Without chance, all agents ask at once; that is no reason to stop.
            getrandom(&mut chance, GetRandomFlags::empty()).unwrap_or_default();
            tokio::time::sleep(PASS + PASS * u32::from(chance[0]) / 255).await;
        }
    }

    /// One pass, in k3s' order.
    async fn pass(&self, url: &str, believes: &Believes, credentials: &Credentials) -> anyhow::Result<()> {
        // The CA is asked for again by each pass.
        trust::establish(url, &Token { hash: None, credentials: credentials.clone() }).await?;
        let plain = self.supervisor(url, believes, credentials, true)?;
        plain.get("/v1-k3s/config").await?;
        for name in ["client-ca.crt", "server-ca.crt"] {
            let bundle = plain.get(&format!("/v1-k3s/{name}")).await?;
            self.write(&format!("agent/{name}"), &bundle)?;
        }
        let password = password(&self.options)?;
        let node = self.options.node_name();
        let addresses: Vec<String> =
            self.options.addresses("node-ip")?.iter().map(ToString::to_string).collect();
        let addresses = addresses.join(",");
        let headers =
            [("k3s-Node-Name", node.as_str()), ("k3s-Node-Password", &password), ("k3s-Node-IP", &addresses)];
        for name in ["serving-kubelet", "client-kubelet"] {
            let signed = self.certify(url, believes, credentials, name, &headers).await;
            if let Err(error) = &signed
                && error.downcast_ref::<ClientError>().is_some_and(|error| error.code() == Some(403))
            {
                output::error(
                    "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag",
                );
            }
            signed?;
        }
        for name in ["client-kube-proxy", "client-k3s-controller"] {
            self.certify(url, believes, credentials, name, &[]).await?;
        }
        for _ in 0..2 {
            // 503 is an answer here.
            if let Err(error) = plain.get("/v1-k3s/readyz").await
                && error.code() != Some(503)
            {
                return Err(error.into());
            }
            plain.get("/v1-k3s/config").await?;
        }
        Ok(())
    }

    /// Has a certificate signed; where the server does not know the old one's Node any more, without it.
    async fn certify(
        &self,
        url: &str,
        believes: &Believes,
        credentials: &Credentials,
        name: &str,
        headers: &[(&'static str, &str)],
    ) -> anyhow::Result<()> {
        let (certificate_path, key_path) = certificate(&self.options, name);
        let key = match fs::read_to_string(&key_path) {
            Ok(pem) => Key::from_pem(&pem)?,
            Err(_) => Key::generate()?,
        };
        let body = Bytes::from(key.request()?);
        let path = format!("/v1-k3s/{name}.crt");
        let with = self.supervisor(url, believes, credentials, true)?;
        let signed = match with.send(Method::POST, &path, headers, body.clone()).await {
            Err(error) if error.code() == Some(401) => {
                let without = self.supervisor(url, believes, credentials, false)?;
                without.send(Method::POST, &path, headers, body).await?
            }
            signed => signed?,
        };
        files::write_private(&key_path, key.to_pem()?.as_bytes())?;
        files::write(&certificate_path, &signed, 0o644)?;
        Ok(())
    }

    /// Which API servers there are.
    async fn learn_servers(
        &self,
        balancer: &Balancer,
        url: &str,
        believes: &Believes,
        credentials: &Credentials,
    ) {
        loop {
            let asked = match self.supervisor(url, believes, credentials, true) {
                Ok(client) => client.get("/v1-k3s/apiservers").await.map_err(anyhow::Error::from),
                Err(error) => Err(error.into()),
            };
            match asked {
                Ok(list) => {
                    let list: Vec<String> = serde_json::from_slice(&list).unwrap_or_default();
                    if !list.is_empty() {
                        output::info(&format!("Got apiserver addresses from supervisor: {list:?}"));
                        balancer.set(list);
                        return;
                    }
                }
                Err(error) => {
                    output::error(&format!("Failed to retrieve list of apiservers from server: {error}"));
                    return;
                }
            }
            tokio::time::sleep(PASS).await;
        }
    }

    async fn wait_for_api(&self, url: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let ready = match self.client(url, "client-k3s-controller") {
                Ok(client) => client.get("/readyz").await.map_err(anyhow::Error::from),
                Err(error) => Err(error),
            };
            match ready {
                Ok(_) => return Ok(()),
                Err(error) if started.elapsed() > API => {
                    bail!("failed to wait for API server to be ready: {error}")
                }
                Err(error) => output::info(&format!("Waiting for API server to become available: {error}")),
            }
            tokio::time::sleep(TRUST).await;
        }
    }

    /// A client of the supervisor: credentials, and the kubelet's certificate as soon as there is one.
    fn supervisor(
        &self,
        url: &str,
        believes: &Believes,
        credentials: &Credentials,
        with_certificate: bool,
    ) -> Result<Client, ClientError> {
        let (certificate, key) = certificate(&self.options, "client-kubelet");
        let pair = fs::read_to_string(certificate)
            .ok()
            .zip(fs::read_to_string(key).ok())
            .filter(|_| with_certificate);
        let plain = || Client::new(url, believes, None);
        let client = match &pair {
            Some((certificate, key)) => {
                Client::new(url, believes, Some((certificate, key))).or_else(|_| plain())
            }
            None => plain(),
        };
        Ok(client?.with(Some(credentials.clone())))
    }

    /// A client of the API with one of the node's certificates.
    fn client(&self, url: &str, name: &str) -> anyhow::Result<Client> {
        let (certificate, key) = certificate(&self.options, name);
        let read = |path: PathBuf| {
            fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))
        };
        let bundle = read(self.options.data().join("agent/server-ca.crt"))?;
        let (certificate, key) = (read(certificate)?, read(key)?);
        Ok(Client::new(url, &Believes::Bundle(bundle), Some((&certificate, &key)))?)
    }

    fn write(&self, path: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.options.data().join(path);
        files::write(&path, content, 0o644).with_context(|| format!("writing `{}`", path.display()))
    }
}

fn certificate(options: &Options, name: &str) -> (PathBuf, PathBuf) {
    let folder = options.data().join("agent");
    (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")))
}

/// `--token`, or the content of `--token-file`, which may come later.
fn read_token(options: &Options) -> anyhow::Result<String> {
    let given = options.text("token");
    let file = options.text("token-file");
    if !given.is_empty() || file.is_empty() {
        return Ok(given.trim().to_owned());
    }
    let path = options.path(file);
    let started = Instant::now();
    loop {
        match fs::read_to_string(&path) {
            Ok(text) => return Ok(text.trim().to_owned()),
            Err(_) if started.elapsed() < TOKEN_FILE => {
                output::info(&format!("Waiting for {} to be available", path.display()));
                std::thread::sleep(TRUST);
            }
            Err(error) => return Err(error).with_context(|| format!("reading `{}`", path.display())),
        }
    }
}
