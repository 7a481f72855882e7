//! `imgbuild identity secure-boot`: the keys that boot programs are signed by.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::super::{Context, Note as _};
use super::opening::Opening;
use crate::cluster::Cluster;
use crate::format::signer::{Signer, SignerError};
use crate::identity::{Identity, Protection};
use crate::secure_boot::Keys;
use crate::units::Timestamp;

/// Arguments of `identity secure-boot`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Take keys from a folder with PK, KEK and db as PEM, each a .key and a .pem
    #[arg(long, value_name = "DIR")]
    import: Option<PathBuf>,
    /// Replace the keys; machines that know only the old ones refuse new images
    #[arg(long)]
    rotate: bool,
    #[command(flatten)]
    opening: Opening,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let path = super::path(&cluster);
    let there = open(arguments, &path, &cluster)?;
    let is_new = there.is_none();
    let replaced = there.as_ref().and_then(|(identity, _)| identity.secure_boot.as_ref());
    if replaced.is_some() && !arguments.rotate && !context.global.yes {
        let fault = anyhow::anyhow!("`{}` has Secure Boot keys; nothing was changed", path.display());
        return Err(fault.input().hint("`imgbuild identity show` shows them; `--rotate` replaces them"));
    }
    // Before anything is written: what is imported may be faulty.
    let keys = keys(arguments, replaced, &cluster)?;
    let (mut identity, protection) = if let Some(opened) = there {
        opened
    } else {
        let protection = arguments.opening.new_protection(&cluster.name, cluster.directory(), context)?;
        (super::create::generate(&cluster.name)?, protection)
    };
    identity.secure_boot = Some(keys);
    if is_new {
        return super::create::write(&path, &identity, &protection, &cluster, context);
    }
    super::create::rewrite(&path, &identity, &protection, &[], &cluster, context)
}

/// The identity that is there, and what protects it.
fn open(
    arguments: &Arguments,
    path: &Path,
    cluster: &Cluster,
) -> anyhow::Result<Option<(Identity, Protection)>> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    if arguments.opening.has_recipients() {
        let fault = anyhow::anyhow!("`{}` is there, and keeps what opens it", path.display());
        return Err(fault.input().hint("leave out `--recipient`"));
    }
    arguments.opening.unlock.open(path, cluster).map(Some)
}

/// New keys, or those of a folder; the owner's name in signature lists stays.
fn keys(arguments: &Arguments, replaced: Option<&Keys>, cluster: &Cluster) -> anyhow::Result<Keys> {
    let since = super::super::now()?;
    let owner = if let Some(keys) = replaced {
        keys.owner
    } else {
        let random = firstboot::random::random::<16>().context("asking for random bytes")?;
        uuid::Builder::from_random_bytes(random).into_uuid()
    };
    match &arguments.import {
        None => Keys::generate(cluster.name.as_str(), owner, since).context("making Secure Boot keys"),
        Some(folder) => import(folder, owner, since),
    }
}

fn import(folder: &Path, owner: Uuid, since: Timestamp) -> anyhow::Result<Keys> {
    Keys::with_signers(owner, since, |variable| {
        let path = |kind: &str| folder.join(format!("{}.{kind}", variable.name()));
        let read = |path: &Path| {
            let text = std::fs::read_to_string(path).map(Zeroizing::new);
            text.with_context(|| format!("reading `{}`", path.display())).map_err(anyhow::Error::input)
        };
        let (key, certificate) = (path("key"), path("pem"));
        let taking = || format!("taking `{}` with `{}`", key.display(), certificate.display());
        Signer::from_pem(&read(&key)?, &read(&certificate)?).map_err(|error| {
            let hint = hint(&error, &key);
            anyhow::Error::from(error).context(taking()).input().maybe_hint(hint)
        })
    })
}

/// What makes a key of what is there.
fn hint(error: &SignerError, key: &Path) -> Option<String> {
    let key = key.display();
    match error {
        SignerError::Encrypted => Some(format!(
            "`openssl pkey -in {key} -out FILE` writes it without the passphrase; the identity encrypts what it holds"
        )),
        SignerError::Kind { .. } | SignerError::Key(_) => {
            Some("without `--import`, RSA keys are made; `openssl req -x509 -newkey rsa:2048 -nodes` makes them too".to_owned())
        }
        _ => None,
    }
}
