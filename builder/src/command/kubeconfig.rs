//! `imgbuild kubeconfig`: a way to the cluster's API for `kubectl` and its like, minted offline.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use firstboot::ticket::LAST_MOMENT;
use serde::Serialize;

use super::api::{self, Server};
use super::identity::Unlock;
use super::{Context, Note as _, file};
use crate::cluster::{Admin, Cluster};
use crate::identity::ClusterSecrets;
use crate::kubeconfig::Kubeconfig;
use crate::spelling::did_you_mean;
use crate::units::Timestamp;

/// User of those who hold the identity.
const OPERATOR: &str = "operator";

/// Arguments of `kubeconfig`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Admin of the cluster file whose it is; without it, it is of who holds the identity
    #[arg(long, value_name = "NAME")]
    admin: Option<String>,
    /// Server of the Kubernetes API, HOST or HOST:PORT; without it, the first that the cluster file names
    #[arg(long, value_name = "SERVER")]
    server: Option<Server>,
    #[command(flatten)]
    valid: Valid,
    /// Write to FILE, for its owner alone, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    unlock: Unlock,
}

/// How long a certificate is good.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Valid {
    /// How long the certificate is good; nothing else ends it
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = humantime::parse_duration)]
    valid: Duration,
}

impl Valid {
    /// Since when and until when certificates are good that are made now.
    pub(super) fn lifetime(self) -> anyhow::Result<(Timestamp, Timestamp)> {
        if self.valid.as_secs() == 0 {
            let valid = humantime::format_duration(self.valid);
            return Err(anyhow::anyhow!("a certificate that is good for {valid} is good for nobody").input());
        }
        let now = super::now()?;
        let until = now.0.checked_add(self.valid.as_secs()).filter(|until| *until <= LAST_MOMENT);
        let until = until.context("no certificate is good for so long");
        let hint = "they end with the year 9999 at the latest";
        Ok((now, Timestamp(until.map_err(|fault| fault.input().hint(hint))?)))
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Minted<'a> {
    user: &'a str,
    server: String,
    expires: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    kubeconfig: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a std::path::Path>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let admin = arguments.admin.as_deref().map(|name| find(&cluster, name)).transpose()?;
    // A slip in the time is told before a passphrase is asked for.
    let (now, expires) = arguments.valid.lifetime()?;
    let secrets = arguments.unlock.secrets(&cluster)?;
    let server = server(&cluster, admin, arguments.server.as_ref())?;
    let text = mint(&cluster, &secrets, admin, (&server, None), (now, expires))?;
    let user = admin.map_or(OPERATOR, |admin| admin.name.as_str());
    if let Some(path) = &arguments.output {
        file::replace_secret(path, text.as_bytes())
            .with_context(|| format!("writing `{}`", path.display()))?;
        context
            .printer
            .note(&format!("wrote {} for `{user}` at {server}, good until {expires}", path.display()));
    }
    if context.printer.is_json() {
        let (kubeconfig, file) =
            (arguments.output.is_none().then_some(text.as_str()), arguments.output.as_deref());
        return Ok(context.printer.json(&Minted {
            user,
            server: server.url(),
            expires,
            kubeconfig,
            file,
        })?);
    }
    if arguments.output.is_none() { Ok(context.printer.data(&text)?) } else { Ok(()) }
}

/// The kubeconfig file of an admin, or of who holds the identity; with the name in the server's certificate, where that is
/// another than the URL's.
pub(super) fn mint(
    cluster: &Cluster,
    secrets: &ClusterSecrets,
    admin: Option<&Admin>,
    (server, server_name): (&Server, Option<&str>),
    (now, until): (Timestamp, Timestamp),
) -> anyhow::Result<zeroize::Zeroizing<String>> {
    let client = match admin {
        Some(admin) => secrets.admin(admin.name.as_str(), now, until)?,
        None => secrets.operator(now, until)?,
    };
    let kubeconfig = Kubeconfig {
        cluster: cluster.name.as_str(),
        user: admin.map_or(OPERATOR, |admin| admin.name.as_str()),
        server: &server.url(),
        server_name,
        authorities: &secrets.api_authorities()?,
        client: &client,
    };
    Ok(kubeconfig.to_yaml())
}

/// Admins come in by their own VPN, whatever the posture.
pub(super) fn server(
    cluster: &Cluster,
    admin: Option<&Admin>,
    given: Option<&Server>,
) -> anyhow::Result<Server> {
    if let Some(server) = given {
        return Ok(server.clone());
    }
    let inside =
        || cluster.nodes_of(crate::cluster::Role::ControlPlane).find_map(|node| cluster.admin_address(node));
    let inside = admin.and_then(|_| inside()).map(|address| Server::at(address.into()));
    let server = inside.or_else(|| api::servers(cluster).into_iter().next());
    server.context("the cluster file names no control plane").map_err(anyhow::Error::input)
}

fn find<'a>(cluster: &'a Cluster, name: &str) -> anyhow::Result<&'a Admin> {
    cluster.admins.iter().find(|admin| admin.name.as_str() == name).ok_or_else(|| {
        let near = did_you_mean(name, cluster.admins.iter().map(|admin| admin.name.as_str()));
        let fault = anyhow::anyhow!("cluster `{}` has no admin `{name}`", cluster.name).input();
        match near {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("`imgbuild admin add {name}` makes one")),
        }
    })
}
