//! `imgbuild verify`: is a build what its manifest says, and who says so?

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{Context, Note as _, failure};
use crate::bundle::signature::PublicKey;
use crate::diagnostic::chain;
use crate::medium::folder::Folder;
use crate::medium::verify::{self, Comparison, Fault, Verdict};
use crate::printable;
use crate::units::RootHash;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder that `imgbuild build` has made
    folder: PathBuf,
    /// File with the public key that must have signed the manifest
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Serialize)]
struct Shown<'a> {
    root_hash: RootHash,
    signer: Option<String>,
    /// Whether the signer is the one that was asked for.
    trusted: bool,
    programs: &'a Comparison,
    faults: Vec<String>,
}

/// Runs the command. The code is 1 where anything is wrong.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let key = arguments.key.as_deref().map(PublicKey::load).transpose().map_err(failure::of_signature)?;
    let folder = Folder::open(&arguments.folder).map_err(failure::of_manifest)?;
    let (verdict, faults) = judge(&folder, key.as_ref(), context);
    let signer = verdict.signer.as_ref().map(ToString::to_string);
    let is_trusted = key.is_some() && signer.is_some();
    if context.printer.is_json() {
        let root_hash = folder.manifest.root_hash;
        let programs = &verdict.programs;
        context.printer.json(&Shown {
            root_hash,
            signer,
            trusted: is_trusted,
            programs,
            faults: faults.clone(),
        })?;
    } else if faults.is_empty() {
        context.printer.data(&summary(&folder, &verdict, is_trusted))?;
    }
    if faults.is_empty() { Ok(()) } else { Err(failed(&folder, &verdict, &faults)) }
}

/// Fails where anything is wrong with a build that is about to be used; with `key`, that key must have signed it.
pub(super) fn require(folder: &Folder, key: Option<&PublicKey>, context: &Context) -> anyhow::Result<()> {
    let (verdict, faults) = judge(folder, key, context);
    if faults.is_empty() { Ok(()) } else { Err(failed(folder, &verdict, &faults)) }
}

/// The verdict, which takes a while, and its faults in words.
fn judge(folder: &Folder, key: Option<&PublicKey>, context: &Context) -> (Verdict, Vec<String>) {
    let task = context.printer.task("verifying", Some(folder.manifest.total().0));
    let verdict = verify::verify(folder, key, |bytes| task.advance(bytes));
    drop(task);
    let faults = verdict.faults.iter().map(|fault| chain(fault)).collect();
    (verdict, faults)
}

fn summary(folder: &Folder, verdict: &Verdict, is_trusted: bool) -> String {
    let manifest = &folder.manifest;
    let mut text = String::new();
    let mut line = |name: &str, fact: &str| {
        let _ = writeln!(text, "{name:<11} {fact}");
    };
    line("files", &format!("{} as the manifest says", manifest.files.len().saturating_add(1)));
    line("root hash", &format!("{}, over {} blocks", manifest.root_hash, verdict.blocks));
    line("partitions", &format!("{} as the manifest says", manifest.partitions.len()));
    line(
        "signature",
        &match (&verdict.signer, is_trusted) {
            (Some(signer), true) => format!("by {signer}, as asked for"),
            (Some(signer), false) => format!("by {signer}, whoever that is: `--key FILE` would tell"),
            (None, _) => "none".to_owned(),
        },
    );
    match &verdict.programs {
        Comparison::Same => line("programs", "the ones here"),
        Comparison::Unknown => line("programs", "none here to compare with"),
        Comparison::Other(others) => {
            for other in others {
                line("programs", &other.to_string());
            }
            line("", "so a build here would not be the same; the image is");
        }
    }
    text
}

fn failed(folder: &Folder, verdict: &Verdict, faults: &[String]) -> anyhow::Error {
    let list: Vec<String> = faults.iter().map(|fault| format!("\n  {}", printable::text(fault))).collect();
    let error = anyhow::anyhow!("`{}` is not what it should be:{}", folder.path.display(), list.concat());
    let is_damaged = verdict.faults.iter().any(|fault| !matches!(fault, Fault::Signature(_)));
    let is_unsigned = verdict
        .faults
        .iter()
        .any(|fault| matches!(fault, Fault::Signature(error) if failure::is_absent(error)));
    if is_damaged {
        return error
            .hint(format!("`imgbuild build {}` makes it anew from the lock", folder.manifest.profile));
    }
    if is_unsigned {
        return error.hint(failure::MAKES_A_SIGNATURE);
    }
    error.hint("`ssh-keygen -l -f FILE` shows the fingerprint of a key")
}
