//! `imgbuild identity export`: the cluster's secrets as files that other programs read, for the day when there is no
//! imgbuild. They are not encrypted, and so never in a folder of Git.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use zeroize::Zeroizing;

use super::super::{Context, Note as _, file};
use super::Unlock;

/// Arguments of `identity export`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder to make; outside of any folder of Git
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    unlock: Unlock,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let directory = &arguments.directory;
    if directory.symlink_metadata().is_ok() {
        let fault = anyhow::anyhow!("`{}` is there already; nothing was changed", directory.display());
        return Err(fault.input().hint("name a folder that is not there"));
    }
    let parent = directory.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let real = parent.canonicalize().with_context(|| format!("looking at `{}`", parent.display()));
    if let Some(repository) = repository(&real.map_err(anyhow::Error::input)?) {
        let fault = anyhow::anyhow!(
            "`{}` would lie in `{}`, a folder of Git",
            directory.display(),
            repository.display()
        );
        return Err(fault.input().hint("name a folder elsewhere: what is written is not encrypted"));
    }
    let cluster = context.cluster()?;
    let files = arguments.unlock.secrets(&cluster)?.export(&cluster)?;
    write(directory, parent, &files).with_context(|| format!("writing `{}`", directory.display()))?;
    context.printer.note(&format!(
        "wrote {} with {} files that are NOT encrypted, for you alone: {} says what they are",
        directory.display(),
        files.len(),
        directory.join("README").display(),
    ));
    if context.printer.is_json() { Ok(context.printer.json(&Made { folder: directory })?) } else { Ok(()) }
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Made<'a> {
    folder: &'a Path,
}

/// The folder of Git that `folder` is in.
fn repository(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok())
}

/// Whole or not at all: under a name that vanishes until all is on disk.
fn write(directory: &Path, parent: &Path, files: &[(String, Zeroizing<String>)]) -> io::Result<()> {
    // For its owner alone, as all that lies in it.
    let new = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o700))
        .prefix(".export-")
        .tempdir_in(parent)?;
    for (name, content) in files {
        let path = new.path().join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        file::replace_secret(&path, content.as_bytes())?;
    }
    let kept = new.keep();
    fs::rename(&kept, directory).inspect_err(|_| drop(fs::remove_dir_all(&kept)))
}
