//! `imgbuild identity secure-boot`: the keys that boot programs are signed by.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use age::Callbacks as _;
use age::secrecy::{ExposeSecret as _, SecretString};
use anyhow::Context as _;
use clap::Args;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::super::{Context, Note as _, file};
use super::unlock::{self, Unlock};
use crate::cluster::Cluster;
use crate::format::efi_variable::Variable;
use crate::format::signer::Signer;
use crate::identity::{Identity, Lock, Recipient, key_file};
use crate::secure_boot::Keys;
use crate::terminal::Terminal;
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
    /// Encrypt a new identity to this age or SSH public key; may be repeated
    #[arg(long, value_name = "KEY")]
    recipient: Vec<Recipient>,
    #[command(flatten)]
    unlock: Unlock,
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
    let (mut identity, lock) = if let Some(opened) = there {
        opened
    } else {
        let identity = Identity::generate().context("making the manifest's signing key")?;
        (identity, new_lock(arguments, &cluster, context)?)
    };
    identity.secure_boot = Some(keys);
    let encrypted = identity.encrypt(&path, &lock)?;
    let writing = || format!("writing `{}`", path.display());
    if is_new {
        anyhow::ensure!(
            file::create(&path, &encrypted).with_context(writing)?,
            "`{}` has been made meanwhile; nothing was changed",
            path.display()
        );
    } else {
        file::replace(&path, &encrypted).with_context(writing)?;
    }
    context
        .printer
        .note(&format!("wrote {}; keep a copy: what it holds cannot be made again", path.display()));
    super::show::show(&path, &identity, &lock, context)
}

/// The identity that is there, and what locks it.
fn open(arguments: &Arguments, path: &Path, cluster: &Cluster) -> anyhow::Result<Option<(Identity, Lock)>> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    if !arguments.recipient.is_empty() {
        let fault = anyhow::anyhow!("`{}` is there, and keeps what opens it", path.display());
        return Err(fault.input().hint("leave out `--recipient`"));
    }
    arguments.unlock.open(path, cluster).map(Some)
}

/// New keys, or those of a folder; the owner's name in signature lists stays.
fn keys(arguments: &Arguments, replaced: Option<&Keys>, cluster: &Cluster) -> anyhow::Result<Keys> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = Timestamp(since.context("asking the clock")?.as_secs());
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
    let signer = |variable: Variable| -> anyhow::Result<Signer> {
        let path = |kind: &str| folder.join(format!("{}.{kind}", variable.name()));
        let read = |path: &Path| {
            let text = std::fs::read_to_string(path).map(Zeroizing::new);
            text.with_context(|| format!("reading `{}`", path.display())).map_err(anyhow::Error::input)
        };
        let (key, certificate) = (path("key"), path("pem"));
        let taking = || format!("taking `{}` with `{}`", key.display(), certificate.display());
        let signer = Signer::from_pem(&read(&key)?, &read(&certificate)?);
        signer.with_context(taking).map_err(anyhow::Error::input)
    };
    Ok(Keys {
        owner,
        since,
        platform_key: signer(Variable::PlatformKey)?,
        key_exchange_key: signer(Variable::KeyExchangeKeys)?,
        database: signer(Variable::Database)?,
    })
}

/// What a new identity is encrypted to: what the options say, or a passphrase that is asked for, or a new key file.
fn new_lock(arguments: &Arguments, cluster: &Cluster, context: &Context) -> anyhow::Result<Lock> {
    let mut recipients = arguments.recipient.clone();
    if let Some(path) = &arguments.unlock.identity_key {
        recipients.extend(key_file::recipients(path).map_err(unlock::of_identity)?);
    }
    let passphrase = arguments.unlock.passphrase()?;
    match (passphrase, recipients.is_empty()) {
        (Some(passphrase), true) => return Ok(Lock::Passphrase(passphrase)),
        (Some(_), false) => {
            let fault = anyhow::anyhow!("an identity is opened by a passphrase or by keys, not by both");
            return Err(fault.input());
        }
        (None, false) => return Ok(Lock::Recipients(recipients)),
        (None, true) => {}
    }
    match ask_passphrase()? {
        Some(passphrase) => Ok(Lock::Passphrase(passphrase)),
        None => key_file_lock(cluster, context),
    }
}

/// `None` where nobody can be asked, or the answer is empty.
fn ask_passphrase() -> anyhow::Result<Option<SecretString>> {
    let question = "Passphrase for the new identity (empty: make a key file)";
    let Some(passphrase) = Terminal.request_passphrase(question) else { return Ok(None) };
    if passphrase.expose_secret().is_empty() {
        return Ok(None);
    }
    let again = Terminal.request_passphrase("The same again").context("the terminal went away")?;
    if again.expose_secret() != passphrase.expose_secret() {
        return Err(anyhow::anyhow!("the passphrases differ; nothing was changed").input());
    }
    Ok(Some(passphrase))
}

fn key_file_lock(cluster: &Cluster, context: &Context) -> anyhow::Result<Lock> {
    let path = unlock::default_key_file(cluster);
    let path = path.context("neither HOME nor XDG_CONFIG_HOME is set").map_err(|error| {
        error.input().hint("`--recipient KEY` or `--passphrase-file FILE` says what opens the identity")
    })?;
    let folder = std::path::absolute(cluster.directory()).context("asking for the working folder")?;
    if path.starts_with(&folder) {
        let fault = anyhow::anyhow!("key file `{}` would lie beside what it opens", path.display());
        return Err(fault
            .input()
            .hint("`--recipient KEY` or `--passphrase-file FILE` says what opens the identity"));
    }
    if path.exists() {
        context.printer.note(&format!("the identity is opened by {}, which was there", path.display()));
        return Ok(Lock::Recipients(key_file::recipients(&path)?));
    }
    let recipient = key_file::create(&path)?;
    context
        .printer
        .note(&format!("wrote {}, which opens the identity: keep it secret, and a copy", path.display()));
    Ok(Lock::Recipients(vec![recipient]))
}
