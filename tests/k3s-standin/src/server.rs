//! `k3s server`: from options to a running control plane.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, bail};
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::cluster::{Cluster, Write};
use crate::control::manifests::Deployer;
use crate::control::nodes::Monitor;
use crate::control::{addon, every, passwords};
use crate::options::{Options, OptionsError};
use crate::pki::hash::{self, hex};
use crate::pki::server::ServerFiles;
use crate::pki::{Key, server as tls};
use crate::serve::{Phase, Server, Trust};
use crate::supervisor::{Supervisor, bootstrap};
use crate::token::{self, Credentials, Token, is_bootstrap};
use crate::{agent, files, network, notify, output};

/// How long each phase of the start takes, in milliseconds, for tests that look at one.
const PHASE: &str = "K3S_STAND_IN_PHASE_MS";
/// Between passes over the manifests folder.
const MANIFESTS: Duration = Duration::from_secs(15);

/// Runs until a signal.
pub async fn run(options: Options) -> anyhow::Result<()> {
    output::info(&format!(
        "Starting k3s stand-in {} (no containers are run)",
        crate::api::discovery::VERSION
    ));
    let data = options.data();
    let port = options.port("https-listen-port", 6443)?;
    let bind =
        options.addresses("bind-address")?.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let listener = TcpListener::bind(SocketAddr::new(bind, port))
        .await
        .with_context(|| format!("listening on {bind}:{port}"))?;
    let port = listener.local_addr()?.port();
    let address = advertised(&options)?;
    let files = ServerFiles::open(&tls::folder(&data), &names(&options, address)?)?;
    let (server_password, agent_password) = passwords_of(&options, &data)?;
    let hash = hash::of_bundle(files.server_ca.bundle.as_bytes());
    write_tokens(&options, &data, &hash, &server_password, &agent_password)?;
    write_kubeconfig(&options, &files, port)?;
    check_datastore(&options, &data)?;
    let cluster = Arc::new(Cluster::open(&data.join("server/db/stand-in.log"))?);
    let is_node = !options.flag("disable-agent");
    let own = if is_node { Some((options.node_name(), agent::password(&options)?)) } else { None };
    let trust = Trust::new(&files, server_password, agent_password.clone())?;
    let supervisor = Supervisor::new(address, port, Key::generate()?, own);
    let (phase, _) = watch::channel(Phase::Starting);
    let server = Arc::new(Server { cluster, files, options, phase, trust, supervisor });
    let serving = tokio::spawn(server.clone().serve(listener));
    output::info(&format!("k3s stand-in is listening on {bind}:{port}"));
    start(&server, address, port).await?;
    let (failed, failure) = oneshot::channel();
    if is_node {
        let url = format!("https://127.0.0.1:{port}");
        let token = token::full(&hash, "node", &agent_password);
        let agent = agent::Agent::of_server(server.options.clone(), url, token)?;
        // Where its node ends, a server ends.
        tokio::spawn(async move {
            let ended = agent.run().await;
            drop(failed.send(ended));
        });
        tokio::spawn(label_own_node(server.clone()));
    }
    output::info("k3s stand-in is up and running");
    notify::notify("READY=1");
    tokio::select! {
        ended = serving => ended?,
        Ok(ended) = failure => ended,
    }
}

/// A datastore that is there makes `cluster-init` and `server` moot (k3s, `shouldBootstrapLoad`): what shows it is
/// the folder of etcd's log, which is empty here.
fn check_datastore(options: &Options, data: &Path) -> anyhow::Result<()> {
    let folder = data.join("server/db/etcd");
    if folder.join("member/wal").exists() {
        return Ok(network::check_address(options)?);
    }
    let join = options.text("server");
    if !join.is_empty() {
        bail!("the k3s stand-in can't join the server at {join}: of control planes it knows one");
    }
    if options.flag("cluster-init") {
        network::check_address(options)?;
        fs::create_dir_all(folder.join("member/wal"))
            .with_context(|| format!("making `{}`", folder.display()))?;
        let mut random = [0_u8; 4];
        getrandom(&mut random, GetRandomFlags::empty())?;
        let name = format!("{}-{}", options.node_name(), hex(&random));
        files::write_private(&folder.join("name"), name.as_bytes())?;
    }
    Ok(())
}

/// Phase by phase.
async fn start(server: &Arc<Server>, address: IpAddr, port: u16) -> anyhow::Result<()> {
    let pause = Duration::from_millis(env::var(PHASE).ok().and_then(|text| text.parse().ok()).unwrap_or(0));
    for phase in [Phase::Bound, Phase::Api, Phase::Core] {
        tokio::time::sleep(pause).await;
        if phase == Phase::Api {
            addon::ensure(&server.cluster)?;
            addon::ensure_service(&server.cluster, &address.to_string(), port, "10.43.0.1")?;
        }
        if phase == Phase::Core {
            start_controllers(server)?;
        }
        server.phase.send_replace(phase);
    }
    Ok(())
}

fn start_controllers(server: &Arc<Server>) -> anyhow::Result<()> {
    let options = &server.options;
    let argument = "kube-controller-manager-arg";
    let grace = options.duration(argument, "node-monitor-grace-period", Duration::from_secs(50))?;
    let period = options.duration(argument, "node-monitor-period", Duration::from_secs(5))?;
    let folder = options.data().join("server/manifests");
    fs::create_dir_all(&folder).with_context(|| format!("making `{}`", folder.display()))?;
    let cluster = server.cluster.clone();
    tokio::spawn(async move {
        let mut monitor = Monitor::default();
        let mut ticks = tokio::time::interval(period);
        loop {
            ticks.tick().await;
            monitor.pass(&cluster, grace);
        }
    });
    let (cluster, disabled) = (server.cluster.clone(), options.list("disable"));
    tokio::spawn(async move {
        let mut deployer = Deployer::new(folder, disabled);
        loop {
            deployer.pass(&cluster);
            tokio::time::sleep(MANIFESTS).await;
        }
    });
    let cluster = server.cluster.clone();
    tokio::spawn(every(Duration::from_secs(5), move || {
        let cluster = cluster.clone();
        async move {
            passwords::pass(&cluster);
            bootstrap::clean(&cluster);
        }
    }));
    Ok(())
}

/// Roles of servers are labels that no kubelet may give itself.
async fn label_own_node(server: Arc<Server>) {
    let name = server.options.node_name();
    let mut labels = vec!["node-role.kubernetes.io/control-plane"];
    if server.options.flag("cluster-init") || !server.options.text("server").is_empty() {
        labels.push("node-role.kubernetes.io/etcd");
    }
    loop {
        if let Ok(nodes) = server.cluster.kind("v1", "Node") {
            let write = Write::by(&nodes, "", "k3s-stand-in");
            let labelled = server.cluster.modify(&write, &name, |node| {
                if let Some(metadata) = node.get_mut("metadata").and_then(Value::as_object_mut) {
                    let own = metadata.entry("labels").or_insert_with(|| json!({}));
                    for label in &labels {
                        if let Some(own) = own.as_object_mut() {
                            own.insert((*label).to_owned(), "true".into());
                        }
                    }
                }
            });
            if labelled.is_ok() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// External address first, as k3s has it.
fn advertised(options: &Options) -> Result<IpAddr, OptionsError> {
    for flag in ["advertise-address", "node-external-ip", "node-ip"] {
        if let Some(address) = options.addresses(flag)?.first() {
            return Ok(*address);
        }
    }
    Ok(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// What the server's certificate is for.
fn names(options: &Options, address: IpAddr) -> Result<Vec<String>, OptionsError> {
    let domain =
        Some(options.text("cluster-domain")).filter(|domain| !domain.is_empty()).unwrap_or("cluster.local");
    let mut names: Vec<String> = [
        "localhost",
        "127.0.0.1",
        "::1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "10.43.0.1",
    ]
    .map(str::to_owned)
    .into();
    names.extend([format!("kubernetes.default.svc.{domain}"), options.node_name(), address.to_string()]);
    names.extend(options.list("tls-san"));
    for flag in ["node-ip", "node-external-ip", "bind-address"] {
        names.extend(options.addresses(flag)?.iter().map(ToString::to_string));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Passwords of `server` and `node`: as told, as kept, or new.
fn passwords_of(options: &Options, data: &Path) -> anyhow::Result<(String, String)> {
    let read = |flag: &str| -> anyhow::Result<String> {
        let file = options.text(&format!("{flag}-file")).to_owned();
        if file.is_empty() {
            return Ok(options.text(flag).to_owned());
        }
        let path = options.path(&file);
        fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))
    };
    let password = |text: &str| -> anyhow::Result<String> {
        match Token::parse(text)?.credentials {
            Credentials::Password(password) => Ok(password),
            Credentials::Bearer(_) => Err(OptionsError::BootstrapForm.into()),
        }
    };
    let given = read("token")?;
    let kept = fs::read_to_string(data.join("server/token")).unwrap_or_default();
    let server = match (given.trim(), kept.trim()) {
        ("", "") => {
            let mut random = [0_u8; 16];
            getrandom(&mut random, GetRandomFlags::empty())?;
            hex(&random)
        }
        ("", kept) => password(kept)?,
        (given, _) => password(given)?,
    };
    debug_assert!(!is_bootstrap(&server), "refused above");
    let agent = match read("agent-token")?.trim() {
        "" => server.clone(),
        given => password(given)?,
    };
    Ok((server, agent))
}

fn write_tokens(options: &Options, data: &Path, hash: &str, server: &str, agent: &str) -> anyhow::Result<()> {
    let folder = data.join("server");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        files::write_private(&path, text.as_bytes()).with_context(|| format!("writing `{}`", path.display()))
    };
    write("token", &format!("{}\n", token::full(hash, "server", server)))?;
    let has_agent_token =
        !options.text("agent-token").is_empty() || !options.text("agent-token-file").is_empty();
    if has_agent_token {
        write("agent-token", &format!("{}\n", token::full(hash, "node", agent)))?;
    } else {
        link("token", &folder.join("agent-token"))?;
    }
    link("agent-token", &folder.join("node-token"))?;
    write("cred/passwd", &format!("{server},server,server,k3s:server\n{agent},node,node,k3s:agent\n"))
}

fn link(target: &str, path: &Path) -> anyhow::Result<()> {
    drop(fs::remove_file(path));
    std::os::unix::fs::symlink(target, path).with_context(|| format!("linking `{}`", path.display()))
}

fn write_kubeconfig(options: &Options, files: &ServerFiles, port: u16) -> anyhow::Result<()> {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    let told = options.text("write-kubeconfig");
    let path = options.path(if told.is_empty() { "/etc/rancher/k3s/k3s.yaml" } else { told });
    let mode = match options.text("write-kubeconfig-mode") {
        "" => 0o600,
        text => u32::from_str_radix(text, 8)
            .with_context(|| format!("--write-kubeconfig-mode: `{text}` is no mode"))?,
    };
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    let config = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: default\n  cluster:\n    server: https://127.0.0.1:{port}\n    \
         certificate-authority-data: {}\nusers:\n- name: default\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\ncontexts:\n- name: default\n  context:\n    cluster: default\n    user: default\n\
         current-context: default\npreferences: {{}}\n",
        encode(&files.server_ca.bundle),
        encode(&files.admin.0),
        encode(&files.admin.1),
    );
    files::write(&path, config.as_bytes(), mode).with_context(|| format!("writing `{}`", path.display()))
}
