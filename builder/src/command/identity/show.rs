//! `imgbuild identity show`: public keys and fingerprints.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use firstboot::cluster::ClusterId;
use firstboot::public_key::PublicKey;
use firstboot::wireguard::private_key;
use serde::Serialize;
use uuid::Uuid;

use super::super::Context;
use super::Unlock;
use crate::cluster::{Cluster, Role};
use crate::format::efi_variable::Variable;
use crate::identity::{AuthorityError, ClusterSecrets, Identity, Protection};
use crate::units::{Sha256, Timestamp};

/// Arguments of `identity show`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    unlock: Unlock,
}

/// What of an identity may be shown.
#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Path,
    /// Public keys, or `passphrase`.
    opened_by: Vec<String>,
    /// OpenSSH public key.
    manifest_signing: String,
    /// Its fingerprint, as `ssh-keygen -l` shows it.
    manifest_signing_fingerprint: String,
    secure_boot: Option<ShownKeys>,
    cluster: Option<ShownCluster>,
}

/// What makes the cluster one and no other.
#[derive(Serialize)]
struct ShownCluster {
    id: ClusterId,
    epoch: u32,
    /// In k3s' tokens, `K10<hash>`: SHA-256 of the root's certificate.
    k3s_hash: Sha256,
    /// Of all certificates.
    not_before: String,
    not_after: String,
    authorities: Vec<ShownAuthority>,
    /// Ed25519 public keys in base64, by what they sign.
    keys: BTreeMap<&'static str, PublicKey>,
    /// SHA-256 of the certificate that secrets are sealed by.
    sealing: Sha256,
    /// Public WireGuard keys of the control planes, by node.
    wireguard: BTreeMap<String, String>,
    /// OpenSSH public key that the repository's host must let read, where the cluster file asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    deploy_key: Option<String>,
}

/// An authority of k3s' certificates.
#[derive(Serialize)]
struct ShownAuthority {
    subject: String,
    /// SHA-256 of the certificate.
    fingerprint: Sha256,
}

#[derive(Serialize)]
struct ShownKeys {
    owner: Uuid,
    since: Timestamp,
    keys: Vec<ShownKey>,
}

/// A certificate of Secure Boot.
#[derive(Serialize)]
struct ShownKey {
    variable: &'static str,
    subject: String,
    /// SHA-256 of the certificate.
    fingerprint: Sha256,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let path = super::path(&cluster);
    let (identity, protection) = arguments.unlock.open(&path, &cluster)?;
    show(&path, &identity, &protection, &cluster, context)
}

/// Shows an identity.
pub(super) fn show(
    path: &Path,
    identity: &Identity,
    protection: &Protection,
    cluster: &Cluster,
    context: &Context,
) -> anyhow::Result<()> {
    let shown = shown(path, identity, protection, cluster)?;
    if context.printer.is_json() {
        return Ok(context.printer.json(&shown)?);
    }
    let mut text = format!("{}\n", path.display());
    for key in &shown.opened_by {
        let _ = writeln!(text, "  opened by         {key}");
    }
    let _ = writeln!(text, "  manifest signing  {}", shown.manifest_signing);
    let _ = writeln!(text, "                    {}", shown.manifest_signing_fingerprint);
    match &shown.secure_boot {
        None => text.push_str("  Secure Boot       not set up\n"),
        Some(keys) => {
            let _ = writeln!(text, "  Secure Boot       since {}, owner {}", keys.since, keys.owner);
            for ShownKey { variable, subject, fingerprint } in &keys.keys {
                let _ = writeln!(text, "    {variable:<3} {fingerprint}  {subject}");
            }
        }
    }
    match &shown.cluster {
        None => text.push_str("  cluster           no secrets yet: `imgbuild identity upgrade` makes them\n"),
        Some(cluster) => write_cluster(&mut text, cluster),
    }
    Ok(context.printer.data(&text)?)
}

fn write_cluster(text: &mut String, cluster: &ShownCluster) {
    let _ = writeln!(text, "  cluster           {}, epoch {}", cluster.id, cluster.epoch);
    let _ = writeln!(text, "  k3s token         K10{}::…", cluster.k3s_hash);
    for (name, key) in &cluster.keys {
        let _ = writeln!(text, "  {:<17} {key}", format!("{name} key"));
    }
    for (node, key) in &cluster.wireguard {
        let _ = writeln!(text, "  {:<17} {key}", format!("WireGuard {node}"));
    }
    if let Some(key) = &cluster.deploy_key {
        let _ = writeln!(text, "  deploy key        {key}");
    }
    let _ = writeln!(text, "  sealing           {}", cluster.sealing);
    let _ = writeln!(text, "  certificates      {} to {}", cluster.not_before, cluster.not_after);
    for ShownAuthority { subject, fingerprint } in &cluster.authorities {
        let _ = writeln!(text, "    {fingerprint}  {subject}");
    }
}

fn shown<'a>(
    path: &'a Path,
    identity: &Identity,
    protection: &Protection,
    cluster: &Cluster,
) -> anyhow::Result<Shown<'a>> {
    let opened_by = match protection {
        Protection::Passphrase(_) => vec!["passphrase".to_owned()],
        Protection::Recipients(recipients) => recipients.iter().map(ToString::to_string).collect(),
    };
    let signing = identity.signing_key.public();
    let secure_boot = identity.secure_boot.as_ref().map(|keys| {
        let shown = |variable: Variable| ShownKey {
            variable: variable.name(),
            subject: keys.key(variable).subject(),
            fingerprint: keys.key(variable).fingerprint(),
        };
        ShownKeys { owner: keys.owner, since: keys.since, keys: Variable::ALL.map(shown).into() }
    });
    Ok(Shown {
        file: path,
        opened_by,
        manifest_signing: signing.to_openssh().context("writing the manifest's public key")?,
        manifest_signing_fingerprint: signing.to_string(),
        secure_boot,
        cluster: identity.cluster.as_ref().map(|secrets| shown_cluster(secrets, cluster)).transpose()?,
    })
}

fn shown_cluster(secrets: &ClusterSecrets, cluster: &Cluster) -> anyhow::Result<ShownCluster> {
    let authorities = secrets.authorities.all().map(|(_, authority)| {
        Ok(ShownAuthority { subject: authority.subject(), fingerprint: authority.fingerprint()? })
    });
    let (not_before, not_after) = secrets.authorities.validity();
    let deploy_key =
        cluster.gitops.as_ref().and_then(|gitops| gitops.deploy_key_secret.as_ref()).map(|secret| {
            let key = secrets.deploy_key(cluster.name.as_str(), secret.as_str());
            key.public_key().to_openssh().context("writing the deploy key's public half")
        });
    let control_planes = cluster.nodes_of(Role::ControlPlane).map(|node| node.name.as_str());
    Ok(ShownCluster {
        id: secrets.id,
        epoch: secrets.epoch,
        deploy_key: deploy_key.transpose()?,
        k3s_hash: secrets.hash()?,
        not_before,
        not_after,
        authorities: authorities.collect::<Result<_, AuthorityError>>()?,
        keys: secrets.signing_keys().map(|(name, key)| (name, PublicKey::of(key))).into(),
        sealing: secrets.sealing.fingerprint()?,
        wireguard: control_planes
            .map(|node| (node.to_owned(), private_key::public(&secrets.wireguard_key(node)).to_string()))
            .collect(),
    })
}
