//! `imgbuild check --online`: whether what the cluster file names is there and can be had, before anything is billed.

mod buckets;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::cloud::plan::Plan;
use crate::cloud::wanted::{Storage, Wanted};
use crate::cluster::{Cluster, Gitops, Hetzner};
use crate::command::Context;
use crate::command::check::Arguments;
use crate::command::identity;
use crate::command::plan::{built, hint_of};
use crate::command::project::Project;
use crate::hetzner::{HetznerError, Operation, Stop, request_line};
use crate::http;
use crate::identity::ClusterSecrets;
use crate::operator::Joining;
use crate::printable::text as printable;
use crate::ssh::{Command, Connection, Host, HostKey, Key, Pace, SshError};
use crate::units::Bytes;

/// For everything together.
const ALLOWED: Duration = Duration::from_mins(3);
/// For a repository's host.
const PATIENCE: Duration = Duration::from_secs(20);
/// Addresses of a host that are tried.
const ADDRESSES: usize = 4;
/// Of what a repository advertises; large ones say more, which is as good.
const ADVERTISED: Bytes = Bytes(1 << 20);
/// What git wants instead of an object: nothing (gitprotocol-pack(5), flush-pkt).
const NOTHING: &[u8] = b"0000";

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    what: &'static str,
    is_fine: bool,
    /// What is there, or what is wrong.
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    fn fine(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, is_fine: true, detail: detail.into(), hint: None }
    }

    fn fault(what: &'static str, detail: impl Into<String>, hint: Option<String>) -> Self {
        Self { what, is_fine: false, detail: detail.into(), hint }
    }
}

/// Looks, shows all that was found, and fails where anything is wrong.
pub(super) fn run(cluster: &Cluster, arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let Arguments { access, unlock, .. } = arguments;
    let mut findings = Vec::new();
    // Opened once, and only where it is needed: it may take a passphrase.
    let needs_key = |gitops: &Gitops| !is_by_http(gitops) && gitops.deploy_key_secret.is_some();
    let needs_identity = cluster.hetzner.is_some() || cluster.gitops.as_ref().is_some_and(needs_key);
    let is_there = identity::path(cluster).symlink_metadata().is_ok();
    let mut project = None;
    if let Some(hetzner) = &cluster.hetzner {
        let project = project.insert(access.open(context)?);
        findings.extend(project_findings(project, cluster, hetzner)?);
    }
    let storage = Storage::of(cluster).filter(|_| !arguments.without_buckets);
    if let Some(storage) = storage {
        let found = buckets::look(&arguments.storage, &storage, project.as_ref(), cluster, context)?;
        findings.extend(found);
    }
    let secrets = (needs_identity && is_there).then(|| unlock.secrets(cluster)).transpose()?;
    if needs_identity && secrets.is_none() {
        let hint = Some("`imgbuild identity create` makes one".to_owned());
        findings.push(Finding::fault("identity", "the cluster has none", hint));
    }
    if let (Some(hetzner), Some(secrets)) = (&cluster.hetzner, &secrets) {
        findings.push(user_data(cluster, hetzner, secrets)?);
    }
    if let Some(gitops) = &cluster.gitops {
        findings.extend(repository(cluster, gitops, secrets.as_ref())?);
    }
    if context.printer.is_json() {
        context.printer.json(&findings)?;
    } else {
        context.printer.data(&text(&findings))?;
    }
    match findings.iter().filter(|finding| !finding.is_fine).count() {
        0 => Ok(()),
        1 => bail!("1 thing is not as it has to be"),
        count => bail!("{count} things are not as they have to be"),
    }
}

fn text(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for Finding { what, is_fine, detail, hint } in findings {
        let mark = if *is_fine { "ok" } else { "no" };
        lines.push(format!("{mark}  {what:12}  {}", printable(detail)));
        lines.extend(hint.as_ref().map(|hint| format!("    {:12}  {hint}", "")));
    }
    if lines.is_empty() {
        lines.push("the cluster file names nothing that could be asked".to_owned());
    }
    format!("{}\n", lines.join("\n"))
}

/// Token, zone, stock. The API does not tell the limits of a project.
fn project_findings(project: &Project, cluster: &Cluster, hetzner: &Hetzner) -> anyhow::Result<Vec<Finding>> {
    let wanted = Wanted::new(cluster, hetzner);
    let built = built(cluster, &wanted)?;
    project.run("looking at the project", ALLOWED, async |operation: &Operation| {
        let client = &project.client;
        let may_write = client.may_write(operation).await?;
        let observed = client.observe(operation, &wanted).await?;
        let mut findings = vec![if may_write {
            Finding::fine("token", "reads and writes")
        } else {
            let hint = "make a token that writes, in the project's console under Security, API tokens";
            Finding::fault("token", "only reads", Some(hint.to_owned()))
        }];
        if let Some(name) = &wanted.dns.zone {
            findings.push(match &observed.zone {
                Some(zone) if zone.is_writable => Finding::fine("DNS zone", format!("`{name}` is there")),
                Some(_) => Finding::fault("DNS zone", format!("`{name}` is a secondary one"), None),
                None => {
                    let hint = "make it in the project, or leave out `dns-zone`".to_owned();
                    Finding::fault("DNS zone", format!("the project has no zone `{name}`"), Some(hint))
                }
            });
        }
        findings.push(match Plan::new(&wanted, &observed, &built, request_line) {
            Ok(plan) => {
                let location = plan.location.as_deref().unwrap_or_default();
                let price = plan.total.monthly.net.rounded(2);
                let detail = format!("all can be had in {location}, for {price} {} a month", plan.currency);
                Finding::fine("servers", detail)
            }
            Err(fault) => Finding::fault("servers", fault.to_string(), Some(hint_of(&fault))),
        });
        Ok::<_, HetznerError>(findings)
    })
}

/// Whether what servers are given fits.
fn user_data(cluster: &Cluster, hetzner: &Hetzner, secrets: &ClusterSecrets) -> anyhow::Result<Finding> {
    let mut longest = 0;
    for server in Wanted::new(cluster, hetzner).servers {
        let node = cluster.node(&server.node)?;
        match Joining::new(cluster, node, secrets, &[], "0")?.user_data() {
            Ok(data) => longest = longest.max(data.len()),
            Err(error) => {
                return Ok(Finding::fault("user data", format!("of `{}`: {error}", server.node), None));
            }
        }
    }
    Ok(Finding::fine("user data", format!("{} at most, of 32 KiB", Bytes(u64::try_from(longest)?))))
}

/// Whether the repository can be read; of one that is read by SSH nobody can say without the identity.
fn repository(
    cluster: &Cluster,
    gitops: &Gitops,
    secrets: Option<&ClusterSecrets>,
) -> anyhow::Result<Option<Finding>> {
    let url = gitops.repository.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (looked, hint) = if is_by_http(gitops) {
        (runtime.block_on(by_http(&url)), None)
    } else {
        let Some(secret) = &gitops.deploy_key_secret else {
            let hint = Some("`deploy-key-secret` of `[gitops]` names the Secret that holds one".to_owned());
            return Ok(Some(Finding::fault(
                "repository",
                "is read by SSH, and no deploy key is named",
                hint,
            )));
        };
        let Some(secrets) = secrets else { return Ok(None) };
        let key = secrets.deploy_key(cluster.name.as_str(), secret.as_str());
        let hint = format!("its deploy key is {}", key.public_key().to_openssh()?);
        let key = Key::from_openssh(&key.to_openssh(ssh_key::LineEnding::LF)?)?;
        (runtime.block_on(by_ssh(&url, gitops, key)), Some(hint))
    };
    Ok(Some(match looked {
        Ok(detail) => Finding::fine("repository", detail),
        Err(error) => Finding::fault("repository", format!("{error:#}"), hint),
    }))
}

fn is_by_http(gitops: &Gitops) -> bool {
    gitops.repository.to_string().starts_with("http")
}

/// As `git clone` begins (gitprotocol-http(5), Discovering References).
async fn by_http(url: &str) -> anyhow::Result<String> {
    let client = http::client(|builder| builder.timeout(PATIENCE))?;
    let url = format!("{}/info/refs?service=git-upload-pack", url.trim_end_matches('/'));
    let answer = client.get(&url).send().await?;
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match answer.status().as_u16() {
        200 if kind == "application/x-git-upload-pack-advertisement" => Ok("can be read".to_owned()),
        200 => bail!("what answers is no Git repository"),
        status => bail!("its server answers with {status}"),
    }
}

/// As `git clone` begins by SSH.
async fn by_ssh(url: &str, gitops: &Gitops, key: Key) -> anyhow::Result<String> {
    let Place { user, host, port, path } = Place::of(url).context("its URL is none of SSH")?;
    let known = gitops.known_hosts.iter().map(ToString::to_string);
    let keys: Vec<HostKey> = known.filter_map(|line| known_key(&line, &host, port)).collect();
    if keys.is_empty() && !gitops.known_hosts.is_empty() {
        bail!("`known-hosts` has no key of `{host}`");
    }
    let (operation, connection) = connect(&host, port, &user, key).await?;
    if !keys.is_empty() && !keys.contains(connection.host_key()) {
        bail!("`{host}` shows the key {}, which is none of `known-hosts`", connection.host_key());
    }
    let script = format!("git-upload-pack '{path}'");
    let command = Command { what: "reading the repository", script: &script, limit: ADVERTISED };
    let nothing = futures_util::stream::iter([bytes::Bytes::from_static(NOTHING)]);
    match connection.feed(&operation, &command, nothing).await {
        Ok(_) | Err(SshError::TooLong { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let by = if keys.is_empty() { ", whose host's key was not compared: `known-hosts` has none" } else { "" };
    Ok(format!("can be read with the deploy key{by}"))
}

/// By the first of the host's addresses that answers.
async fn connect(host: &str, port: u16, user: &str, key: Key) -> anyhow::Result<(Operation, Connection)> {
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.take(ADDRESSES).collect();
    let mut fault = anyhow::anyhow!("`{host}` has no address");
    for address in addresses {
        let pace = Pace { boot: PATIENCE, ..Pace::default() };
        let operation = Operation::new("asking the repository", PATIENCE, &Stop::never());
        match Host::new(address, key.clone(), pace).with_user(user).connect(&operation).await {
            Ok(connection) => return Ok((operation, connection)),
            Err(error) => fault = error.into(),
        }
    }
    Err(fault)
}

/// The key of a line that is for this host, or may be: hashed names and patterns are not looked through (sshd(8), on files of
/// known hosts).
fn known_key(line: &str, host: &str, port: u16) -> Option<HostKey> {
    let (names, key) = line.trim().split_once(char::is_whitespace)?;
    let own = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
    let may_be = |name: &str| name.eq_ignore_ascii_case(&own) || name.contains(['*', '?', '!', '|']);
    names.split(',').any(may_be).then(|| HostKey::from_openssh(key.trim()).ok())?
}

/// Where a repository is, in parts.
#[derive(Debug, Eq, PartialEq)]
struct Place {
    user: String,
    host: String,
    port: u16,
    path: String,
}

impl Place {
    /// `ssh://git@host:22/path`, or `git@host:path`. Nothing in it leaves its quotes in a command.
    fn of(url: &str) -> Option<Self> {
        let (authority, path) = match url.strip_prefix("ssh://") {
            Some(rest) => rest.find('/').map(|at| rest.split_at(at))?,
            None => url.split_once(':')?,
        };
        let (user, host) = authority.split_once('@').unwrap_or(("git", authority));
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (host, 22),
        };
        let is_plain = !path.contains(['\'', '\\']) && !path.contains(char::is_control);
        is_plain.then(|| Self { user: user.to_owned(), host: host.to_owned(), port, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_named_in_two_ways() {
        let place = |url: &str| {
            Place::of(url).map(|place| format!("{} {} {} {}", place.user, place.host, place.port, place.path))
        };
        for (url, expected) in [
            ("ssh://git@git.example.org/lab.git", Some("git git.example.org 22 /lab.git")),
            ("ssh://me@git.example.org:2222/a/lab", Some("me git.example.org 2222 /a/lab")),
            ("git@github.example:team/lab.git", Some("git github.example 22 team/lab.git")),
            ("git@host:a'b", None),
            ("ssh://git@host", None),
        ] {
            assert_eq!(place(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn keys_are_those_of_known_hosts() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        for (names, host, port, is_its) in [
            ("github.com,ssh.github.com", "github.com", 22, true),
            ("github.com,ssh.github.com", "SSH.github.com", 22, true),
            ("github.com", "gitlab.com", 22, false),
            ("github.com", "github.com", 2222, false),
            ("[github.com]:2222", "github.com", 2222, true),
            ("|1|c2FsdA==|aGFzaA==", "gitlab.com", 22, true),
            ("*.github.com", "ssh.github.com", 22, true),
        ] {
            let expected = is_its.then(|| HostKey::from_openssh(key).unwrap());
            assert_eq!(known_key(&format!("{names} {key} comment"), host, port), expected, "{names} {host}");
        }
        assert_eq!(known_key("github.com", "github.com", 22), None);
    }
}
