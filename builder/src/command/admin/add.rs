//! `imgbuild admin add`: a WireGuard key, which is shown once and kept nowhere, and a certificate for the API.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use firstboot::qr;
use firstboot::random::random;
use firstboot::secret_key::SecretKey;
use firstboot::wireguard::private_key;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Serialize;
use zeroize::Zeroizing;

use super::super::cluster_file::Change;
use super::super::kubeconfig::{self, Valid};
use super::super::{Context, Note as _, file, identity::Unlock};
use crate::cluster::{Admin, DnsLabel, VpnKey, edit};
use crate::way_in::WayIn;

/// Arguments of `admin add`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of the admin
    name: DnsLabel,
    /// Their WireGuard public key, if they have made one themselves
    #[arg(long, value_name = "KEY")]
    public_key: Option<VpnKey>,
    /// Write configuration, QR code and kubeconfig to files in DIR, instead of showing them
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    valid: Valid,
    #[command(flatten)]
    unlock: Unlock,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Added<'a> {
    name: &'a str,
    address: std::net::Ipv4Addr,
    public_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kubeconfig: Option<&'a str>,
    files: &'a [PathBuf],
}

/// What an admin is given.
struct Made {
    configuration: Zeroizing<String>,
    /// Whether WireGuard's apps for telephones can read it: no key is still to be put in.
    is_whole: bool,
    kubeconfig: Zeroizing<String>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let name = &arguments.name;
    if cluster.admins.iter().any(|admin| admin.name == *name) {
        let fault = anyhow::anyhow!("cluster `{}` has an admin `{name}`; nothing was changed", cluster.name);
        return Err(fault
            .input()
            .hint(format!("`imgbuild kubeconfig --admin {name}` makes another kubeconfig")));
    }
    // A slip in the time is told before a passphrase is asked for.
    let lifetime = arguments.valid.lifetime()?;
    let secrets = arguments.unlock.secrets(&cluster)?;
    let (own, public_key) = if let Some(key) = &arguments.public_key {
        (None, key.clone())
    } else {
        let own = SecretKey::new(private_key::clamped(random().context("making a WireGuard key")?));
        let public_key = private_key::public(&own).to_string().parse();
        (Some(own), public_key.context("writing the public key")?)
    };
    let change = Change::new(context, |text| edit::add_admin(text, name, &public_key))?;
    let Change { path, cluster, .. } = &change;
    let admin =
        cluster.admins.iter().find(|admin| admin.name == *name).context("the admin is not in the file")?;
    let server = kubeconfig::server(cluster, Some(admin), None)?;
    let made = Made {
        configuration: WayIn { cluster, secrets: &secrets, admin, key: own.as_ref() }.to_text(),
        // A configuration without its key is for no telephone.
        is_whole: own.is_some(),
        kubeconfig: kubeconfig::mint(cluster, &secrets, Some(admin), (&server, None), lifetime)?,
    };
    let files = match &arguments.output {
        Some(folder) => {
            write(folder, admin, &made).with_context(|| format!("writing to `{}`", folder.display()))?
        }
        None => Vec::new(),
    };
    show(admin, &made, &files, context)?;
    // Last: who is in the file has their way in, which nothing can show again.
    change.write()?;
    context.printer.note(&format!(
        "wrote {}: `{name}` has {} in the VPN of the admins",
        path.display(),
        admin.address
    ));
    if !files.is_empty() {
        let written = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
        context.printer.note(&format!("wrote {written}: give them to `{name}` alone, and keep no copy"));
    }
    context.printer.note("control planes let the new admin in once they have their new record");
    Ok(())
}

/// Files for one pair of eyes.
fn write(folder: &Path, admin: &Admin, made: &Made) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let code = made.is_whole.then(|| QrCode::new(made.configuration.as_bytes()));
    let picture = code.transpose()?.map(|code| code.render::<svg::Color<'_>>().build());
    let files = [("conf", made.configuration.as_str()), ("kubeconfig", &made.kubeconfig)];
    let mut paths = Vec::new();
    for (kind, text) in files.into_iter().chain(picture.as_deref().map(|picture| ("svg", picture))) {
        let path = folder.join(format!("{}.{kind}", admin.name));
        file::replace_secret(&path, text.as_bytes())?;
        paths.push(path);
    }
    Ok(paths)
}

fn show(admin: &Admin, made: &Made, files: &[PathBuf], context: &Context) -> anyhow::Result<()> {
    let is_shown = files.is_empty();
    if context.printer.is_json() {
        let shown = |text: &'_ Zeroizing<String>| is_shown.then(|| text.to_string());
        let (configuration, kubeconfig) = (shown(&made.configuration), shown(&made.kubeconfig));
        return Ok(context.printer.json(&Added {
            name: admin.name.as_str(),
            address: admin.address,
            public_key: admin.public_key.as_str(),
            configuration: configuration.as_deref(),
            kubeconfig: kubeconfig.as_deref(),
            files,
        })?);
    }
    if !is_shown {
        return Ok(());
    }
    let mut picture = String::new();
    if made.is_whole {
        picture = qr::draw(&made.configuration).context("the configuration is too long for a QR code")?;
        picture.push('\n');
    }
    let text = Zeroizing::new(format!("{}\n{picture}{}", *made.configuration, *made.kubeconfig));
    Ok(context.printer.data(&text)?)
}
