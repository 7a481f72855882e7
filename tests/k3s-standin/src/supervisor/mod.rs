//! k3s' own paths: what agents fetch before they are nodes (k3s, `pkg/server/handlers`).

pub mod bootstrap;
pub mod password;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::api::discovery::VERSION;
use crate::api::status::Status;
use crate::auth::{AGENTS, BOOTSTRAPPERS, NODES, SERVERS, User};
use crate::options::Options;
use crate::output;
use crate::pki::{Key, Leaf};
use crate::serve::body::{self, Body, header};
use crate::serve::{Phase, Server};

/// Requests that read, and that write, at once.
const AT_ONCE: (usize, usize) = (20, 10);

/// Limits, and what is shared by agents that send no key.
#[derive(Debug)]
pub struct Supervisor {
    reads: Semaphore,
    writes: Semaphore,
    /// Where it listens.
    port: u16,
    /// Addresses of API servers, `ip:port`.
    pub apiservers: Vec<String>,
    /// For agents that send no request of their own.
    shared: Key,
    /// Name and password of the server's own node, from its file.
    pub own: Option<(String, String)>,
}

impl Supervisor {
    /// Of a server that agents reach at `address`.
    pub fn new(address: IpAddr, port: u16, shared: Key, own: Option<(String, String)>) -> Self {
        let apiservers = vec![SocketAddr::new(address, port).to_string()];
        Self {
            reads: Semaphore::new(AT_ONCE.0),
            writes: Semaphore::new(AT_ONCE.1),
            port,
            apiservers,
            shared,
            own,
        }
    }
}

/// Answers one request.
pub async fn answer(
    server: Arc<Server>,
    request: Request<Incoming>,
    certificates: &[CertificateDer<'static>],
) -> Response<Body> {
    let is_read = request.method() == Method::GET;
    let limit = if is_read { &server.supervisor.reads } else { &server.supervisor.writes };
    let Ok(_permit) = limit.try_acquire() else {
        return body::refuse_and_close(&Status::too_many_requests());
    };
    let server = &server;
    match handle(server, request, certificates).await {
        Ok(response) => response,
        Err(status) => body::refuse_and_close(&status),
    }
}

async fn handle(
    server: &Server,
    request: Request<Incoming>,
    certificates: &[CertificateDer<'static>],
) -> Result<Response<Body>, Status> {
    let is_linked = server.phase() >= Phase::Api;
    let user = server.trust.supervisor_user(&server.cluster, &request, certificates, is_linked)?;
    let path = request.uri().path().strip_prefix("/v1-k3s/").unwrap_or_default().to_owned();
    // Servers' paths: agents and bootstrap tokens are refused before anything is said about them.
    let is_for_servers =
        matches!(path.as_str(), "server-bootstrap" | "token" | "encrypt/status" | "cert/cacerts");
    let allowed: &[&str] = if is_for_servers { &[SERVERS] } else { &[AGENTS, NODES, BOOTSTRAPPERS] };
    if !allowed.iter().any(|group| user.is_in(group)) {
        return Err(Status::forbidden("forbidden"));
    }
    let text = |content: String| Ok(body::response(200, "text/plain", content));
    match path.as_str() {
        "config" => Ok(body::json(200, &config(&server.options, server.supervisor.port)?)),
        "apiservers" => Ok(body::json(
            200,
            &json!(if is_linked { server.supervisor.apiservers.clone() } else { Vec::new() }),
        )),
        "client-ca.crt" => text(server.files.client_ca.bundle.clone()),
        "server-ca.crt" => text(server.files.server_ca.bundle.clone()),
        "readyz" if server.phase() >= Phase::Core => text("ok".to_owned()),
        "readyz" => Err(Status::unavailable("runtime core not ready")),
        "serving-kubelet.crt" | "client-kubelet.crt" => {
            kubelet_certificate(server, &user, &path, request).await
        }
        "client-kube-proxy.crt" => client_certificate(server, "system:kube-proxy", request).await,
        "client-k3s-controller.crt" => client_certificate(server, "system:k3s-controller", request).await,
        _ => Err(Status::no_path()),
    }
}

async fn client_certificate(
    server: &Server,
    name: &str,
    request: Request<Incoming>,
) -> Result<Response<Body>, Status> {
    let leaf = Leaf { common_name: name, ..Leaf::default() };
    sign(server, &leaf, request).await
}

/// The two that need the node's password.
async fn kubelet_certificate(
    server: &Server,
    user: &User,
    path: &str,
    request: Request<Incoming>,
) -> Result<Response<Body>, Status> {
    let node = header(&request, "k3s-Node-Name").to_lowercase();
    let password = header(&request, "k3s-Node-Password").to_owned();
    if node.is_empty() {
        return Err(Status::bad_request("node name not set"));
    }
    if password.is_empty() {
        return Err(Status::bad_request("node password not set"));
    }
    // scrypt takes a tenth of a second, in which others are answered.
    tokio::task::block_in_place(|| check_node(server, user, &node, &password))?;
    if path == "client-kubelet.crt" {
        let common_name = format!("system:node:{node}");
        let leaf = Leaf { common_name: &common_name, organizations: &[NODES], ..Leaf::default() };
        return sign(server, &leaf, request).await;
    }
    let mut names = vec![node.clone(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let addresses = header(&request, "k3s-Node-IP").split(',').map(str::trim);
    names.extend(addresses.filter(|address| address.parse::<IpAddr>().is_ok()).map(str::to_owned));
    let leaf = Leaf { common_name: &node, organizations: &[], names: &names, is_server: true };
    sign(server, &leaf, request).await
}

/// k3s, `pkg/nodepassword/validate.go`
fn check_node(server: &Server, user: &User, node: &str, password: &str) -> Result<(), Status> {
    let is_core = server.phase() >= Phase::Core;
    let own = server.supervisor.own.as_ref().filter(|(name, _)| name == node);
    if user.is_in(NODES) {
        if user.node() != Some(node) {
            return Err(Status::bad_request("header node name does not match auth node name"));
        }
        if !is_core && own.is_none() {
            return Err(Status::unavailable("runtime core not ready"));
        }
        let nodes = server.cluster.kind("v1", "Node")?;
        if is_core && server.cluster.get(&nodes, "", node).is_err() {
            return Err(Status::unauthorized(format!("nodes \"{node}\" not found")));
        }
    }
    match own {
        // Before the controllers run, the server's own file is all there is; a Secret of an earlier life of this
        // server is told, and no more.
        Some((_, wanted)) if wanted == password => {
            if is_core && let Err(status) = password::ensure(&server.cluster, node, password) {
                output::error(&format!("NodePasswordValidationFailed: {}", status.message));
            }
            Ok(())
        }
        Some(_) if !is_core => Err(Status::forbidden(format!(
            "unable to verify local password for node '{node}': password does not match"
        ))),
        _ if !is_core => Err(Status::unavailable("runtime core not ready")),
        _ => password::ensure(&server.cluster, node, password),
    }
}

/// Signs what the body asks for; without a body, the shared key goes with it.
async fn sign(
    server: &Server,
    leaf: &Leaf<'_>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Status> {
    let asked = body::read(request).await?;
    let authority = if leaf.is_server { &server.files.server_ca } else { &server.files.client_ca };
    let answer = if asked.is_empty() {
        let certificate = authority.issue(leaf, &server.supervisor.shared).map_err(Status::internal)?;
        format!("{certificate}{}", server.supervisor.shared.to_pem().map_err(Status::internal)?)
    } else {
        authority.answer(leaf, &asked).map_err(|error| Status::bad_request(error.to_string()))?
    };
    Ok(body::response(200, "text/plain", answer))
}

/// What of k3s' `config.Control` agents read.
fn config(options: &Options, port: u16) -> Result<Value, Status> {
    let range = |name: &str, otherwise: &str| {
        let text = options.list(name).first().cloned().unwrap_or_else(|| otherwise.to_owned());
        let invalid = || Status::internal(format!("{name} `{text}` is no network"));
        let (address, length) = text.split_once('/').ok_or_else(invalid)?;
        let address: std::net::Ipv4Addr = address.parse().map_err(|_| invalid())?;
        let length: u32 = length.parse().ok().filter(|length| *length <= 32).ok_or_else(invalid)?;
        let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0);
        Ok::<_, Status>(
            json!({"IP": address.to_string(), "Mask": BASE64_STANDARD.encode(mask.to_be_bytes())}),
        )
    };
    let text = |name: &str, otherwise: &str| match options.text(name) {
        "" => otherwise.to_owned(),
        value => value.to_owned(),
    };
    let (pods, services) = (range("cluster-cidr", "10.42.0.0/16")?, range("service-cidr", "10.43.0.0/16")?);
    let dns = text("cluster-dns", "10.43.0.10");
    Ok(json!({
        "ClusterIPRange": pods, "ClusterIPRanges": [pods], "ServiceIPRange": services, "ServiceIPRanges": [services],
        "ServiceNodePortRange": {"Base": 30000, "Size": 2768},
        "ClusterDNS": dns, "ClusterDNSs": [dns], "ClusterDomain": text("cluster-domain", "cluster.local"),
        "HTTPSPort": port, "SupervisorPort": port, "FlannelBackend": text("flannel-backend", "vxlan"),
        "EgressSelectorMode": text("egress-selector-mode", "agent"),
        "DisableCCM": options.flag("disable-cloud-controller"), "DisableNPC": options.flag("disable-network-policy"),
        "DisableKubeProxy": options.flag("disable-kube-proxy"),
        "DisableHelmController": options.flag("disable-helm-controller"),
        "ServerNodeName": options.node_name(), "Version": VERSION,
    }))
}
