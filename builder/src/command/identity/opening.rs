//! Options by which an identity is opened, or is to be opened once it is made.

use std::path::Path;

use age::Callbacks as _;
use age::secrecy::{ExposeSecret as _, SecretString};
use anyhow::Context as _;
use clap::Args;

use super::super::{Context, Note as _};
use super::unlock::{self, Unlock};
use crate::cluster::DnsLabel;
use crate::identity::{Protection, Recipient, key_file};
use crate::terminal::Terminal;

/// What opens an identity, be it there or new.
#[derive(Debug, Args)]
pub(in super::super) struct Opening {
    /// Encrypt a new identity to this age or SSH public key; may be repeated
    #[arg(long, value_name = "KEY")]
    recipient: Vec<Recipient>,
    #[command(flatten)]
    pub(super) unlock: Unlock,
}

impl Opening {
    /// Whether it is said whom a new identity is encrypted to.
    pub(super) fn has_recipients(&self) -> bool {
        !self.recipient.is_empty()
    }

    /// What the new identity of a cluster in `folder` is encrypted to: what the options say, or a passphrase that is asked for, or a new key file.
    pub(in super::super) fn new_protection(
        &self,
        cluster: &DnsLabel,
        folder: &Path,
        context: &Context,
    ) -> anyhow::Result<Protection> {
        let mut recipients = self.recipient.clone();
        if let Some(path) = &self.unlock.identity_key {
            recipients.extend(key_file::recipients(path).map_err(unlock::of_identity)?);
        }
        let passphrase = self.unlock.passphrase()?;
        match (passphrase, recipients.is_empty()) {
            (Some(passphrase), true) => return Ok(Protection::Passphrase(passphrase)),
            (Some(_), false) => {
                let fault = anyhow::anyhow!("an identity is opened by a passphrase or by keys, not by both");
                return Err(fault.input());
            }
            (None, false) => return Ok(Protection::Recipients(recipients)),
            (None, true) => {}
        }
        match ask_passphrase()? {
            Some(passphrase) => Ok(Protection::Passphrase(passphrase)),
            None => key_file_protection(cluster, folder, context),
        }
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

fn key_file_protection(cluster: &DnsLabel, folder: &Path, context: &Context) -> anyhow::Result<Protection> {
    let path = unlock::default_key_file(cluster);
    let path = path.context("neither HOME nor XDG_CONFIG_HOME is set").map_err(|error| {
        error.input().hint("`--recipient KEY` or `--passphrase-file FILE` says what opens the identity")
    })?;
    let folder = std::path::absolute(folder).context("asking for the working folder")?;
    if path.starts_with(&folder) {
        let fault = anyhow::anyhow!("key file `{}` would lie beside what it opens", path.display());
        return Err(fault
            .input()
            .hint("`--recipient KEY` or `--passphrase-file FILE` says what opens the identity"));
    }
    if path.exists() {
        let recipients = key_file::recipients(&path).map_err(unlock::of_identity)?;
        context.printer.note(&format!("the identity is opened by {}, which was there", path.display()));
        return Ok(Protection::Recipients(recipients));
    }
    let recipient = key_file::create(&path)?;
    context
        .printer
        .note(&format!("wrote {}, which opens the identity: keep it secret, and a copy", path.display()));
    Ok(Protection::Recipients(vec![recipient]))
}
