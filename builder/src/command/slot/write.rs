//! `imgbuild slot write`: an update, offline.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::bundle::manifest::Manifest;
use crate::bundle::signature::PublicKey;
use crate::command::{Context, Note as _, failure, verify};
use crate::medium::folder::Folder;
use crate::medium::staging::disk::{self, DiskError};
use crate::medium::staging::{self, Source, Staged, StagingError};
use crate::units::Bytes;

/// Arguments of `slot write`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder that `imgbuild build` has made
    folder: PathBuf,
    /// Disk image or block device to write to
    #[arg(long, value_name = "DISK")]
    into: PathBuf,
    /// File with the public key that must have signed the manifest
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Runs the command. The bundle is verified, and the disk looked at, before the first write.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let key = arguments.key.as_deref().map(PublicKey::load).transpose().map_err(failure::of_signature)?;
    let folder = Folder::open(&arguments.folder).map_err(failure::of_manifest)?;
    verify::require(&folder, key.as_ref(), context).map_err(failure::Note::input)?;
    let (mut disk, copies) = disk::open(&arguments.into).map_err(of_disk)?;
    let reading = || format!("reading `{}`", arguments.folder.display());
    let source = Source::open(&folder).with_context(reading)?;
    let length = Source::length(&source.root)?.0.saturating_add(Source::length(&source.tree)?.0);
    let task = context.printer.task("staging", Some(length));
    let staged = staging::stage(&source, &mut disk, &copies, |bytes| task.advance(bytes));
    let staged = staged.map_err(|error| of_staging(error, &arguments.into, &folder.manifest))?;
    task.finish(&format!("slot {}, {}", staged.slot, Bytes(length)));
    if context.printer.is_json() {
        context.printer.json(&staged)?;
    } else {
        context.printer.data(&summary(&staged))?;
    }
    Ok(())
}

fn summary(staged: &Staged) -> String {
    let mut text = String::new();
    let mut line = |name: &str, fact: &str| {
        let _ = writeln!(text, "{name:<11} {fact}");
    };
    line("slot", &format!("{}, on trial for {} starts", staged.slot, staged.tries));
    line("generation", &staged.generation.to_string());
    line("root hash", &staged.root_hash.to_string());
    line("committed", &format!("slot {}, generation {}", staged.committed_slot, staged.committed_generation));
    for program in &staged.programs {
        line("replaced", program);
    }
    text
}

/// Which disk, and that it is free, is the user's to see to.
fn of_disk(error: DiskError) -> anyhow::Error {
    let hint = match &error {
        DiskError::InUse { .. } => "switch the machine off, or unmount the disk",
        DiskError::Table { .. } | DiskError::Kind { .. } => {
            "give a whole disk that an imgbuild image was written to, or a file that is one"
        }
        DiskError::Open { .. } => return anyhow::Error::from(error).input(),
    };
    anyhow::Error::from(error).input().hint(hint)
}

fn of_staging(error: StagingError, disk: &Path, manifest: &Manifest) -> anyhow::Error {
    let hint = match &error {
        StagingError::Partitions { .. } | StagingError::Size { .. } | StagingError::Esp { .. } => {
            Some(format!(
                "partitions are fixed for the life of a disk: write `disk.raw` of an image other than `{}`, or a new disk",
                manifest.image
            ))
        }
        StagingError::Arch { .. } => {
            Some(format!("`imgbuild build {} --arch` builds for the other one", manifest.profile))
        }
        StagingError::NoBios => Some("build it for an image with a BIOS boot partition".to_owned()),
        StagingError::NoneCommitted | StagingError::Lost { .. } => {
            Some("write `disk.raw` to the disk: nothing on it can be kept for certain".to_owned())
        }
        StagingError::Same { .. } => {
            Some("this system is in force there already; build another one".to_owned())
        }
        _ => None,
    };
    let is_input = error.is_input();
    let error = anyhow::Error::from(error).context(format!("staging on `{}`", disk.display()));
    let error = if is_input { error.input() } else { error };
    error.maybe_hint(hint)
}
