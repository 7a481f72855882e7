//! `imgbuild identity show`: public keys and fingerprints.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use super::super::Context;
use super::Unlock;
use crate::format::efi_variable::Variable;
use crate::identity::{Identity, Protection};
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
    show(&path, &identity, &protection, context)
}

/// Shows an identity.
pub(super) fn show(
    path: &Path,
    identity: &Identity,
    protection: &Protection,
    context: &Context,
) -> anyhow::Result<()> {
    let shown = shown(path, identity, protection)?;
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
    Ok(context.printer.data(&text)?)
}

fn shown<'a>(path: &'a Path, identity: &Identity, protection: &Protection) -> anyhow::Result<Shown<'a>> {
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
    })
}
